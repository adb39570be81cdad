package pgdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrClosed: the database was closed before the change was begun.
	ErrClosed = errors.New("pgdb: the database is closed")
	// ErrSchemaOlder: the schema must be migrated first, by an operator: other
	// nodes may still run the release before.
	ErrSchemaOlder = errors.New("pgdb: the schema is older than this program")
	// ErrSchemaNewer: a newer release has migrated the database. Use that release.
	ErrSchemaNewer = errors.New("pgdb: the schema is newer than this program")
	// ErrEncoding: the database's texts are not UTF-8.
	ErrEncoding = errors.New("pgdb: the database must be encoded in UTF8")
	// ErrOutcomeUnknown: the answer to a commit was lost, and the server could not be
	// asked for its outcome within [Config.Patience]. Read before you repeat.
	ErrOutcomeUnknown = errors.New("pgdb: it is not known whether the transaction was committed")
	// ErrAnswerLost: the transaction of [DB.Exchange] is durable, but what its last
	// statements read did not arrive.
	ErrAnswerLost = errors.New("pgdb: the transaction was committed, and its last answers were lost")

	errTxEnded = errors.New("pgdb: the transaction was used after its function returned")
)

// PanicError is the error of a change whose function panicked. Its text leaves
// the stack out; whoever logs it may add the stack.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("pgdb: a change panicked: %v", e.Value) }

// Unwrap returns the panic's value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// IsUnique reports whether err is a violated unique index or primary key.
func IsUnique(err error) bool { return codeOf(err) == pgerrcode.UniqueViolation }

// IsFull reports whether err means that the server's disk is full. Nothing was
// written; the same change succeeds once there is space.
func IsFull(err error) bool { return codeOf(err) == pgerrcode.DiskFull }

// IsRefused reports whether the server refused what was to be written for what it
// is: a value that it does not take, a limit, a constraint. The same will be refused
// again.
func IsRefused(err error) bool {
	code := codeOf(err)
	return pgerrcode.IsDataException(code) || pgerrcode.IsProgramLimitExceeded(code) ||
		pgerrcode.IsIntegrityConstraintViolation(code) && code != pgerrcode.UniqueViolation
}

// IsTransient reports whether the same transaction may succeed when it is
// repeated: its connection was lost, the server restarts or is busy, or it was
// the victim of a conflict. False of errors of the statement itself, and of a
// transaction that is, or may be, committed, whatever its connection died of.
func IsTransient(err error) bool {
	if errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrAnswerLost) {
		return false
	}
	code := codeOf(err)
	switch code {
	case "":
		// No answer of the server: a broken connection, or none to be had.
		var own *PanicError
		return err != nil && !errors.As(err, &own) && isConnection(err)
	case pgerrcode.SerializationFailure, pgerrcode.DeadlockDetected, pgerrcode.LockNotAvailable,
		pgerrcode.TooManyConnections, pgerrcode.AdminShutdown, pgerrcode.CrashShutdown, pgerrcode.CannotConnectNow,
		pgerrcode.IdleInTransactionSessionTimeout, pgerrcode.ReadOnlySQLTransaction:
		return true
	}
	return pgerrcode.IsConnectionException(code)
}

// IsCommon reports whether an error of a transaction that makes several changes
// would meet each of them alone, too: then there is no point in trying them one by
// one.
func IsCommon(err error) bool {
	return IsTransient(err) || errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded)
}

// lost marks an error of a connection that gives no answer any more.
type lostError struct{ err error }

func (e *lostError) Error() string { return "pgdb: the connection was lost: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// isConnection says whether err came from a connection, not from a function.
func isConnection(err error) bool {
	var lost *lostError
	var connect *pgconn.ConnectError
	return errors.As(err, &lost) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
