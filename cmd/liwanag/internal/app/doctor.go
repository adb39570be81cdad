package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/doctor"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// CheckSettings says what is wrong with settings, as New would, and what works but hardly
// as meant. Nothing is opened.
func CheckSettings(s *config.Settings) (warnings []string, err error) {
	if err := s.Validate(); err != nil {
		return nil, &UsageError{err}
	}
	a := &App{cfg: Config{Settings: *s, Now: time.Now}, publicURL: s.PublicBase(s.Addr)}
	_, enrich := a.enrichmentConfig()
	_, traces := telemetry.TracesTo()
	faults := []error{enrich, traces}
	if s.PersonalDomainsFile != "" {
		_, err := liwanag.LoadDomains(s.PersonalDomainsFile)
		faults = append(faults, err)
	}
	if s.SubscriberWebhookSecret.IsSet() {
		_, err := intake.NewVerifier(intake.StandardWebhooks(), []string{s.SubscriberWebhookSecret.Reveal()}, time.Now)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, &UsageError{err}
	}
	return s.Warnings(), nil
}

// Diagnose examines the running server and what is around it.
func (a *App) Diagnose(ctx context.Context, in api.DoctorRequest) api.Diagnosis {
	s := &a.cfg.Settings
	var partner doctor.Partner
	if a.partner != nil {
		partner = a.partner
	}
	checks := []doctor.Check{
		doctor.One("database", a.database),
		doctor.One("schema", func(context.Context) api.Finding {
			return doctor.Well("The database has the schema of this release.") // it was opened
		}),
		doctor.One("disk", func(ctx context.Context) api.Finding { return diskOf(ctx, s.Database, a.storage.size) }),
		doctor.One("clock", func(context.Context) api.Finding {
			if a.runner.ahead == nil {
				return doctor.Unseen("The Temporal server keeps the time of runs.")
			}
			return doctor.Clock("the database's", a.runner.ahead())
		}),
		doctor.One("clock of FullEnrich", func(ctx context.Context) api.Finding {
			return doctor.FullEnrichClock(ctx, http.DefaultClient, s.FullEnrichBaseURL, a.cfg.Now)
		}),
		doctor.One("key", func(ctx context.Context) api.Finding { return doctor.Key(ctx, partner) }),
		doctor.One("credits", func(ctx context.Context) api.Finding { return doctor.Credits(ctx, partner, s.CreditsLow) }),
		doctor.One("spending", a.spending),
		doctor.One("public URL", a.publicAddress),
		doctor.One("proxies", func(context.Context) api.Finding { return proxies(s, a.publicURL) }),
		{Name: "secrets", Look: func(context.Context) []api.Finding { return secrets(s) }},
		{Name: "sinks", Look: a.sinksFound},
		doctor.One("journal", func(ctx context.Context) api.Finding { return journalFound(ctx, s, a.storage) }),
		doctor.One("backups", func(ctx context.Context) api.Finding { return backupsFound(ctx, a.storage.rows, a.cfg.Now()) }),
	}
	if in.Webhook {
		checks = append(checks, doctor.One("webhook", a.tryWebhook))
	}
	if in.Deep {
		checks = append(checks, doctor.Check{Name: "integrity", Look: func(ctx context.Context) []api.Finding {
			return []api.Finding{integrity(ctx, s.Database)}
		}})
	}
	return doctor.Examine(ctx, Version(), checks...)
}

func (a *App) database(ctx context.Context) api.Finding {
	switch t := a.storage.trouble(ctx); {
	case t.DiskFull:
		return doctor.Bad("Free space: it goes on without a restart.", "df -h", "%s takes no changes: its disk is full.",
			a.storage.where)
	case t.ReadOnly:
		return doctor.Bad("Make it writable for the server.", "ls -l "+a.storage.where, "%s is read-only: nothing goes on.",
			a.storage.where)
	case t.Fault != "":
		return doctor.Bad("Bring the database back: the server goes on by itself.", "pg_isready", "%s cannot be used: %s.",
			a.storage.where, t.Fault)
	}
	if err := a.ready(ctx); err != nil {
		return doctor.Bad("Look at the log; the server goes on by itself when it can.", "curl -s $LIWANAG_SERVER/readyz",
			"%s answers, and the server is not ready: %s.", a.storage.where, strings.TrimSuffix(err.Error(), "."))
	}
	for _, warning := range a.storage.warnings {
		what, try, _ := strings.Cut(warning, ". Try: ")
		return doctor.Odd(try, "liwanag serve", "%s: %s.", a.storage.where, what)
	}
	return doctor.Well("%s answers and takes changes.", a.storage.where)
}

