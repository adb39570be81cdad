package sqlitedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// prepareFile returns the absolute and the canonical path of the database, whose
// directory it creates, and refuses a file that others may read.
func prepareFile(path string) (named, canonical string, err error) {
	named, err = filepath.Abs(path)
	if err != nil {
		return "", "", fmt.Errorf("sqlitedb: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(named), 0o700); err != nil {
		return "", "", fmt.Errorf("sqlitedb: %w", err)
	}
	if info, err := os.Lstat(named); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// What it leads to may not be there yet, and has its name only when it is.
		if _, err := os.Stat(named); errors.Is(err, fs.ErrNotExist) {
			if err := createFile(named); err != nil {
				return "", "", fmt.Errorf("sqlitedb: %w", err)
			}
		}
		canonical, err = filepath.EvalSymlinks(named)
		if err != nil {
			return "", "", fmt.Errorf("sqlitedb: %w", err)
		}
	} else {
		dir, err := filepath.EvalSymlinks(filepath.Dir(named))
		if err != nil {
			return "", "", fmt.Errorf("sqlitedb: %w", err)
		}
		canonical = filepath.Join(dir, filepath.Base(named))
	}
	for _, file := range []string{canonical, canonical + "-wal"} {
		if err := refusePublic(file); err != nil {
			return "", "", err
		}
	}
	return named, canonical, nil
}

func refusePublic(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("sqlitedb: %w", err)
	case info.IsDir():
		return fmt.Errorf("sqlitedb: %s is a directory, not a database file", file)
	case !info.Mode().IsRegular():
		return fmt.Errorf("sqlitedb: %s is not a file that keeps what is written. Try: the path of a file", file)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0:
		return fmt.Errorf("%w: %s has mode %04o. Try: chmod 600 %s", ErrPublicFile, file, info.Mode().Perm(), file)
	}
	return nil
}

// createFile makes the empty file before SQLite does: SQLite would make it
// readable for everyone, and its log takes the mode of the database.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- the database that the operator names
	if err != nil {
		return err
	}
	return f.Close()
}

// owned are the databases that this process has open. They are looked through before
// a file is opened: closing any descriptor of a file gives up the locks that SQLite
// has on it for the whole process.
var owned struct {
	sync.Mutex
	files map[*DB]os.FileInfo
}

// own opens the file, unless it is owned under another name.
func (db *DB) own() (err error) {
	owned.Lock()
	defer owned.Unlock()
	if info, err := os.Stat(db.path); err == nil {
		for _, other := range owned.files {
			if os.SameFile(other, info) {
				return &LockedError{Path: db.path, PID: os.Getpid()}
			}
		}
	}
	if db.file, err = os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("sqlitedb: %w", err)
	}
	info, err := db.file.Stat()
	var names uint64
	if err == nil {
		names, err = nameCount(db.file, info)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("sqlitedb: %w", err)
	case names > 1:
		err = fmt.Errorf("%w: %s has %d. Try: a copy of it, cp %[2]s COPY, or remove the other names (find -samefile %[2]s)",
			ErrLinkedFile, db.path, names)
	case lockContent(db.file):
		err = &LockedError{Path: db.path}
	}
	if err != nil {
		return errors.Join(err, db.file.Close())
	}
	if owned.files == nil {
		owned.files = map[*DB]os.FileInfo{}
	}
	owned.files[db] = info
	return nil
}

// disown comes after SQLite has closed the file.
func (db *DB) disown() error {
	owned.Lock()
	defer owned.Unlock()
	delete(owned.files, db)
	return db.file.Close()
}

// remember notes which files are open: SQLite keeps its log and the log's index for
// as long as a connection is open.
func (db *DB) remember() error {
	info, err := db.file.Stat()
	if err != nil {
		return err
	}
	db.beside = map[string]os.FileInfo{db.path: info, db.named: info}
	for _, name := range []string{db.path + "-wal", db.path + "-shm"} {
		if info, err = os.Stat(name); err != nil {
			return err
		}
		os.SameFile(info, info) // on Windows the identity is read when it is first asked for
		db.beside[name] = info
	}
	return nil
}

// Check says whether the files that are open are still those at their paths, by a few
// calls of the file system: an error is an [ErrReplaced]. What is written to a file
// that was replaced, moved or removed is not there after a restart, although every
// change succeeds.
func (db *DB) Check() error {
	for _, name := range []string{db.named, db.path, db.path + "-wal", db.path + "-shm"} {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %s is gone%s", ErrReplaced, name, tryReplaced)
		case err != nil:
			return fmt.Errorf("sqlitedb: %w", err)
		case !os.SameFile(info, db.beside[name]):
			return fmt.Errorf("%w: another file is at %s%s", ErrReplaced, name, tryReplaced)
		}
	}
	return nil
}

const tryReplaced = ". Try: move the file back if it was moved; " +
	"else stop this process, put the database or a backup there, start again"
