package paid

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// said is an answer of FullEnrich's, in its envelope, that says no.
func said(status int, code string) *fullenrich.Error {
	return &fullenrich.Error{Op: "submit", Outcome: fullenrich.OutcomeRefused, Status: status, Code: code, Envelope: true}
}

func TestReadSaysWhatAnAnswerMeans(t *testing.T) {
	answer := func(outcome fullenrich.Outcome, status int, err error) *fullenrich.Error {
		return &fullenrich.Error{Op: "submit", Outcome: outcome, Status: status, Err: err}
	}
	no, maybe, never := fullenrich.OutcomeRefused, fullenrich.OutcomeAmbiguous, fullenrich.OutcomeNotSent
	for _, tc := range []struct {
		answer           *fullenrich.Error
		standard, strict Meaning
		cause            string
	}{
		{nil, Unknown, Unknown, CauseNoID},
		{answer(maybe, 200, fullenrich.ErrNoEnrichmentID), Unknown, Unknown, CauseNoID},
		{answer(maybe, 200, errors.New("cut off")), Unknown, Unknown, CauseNoID},
		{answer(maybe, 0, ErrIDTaken), Unknown, Unknown, CauseIDTaken},
		{answer(never, 0, ErrBreakerOpen), Unsent, Unsent, CauseBreaker},
		{answer(never, 0, fullenrich.ErrInvalidRequest), Fault, Fault, CauseInvalid},
		{answer(never, 0, errors.New("dial")), Unreached, Unreached, CauseConnect},
		{answer(maybe, 0, fullenrich.ErrStale), Unknown, Unknown, CauseStale},
		{answer(maybe, 0, context.DeadlineExceeded), Unknown, Unknown, CauseNoAnswer},
		{said(500, ""), Down, Down, "http_500"},
		{said(503, "error.internal"), Down, Down, "http_503"},
		{answer(no, 502, nil), Down, Unknown, "http_502"},
		{answer(no, 599, nil), Down, Unknown, "http_599"},
		{said(429, ""), Busy, Busy, "http_429"},
		{said(401, "error.api.key"), Key, Key, "http_401"},
		{said(403, ""), Key, Key, "http_403"},
		{said(402, ""), Credits, Credits, "http_402"},
		{said(400, fullenrich.CodeEmailEmpty), Address, Address, "http_400"},
		{said(400, fullenrich.CodeEmailInvalid), Address, Address, "http_400"},
		{said(400, "error.reverse.email.blocked"), Address, Address, "http_400"},
		{said(400, "error.reverse.emails"), Fault, Fault, "http_400"},
		{said(400, "error.enrichment.webhook_url"), Fault, Fault, "http_400"},
		{said(422, fullenrich.CodeEmailInvalid), Fault, Fault, "http_422"},
		{said(307, ""), Fault, Fault, "http_307"},
		{said(404, ""), Fault, Fault, "http_404"},
	} {
		for _, standard := range []bool{true, false} {
			got, want, cause := Read(Answer{Err: tc.answer, Standard: standard}), tc.strict, tc.cause
			if standard {
				want = tc.standard
			}
			if tc.standard != tc.strict && standard {
				cause += "_not_confirmed"
			}
			if got.Meaning != want || got.Cause != cause {
				t.Errorf("%v, standard %v: %s %q, want %s %q", tc.answer, standard, got.Meaning, got.Cause, want, cause)
			}
		}
	}
}

func TestAnAnswerWithAnIDIsTaken(t *testing.T) {
	if got := Read(Answer{EnrichmentID: "an id"}); got != (Reading{Meaning: Taken}) {
		t.Errorf("an id: %+v", got)
	}
}

func TestReadKeepsWhatAnAnswerSaysBeyondItsMeaning(t *testing.T) {
	busy := said(429, "")
	busy.RetryAfter = time.Minute
	if got := Read(Answer{Err: busy}); got.Status != 429 || got.After != time.Minute || got.Text != busy.Error() {
		t.Errorf("%+v", got)
	}
}

func TestOnlyAnAnswerThatSaysSoOrdersOrLeavesADoubt(t *testing.T) {
	for meaning, want := range map[Meaning]liwanag.SubmissionState{Taken: accepted, Unknown: ambiguous, Unsent: refused, Unreached: refused,
		Busy: refused, Down: refused, Address: refused, Key: refused, Credits: refused, Fault: refused} {
		if got := (Reading{Meaning: meaning}).State(); got != want {
			t.Errorf("%s makes it %s, want %s", meaning, got, want)
		}
	}
}

func TestWhatMayHaveBeenTakenIsSuperseded(t *testing.T) {
	for _, tc := range []struct {
		state liwanag.SubmissionState
		cause string
		want  bool
	}{
		{superseded, CauseNoAnswer, true}, {superseded, "", true}, {refused, "http_502_not_confirmed", true},
		{refused, "http_502", false}, {refused, CauseConnect, false}, {refused, "", false},
	} {
		if got := MayHaveBeenTaken(liwanag.Submission{State: tc.state, Cause: tc.cause}); got != tc.want {
			t.Errorf("%s: %v", fmt.Sprint(tc.state, " ", tc.cause), got)
		}
	}
}