func (a *App) spending(ctx context.Context) api.Finding {
	spending, err := a.store.Ledger.Spending(ctx)
	if err != nil {
		return doctor.Unseen("The database does not say whether spending goes on.")
	}
	if spending.Held() {
		note, _, _ := strings.Cut(spending.Note, ". Try: ")
		return doctor.Odd("Compare with FullEnrich's dashboard; then say that it may go on.", "liwanag submissions release REASON",
			"All spending is held: %s.", strings.TrimSuffix(note, "."))
	}
	if spending.Paused && (spending.Until.IsZero() || spending.Until.After(a.cfg.Now())) {
		return doctor.Odd("Let it go on when it may.", "liwanag submissions resume",
			"Nothing is sent to FullEnrich (%s): %s.",
			spending.Reason, strings.TrimSuffix(spending.Note, "."))
	}
	return doctor.Well("Paid calls go on.")
}

func (a *App) publicAddress(ctx context.Context) api.Finding {
	if a.cfg.Settings.Unreachable(a.publicURL) != "" {
		return doctor.Odd("Set it to where FullEnrich reaches this server.", "LIWANAG_PUBLIC_URL=https://… liwanag serve",
			"FullEnrich cannot reach %s: results come by fetch alone, the first after 2 minutes.", a.publicURL)
	}
	if err := a.service.Reach(ctx); err != nil {
		return doctor.Bad("Mend the proxy, the name or the public URL.", "curl -i "+a.publicURL+"/healthz",
			"%s does not reach this server: %s.", a.publicURL, strings.TrimSuffix(err.Error(), "."))
	}
	return doctor.Well("%s reaches this server from here; whether it does from outside, doctor --webhook and "+
		"FullEnrich's own webhooks tell.", a.publicURL)
}

func (a *App) tryWebhook(ctx context.Context) api.Finding {
	err := a.service.Try(ctx)
	switch {
	case errors.Is(err, enrichment.ErrNoKey):
		return doctor.Bad("Set the key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve",
			"There is no key to sign a webhook with.")
	case err != nil:
		return doctor.Bad("Mend the proxy or the public URL: bodies have to arrive as they are sent.",
			"curl -i "+a.publicURL+"/healthz",
			"A signed webhook did not come through %s: %s.", a.publicURL, strings.TrimSuffix(err.Error(), "."))
	}
	return doctor.Well("A signed webhook came through %s.", a.publicURL)
}

func (a *App) sinksFound(ctx context.Context) []api.Finding {
	all, err := a.store.Sinks.List(ctx)
	if err != nil {
		return []api.Finding{doctor.Unseen("The database does not say how the sinks are.")}
	}
	var found []api.Finding
	for _, k := range all {
		switch {
		case k.Disabled && k.DisabledReason != "":
			found = append(found, doctor.Bad("Mend the receiver, then enable it.", "liwanag sinks set "+k.ID.String()+" --on",
				"Webhooks to %s were disabled: %s.", k.Name, strings.TrimSuffix(k.DisabledReason, ".")))
		case !k.Disabled && !k.FailingSince.IsZero():
			found = append(found, doctor.Odd("See what it answers; mend the receiver.", "liwanag sinks show "+k.ID.String(),
				"Webhooks to %s are not taken since %s.", k.Name, k.FailingSince.UTC().Format(time.RFC3339)))
		}
	}
	if found == nil {
		found = []api.Finding{doctor.Well("All sinks take what is sent to them.")}
	}
	return found
}

