package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrDamaged: a file is no database, or SQLite finds a fault in it.
var ErrDamaged = errors.New("sqlitedb: the file is not a sound database")

// Backup writes a copy of the database as of one moment to path, mode 0600, and reads
// the copy through before it gets its name: a file of that name is a whole one. It is
// one read transaction, which holds no writer up; the log cannot be truncated while it
// lasts. A file that is there is never overwritten: fs.ErrExist.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	connector, err := db.connector("")
	if err != nil {
		return fmt.Errorf("sqlitedb: back up %s: %w", db.path, err)
	}
	handle := sql.OpenDB(connector)
	handle.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, handle.Close()) }()
	if err := copyTo(ctx, handle, path); err != nil {
		return fmt.Errorf("sqlitedb: back up %s to %s: %w", db.path, path, err)
	}
	return nil
}

// copyTo makes a synced, checked copy, which bears its name only when it is whole.
func copyTo(ctx context.Context, handle *sql.DB, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := createFile(part); err != nil {
		return err
	}
	stop := syncAsItGrows(part)
	_, err := handle.ExecContext(ctx, "VACUUM INTO ?", part)
	stop()
	if err == nil {
		err = syncFile(part)
	}
	if err == nil {
		err = Sound(ctx, part)
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return syncDir(filepath.Dir(path))
}

// syncAsItGrows syncs what is written to a file, bit by bit, until stop is called: all of
// it at once would keep the disk from the log for as long as that takes.
func syncAsItGrows(path string) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = syncFile(path) // the last one counts
			}
		}
	}()
	return func() { close(done); <-ended }
}

// Sound reads a database file through that nobody has open, and whose log is not
// beside it. An error is an [ErrDamaged], or the file cannot be read.
func Sound(ctx context.Context, path string) (err error) {
	reservePages()
	path, err = filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	if info, err := os.Stat(path); err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	} else if info.IsDir() || info.Size() == 0 {
		return fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	handle, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
	if err != nil {
		return fmt.Errorf("sqlitedb: read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	var found string
	err = handle.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	case found != "ok":
		return fmt.Errorf("%w: %s: %s", ErrDamaged, path, found)
	}
	return nil
}

// Integrity looks for faults in the whole database while it is used; nil: there are none.
func (db *DB) Integrity(ctx context.Context) error {
	var found string
	if err := db.readers.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("sqlitedb: check %s: %w", db.path, err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, db.path, found)
	}
	return nil
}

// Lock locks the database at path without opening it, for whoever puts another file
// there, until it is closed. [LockedError].
func Lock(path string) (unlock func() error, err error) {
	_, canonical, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(canonical + ".lock")
	if err != nil {
		return nil, err
	}
	return lock.unlock, nil
}

// Hold locks f without waiting, for as long as it is open, and reports whether another
// has it.
func Hold(f *os.File) (held bool, err error) { return tryLock(f) }
