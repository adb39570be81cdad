package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/throttle"
	"github.com/liwanag/liwanag/workflow"
)

// Problem is an error that is answered.
type Problem struct {
	api.Problem

	RetryAfter int // seconds; 0: none
	Fault      error
}

// NewProblem is a problem of a status and a stable code.
func NewProblem(status int, code, detail string, faults ...api.FieldFault) *Problem {
	return &Problem{Problem: api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: detail, Code: code, Errors: faults}}
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }
func (p *Problem) Unwrap() error { return p.Fault }

// NotFound says that no such thing has the id that was asked for.
func NotFound(what string) *Problem {
	return NewProblem(http.StatusNotFound, "not_found", "no "+what+" has this id")
}

// malformed are codes of class Invalid whose request could not even be read.
var malformed = []string{intake.ErrMalformed.Code, liwanag.ErrInvalidCursor.Code, liwanag.ErrInvalidFilter.Code}

// ProblemOf turns an error into what the client is told. Only messages that are
// made for clients are passed on; causes stay with the fault, for the log.
func ProblemOf(err error) *Problem {
	var p *Problem
	var invalid *intake.ValidationError
	var fault *liwanag.Error
	var tooLarge *http.MaxBytesError
	var tooMany *throttle.TooMany
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return NewProblem(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit))
	case errors.As(err, &tooMany):
		p = NewProblem(http.StatusTooManyRequests, "too_many_failures", "too many failed attempts from this address, try again later")
		p.RetryAfter = int((tooMany.After + time.Second - 1) / time.Second)
		return p
	case errors.As(err, &invalid):
		p = NewProblem(http.StatusUnprocessableEntity, liwanag.CodeOf(err), "the request has fields that cannot be taken")
		for _, f := range invalid.Fields {
			p.Errors = append(p.Errors, api.FieldFault(f))
		}
		return p
	case errors.As(err, &fault):
		return problemOfFault(fault)
	}
	return problemOfRun(err)
}

func problemOfFault(e *liwanag.Error) *Problem {
	status, retryAfter := http.StatusInternalServerError, 0
	switch e.Class {
	case liwanag.NotFound:
		status = http.StatusNotFound
	case liwanag.Conflict:
		status = http.StatusConflict
	case liwanag.Invalid:
		status = http.StatusUnprocessableEntity
		if slices.Contains(malformed, e.Code) {
			status = http.StatusBadRequest
		}
	case liwanag.Unauthorized:
		status = http.StatusUnauthorized
	case liwanag.Unavailable:
		status, retryAfter = http.StatusServiceUnavailable, 5
	case liwanag.DiskFull:
		status, retryAfter = http.StatusInsufficientStorage, 60
	default:
		return internal(e)
	}
	p := NewProblem(status, e.Code, e.Message)
	p.RetryAfter, p.Fault = retryAfter, e
	return p
}

func problemOfRun(err error) *Problem {
	for _, known := range []struct {
		err          error
		status       int
		code, detail string
	}{
		{workflow.ErrNotFound, http.StatusNotFound, "not_found", "no run has this id"},
		{workflow.ErrEnded, http.StatusConflict, "run_ended", "the run has ended"},
		{workflow.ErrNotEnded, http.StatusConflict, "run_running", "only a failed, timed-out or canceled run can be retried"},
		{workflow.ErrInputDiffers, http.StatusConflict, "input_differs", "a run with this id exists with another input"},
		{workflow.ErrNotUnknown, http.StatusConflict, "step_known", "only a step can be resolved of which nobody knows whether it ran"},
		{workflow.ErrUnknown, http.StatusConflict, "step_unknown", "nobody knows whether the step's effect happened: resolve it, or ask for it again explicitly"},
		{workflow.ErrUnknownStep, http.StatusUnprocessableEntity, "unknown_step", "the workflow has no step of this name"},
		{workflow.ErrUnknownWorkflow, http.StatusConflict, "unknown_workflow", "this server does not hold the run's workflow"},
		{workflow.ErrInvalidCursor, http.StatusBadRequest, liwanag.ErrInvalidCursor.Code, liwanag.ErrInvalidCursor.Message},
		{workflow.ErrAttribute, http.StatusBadRequest, "invalid_filter", fmt.Sprintf("an attribute is key=value, with a key of 1 to %d bytes and a value of 1 to %d", workflow.MaxAttributeKey, workflow.MaxAttributeValue)},
		{workflow.ErrNoAttributes, http.StatusConflict, "no_attributes", "runs cannot be found by attributes: register the search attribute LiwanagAttributes, a KeywordList, in the Temporal namespace"},
		{workflow.ErrInboxFull, http.StatusConflict, "inbox_full", fmt.Sprintf("the run has received %d events or %d bytes, no more are taken", workflow.MaxInbox, workflow.MaxInboxBytes)},
		{workflow.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("event data of more than %d bytes is not taken", workflow.MaxPayload)},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "timeout", "the request took too long, try again later"},
		{context.Canceled, http.StatusServiceUnavailable, "canceled", "the request was given up"},
	} {
		if errors.Is(err, known.err) {
			p := NewProblem(known.status, known.code, known.detail)
			p.Fault = err
			return p
		}
	}
	return internal(err)
}

// internal hides a fault of ours: it is in the log, under the request's id.
func internal(err error) *Problem {
	p := NewProblem(http.StatusInternalServerError, "internal", "a fault of the server: its log tells more under the id in X-Request-Id")
	p.Fault = err
	return p
}

// Clip bounds a name that a client sent.
func Clip(s string) string { return clipTo(s, 100) }

func clipTo(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// ProblemOf is ProblemOf, save that it knows a full disk in whatever error of a
// store.
func (d *Door) ProblemOf(err error) *Problem {
	p := ProblemOf(err)
	if p.Status >= 500 && p.Code != liwanag.ErrDiskFull.Code && d.cfg.DiskFull != nil && d.cfg.DiskFull(err) {
		return problemOfFault(liwanag.Wrap(err, liwanag.ErrDiskFull.Class, liwanag.ErrDiskFull.Code, liwanag.ErrDiskFull.Message))
	}
	return p
}

// OfRunner says of an error of the runner that is none of the library's that its
// store cannot answer, which is all that is left.
func OfRunner(err error) error {
	if err == nil || ProblemOf(err).Status != http.StatusInternalServerError {
		return err
	}
	return liwanag.Wrap(err, liwanag.ErrDatabase.Class, liwanag.ErrDatabase.Code, liwanag.ErrDatabase.Message)
}

// Write sends a problem, or a browser elsewhere; a fault of ours is logged here, once.
func (d *Door) Write(w http.ResponseWriter, r *http.Request, err error) {
	var to *elsewhere
	if errors.As(err, &to) {
		w.Header().Set("Location", to.path)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p := d.ProblemOf(err)
	d.note(r.Context(), p)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = encode(w, p.Problem) // texts and numbers: it can be encoded
}

// note logs what a problem hides from the client.
func (d *Door) note(ctx context.Context, p *Problem) {
	if p.Status < 500 || p.Fault == nil || p.Code == "canceled" {
		return
	}
	level := slog.LevelWarn
	if p.Status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	d.cfg.Log.LogAttrs(ctx, level, "a request failed", slog.String("request", requestID(ctx)),
		slog.String("code", p.Code), slog.Any("error", p.Fault))
}

// InvalidField refuses a field of a body.
func InvalidField(field, message string) *Problem {
	return NewProblem(http.StatusUnprocessableEntity, "invalid_field", "the request has fields that cannot be taken",
		api.FieldFault{Field: field, Message: message})
}
