package why

import (
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
)

// Submission is the state of a paid call.
type Submission struct {
	World
	Submission liwanag.Submission
	Waiting    liwanag.Waiting // what its batch waits for
	Until      time.Time       // when it looks again
	Before     int             // prepared paid calls that stand before it
	Next       liwanag.ID      // that was sent in its place
	RunOpen    bool
	LooksAt    time.Time // when its run looks for the result by itself
	EndsAt     time.Time // when its run gives up waiting
	Near       []liwanag.Delivery
	Refused    []liwanag.Act // webhooks under its address that were turned away
	Strangers  []liwanag.Act // webhooks that no paid call could be found for, since it was sent
}

// Why says why a paid call stands where it stands.
func (b Submission) Why() api.Why {
	s := tell()
	if b.Submission.State.Open() {
		b.blocked(s)
	}
	s.include(b.story())
	return s.Why
}

func (b Submission) story() *story {
	s, sub := tell(), b.Submission
	who := people(sub.Jobs)
	switch sub.State {
	case liwanag.SubmissionPrepared:
		b.unpaid(s)
		b.gate(s)
		s.sum(sub.PreparedAt, b.Until, "Nothing was sent yet for %s: the call is made in a moment.", who)
	case liwanag.SubmissionSending:
		s.sum(sub.SendingAt, sub.SendingAt.Add(time.Minute), "The paid call for %s is under way. If its sender was "+
			"lost, it counts as in doubt after a minute, "+
			"and is never sent a second time by mistake.", who)
	case liwanag.SubmissionAccepted:
		b.accepted(s, who)
	case liwanag.SubmissionRefused:
		b.refused(s, who)
	case liwanag.SubmissionAmbiguous:
		b.ambiguous(s, who)
	case liwanag.SubmissionHeld:
		b.held(s, who)
	case liwanag.SubmissionSuperseded:
		s.sum(sub.OutcomeAt, none, "Nobody knew what became of this paid call, so another one was sent in its place.")
		if !b.Next.IsZero() {
			s.act("Look at the one that was sent in its place.", "liwanag why %s", b.Next)
		}
	case liwanag.SubmissionSettled:
		b.settled(s)
	}
	if sub.State != liwanag.SubmissionSettled {
		b.near(s)
	}
	return s
}

// gate tells what a prepared paid call waits for.
func (b Submission) gate(s *story) {
	tellWaiting(s, b.World, b.Waiting, b.Submission.PreparedAt, b.Until)
	if b.Before > 0 {
		s.sum(none, none, "It stands in line behind %s.", count(b.Before, "paid call", "paid calls"))
	}
}

// tellWaiting tells what keeps lookups from being ordered.
func tellWaiting(s *story, w World, waiting liwanag.Waiting, since, until time.Time) {
	switch waiting {
	case liwanag.WaitingBudget:
		s.sum(since, until, "The budget of the day is used up: %d of %d credits that nobody confirmed. It goes on at "+
			"midnight UTC.", w.Used, w.Budget)
		s.act("Raise the budget: it goes on at once.", "liwanag submissions budget %d", max(2*w.Budget, 1000))
	case liwanag.WaitingCredits, liwanag.WaitingKey, liwanag.WaitingPaused:
		if !w.paused() && !w.NoKey {
			s.sum(since, until, "Spending was stopped (%s) when it was tried last, and goes on: it is tried again by itself.",
				waiting)
		}
	case liwanag.WaitingCapacity:
		s.sum(since, until, "FullEnrich works on %d people by now, and at most %d may be in flight: it goes on when "+
			"results come in.",
			w.InFlight, w.MostAtOnce)
		s.act("Nothing: it goes on by itself. To allow more, change the setting and start again.",
			"LIWANAG_MAX_IN_FLIGHT=… liwanag serve")
	case liwanag.WaitingCalls:
		s.sum(since, until, "The calls of this minute are used up (%d a minute, over all servers): it goes on in the next.",
			w.CallLimit)
	case liwanag.WaitingUnavailable:
		s.sum(since, until, "FullEnrich keeps failing: it is tried again by itself, more rarely while that lasts.")
		s.act("Look at FullEnrich's status page; nothing else is to be done.", "liwanag doctor")
	case liwanag.WaitingFoundRate:
		s.sum(since, none, "The lookups of its source are stopped: FullEnrich finds far fewer of its people than before "+
			"(%s).",
			strings.Join(w.Stopped, ", "))
		for _, source := range w.Stopped {
			s.act("Go on with the source "+source+".", "liwanag submissions stopped --resume %s", quoted(source))
			s.act("Or drop its lookups that wait.", "liwanag submissions stopped --drop %s", quoted(source))
		}
	}
}

