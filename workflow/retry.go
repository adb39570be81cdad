package workflow

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"slices"
	"time"
)

// Backoff is how the delay between attempts grows.
type Backoff string

// The backoffs. The zero value is Exponential.
const (
	Exponential Backoff = "exponential" // initial, 2·initial, 4·initial, …
	Linear      Backoff = "linear"      // initial, 2·initial, 3·initial, …
	Constant    Backoff = "constant"    // initial, initial, initial, …
)

// Retry says how a failed attempt is tried again. The zero value is one attempt:
// no retry. It is a step option.
type Retry struct {
	MaxAttempts  int           // attempts in all, the first included; 0 means 1
	Backoff      Backoff       // default Exponential
	InitialDelay time.Duration // delay before the second attempt; 0 retries at once
	MaxDelay     time.Duration // upper bound of a delay; 0 means none
	// Jitter is the fraction by which a delay may be longer, 0 to 1, drawn from run
	// ID, step and attempt, so that it is the same on every runner. Default 0.
	Jitter float64
	// RetryOn are the HTTP statuses that are tried again; empty means every error.
	// An error that carries another status, by a method StatusCode() int anywhere
	// in its chain, ends the step; one that carries none (0) is tried again.
	RetryOn []int
	// If decides on errors that RetryOn lets pass; nil means all of them.
	If func(error) bool
}

// Delay is the pause after a failed attempt, numbered from 1, and whether there
// is another attempt at all. Every runner uses it, jitter excepted.
func (r Retry) Delay(attempt int, err error) (time.Duration, bool) {
	if attempt >= max(r.MaxAttempts, 1) || !r.retries(err) {
		return 0, false
	}
	var after *retryAfterError
	if errors.As(err, &after) {
		return min(after.delay, longest), true
	}
	return r.backoff(attempt), true
}

// longest bounds every delay, jitter included: what lies further ahead than
// that no clock or database needs to count.
const longest time.Duration = 100 * 365 * 24 * time.Hour

func (r Retry) retries(err error) bool {
	if errors.As(err, new(*permanentError)) {
		return false
	}
	if len(r.RetryOn) > 0 {
		if status := statusOf(err); status != 0 && !slices.Contains(r.RetryOn, status) {
			return false
		}
	}
	return r.If == nil || r.If(err)
}

func (r Retry) backoff(attempt int) time.Duration {
	d := float64(r.InitialDelay)
	if d == 0 {
		return 0 // and not 0·∞ after very many attempts
	}
	switch r.Backoff {
	case Linear:
		d *= float64(attempt)
	case Constant:
	default:
		d *= math.Pow(2, float64(attempt-1))
	}
	most := longest
	if r.MaxDelay > 0 {
		most = min(most, r.MaxDelay)
	}
	if d >= float64(most) { // which may have been rounded up: what is returned is not
		return most
	}
	return time.Duration(d)
}

// jitter is between 0 and 1, the same for the same run, step and attempt.
func jitter(runID, step string, attempt int) float64 {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte(runID+"\x00"+step), uint64(attempt))) // #nosec G115 -- attempts count up from 1
	// FNV leaves the high bits of short inputs poorly mixed; one round of
	// multiplication and folding spreads them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

func (r Retry) stretch(d time.Duration, runID, step string, attempt int) time.Duration {
	if r.Jitter == 0 {
		return d
	}
	return min(longest, d+time.Duration(float64(d)*r.Jitter*jitter(runID, step, attempt)))
}

func (r Retry) apply(p *Plan, n *Node) {
	allow("Retry", p, n, KindStep, KindHandler, KindWait)
	p.once(n.Name, &n.given, "Retry")
	n.Retry = r
	before := len(p.faults)
	if r.MaxAttempts < 0 || r.InitialDelay < 0 || r.MaxDelay < 0 {
		p.fault(n.Name, "a retry with a negative number: attempts %d, initial delay %s, maximal delay %s", r.MaxAttempts,
			r.InitialDelay, r.MaxDelay)
	}
	if !(r.Jitter >= 0 && r.Jitter <= 1) {
		p.fault(n.Name, "a jitter of %v: it is a fraction from 0 to 1", r.Jitter)
	}
	if !slices.Contains([]Backoff{"", Exponential, Linear, Constant}, r.Backoff) {
		p.fault(n.Name, "an unknown backoff %q: it is exponential, linear or constant", string(r.Backoff))
	}
	if r.MaxDelay > 0 && r.InitialDelay > r.MaxDelay {
		p.fault(n.Name, "a retry with an initial delay of %s above its maximal delay of %s", short(r.InitialDelay), short(r.MaxDelay))
	}
	if r.MaxAttempts == 0 && r.says() && len(p.faults) == before {
		p.fault(n.Name, "a retry without MaxAttempts never tries again: say how many attempts there are")
	}
}

// says tells whether anything but MaxAttempts is set.
func (r Retry) says() bool {
	return r.Backoff != "" || r.InitialDelay != 0 || r.MaxDelay != 0 || r.Jitter != 0 || len(r.RetryOn) > 0 || r.If != nil
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// Permanent marks an error that no retry will mend. The step fails at once.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type retryAfterError struct {
	error
	delay time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.error }

// RetryAfter marks an error whose next attempt, if the policy grants one, comes
// after d instead of the policy's delay: what a server said in Retry-After.
// RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, max(d, 0)}
}

// ErrSnoozed matches every error made by [Snooze].
var ErrSnoozed = errors.New("workflow: snoozed")

type snoozeError struct{ delay time.Duration }

func (e *snoozeError) Error() string        { return "not yet: again in " + e.delay.String() }
func (e *snoozeError) Is(target error) bool { return target == ErrSnoozed }

// minSnooze keeps a step that is never ready from occupying the runner.
const minSnooze = 10 * time.Millisecond

// Snooze is returned by a step that is not ready: it runs again after d, at least
// 10 ms, and no attempt is used. Only [Within] and [RunTimeout] bound how often.
func Snooze(d time.Duration) error { return &snoozeError{min(max(d, minSnooze), longest)} }

func statusOf(err error) int {
	var carrier interface{ StatusCode() int }
	if errors.As(err, &carrier) {
		return carrier.StatusCode()
	}
	return 0
}
