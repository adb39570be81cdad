package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	rowspostgres "github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	rowssqlite "github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// vault is a database with everything of the program's in it, which is backed up.
type vault struct {
	raw   keep.Database
	rows  *datastore.Store
	place place
	close func() error
}

func (s settings) openVault(ctx context.Context, p place) (v vault, err error) {
	v.place = p
	if p.store == onPostgres {
		if v.raw.PostgreSQL, err = pgdb.Open(ctx, pgdb.Config{URL: p.at}); err != nil {
			return v, err
		}
		v.close = func() error { v.raw.PostgreSQL.Close(); return nil }
		v.place.opens = func(ctx context.Context) (closingStore, error) {
			return postgres.Open(opened.With(ctx, v.raw.PostgreSQL), p.at)
		}
		if err = rowspostgres.Migrate(ctx, v.raw.PostgreSQL); err == nil {
			v.rows, err = rowspostgres.New(ctx, v.raw.PostgreSQL)
		}
		return v, err
	}
	if v.raw.SQLite, err = sqlitedb.Open(ctx, sqlitedb.Config{Path: p.at}); err != nil {
		return v, err
	}
	v.close = v.raw.SQLite.Close
	v.place.opens = func(ctx context.Context) (closingStore, error) {
		return sqlite.Open(opened.With(ctx, v.raw.SQLite), p.at)
	}
	v.rows, err = rowssqlite.New(ctx, v.raw.SQLite)
	return v, err
}

// backup resumes runs one at a time among many that wait, and writes a row all the time,
// without backups and while one is made after the other.
func backup(ctx context.Context, s settings) (err error) {
	n := cmp.Or(s.n, 100_000)
	p, err := s.place(ctx, "backup")
	if err != nil {
		return err
	}
	ids, _, err := s.park(ctx, p, n)
	if err != nil {
		return err
	}
	v, err := s.openVault(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	r, err := s.newRig(ctx, v.place, 1, (*rig).definition)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	const each = 2000
	if _, err := v.resumeAll(ctx, r, ids[:each], "warming up"); err != nil {
		return err
	}
	alone, err := v.resumeAll(ctx, r, ids[each:2*each], "without a backup")
	if err != nil {
		return err
	}
	var made sync.WaitGroup
	stop, fault := make(chan struct{}), error(nil)
	made.Go(func() { fault = v.backUpUntil(ctx, s, stop) })
	during, err := v.resumeAll(ctx, r, ids[2*each:3*each], "during backups")
	close(stop)
	made.Wait()
	fmt.Printf("an event's p99 during backups is %.1f times that without\n", float64(during)/float64(alone))
	return errors.Join(err, fault)
}

// resumeAll resumes runs, and returns the p99 of that.
func (v vault) resumeAll(ctx context.Context, r *rig, ids []string, what string) (p99 time.Duration, err error) {
	var all, writes []time.Duration
	var writer sync.WaitGroup
	stop := make(chan struct{})
	var fault error
	writer.Go(func() {
		for fault == nil {
			begun := time.Now()
			fault = v.rows.Write(ctx, func(tx *datastore.Tx) error { return tx.Ledger.Touch() })
			writes = append(writes, time.Since(begun))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	for _, id := range ids {
		took, err := r.resume(ctx, id)
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	close(stop)
	writer.Wait()
	p99 = quantile(all, 0.99)
	fmt.Printf("%-17s event to durable completion, %d runs: p50 %s  p99 %s; %d writes: p50 %s  p99 %s  longest %s\n", what+":", len(all),
		quantile(all, 0.5), p99, len(writes), quantile(writes, 0.5), quantile(writes, 0.99), quantile(writes, 1))
	return p99, fault
}

// backUpUntil makes one backup after the other.
func (v vault) backUpUntil(ctx context.Context, s settings, stop <-chan struct{}) error {
	for n := 1; ; n++ {
		begun := time.Now()
		b, err := v.raw.BackUp(ctx, s.path(fmt.Sprintf("%d.backup", n)), begun)
		if err != nil {
			return err
		}
		fmt.Printf("backup %d: %d MB in %s\n", n, b.Size>>20, time.Since(begun).Round(time.Millisecond))
		select {
		case <-stop:
			return nil
		default:
		}
	}
}
