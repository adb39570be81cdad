package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/journal"
)

// journalPlace is where the spend journal is: as set, or beside a SQLite file.
func journalPlace(d config.Database, k config.Keep, where string) journal.Place {
	if _, ok := d.SQLitePath(); ok {
		return journal.Place{Beside: where, Folder: k.Journal}
	}
	return journal.Place{Folder: k.Journal}
}

// Journal: what must outlive the database. One that is older than its journal catches
// up first, before anybody is served.
func (a *App) openJournal(ctx context.Context) (err error) {
	s := &a.cfg.Settings
	place := journalPlace(s.Database, s.Keep, a.storage.where)
	if err := tie(ctx, a.storage.rows, place, a.cfg.Now, a.log); err != nil {
		return err
	}
	if !place.Set() {
		return nil
	}
	instance, err := a.storage.rows.Instance.Get(ctx)
	if err != nil {
		return err
	}
	if a.journal, err = journal.Open(place, instance.ID, a.cfg.Now()); err != nil {
		return err
	}
	a.storage.rows = a.storage.rows.Journaled(a.journal)
	a.store = a.storage.rows.Announcing(func() { a.voice.Ring() })
	return nil
}

// tie compares a database with its journal. One that is behind it, or that does not
// have the one it names, has its spending held, and catches up with what is there.
func tie(ctx context.Context, store *datastore.Store, place journal.Place, now func() time.Time, log *slog.Logger) error {
	instance, err := store.Instance.Get(ctx)
	if err != nil {
		return err
	}
	if instance.MovedTo != "" {
		return movedError(instance.MovedTo)
	}
	// Files first: what stands in them has a number that the database had before.
	found, err := journal.Look(place, instance.ID)
	if err != nil {
		return err
	}
	marks, err := store.Instance.Marks(ctx)
	if err != nil {
		return err
	}
	before, why := instance, differs(found.Last, marks)
	if instance.ID == "" {
		if instance.ID = found.Instance; instance.ID == "" {
			instance.ID = uuid.NewString()
		} else if why == "" {
			why = "the database is new, or of an earlier release, and there is a spend journal already"
		}
	}
	instance.Restored = instance.Restored || why != ""
	err = store.Write(ctx, func(tx *datastore.Tx) error {
		if why != "" {
			if err := tx.Ledger.Hold(why+". Try: liwanag submissions list, then liwanag submissions release REASON", now()); err != nil {
				return err
			}
		}
		if instance == before {
			return nil
		}
		return tx.Instance.Set(instance)
	})
	if err != nil || !instance.Restored {
		return err
	}
	var files []enrichment.JournalFile
	for name := range found.Last {
		files = append(files, enrichment.JournalFile{Known: marks[name], Lines: journal.Read(place.Path(name))})
	}
	if err := enrichment.CatchUp(ctx, store, files, now, log); err != nil {
		return err
	}
	instance.Restored = false
	return store.Write(ctx, func(tx *datastore.Tx) error {
		return errors.Join(tx.Instance.SetMarks(found.Last), tx.Instance.Set(instance))
	})
}

// differs says why the database is not the one that its journal is of; empty: it is.
func differs(last, marks map[string]int64) string {
	var missing []string
	for name := range marks {
		if _, there := last[name]; !there {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	for name, line := range last {
		if line > marks[name] {
			return fmt.Sprintf("the database is older than its spend journal: it knows line %d of %s, which has %d", marks[name], name, line)
		}
	}
	if len(missing) > 0 {
		return "the spend journal that the database names is not there: " + strings.Join(missing, ", ")
	}
	return ""
}

// copying begins the mark of a database whose copy has not ended.
const copying = "copying to "

func movedError(to string) error {
	if to, cut := strings.CutPrefix(to, copying); cut {
		return fmt.Errorf("a copy of this database to %s was cut short: nothing starts here until it ends\n"+
			"  Try: the same liwanag copy again", to)
	}
	return fmt.Errorf("the rows of this database were moved to %s: nothing starts here any more\n"+
		"  Try: DATABASE_URL of that one; or, to go on here after all, a backup of before: liwanag restore PATH", to)
}

// JournalReport is what doctors want to know of the journal.
type JournalReport struct {
	Set      bool   // there is a journal
	Place    string // its file or folder
	Writable error  // why it cannot be written; nil: it can
	Ahead    string // why database and journal do not fit together; empty: they do
}

// ReportJournal looks at the journal of a database.
func ReportJournal(ctx context.Context, store *datastore.Store, d config.Database, k config.Keep, where string) (r JournalReport,
	err error) {
	place := journalPlace(d, k, where)
	if r.Set = place.Set(); !r.Set {
		return r, nil
	}
	if r.Place = k.Journal; r.Place == "" {
		r.Place = where + ".spend"
	}
	instance, err := store.Instance.Get(ctx)
	if err != nil {
		return r, err
	}
	found, err := journal.Look(place, instance.ID)
	if err != nil {
		return r, err
	}
	marks, err := store.Instance.Marks(ctx)
	if err != nil {
		return r, err
	}
	r.Ahead = differs(found.Last, marks)
	for name := range found.Last {
		file, cannot := os.OpenFile(place.Path(name), os.O_WRONLY, 0)
		if r.Writable = errors.Join(r.Writable, cannot); cannot == nil {
			_ = file.Close()
		}
	}
	return r, nil
}