func (b Submission) accepted(s *story, who string) {
	sub := b.Submission
	at := sub.OutcomeAt
	if at.IsZero() {
		at = sub.SendingAt
	}
	s.sum(at, b.EndsAt, "FullEnrich took the paid call for %s and works on it, as enrichment %s: its webhook brings "+
		"the result, or a fetch does.",
		who, sub.EnrichmentID)
	looks := b.LooksAt
	if looks.IsZero() {
		looks = sub.FollowAt
	}
	if !looks.IsZero() {
		s.fact(none, looks, "The result is fetched by itself, if no webhook comes before.")
	}
	b.reach(s)
	if b.RunOpen {
		s.act("Look for the result now.", "liwanag runs wake %s", sub.RunID)
	}
}

func (b Submission) refused(s *story, who string) {
	sub := b.Submission
	s.sum(sub.OutcomeAt, sub.FollowAt, "Nothing was ordered for %s: %s.", who, refusedWords(sub.Cause))
	switch {
	case sub.Cause == "http_401" || sub.Cause == "http_403":
		s.act("Set the right key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve")
	case sub.Cause == "http_402":
		s.act("Buy credits at FullEnrich.", "liwanag credits")
	case sub.Cause == "http_400" || sub.Cause == paid.CauseInvalid:
		s.act("A wrong public URL is the usual cause: test it, mend it, and let spending go on.",
			"liwanag doctor --webhook")
		s.act("Let spending go on.", "liwanag submissions resume")
	case !b.RunOpen:
		s.act("Try the run again.", "liwanag runs retry %s", sub.RunID)
	}
}

// refusedWords say why nothing was ordered.
func refusedWords(cause string) string {
	switch cause {
	case paid.CauseConnect:
		return "FullEnrich could not be reached"
	case paid.CauseBreaker:
		return "FullEnrich keeps failing, so that it was not even tried"
	case paid.CauseInvalid:
		return "the request is one that FullEnrich would refuse"
	case paid.CauseNothingLeft:
		return "its lookups had ended before it was sent"
	case paid.CauseOverBudget:
		return "the budget of a day became smaller than it; a smaller one follows"
	case paid.CauseFoundRate:
		return "one of its sources was stopped; another one follows without its lookups"
	case paid.CauseRunEnded:
		return "its run had ended before it was sent"
	case "http_400":
		return "FullEnrich refuses the request, or one of its addresses (400)"
	case "http_401", "http_403":
		return "FullEnrich refuses the key"
	case "http_402":
		return "there are no credits left at FullEnrich"
	case "http_429":
		return "there were too many calls in the minute"
	}
	if status, ok := strings.CutPrefix(cause, "http_"); ok {
		return "FullEnrich answered with an error (" + strings.ReplaceAll(status, "_", " ") + ")"
	}
	return "FullEnrich said no (" + cause + ")"
}

func (b Submission) ambiguous(s *story, who string) {
	sub := b.Submission
	s.sum(sub.OutcomeAt, sub.GraceUntil, "Nobody knows yet whether FullEnrich took the paid call for %s: %s. "+
		"A webhook tells, or it is decided when its grace is over.", who, doubtWords(sub.Cause))
	b.reach(s)
	if !b.Proven {
		s.fact(none, none, "No webhook of FullEnrich was ever seen under %s, so that none now proves nothing: it will "+
			"be held.", b.PublicURL)
	}
	b.decide(s)
}

// doubtWords say why nobody knows.
func doubtWords(cause string) string {
	switch cause {
	case paid.CauseLostWorker:
		return "the server that sent it was lost before it had the answer"
	case paid.CauseNoID:
		return "it was answered without an enrichment id that can be read"
	case paid.CauseNoAnswer:
		return "no answer came"
	case paid.CauseStale:
		return "its sender stood still for too long in the middle of it"
	case paid.CauseIDTaken:
		return "the answer named the enrichment of another paid call"
	}
	if status, ok := strings.CutPrefix(cause, "http_"); ok {
		return "something before FullEnrich answered with an error (" + status + ")"
	}
	return "the answer was lost (" + cause + ")"
}

func (b Submission) held(s *story, who string) {
	sub := b.Submission
	s.sum(sub.OutcomeAt, none, "A person has to decide: nobody knows whether FullEnrich took the paid call for %s, "+
		"and it is not sent again by itself, since %s.",
		who, heldWords(sub.Cause, b.PublicURL))
	if sub.Cause == paid.CauseUnreachable || sub.Cause == paid.CauseUnproven {
		b.reach(s)
	}
	b.decide(s)
	if sub.Cause == liwanag.CodeRestored {
		s.act("Or say of all that the restore held that they may go on.",
			"liwanag submissions release 'compared with the dashboard'")
	}
}

