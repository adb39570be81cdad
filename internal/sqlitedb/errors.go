package sqlitedb

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

var (
	// ErrClosed: the database was closed before the change was queued.
	ErrClosed = errors.New("sqlitedb: the database is closed")
	// ErrSchemaNewer: a newer release has migrated the file. Use that release,
	// or the copy it put aside.
	ErrSchemaNewer = errors.New("sqlitedb: the schema is newer than this program")
	// ErrPublicFile: the database file can be read or written by everyone.
	ErrPublicFile = errors.New("sqlitedb: the database file is open to every user of this machine")

	// ErrLinkedFile: the database file has several names. Opened by another one, it
	// would have another log: what the first log holds would be missing.
	ErrLinkedFile = errors.New("sqlitedb: the database file has several names (hard links)")
	// ErrReplaced: the file that is open is not the one at its path any more.
	ErrReplaced = errors.New("sqlitedb: the database file was replaced, moved or removed while it is open")

	errBusyLog = errors.New("readers kept the log from being truncated for too long")
	errTxEnded = errors.New("sqlitedb: the transaction was used after its function returned")
)

// LockedError says that another process has the database open.
type LockedError struct {
	Path string // of the lock file
	PID  int    // of the holder; 0 when it is not known
}

func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID != 0 {
		holder = fmt.Sprintf("the process %d", e.PID)
	}
	return fmt.Sprintf("sqlitedb: %s holds %s. Try: stop it first, or choose another file", holder, e.Path)
}

// PanicError is the error of a change whose function panicked. Its text leaves
// the stack out; whoever logs it may add the stack.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("sqlitedb: a change panicked: %v", e.Value) }

// Unwrap returns the panic's value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// IsFull reports whether err means that the disk, or the file's own limit, is
// full. Nothing was written; the same change succeeds once there is space.
func IsFull(err error) bool { return primaryCode(err) == lib.SQLITE_FULL }

// IsReadOnly reports whether err means that the file may be read alone.
func IsReadOnly(err error) bool { return primaryCode(err) == lib.SQLITE_READONLY }

// IsUnique reports whether err is a violated unique index or primary key.
func IsUnique(err error) bool {
	code := extendedCode(err)
	return code == lib.SQLITE_CONSTRAINT_UNIQUE || code == lib.SQLITE_CONSTRAINT_PRIMARYKEY || code == lib.SQLITE_CONSTRAINT_ROWID
}

// IsRefused reports whether SQLite refused what was to be written for what it is: its
// type, its size, a constraint other than a unique one. The same will be refused again.
func IsRefused(err error) bool {
	switch primaryCode(err) {
	case lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE:
		return true
	}
	return primaryCode(err) == lib.SQLITE_CONSTRAINT && !IsUnique(err)
}

// dropsTransaction reports whether SQLite may have rolled the whole
// transaction back by itself because of err.
func dropsTransaction(err error) bool {
	switch primaryCode(err) {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_BUSY, lib.SQLITE_INTERRUPT,
		lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB, lib.SQLITE_CANTOPEN, lib.SQLITE_PROTOCOL, lib.SQLITE_READONLY:
		return true
	}
	return false
}

func primaryCode(err error) int { return extendedCode(err) & 0xff }

func extendedCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
