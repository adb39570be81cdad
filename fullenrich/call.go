package fullenrich

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Call is one request that was made.
type Call struct {
	// Op is what was asked: submit, fetch, credits or verify_key.
	Op string
	// Result is what came of it: ok, in_progress (a fetch of a lookup that is not
	// ready), no_credits, rate_limited, key_refused, refused (another 4xx),
	// unavailable (5xx), unreadable (a 2xx of submit without an id, or one that was
	// cut off), no_answer, or not_sent.
	Result string
	Took   time.Duration
}

// observe tells of a request that began at a time; e is nil when it went well.
func (c *Client) observe(ctx context.Context, op string, began time.Time, e *Error) {
	if c.observer == nil || e != nil && errors.Is(e, errBudget) {
		return
	}
	if op == opVerifyKey {
		op = "verify_key" // as labels of metrics are written
	}
	c.observer(ctx, Call{Op: op, Result: resultOf(e), Took: time.Since(began)})
}

func resultOf(e *Error) string {
	switch {
	case e == nil:
		return "ok"
	case e.Outcome == OutcomeNotSent:
		return "not_sent"
	case e.Status == 0:
		return "no_answer"
	case e.Status < 300:
		return "unreadable"
	case e.Code == CodeInProgress:
		return "in_progress"
	case e.Status == http.StatusPaymentRequired:
		return "no_credits"
	case e.Status == http.StatusTooManyRequests:
		return "rate_limited"
	case e.Status == http.StatusUnauthorized:
		return "key_refused"
	case e.Status >= 500:
		return "unavailable"
	}
	return "refused"
}