func journalFound(ctx context.Context, s *config.Settings, db *storage) api.Finding {
	r, err := ReportJournal(ctx, db.rows, s.Database, s.Keep, db.where)
	switch {
	case err != nil:
		return doctor.Bad("Mend its folder; paid calls wait for a line that is on disk.", "ls -l "+r.Place,
			"The spend journal cannot be read: %s.", strings.TrimSuffix(err.Error(), "."))
	case !r.Set:
		return doctor.Odd("Name a folder that outlives the database server.", "LIWANAG_JOURNAL=/var/lib/liwanag/journal liwanag serve",
			"There is no spend journal: after a restore nothing says what was paid for since, and all spending is held.")
	case r.Ahead != "":
		return doctor.Bad("See which calls were made, then let spending go on.", "liwanag submissions release REASON",
			"The spend journal and the database do not fit together: %s.", r.Ahead)
	case r.Writable != nil:
		return doctor.Bad("Make it writable for the server: paid calls wait for its lines.", "ls -l "+r.Place,
			"The spend journal cannot be written: %s.", strings.TrimSuffix(r.Writable.Error(), "."))
	}
	return doctor.Well("The spend journal %s is written, and fits the database.", r.Place)
}

// backupOld is the age from which on a backup is told as an old one.
const backupOld = 7 * 24 * time.Hour

func backupsFound(ctx context.Context, rows *datastore.Store, now time.Time) api.Finding {
	all, err := Backups(ctx, rows)
	const schedule = "LIWANAG_BACKUP_DIR=/var/backups/liwanag LIWANAG_BACKUP_SCHEDULE='0 3 * * *' liwanag serve"
	switch {
	case err != nil:
		return doctor.Unseen("Which backups there are cannot be found out.")
	case len(all) == 0:
		return doctor.Odd("Let the server make one every night.", schedule, "There is no backup.")
	case now.Sub(all[0].MadeAt) > backupOld:
		return doctor.Odd("Let the server make one every night.", schedule, "The newest backup is of %s.",
			all[0].MadeAt.UTC().Format(time.RFC3339))
	}
	return doctor.Well("The newest backup is of %s: %s.", all[0].MadeAt.UTC().Format(time.RFC3339), all[0].Path)
}

// proxies says whether one that stands before the server is known to it.
func proxies(s *config.Settings, publicURL string) api.Finding {
	switch {
	case s.TrustedProxies != "":
		return doctor.Well("Proxies of %s are trusted, and those on this machine.", s.TrustedProxies)
	case strings.HasPrefix(publicURL, "https://") && !config.LoopbackAddr(s.Addr):
		return doctor.Odd("Name the network of the proxy, or all clients look like it.",
			"LIWANAG_TRUSTED_PROXIES=10.0.0.0/8 liwanag serve",
			"A proxy has to stand before the server, since %s is https, and only one on this machine is trusted.", publicURL)
	}
	return doctor.Well("Only proxies on this machine are trusted.")
}

// secrets looks at who may read the files that hold secrets. Those that everybody may
// read are refused at the start already.
func secrets(s *config.Settings) []api.Finding {
	var found []api.Finding
	files := 0
	for _, f := range []config.SecretFile{s.APIKeyFile, s.FullEnrichAPIKeyFile, s.FullEnrichPreviousAPIKeyFile,
		s.SubscriberWebhookSecretFile, s.DatabaseURLFile} {
		if f == "" {
			continue
		}
		files++
		info, err := os.Stat(string(f))
		switch {
		case err != nil:
			found = append(found, doctor.Bad("Put it back, or the server does not start again.", "ls -l "+string(f),
				"%s cannot be read.", f))
		case info.Mode().IsRegular() && info.Mode().Perm()&0o027 != 0:
			found = append(found, doctor.Bad("Leave it to its owner.", "chmod 600 "+string(f),
				"Others on this machine may read or change %s.", f))
		case info.Mode().IsRegular() && info.Mode().Perm()&0o040 != 0:
			found = append(found, doctor.Odd("Leave it to its owner, unless the group is meant.", "chmod 600 "+string(f),
				"Its group may read %s.", f))
		}
	}
	if path, ok := s.SQLitePath(); ok {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			found = append(found, doctor.Bad("Leave it to its owner: people are in it.", "chmod 600 "+path,
				"Others on this machine may read %s.", path))
		}
	}
	if found == nil {
		found = []api.Finding{doctor.Well("Nobody else on this machine may read what is secret (%d files of secrets).",
			files)}
	}
	return found
}

