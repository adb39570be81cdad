package app

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// whyConfig is what the API says of why something waits, besides what it knows itself.
func (a *App) whyConfig() why.Config {
	s := &a.cfg.Settings
	c := why.Config{Standing: a.runner.standing, Attempts: a.attempts, Ahead: a.runner.ahead, Trouble: a.storage.trouble,
		Probed: a.service.Probed, WorkToo: s.EnrichCorporate(), MostAtOnce: s.MaxInFlight, CallLimit: s.CallsPerMinute}
	if times, err := cron.Parse(s.Schedule); err == nil {
		c.NextBatch = times.Next
	}
	return c
}

func standingOf(e *engine.Engine) func(context.Context, string) (why.Standing, error) {
	return func(ctx context.Context, runID string) (why.Standing, error) {
		s, err := e.Standing(ctx, runID)
		return why.Standing{Node: s.Node, Dead: s.Dead, Before: s.Before, Lost: s.Lost, Suspect: s.Suspect,
			Latest: s.Latest}, err
	}
}

// troubleWithin bounds how long a database is waited for that may not take changes.
const troubleWithin = 2 * time.Second

// troubleOf writes what is there, and says what keeps that from being done.
func troubleOf(rows *datastore.Store, readOnly func(context.Context, error) bool) func(context.Context) why.Trouble {
	return func(ctx context.Context) (t why.Trouble) {
		ctx, cancel := context.WithTimeout(ctx, troubleWithin)
		defer cancel()
		err := rows.Write(ctx, func(tx *datastore.Tx) error { return tx.Ledger.Touch() })
		switch {
		case err == nil:
		case liwanag.ClassOf(err) == liwanag.DiskFull:
			t.DiskFull = true
		case readOnly(ctx, err):
			t.ReadOnly = true
		default:
			t.Fault = "it does not take changes now"
		}
		return t
	}
}

func readOnlySQLite(_ context.Context, err error) bool { return sqlitedb.IsReadOnly(err) }

// readOnlyPostgreSQL asks the server: changes are tried again for as long as it takes none.
func readOnlyPostgreSQL(db *pgdb.DB) func(context.Context, error) bool {
	return func(ctx context.Context, err error) bool {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), troubleWithin)
		defer cancel()
		var only bool
		asked := db.Pool().QueryRow(ctx, "SELECT current_setting('transaction_read_only') = 'on'").Scan(&only)
		return only && !errors.Is(asked, context.DeadlineExceeded)
	}
}
