package liwanag

import "errors"

// Class says what kind of fault an error is; the HTTP layer turns it into a
// status.
type Class string

// The classes of errors.
const (
	// NotFound: the thing named does not exist.
	NotFound Class = "not_found"
	// Conflict: the thing exists, but its state does not allow the act.
	Conflict Class = "conflict"
	// Invalid: the request itself is wrong and will never work.
	Invalid Class = "invalid"
	// Unauthorized: a signature or credential is missing or wrong.
	Unauthorized Class = "unauthorized"
	// Unavailable: not now; the same request may work later.
	Unavailable Class = "unavailable"
	// DiskFull: the database has no space left.
	DiskFull Class = "disk_full"
	// Internal: a fault of ours.
	Internal Class = "internal"
)

// Error is an error with a stable code. Messages never hold personal data or
// secrets.
type Error struct {
	Class   Class
	Code    string // stable, snake_case, part of the interface
	Message string // for a human: what happened and what to do next
	Err     error  // the cause, or nil
}

// Error is the message, followed by the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches errors by code, so that errors.Is(err, ErrNotFound) holds whatever
// the message says.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// The sentinels. Match them with errors.Is, which compares codes.
var (
	// ErrNotFound is what every read of one thing returns when it is not there.
	// A database that cannot answer is never ErrNotFound.
	ErrNotFound = &Error{Class: NotFound, Code: "not_found", Message: "not found"}
	// ErrInvalidID: the text is not an ID of the wanted kind.
	ErrInvalidID = &Error{Class: Invalid, Code: "invalid_id", Message: "invalid id"}
	// ErrInvalidFilter: a filter of a listing that has no clear meaning.
	ErrInvalidFilter = &Error{Class: Invalid, Code: "invalid_filter",
		Message: "a filter cannot be understood, so it selects nothing: it has a control character"}
	// ErrInvalidCursor: a page cursor that no listing returned.
	ErrInvalidCursor = &Error{Class: Invalid, Code: "invalid_cursor", Message: "invalid cursor: leave it out to begin with the first page"}
	// ErrState: the thing's state does not allow the act.
	ErrState = &Error{Class: Conflict, Code: "state", Message: "the state does not allow this"}
	// ErrDatabase: the database cannot answer.
	ErrDatabase = &Error{Class: Unavailable, Code: "database_unavailable", Message: "the database cannot answer, try again later"}
	// ErrDiskFull: the database has no space left.
	ErrDiskFull = &Error{Class: DiskFull, Code: "disk_full", Message: "the disk is full: free space, nothing needs a restart"}
)

// NewError builds an error of a class with a code and a message.
func NewError(class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message}
}

// Wrap gives a cause a class, a code and a message.
func Wrap(err error, class Class, code, message string) *Error {
	return &Error{Class: class, Code: code, Message: message, Err: err}
}

// ClassOf finds the class of an error, Internal when it carries none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Internal
}

// CodeOf finds the code of an error, "internal" when it carries none.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return string(Internal)
}