func diskOf(ctx context.Context, d config.Database, size func(context.Context) (int64, error)) api.Finding {
	path, ok := d.SQLitePath()
	if !ok {
		return doctor.Unseen("How much space the PostgreSQL server has, its own monitoring knows.")
	}
	free, err := freeAt(filepath.Dir(path))
	if err != nil {
		return doctor.Unseen("How much space is left where the database is cannot be found out.")
	}
	bytes, err := size(ctx)
	if err != nil {
		bytes = 0
	}
	return doctor.Disk(free, bytes)
}

// integrity reads the whole database.
func integrity(ctx context.Context, d config.Database) api.Finding {
	if path, ok := d.SQLitePath(); ok {
		faults, err := sqlitedb.Integrity(ctx, path)
		switch {
		case err != nil:
			return doctor.Bad("Look at the file and its disk.", "ls -l "+path, "%s cannot be read whole: %s.", path,
				strings.TrimSuffix(err.Error(), "."))
		case len(faults) > 0:
			return doctor.Bad("Stop the server, keep a copy, and restore a backup.", "liwanag restore PATH",
				"%s is damaged: %s.", path,
				strings.Join(faults[:min(len(faults), 3)], "; "))
		}
		return doctor.Well("Every page and index of %s is whole.", path)
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: d.DatabaseURL})
	if err != nil {
		return doctor.Unseen("The PostgreSQL server cannot be asked.")
	}
	defer db.Close()
	var failed int64
	if err := db.Pool().QueryRow(ctx, "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE "+
		"datname = current_database()").
		Scan(&failed); err != nil {
		return doctor.Unseen("The PostgreSQL server does not say whether pages were damaged.")
	}
	if failed > 0 {
		return doctor.Bad("Look at the server's log and disk; restore a backup.", "pg_amcheck --all",
			"The PostgreSQL server found %d damaged pages.", failed)
	}
	return doctor.Well("The PostgreSQL server found no damaged page; pg_amcheck looks at all of them.")
}

// Examine examines what can be seen without a running server.
func Examine(ctx context.Context, s config.Settings, in api.DoctorRequest) api.Diagnosis {
	var partner doctor.Partner
	if key := s.FullEnrichAPIKey; key.IsSet() {
		if client, err := fullenrich.New(fullenrich.Config{BaseURL: s.FullEnrichBaseURL,
			Key: fullenrich.Secret(key.Reveal())}); err == nil {
			defer client.CloseIdleConnections()
			partner = client
		}
	}
	size := func(context.Context) (int64, error) {
		path, _ := s.SQLitePath()
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	checks := []doctor.Check{
		{Name: "database", Look: func(ctx context.Context) []api.Finding { return atRest(ctx, s.Database) }},
		{Name: "kept", Look: func(ctx context.Context) []api.Finding { return keptAtRest(ctx, &s) }},
		doctor.One("disk", func(ctx context.Context) api.Finding { return diskOf(ctx, s.Database, size) }),
		doctor.One("clock of FullEnrich", func(ctx context.Context) api.Finding {
			return doctor.FullEnrichClock(ctx, http.DefaultClient, s.FullEnrichBaseURL, time.Now)
		}),
		doctor.One("key", func(ctx context.Context) api.Finding { return doctor.Key(ctx, partner) }),
		doctor.One("credits", func(ctx context.Context) api.Finding { return doctor.Credits(ctx, partner, s.CreditsLow) }),
		doctor.One("public URL", func(context.Context) api.Finding {
			return doctor.Unseen("Nothing answers under it while no server runs.")
		}),
		doctor.One("proxies", func(context.Context) api.Finding { return proxies(&s, s.PublicBase(s.Addr)) }),
		{Name: "secrets", Look: func(context.Context) []api.Finding { return secrets(&s) }},
	}
	if in.Webhook {
		checks = append(checks, doctor.One("webhook", func(context.Context) api.Finding {
			return doctor.Bad("Start the server, then try again.", "liwanag serve",
				"No server runs that could take a webhook in.")
		}))
	}
	if in.Deep {
		checks = append(checks, doctor.Check{Name: "integrity", Look: func(ctx context.Context) []api.Finding {
			if path, ok := s.SQLitePath(); ok {
				if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
					return []api.Finding{doctor.Unseen("There is no database yet.")}
				}
			}
			return []api.Finding{integrity(ctx, s.Database)}
		}})
	}
	return doctor.Examine(ctx, Version(), checks...)
}

