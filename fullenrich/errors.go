package fullenrich

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Causes that [Error] wraps; test for them with errors.Is.
var (
	// ErrInvalidRequest: the arguments were refused before any connection.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrStale: too long passed since SubmitRequest.CommittedAt; nothing was sent.
	ErrStale = errors.New("too late after the commit, gave up before sending")
	// ErrNoEnrichmentID: a 2xx answer to Submit did not hold a readable id.
	ErrNoEnrichmentID = errors.New("answer without a readable enrichment id")
	// ErrTooLarge: the answer's body exceeds 16 MiB.
	ErrTooLarge = errors.New("answer larger than 16 MiB")
	// ErrMalformed: not a JSON object of the expected form.
	ErrMalformed = errors.New("malformed body")
	// ErrUnsupportedShape: a result whose records are not where v2 has them,
	// such as a body of API v1 ("datas").
	ErrUnsupportedShape = errors.New("unsupported result shape")
	// ErrOtherEnrichment: the answer names another enrichment than was asked for.
	ErrOtherEnrichment = errors.New("answer names another enrichment")
	// ErrBadRecord: one record of a result cannot be read.
	ErrBadRecord = errors.New("unreadable record")
)

// Codes of FullEnrich's error envelope that callers decide by. The list of
// codes is open: branch on the status first.
const (
	CodeInProgress     = "error.enrichment.in_progress"
	CodeNotFound       = "error.reverse.email.not_found"
	CodeEmailEmpty     = "error.reverse.email.empty"
	CodeEmailInvalid   = "error.reverse.email.invalid"
	CodeEmailPrefix    = "error.reverse.email." // of every refusal of an address, on a POST
	CodeWebhookURL     = "error.enrichment.webhook_url"
	CodeRateLimit      = "error.rate.limit"
	CodeUnknownKey     = "error.api.key"
	CodeNoAuth         = "error.authorization.not_set"
	CodeNotBearer      = "error.authorization.not_bearer"
	envelopeCodePrefix = "error."
)

// Outcome is what is known about a call: a fact, not a policy.
type Outcome string

const (
	// OutcomeNotSent: never connected, or refused by ourselves; nothing was
	// written and nothing will be.
	OutcomeNotSent Outcome = "not_sent"
	// OutcomeRefused: an answer came and its status is not 2xx. Whether a 5xx
	// without FullEnrich's envelope (Error.Envelope) proves anything is for the
	// caller to decide.
	OutcomeRefused Outcome = "refused"
	// OutcomeAccepted: FullEnrich answered with an enrichment id. Never the
	// outcome of an [Error].
	OutcomeAccepted Outcome = "accepted"
	// OutcomeAmbiguous: everything else. The order may have been accepted; do
	// not send it again without evidence.
	OutcomeAmbiguous Outcome = "ambiguous"
)

// Error is the error of every call. Its text names the call, the outcome, the
// cause and what to do next, and holds neither bodies nor e-mail addresses.
type Error struct {
	// Op is the call: submit, fetch, credits or verify key.
	Op string
	// Outcome says what is known about the call.
	Outcome Outcome
	// Status is the HTTP status of the answer, 0 when there was none.
	Status int
	// Code and Message come from the answer. Code is empty unless it looks like
	// one; Message is shortened, and addresses in it are replaced.
	Code, Message string
	// Envelope tells that the answer was FullEnrich's own error envelope and
	// not one of something in between.
	Envelope bool
	// RetryAfter is what the answer's Retry-After header asks for, 0 when
	// absent, at most 24 h.
	RetryAfter time.Duration
	// Stage is how far the call got: connect, write, answer or body.
	Stage string
	// Answer is the body of the answer, at most 64 KiB of it, for quarantine.
	Answer Private
	// Err is the cause: one of this package's errors, a context error, a network
	// error or what Config.Budget returned. Its own text may quote the server.
	Err error
}

