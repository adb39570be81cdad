package paid

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// Meaning is what an answer to the paid call says. It says the same to a first
// submission and to a resubmission; only what follows differs.
type Meaning string

// The meanings. After all but Taken and Unknown nothing is ordered.
const (
	Taken     Meaning = "taken"     // there is an enrichment
	Unknown   Meaning = "unknown"   // nobody knows
	Unsent    Meaning = "unsent"    // the breaker is open: it was not even tried
	Unreached Meaning = "unreached" // nothing was written
	Busy      Meaning = "busy"      // too many calls
	Down      Meaning = "down"      // FullEnrich cannot now
	Address   Meaning = "address"   // it refuses one of the addresses
	Key       Meaning = "key"       // it refuses us, and would refuse every batch
	Credits   Meaning = "credits"   // likewise: there are none left
	Fault     Meaning = "fault"     // likewise: our requests are wrong
)

// Move is what the meaning makes of the submission.
func (m Meaning) Move() *Move {
	switch m {
	case Taken:
		return Accept
	case Unknown:
		return Doubt
	}
	return Refuse
}

// Answer is what came back of a paid call.
type Answer struct {
	EnrichmentID string
	Err          *fullenrich.Error // nil: none
	Standard     bool              // a 5xx that is not FullEnrich's own is taken for a refusal
}

func (a Answer) is(err error) bool      { return errors.Is(a.Err, err) }
func (a Answer) status(all ...int) bool { return slices.Contains(all, a.Err.Status) }
func (a Answer) class() int             { return a.Err.Status / 100 }

// Answers that do not come from FullEnrich.
var (
	ErrBreakerOpen = errors.New("the circuit breaker is open")
	ErrIDTaken     = errors.New("the answer names an enrichment of another submission")
)

// Rule is a row of the table of answers.
type Rule struct {
	Answer  string // for people
	Meaning Meaning
	Cause   string // kept with the submission; {status} is HTTP's
	fits    func(Answer) bool
}

const byStatus = "http_{status}"

// Answers says what an answer means: the first row that fits decides. No row but
// the first two is asked about an answer without an error.
var Answers = []Rule{
	{"an enrichment id", Taken, "", func(a Answer) bool { return a.Err == nil && a.EnrichmentID != "" }},
	{"2xx without an id that can be read", Unknown, CauseNoID, func(a Answer) bool {
		return a.Err == nil || a.is(fullenrich.ErrNoEnrichmentID) || a.class() == 2
	}},
	{"an id that is another submission's", Unknown, CauseIDTaken, func(a Answer) bool { return a.is(ErrIDTaken) }},
	{"none: FullEnrich keeps failing, it was not tried", Unsent, CauseBreaker, func(a Answer) bool { return a.is(ErrBreakerOpen) }},
	{"none: our own client would not send it", Fault, CauseInvalid, func(a Answer) bool { return a.is(fullenrich.ErrInvalidRequest) }},
	{"none: no connection, no name, no TLS", Unreached, CauseConnect, func(a Answer) bool { return a.Err.Outcome == fullenrich.OutcomeNotSent }},
	{"none: the sender stood still too long after its commit", Unknown, CauseStale, func(a Answer) bool { return a.is(fullenrich.ErrStale) }},
	{"none: timeout, reset", Unknown, CauseNoAnswer, func(a Answer) bool { return a.Err.Outcome != fullenrich.OutcomeRefused }},
	{"5xx with FullEnrich's own error", Down, byStatus, func(a Answer) bool { return a.class() >= 5 && a.Err.Envelope }},
	{"another 5xx, `standard`", Down, byStatus + notConfirmed, func(a Answer) bool { return a.class() >= 5 && a.Standard }},
	{"another 5xx, `strict`", Unknown, byStatus, func(a Answer) bool { return a.class() >= 5 }},
	{"429", Busy, byStatus, func(a Answer) bool { return a.status(http.StatusTooManyRequests) }},
	{"401, 403", Key, byStatus, func(a Answer) bool { return a.status(http.StatusUnauthorized, http.StatusForbidden) }},
	{"402", Credits, byStatus, func(a Answer) bool { return a.status(http.StatusPaymentRequired) }},
	{"400 `" + fullenrich.CodeEmailPrefix + "…`", Address, byStatus, func(a Answer) bool {
		return a.status(http.StatusBadRequest) && strings.HasPrefix(a.Err.Code, fullenrich.CodeEmailPrefix)
	}},
	{"anything else", Fault, byStatus, func(Answer) bool { return true }},
}

// Reading is an answer read.
type Reading struct {
	Meaning Meaning       // empty: nothing was asked
	Cause   string        // kept with the submission
	Status  int           // HTTP's; 0: none
	After   time.Duration // when FullEnrich wants to be asked again; 0: it did not say
	Text    string        // for people
}

// Read says what an answer means.
func Read(a Answer) Reading {
	var r Reading
	if a.Err != nil {
		r = Reading{Status: a.Err.Status, After: a.Err.RetryAfter, Text: a.Err.Error()}
	}
	for _, rule := range Answers {
		if rule.fits(a) {
			r.Meaning, r.Cause = rule.Meaning, strings.ReplaceAll(rule.Cause, "{status}", strconv.Itoa(r.Status))
			break
		}
	}
	return r
}

// State is what the reading makes of the submission.
func (r Reading) State() liwanag.SubmissionState { return r.Meaning.Move().To }