// atRest looks at a database that no server of ours is known to have open.
func atRest(ctx context.Context, d config.Database) []api.Finding {
	ctx, cancel := context.WithTimeout(ctx, doctor.Within)
	defer cancel()
	if path, ok := d.SQLitePath(); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return []api.Finding{doctor.Odd("The first start makes it, and so does this.", "liwanag migrate",
				"There is no database at %s yet.", path)}
		}
	}
	pending, err := Pending(ctx, d)
	switch {
	case err != nil:
		what, try, _ := strings.Cut(err.Error(), "Try: ")
		if try == "" {
			try = "look at it"
		}
		return []api.Finding{doctor.Bad(strings.ToUpper(try[:1])+try[1:]+".", "liwanag migrate --dry-run",
			"The database cannot be used: %s.",
			strings.TrimRight(what, " .\n"))}
	case pending != "":
		return []api.Finding{doctor.Well("The database can be opened."),
			doctor.Odd("Migrate it, when all servers of an older release are stopped.", "liwanag migrate",
				"The database has the schema of an older release.")}
	}
	return []api.Finding{doctor.Well("The database can be opened, and has the schema of this release.")}
}

// keptAtRest looks into a database that no server has open and that is of this release:
// whether it is still the one, its journal and its backups. Of others nothing is said.
func keptAtRest(ctx context.Context, s *config.Settings) []api.Finding {
	ctx, cancel := context.WithTimeout(ctx, doctor.Within)
	defer cancel()
	if path, ok := s.SQLitePath(); ok {
		if err := keep.Unfinished(path); err != nil {
			return []api.Finding{doctor.Bad("End it: nothing starts on the file until then.", "liwanag restore PATH",
				"A restore into %s was begun and did not end.", path)}
		}
		if _, err := os.Stat(path); err != nil {
			return nil
		}
	}
	if pending, err := Pending(ctx, s.Database); err != nil || pending != "" {
		return nil
	}
	db, err := openStorage(ctx, s.Database)
	if err != nil {
		return nil // a server that is asked elsewhere has it
	}
	defer func() { _ = db.close() }()
	instance, err := db.rows.Instance.Get(ctx)
	if to, cut := strings.CutPrefix(instance.MovedTo, copying); err == nil && cut {
		return []api.Finding{doctor.Bad("End it: nothing starts on the file until then.", "liwanag copy --to URL",
			"A copy of this database to %s was cut short.", to)}
	}
	if err == nil && instance.MovedTo != "" {
		return []api.Finding{doctor.Bad("Name that one: nothing starts on this file any more.", "DATABASE_URL=postgres://… liwanag serve",
			"The rows of this database were moved to %s.", instance.MovedTo)}
	}
	return []api.Finding{journalFound(ctx, s, db), backupsFound(ctx, db.rows, time.Now())}
}

// shownSettings are the settings as the API shows them.
func shownSettings(s *config.Settings) (all []api.Setting) {
	for _, one := range s.Show() {
		all = append(all, api.Setting{Name: one.Name, Variable: one.Variable, Value: one.Value, Default: one.Default,
			Help: one.Help})
	}
	return all
}
