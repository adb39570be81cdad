package paid

import (
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Move is a change of a submission's state and what goes along with it, in one
// transaction. It is a compare-and-set: from a state that is not in From nothing is
// written. After a move the sweep does not look at the submission any more; who
// wants it to says so afterwards.
type Move struct {
	Name   string
	From   []liwanag.SubmissionState
	To     liwanag.SubmissionState
	Jobs   []liwanag.JobStatus // those of its jobs that change …
	JobsTo liwanag.JobStatus   // … to this
	Refund bool                // the credits reserved for it are given back
	When   string              // for people
}

const (
	prepared   = liwanag.SubmissionPrepared
	sending    = liwanag.SubmissionSending
	accepted   = liwanag.SubmissionAccepted
	refused    = liwanag.SubmissionRefused
	ambiguous  = liwanag.SubmissionAmbiguous
	held       = liwanag.SubmissionHeld
	superseded = liwanag.SubmissionSuperseded
	settled    = liwanag.SubmissionSettled

	jobPending   = liwanag.JobPending
	jobSubmitted = liwanag.JobSubmitted
	jobHeld      = liwanag.JobHeld
	jobFailed    = liwanag.JobFailed
)

type (
	states = []liwanag.SubmissionState
	jobs   = []liwanag.JobStatus
)

// The moves.
var (
	// Send is the fence of the paid call: who does not make it never posts.
	Send = &Move{"send", states{prepared}, sending, jobs{jobPending}, jobSubmitted, false,
		"all gates are open; durable before the first byte"}
	Accept = &Move{"accept", states{sending, ambiguous, held}, accepted, jobs{jobHeld}, jobSubmitted, false,
		"an id from the answer, a beacon, a webhook or an operator"}
	Refuse = &Move{"refuse", states{prepared, sending, ambiguous}, refused, jobs{jobSubmitted}, jobPending, true,
		"an answer that says no, or nothing was sent"}
	Doubt = &Move{"doubt", states{sending}, ambiguous, nil, "", false,
		"no answer that says anything; or somebody found it sending: its sender is lost"}
	Hold = &Move{"hold", states{sending, ambiguous}, held, jobs{jobSubmitted}, jobHeld, false,
		"grace over without evidence; or its run ended in doubt"}
	Supersede = &Move{"supersede", states{ambiguous, held}, superseded, jobs{jobSubmitted, jobHeld}, jobPending, true,
		"it is sent once more: by evidence and policy, or by an operator"}
	Settle = &Move{"settle", states{sending, accepted, ambiguous, held, refused, superseded}, settled, nil, "", false,
		"a final result is applied, which says what becomes of jobs and credits"}
	Expire = &Move{"expire", states{accepted}, settled, jobs{jobSubmitted, jobFailed}, jobFailed, true,
		"FullEnrich keeps its result no longer"}
	GiveUp = &Move{"give up", states{ambiguous, held}, settled, jobs{jobSubmitted, jobHeld}, jobFailed, true, "an operator fails it"}
)

// Moves are all of them: no submission changes otherwise.
var Moves = []*Move{Send, Accept, Refuse, Doubt, Hold, Supersede, Settle, Expire, GiveUp}

// May says whether the move may be made from a state.
func (m *Move) May(from liwanag.SubmissionState) bool { return slices.Contains(m.From, from) }

// Change is what a use of a move says beyond it.
type Change struct {
	At           time.Time // when the outcome was known; zero: what there is stays
	Cause        string
	EnrichmentID string             // empty: what there is stays
	Sending      *liwanag.Sending   // of Send
	Failure      liwanag.JobFailure // of jobs that are held or failed
}

// Done is what a move did.
type Done struct {
	Moved   bool
	Jobs    []liwanag.Job // of the submission, as they were; none if the move changes none
	Changed []liwanag.ID  // of the jobs
}

// Apply makes the move.
func (m *Move) Apply(tx *datastore.Tx, sub liwanag.Submission, c Change) (done Done, err error) {
	done.Moved, err = tx.Submissions.Move(liwanag.SubmissionMove{ID: sub.ID, From: m.From, To: m.To,
		EnrichmentID: c.EnrichmentID, Cause: c.Cause, At: c.At, Sending: c.Sending})
	if err != nil || !done.Moved {
		return done, err
	}
	if len(m.Jobs) > 0 {
		if done.Jobs, err = tx.Jobs.OfSubmission(sub.ID); err != nil {
			return done, err
		}
		ids := make([]liwanag.ID, len(done.Jobs))
		for i, j := range done.Jobs {
			ids[i] = j.ID
		}
		done.Changed, err = tx.Jobs.Move(liwanag.JobMove{IDs: ids, From: m.Jobs, To: m.JobsTo, Failure: c.Failure, At: c.At})
		if err != nil {
			return done, err
		}
	}
	if m.Refund {
		err = refund(tx, sub)
	}
	return done, err
}

// refund gives the credits of a submission back, keeping what it cost.
func refund(tx *datastore.Tx, sub liwanag.Submission) error {
	if sub.Reserved == 0 {
		return nil
	}
	if err := tx.Ledger.AddCredits(liwanag.Credits{Day: sub.CreditDay, Reserved: -sub.Reserved, Unconfirmed: -sub.Unconfirmed}); err != nil {
		return err
	}
	return tx.Submissions.Cost(liwanag.SubmissionCost{ID: sub.ID, Credits: sub.Credits, Duplicates: sub.Duplicates, Late: sub.Late})
}

// JobStatus is the state of the jobs of an open submission: they follow it.
func JobStatus(s liwanag.SubmissionState) liwanag.JobStatus {
	switch s {
	case prepared:
		return jobPending
	case held:
		return jobHeld
	}
	return jobSubmitted
}
