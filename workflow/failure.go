package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The sentinels. Match them with errors.Is.
var (
	// ErrNotFound: no such run. A store that cannot answer is never ErrNotFound.
	ErrNotFound = errors.New("workflow: no such run")
	// ErrInputDiffers: a run with this ID exists, started with another input.
	ErrInputDiffers = errors.New("workflow: a run with this id exists with another input")
	// ErrEnded: the run has ended, so it cannot be canceled.
	ErrEnded = errors.New("workflow: the run has ended")
	// ErrNotEnded: the run is open or completed, so it cannot be retried.
	ErrNotEnded = errors.New("workflow: only a failed, timed-out or canceled run can be retried")
	// ErrUnknownWorkflow: no definition of that name and version is held here.
	ErrUnknownWorkflow = errors.New("workflow: no such workflow is defined here")
	// ErrUnknownStep: the workflow has no step of that name.
	ErrUnknownStep = errors.New("workflow: no such step")
	// ErrUnknownEvent: no wait of the run's workflow takes an event of that name.
	ErrUnknownEvent = errors.New("workflow: no wait takes such an event")
	// ErrPayload: a payload or an input is not of the type that the definition says.
	ErrPayload = errors.New("workflow: the payload does not fit")
	// ErrTooLarge: an input, an output or a payload is over its limit.
	ErrTooLarge = errors.New("workflow: too large")
	// ErrInboxFull: the run has received as many events as it may, see [MaxInbox].
	ErrInboxFull = fmt.Errorf("workflow: the run's inbox is full: %d events or %d bytes", MaxInbox, MaxInboxBytes)
	// ErrSubRun: the run belongs to another one, which is to be asked for this.
	ErrSubRun = errors.New("workflow: the run belongs to another")
	// ErrInvalidCursor: a page cursor that no listing returned.
	ErrInvalidCursor = errors.New("workflow: invalid cursor")
)

// Reason is the class of a failure.
type Reason string

// The reasons.
const (
	ReasonError    Reason = "error"    // a step returned an error that is not tried again
	ReasonTimeout  Reason = "timeout"  // an attempt, a wait, or the run took too long
	ReasonCanceled Reason = "canceled" // somebody canceled the run
	ReasonUnknown  Reason = "unknown"  // nobody knows whether the step's effect happened
)

// Codes that runners set. A step sets its own by an error with a method
// ErrorCode() string anywhere in its chain.
const (
	CodePanic      = "panic"       // the step panicked
	CodeTimeout    = "timeout"     // the attempt, the step or the wait took too long
	CodeRunTimeout = "run_timeout" // the run took longer than its RunTimeout
	CodeDefinition = "definition"  // a condition panicked, or stored data no longer fits the definition
	CodeTooLarge   = "too_large"   // an output over its limit, or a history
	CodeCrashLoop  = "crash_loop"  // ten workers were lost in a row at this step
	CodeWorkerLost = "worker_lost" // a worker was lost inside an AtMostOnce step
	CodeStore      = "store"       // the database does not take what is to be stored of the run
)

// Failure is why a run, or a step of it, failed. It is plain data, so that it
// survives storage; it must hold no personal data.
type Failure struct {
	Step     string `json:"step,omitempty"`
	Reason   Reason `json:"reason"`
	Code     string `json:"code,omitempty"`
	Message  string `json:"message"`
	Attempts int    `json:"attempts,omitempty"`
}

// Error names the step and the message.
func (f Failure) Error() string {
	if f.Step == "" {
		return f.Message
	}
	return f.Step + ": " + f.Message
}

// MaxText is the most that is kept of a message or a reason, in bytes; the rest of
// a long one is of no help. A condition's label and an error's code may have
// [MaxLabel].
const (
	MaxText  = 1000
	MaxLabel = 200
)

// FailureOf turns the error of a step's last attempt into the failure that is
// stored.
func FailureOf(step string, attempts int, err error) Failure {
	f := Failure{Step: step, Reason: ReasonError, Message: Clip(fmt.Sprint(err)), Attempts: attempts}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		f.Code = clipTo(coded.ErrorCode(), MaxLabel)
	}
	if errors.As(err, new(*timeoutError)) {
		f.Reason, f.Code = ReasonTimeout, CodeTimeout
	}
	if errors.As(err, new(*panicError)) {
		f.Code = CodePanic
	}
	return f
}

// Clip is what is kept of a free text, a reason or a message: its first [MaxText]
// bytes, as valid UTF-8 without NUL. Runners clip whatever comes from outside.
func Clip(text string) string { return clipTo(text, MaxText) }

func clipTo(text string, most int) string {
	const more = "…"
	long := len(text) > most
	if long {
		cut := most - len(more)
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	// What replaces an invalid byte, or one that PostgreSQL does not keep, is longer than it.
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > most {
		return clipTo(text, most)
	}
	if long {
		text += more
	}
	return text
}

// timeoutError is an attempt that took longer than its step's Timeout.
type timeoutError struct {
	after string
	err   error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the attempt took longer than %s: %v", e.after, e.err)
}
func (e *timeoutError) Unwrap() []error { return []error{e.err, context.DeadlineExceeded} }

// panicError is an attempt that panicked.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Stack is the stack of a panic that an attempt's error carries, nil when it
// carries none; for logs, never for storage.
func Stack(err error) []byte {
	var p *panicError
	if errors.As(err, &p) {
		return p.stack
	}
	return nil
}

// codedError is an error of this package with a code.
type codedError struct {
	code string
	err  error
}

func (e *codedError) Error() string     { return e.err.Error() }
func (e *codedError) Unwrap() error     { return e.err }
func (e *codedError) ErrorCode() string { return e.code }
