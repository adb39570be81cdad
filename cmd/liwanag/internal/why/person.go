package why

import (
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Person is the state of a subscriber.
type Person struct {
	World
	Person liwanag.Subscriber
	Job    *liwanag.Job // the latest; nil: there was none
	Run    *Run         // of the latest job, if that is open
	Paid   *Submission  // of the latest job, if that is open
	Twin   liwanag.ID   // the run that looks another address of the mailbox up; zero: none
}

// Why says why a person was looked up, or was not.
func (p Person) Why() api.Why {
	s := tell()
	p.standing(s)
	switch {
	case p.Job == nil:
		p.never(s)
	case p.Job.Status.Open():
		p.blocked(s)
		p.open(s)
	default:
		p.ended(s)
	}
	return s.Why
}

// standing tells of who left.
func (p Person) standing(s *story) {
	if p.Person.SuppressedAt.IsZero() {
		return
	}
	if strings.HasPrefix(p.Person.UnsubscribedBy, string(liwanag.SuppressionKind)) {
		s.sum(p.Person.SuppressedAt, none, "The address or its domain is suppressed: nothing is looked up for them, "+
			"whoever asks.")
		s.act("Remove the suppression, if it was a mistake, then note that the person came back.",
			"liwanag suppressions list")
		s.act("Note that they came back.", "liwanag subscribers resubscribe %s", p.Person.ID)
		return
	}
	s.sum(p.Person.SuppressedAt, none, "They unsubscribed, as %s: nothing is looked up for them, whoever asks.",
		said(p.Person.UnsubscribedBy))
	s.act("If they came back, note it; then they can be looked up.", "liwanag subscribers resubscribe %s", p.Person.ID)
}

func said(by string) string {
	switch {
	case by == liwanag.ByOperator:
		return "an operator noted"
	case by == liwanag.ByWebhook:
		return "a webhook said"
	case strings.HasPrefix(by, string(liwanag.SourceIDKind)):
		return "the source " + by + " said"
	case strings.HasPrefix(by, string(liwanag.UploadKind)):
		return "the file " + by + " said"
	}
	return "was noted"
}

// never tells of whom nobody ever looked up.
func (p Person) never(s *story) {
	if !p.Person.SuppressedAt.IsZero() {
		return
	}
	since, id := p.Person.CreatedAt, p.Person.ID
	switch t := p.Person.EmailType; {
	case t == liwanag.Corporate && !p.WorkToo:
		s.sum(since, none, "It is a work address: these are not looked up, since the domain names the company. Only "+
			"personal addresses are.")
		s.act("Have work addresses looked up, too.", "LIWANAG_ENRICH=all liwanag serve")
	case t == liwanag.Relay:
		s.sum(since, none, "It is a relay address, which hides another one: hardly anybody is found by it, so it is "+
			"looked up by hand alone.")
	case t == liwanag.Disposable:
		s.sum(since, none, "It is a disposable address, given away for minutes or days: it is looked up by hand alone.")
	case !p.Twin.IsZero():
		s.sum(since, none, "Another address of the same mailbox is being looked up: its result counts for this one, too.")
		s.act("See how that stands.", "liwanag why %s", p.Twin)
		return
	default:
		s.sum(since, none, "Nobody asked for a lookup: their sign-up ordered none.")
	}
	s.act("Look them up all the same.", "liwanag subscribers enrich %s", id)
}

// open tells of a lookup that has not ended.
func (p Person) open(s *story) {
	j := p.Job
	switch {
	case p.Paid != nil && j.Status != liwanag.JobPending:
		s.include(p.Paid.story())
	case p.Run != nil:
		run := p.Run.Why()
		s.include(&story{run})
	case j.RunID.IsZero():
		p.unpaid(s)
		if p.NextBatch.IsZero() {
			s.sum(j.CreatedAt, none, "Their lookup waits for the scheduled batch, and that is paused.")
		} else {
			s.sum(j.CreatedAt, p.NextBatch, "Their lookup waits for the scheduled batch, which takes all that wait.")
		}
		s.act("Trigger the batch now.", "liwanag enrich")
	default:
		s.sum(j.CreatedAt, none, "Their lookup is ordered by a run.")
	}
	if !j.RunID.IsZero() {
		s.act("See the run of their lookup.", "liwanag runs show %s", j.RunID)
	}
}

// ended tells how a lookup ended.
func (p Person) ended(s *story) {
	j, id := p.Job, p.Person.ID
	switch j.Status {
	case liwanag.JobEnriched:
		p.enriched(s)
	case liwanag.JobNotFound:
		s.sum(j.EndedAt, none, "FullEnrich does not know the person: the lookup ended without a match.")
		s.act("Look again; it is paid for if somebody is found.", "liwanag subscribers enrich %s --again", id)
	case liwanag.JobCanceled:
		p.canceled(s)
	default:
		p.failed(s)
	}
}

func (p Person) enriched(s *story) {
	j, id := p.Job, p.Person.ID
	switch {
	case j.Failure.Code == liwanag.CodeSameMailbox:
		s.sum(j.EndedAt, none, "They were found: the result of another address of their mailbox was taken over, at no "+
			"cost.")
	case j.RunID.IsZero() && j.EnrichmentID == "":
		s.sum(j.EndedAt, none, "A result that is young enough was there already, and was used again: nothing was paid.")
		s.act("Look again all the same, and pay for it.", "liwanag subscribers enrich %s --again", id)
	default:
		s.sum(j.EndedAt, none, "They were found, for %s: nothing is waited for.", count(int(j.Credits), "credit",
			"credits"))
	}
	if j.Late {
		s.fact(j.EndedAt, none, "The result came after its run had ended.")
	}
}

func (p Person) canceled(s *story) {
	j, id := p.Job, p.Person.ID
	switch j.Failure.Code {
	case liwanag.CodeCap:
		s.sum(j.EndedAt, none, "They were left out: whoever confirmed the upload or the lookups allowed no more credits "+
			"(cap).")
	case liwanag.CodeDropped:
		s.sum(j.EndedAt, none, "Their lookup was dropped: of its source hardly anybody was found any more (found_rate).")
	case liwanag.CodeSameMailbox:
		s.sum(j.EndedAt, none, "Another address of the same mailbox is looked up: its result counts for this one, too.")
		if !p.Twin.IsZero() {
			s.act("See how that stands.", "liwanag why %s", p.Twin)
		}
		return
	case liwanag.CodeUnsubscribed, liwanag.CodeErased:
		s.sum(j.EndedAt, none, "Their lookup was canceled when they left.")
		return
	default:
		s.sum(j.EndedAt, none, "Their lookup was canceled%s.", because(j.Failure.Message))
	}
	s.act("Look them up all the same.", "liwanag subscribers enrich %s", id)
}

func (p Person) failed(s *story) {
	j, id := p.Job, p.Person.ID
	s.sum(j.EndedAt, j.RetryAt, "Their lookup failed: %s.", failedWords(j.Failure))
	switch {
	case j.Failure.Code == liwanag.CodeInvalidEmail:
		s.act("Correct the address: add the person under the right one.", "liwanag subscribers add ADDRESS")
	case !j.RetryAt.IsZero():
		s.fact(none, j.RetryAt, "A new lookup is ordered by itself then.")
		s.act("Or look them up now.", "liwanag subscribers enrich %s", id)
	case j.Failure.Code == liwanag.CodeWebhookTimeout:
		s.fact(none, none, "The result is still fetched, once a day, and applied when it is there.")
	default:
		s.act("Look them up again.", "liwanag subscribers enrich %s", id)
	}
}

func failedWords(f liwanag.JobFailure) string {
	switch f.Code {
	case liwanag.CodeInvalidEmail:
		return "FullEnrich does not take this address"
	case liwanag.CodeProviderUnavailable:
		return "FullEnrich could not be reached, or kept failing"
	case liwanag.CodeWebhookTimeout:
		return "no result came in time"
	case liwanag.CodeExpired:
		return "FullEnrich does not have the result any more"
	case liwanag.CodeBadRecord:
		return "their record cannot be read"
	case liwanag.CodeMissingRecord:
		return "the result had no record of them"
	case liwanag.CodeProviderCanceled:
		return "FullEnrich canceled it"
	case liwanag.CodeOperatorFailed:
		return "an operator gave the paid call up"
	}
	return strings.TrimPrefix(because(f.Message), ": ") + " (" + f.Code + ")"
}