// heldWords say why a paid call is not sent again by itself.
func heldWords(cause, publicURL string) string {
	switch cause {
	case paid.CauseNoID:
		return "it was answered with success but without an enrichment id: most likely it was taken"
	case paid.CauseIDTaken:
		return "the answer named the enrichment of another paid call: most likely it was taken"
	case paid.CausePolicy:
		return "LIWANAG_ON_AMBIGUOUS is hold"
	case paid.CauseTwice:
		return "it is itself the second try of one in doubt"
	case paid.CauseUnproven:
		return "no webhook of FullEnrich was ever seen under " + publicURL + ": that none came proves nothing"
	case paid.CauseUnreachable:
		return publicURL + " was not reachable all the time: its webhook may have been lost"
	case paid.CauseRunEnded:
		return "its run ended while it was in doubt"
	case liwanag.CodeRestored:
		return "the database was restored from a backup: what was paid for since is not known"
	}
	return "its fate is not known (" + cause + ")"
}

// decide names the three ways out of a doubt.
func (b Submission) decide(s *story) {
	sub := b.Submission
	s.act(fmt.Sprintf("Look for %s in FullEnrich's dashboard. It is there: give its id.", sub.Name),
		"liwanag submissions adopt %s ENRICHMENT", sub.ID)
	s.act("It is not there: send it once more. If it was taken after all, it is paid for twice.",
		"liwanag submissions resubmit %s", sub.ID)
	s.act("Give it up: its lookups fail.", "liwanag submissions fail %s", sub.ID)
}

func (b Submission) settled(s *story) {
	sub := b.Submission
	switch sub.Cause {
	case liwanag.CodeExpired:
		s.sum(sub.OutcomeAt, none, "FullEnrich keeps results for three months, and this one is gone: its lookups failed.")
	case liwanag.CodeOperatorFailed:
		s.sum(sub.OutcomeAt, none, "An operator gave it up: its lookups failed.")
	default:
		s.sum(sub.OutcomeAt, none, "It is done: its result was applied, for %s.", count(int(sub.Credits), "credit",
			"credits"))
	}
	if sub.Late {
		s.fact(none, none, "Its result came after its run had ended.")
	}
	if sub.Duplicates > 0 {
		s.fact(none, none, "%s of it had been paid for before.", count(sub.Duplicates, "lookup", "lookups"))
	}
}

// near tells of webhooks that came near, and why they did not count.
func (b Submission) near(s *story) {
	for _, d := range b.Near {
		s.fact(d.ReceivedAt, none, "A result came and did not count: %s.", nearWords(d))
		id := fmt.Sprintf("dlv_%x", d.Digest)
		s.act("Look at that result; replay it when its cause is gone.", "liwanag deliveries show %s", id)
	}
	for _, a := range b.Refused {
		s.fact(a.At, none, "%s, under its own address: %s.", count(int(max(a.Times, 1)), "webhook was turned away",
			"webhooks were turned away"),
			refusalWords(a))
		if a.Reason == refusedKeyless {
			s.act("Set the key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve")
		} else {
			s.act("If FullEnrich's key was rotated, let the one before verify, too.",
				"FULLENRICH_PREVIOUS_API_KEY=… liwanag serve")
		}
	}
	for _, a := range b.Strangers {
		s.fact(a.At, none, "%s since it was sent: %s. One may have been meant for it.",
			count(int(max(a.Times, 1)), "webhook was turned away", "webhooks were turned away"), refusalWords(a))
	}
}

// Reasons for which FullEnrich's webhooks are turned away, as the audit trail has them.
const (
	refusedSignature = "bad_signature"
	refusedToken     = "unknown_token"
	refusedKeyless   = "secret_missing"
)

func refusalWords(a liwanag.Act) string {
	switch a.Reason {
	case refusedSignature:
		return "the signature was missing or of another key (401)"
	case refusedToken:
		return "no paid call has the address it came to (404)"
	case refusedKeyless:
		return "there was no key to verify it with (503); FullEnrich repeats it"
	}
	return "the server could not store it (503); FullEnrich repeats it"
}

func nearWords(d liwanag.Delivery) string {
	if d.State == liwanag.DeliveryUnmatched {
		return "it is signed and names this enrichment, but came to an address that no paid call has (unmatched)"
	}
	why := map[string]string{
		"unreadable":         "it cannot be read as a result",
		"unsupported_shape":  "it is of another version of FullEnrich's API",
		"other_enrichment":   "it names another enrichment than the paid call has",
		"foreign_enrichment": "it is the result of another paid call",
		"foreign_record":     "it holds a person who was not asked for",
		"bad_record":         "it holds a record that cannot be read",
	}[d.Note]
	if why == "" {
		why = d.Note
	}
	return why + " (quarantined)"
}