// StatusCode returns the HTTP status of the answer, 0 when there was none.
func (e *Error) StatusCode() int { return e.Status }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Error describes the failure without personal data.
func (e *Error) Error() string {
	parts := []string{"fullenrich: " + e.Op, string(e.Outcome)}
	if e.Status != 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("status %d %s", e.Status, e.Code)))
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		cause := describe(e.Err)
		if e.Stage != "" {
			cause += " (" + e.Stage + ")"
		}
		parts = append(parts, cause)
	}
	if hint := e.hint(); hint != "" {
		parts = append(parts, hint)
	}
	return strings.Join(parts, ": ")
}

func (e *Error) hint() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "check the API key"
	case e.Status == http.StatusPaymentRequired:
		return "add credits"
	case e.Status == http.StatusTooManyRequests:
		return "wait for the next calendar minute"
	case e.Op == opSubmit && e.Outcome == OutcomeAmbiguous:
		return "do not send again, wait for its webhook"
	}
	return ""
}

// described lists the causes whose own text is safe and clear.
var described = []error{ErrInvalidRequest, ErrStale, ErrNoEnrichmentID, ErrTooLarge, ErrMalformed,
	ErrUnsupportedShape, ErrOtherEnrichment, ErrBadRecord}

// describe names the class of a cause. It never prints a foreign error's text,
// because net/http quotes what the server sent.
func describe(err error) string {
	var invalid *invalidError
	if errors.As(err, &invalid) {
		return invalid.Error()
	}
	for _, known := range described {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var timeout net.Error
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.Is(err, errBudget):
		return "no call budget"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &dns):
		return "host name not resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case isTLS(err):
		return "TLS handshake failed"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by the server"
	}
	return "connection failed"
}

func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.As(err, &host) || errors.As(err, &authority) || errors.Is(err, http.ErrSchemeMismatch)
}

// invalidError lists what is wrong with arguments; its text is ours alone.
type invalidError struct{ faults []string }

func (e *invalidError) Error() string {
	return ErrInvalidRequest.Error() + ": " + strings.Join(e.faults, ", ")
}
func (e *invalidError) Is(target error) bool { return target == ErrInvalidRequest }

var errBudget = errors.New("budget")

// budgetError keeps both the class and the caller's own error findable.
type budgetError struct{ cause error }

func (e *budgetError) Error() string   { return "no call budget" }
func (e *budgetError) Unwrap() []error { return []error{errBudget, e.cause} }

// envelope reads FullEnrich's {"code","message"}. Only codes of FullEnrich's
// own form count as its envelope: gateways answer with codes of theirs.
func envelope(body []byte) (code, message string, ours bool) {
	tree, err := parseTree(body)
	if err != nil {
		return "", "", false
	}
	code, isText := tree.field("code").value.(string)
	if !isText || !codeForm.MatchString(code) {
		code = ""
	}
	message, _ = tree.field("message").value.(string)
	return code, message, strings.HasPrefix(code, envelopeCodePrefix)
}

var codeForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// cleanMessage makes foreign text fit for logs.
func cleanMessage(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	words := strings.Fields(text)
	for i, word := range words {
		if strings.Contains(word, "@") {
			words[i] = "[address]"
		}
	}
	text = strings.Join(words, " ")
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return text
}

// maxRetryAfter bounds what a header may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads both forms of Retry-After. A date counts from the answer's
// own Date, so that a difference between the clocks does not matter.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// requestFault is shorthand for a refusal of the arguments; nil without faults.
func requestFault(op string, faults []string) *Error {
	if len(faults) == 0 {
		return nil
	}
	return &Error{Op: op, Outcome: OutcomeNotSent, Err: &invalidError{faults}}
}

// maxAnswerKept bounds Error.Answer.
const maxAnswerKept = 64 << 10

func keep(body []byte) Private {
	return Private(body[:min(len(body), maxAnswerKept)])
}
