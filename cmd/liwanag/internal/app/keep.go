package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// BackUp writes a copy of the running server's database into LIWANAG_BACKUP_DIR, and
// notes it.
func (a *App) BackUp(ctx context.Context, name string) (liwanag.Backup, error) {
	return a.backUp(ctx, name, false)
}

func (a *App) backUp(ctx context.Context, name string, scheduled bool) (b liwanag.Backup, err error) {
	dir := a.cfg.Settings.BackupDir
	if dir == "" {
		return b, liwanag.NewError(liwanag.Conflict, "backup_dir",
			"the server has no folder for backups. Try: LIWANAG_BACKUP_DIR=FOLDER, and a restart")
	}
	now := a.cfg.Now()
	if name == "" {
		name = backupName(now, "")
	}
	path, err := keep.Inside(dir, name)
	if err != nil {
		return b, err
	}
	if b, err = a.storage.raw.BackUp(ctx, path, now); err != nil {
		return b, err
	}
	b.Scheduled = scheduled
	return b, noteBackup(ctx, a.store, b)
}

func backupName(now time.Time, mark string) string {
	return "liwanag-" + now.UTC().Format("20060102T150405Z") + mark + ".backup"
}

func noteBackup(ctx context.Context, store *datastore.Store, b liwanag.Backup) error {
	return store.Write(ctx, func(tx *datastore.Tx) error { return tx.Instance.AddBackup(b) })
}

// scheduledBackup makes one by LIWANAG_BACKUP_SCHEDULE, and drops the oldest of those. What fails
// fills a disk again, perhaps, so it waits for the next time.
func (a *App) scheduledBackup(ctx context.Context, at time.Time) error {
	b, err := a.backUp(ctx, backupName(at, "-scheduled"), true)
	if err == nil {
		a.log.InfoContext(ctx, "a backup was made", "path", b.Path, "bytes", b.Size)
		err = a.thin(ctx)
	}
	if err != nil && ctx.Err() == nil {
		a.log.ErrorContext(ctx, "the scheduled backup failed; the next time repeats it", "error", err)
	}
	return ctx.Err()
}

// thin drops the oldest backups that the schedule made, and forgets all that are gone.
func (a *App) thin(ctx context.Context) error {
	all, err := Backups(ctx, a.store)
	if err != nil {
		return err
	}
	kept, faults := 0, []error{}
	for _, b := range all {
		if !b.Scheduled {
			continue
		}
		if kept++; a.cfg.Settings.BackupKeep == 0 || kept <= a.cfg.Settings.BackupKeep {
			continue
		}
		err := os.Remove(b.Path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = a.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Instance.DropBackup(b.Path) })
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// Backups lists the copies that a database knows of and that are still there, newest
// first. Those that are gone are forgotten.
func Backups(ctx context.Context, store *datastore.Store) (there []liwanag.Backup, err error) {
	all, err := store.Instance.Backups(ctx)
	for _, b := range all {
		if _, gone := os.Stat(b.Path); !errors.Is(gone, fs.ErrNotExist) {
			there = append(there, b)
			continue
		}
		// On another machine it may still be there: what this one made, it forgets.
		if _, folder := os.Stat(filepath.Dir(b.Path)); folder == nil {
			err = errors.Join(err, store.Write(ctx, func(tx *datastore.Tx) error { return tx.Instance.DropBackup(b.Path) }))
		}
	}
	return there, err
}

// BackUpHere writes a copy of a database that no server has open, or of one on
// PostgreSQL. LockedError of package sqlitedb: a server has it.
func BackUpHere(ctx context.Context, d config.Database, path string) (b liwanag.Backup, err error) {
	s, err := openThere(ctx, d)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if b, err = s.raw.BackUp(ctx, path, time.Now()); err != nil {
		return b, err
	}
	return b, noteBackup(ctx, s.rows, b)
}

// openThere opens a database that is there already: a mistyped path makes no new one.
func openThere(ctx context.Context, d config.Database) (*storage, error) {
	if err := d.Validate(); err != nil {
		return nil, &UsageError{err}
	}
	if path, ok := d.SQLitePath(); ok {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("there is no database: %w\n  Try: DATABASE_URL=sqlite:PATH", err)
		}
	}
	return openStorage(ctx, d)
}

// InUse is the process that has the database of an error open; false: it is another
// error.
func InUse(err error) (pid int, in bool) {
	var locked *sqlitedb.LockedError
	if errors.As(err, &locked) {
		return locked.PID, true
	}
	return 0, false
}

// Restored says what a restore came to.
type Restored struct {
	Where string // the database
	Aside string // what was there before; empty: nothing
}

// Restore puts a backup in the place of a database that no server has open. Spending is
// held, and what the journal knows is applied, who left first.
func Restore(ctx context.Context, d config.Database, k config.Keep, path string, log *slog.Logger) (r Restored, err error) {
	if err := d.Validate(); err != nil {
		return r, &UsageError{err}
	}
	const note = "a backup was restored: what was paid for since is not known but for the spend journal. " +
		"Try: liwanag submissions list, then liwanag submissions release REASON"
	held := func(tx *datastore.Tx) error {
		instance, err := tx.Instance.Get()
		if err != nil {
			return err
		}
		instance.Restored, instance.MovedTo = true, ""
		return errors.Join(tx.Ledger.Hold(note, time.Now()), tx.Instance.Set(instance))
	}
	if to, ok := d.SQLitePath(); ok {
		r.Aside, err = keep.RestoreSQLite(ctx, path, to, held)
	} else {
		err = keep.RestorePostgreSQL(ctx, path, d.DatabaseURL, note)
	}
	if err != nil {
		return r, err
	}
	s, err := openStorage(ctx, d)
	if err != nil {
		return r, err
	}
	r.Where = s.where
	if err = enrichment.BringUp(ctx, s.rows, log); err == nil {
		err = tie(ctx, s.rows, journalPlace(d, k, s.where), time.Now, log)
	}
	return r, errors.Join(err, s.close())
}
