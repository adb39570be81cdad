package paid

import (
	"fmt"
	"slices"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var (
	everyState = states{prepared, sending, accepted, refused, ambiguous, held, superseded, settled}
	everyJob   = jobs{jobPending, jobSubmitted, jobHeld, liwanag.JobEnriched, liwanag.JobNotFound, jobFailed, liwanag.JobCanceled}
)

// broken says which promises a table of moves breaks. What each is for stands in
// docs/paid-call.md: G1 no second order beside a first, G2 no job is lost, G4 what
// was paid for is applied whenever it comes.
func broken(moves []*Move) (all []string) {
	ways := map[[2]liwanag.SubmissionState]int{}
	for _, m := range moves {
		breaks := func(yes bool, why string) {
			if yes {
				all = append(all, fmt.Sprintf("%s: %s", m.Name, why))
			}
		}
		released := m.To == refused || m.To == superseded
		breaks(m.To == prepared, "nothing begins again")
		breaks(m.Refund == (m.To.Open() || m.byResult()), "credits go back when nothing more is ordered; a result books its own")
		from, to := m.followers()
		breaks(!slices.Equal(m.Jobs, from) || m.JobsTo != to, "jobs follow their submission")
		for _, from := range m.From {
			breaks(from == m.To || slices.Contains(m.From[slices.Index(m.From, from)+1:], from), "it changes something, from each state once")
			breaks(from == settled, "nothing comes after the end")
			breaks(from == prepared && m.To != sending && m.To != refused, "nobody can know of what was not sent")
			breaks(from != prepared && m.To == sending, "G1: it is posted once")
			breaks(from == sending && m.To == superseded, "G1: no other one is sent while it may be on the wire")
			breaks(from == accepted && m.To != settled, "G1: what was accepted is not ordered again")
			breaks((from == refused || from == superseded) && !m.byResult(), "G1: its jobs may be in another one")
			breaks(from == held && (m.To == refused || m.To == ambiguous), "what an operator decides is not decided by itself")
			breaks(m.To == settled && m.Refund && (from == sending || from == prepared), "G4: nobody gives up what may still be answered")
			if !m.byResult() && !released {
				ways[[2]liwanag.SubmissionState{from, m.To}]++
			}
		}
	}
	for way, n := range ways {
		if n > 1 {
			all = append(all, fmt.Sprintf("%s to %s: %d moves", way[0], way[1], n))
		}
	}
	for _, from := range everyState[:len(everyState)-1] { // G4
		if from != prepared && !slices.ContainsFunc(moves, func(m *Move) bool { return m.byResult() && m.May(from) }) {
			all = append(all, fmt.Sprintf("no result is applied to one that is %s", from))
		}
	}
	return all
}

// byResult says whether a result decides what becomes of jobs and credits.
func (m *Move) byResult() bool { return m.To == settled && m.JobsTo == "" }

// followers are the states of jobs that a move has to change, and to what: jobs go
// with their submission, and after an acceptance also those that failed when its
// run ended before the result.
func (m *Move) followers() (from jobs, to liwanag.JobStatus) {
	switch {
	case m.byResult():
		return nil, ""
	case m.To.Open():
		to = JobStatus(m.To)
	case m.To == settled:
		to = jobFailed
	default:
		to = jobPending
	}
	for _, state := range m.From {
		if s := JobStatus(state); s != to && !slices.Contains(from, s) {
			from = append(from, s)
		}
	}
	if m.To == settled && slices.Contains(m.From, accepted) {
		from = append(from, jobFailed)
	}
	if len(from) == 0 {
		to = ""
	}
	return from, to
}

func TestTheMovesKeepThePromises(t *testing.T) {
	for _, fault := range broken(Moves) {
		t.Error(fault)
	}
}

// Narrower cells are held by the tests of the failure table (TestEveryCellIsHeld in
// internal/enrichment). What a wider one would allow may happen only to another
// caller than there is today: no test of behaviour can find it, a promise must.
func TestNoMoveCanBeWidened(t *testing.T) {
	for i, m := range Moves {
		try := func(what string, wider Move) {
			all := slices.Clone(Moves)
			all[i] = &wider
			if len(broken(all)) == 0 {
				t.Errorf("%s also %s breaks no promise", m.Name, what)
			}
		}
		for _, from := range everyState {
			if !m.May(from) {
				wider := *m
				wider.From = append(slices.Clone(m.From), from)
				try("from "+string(from), wider)
			}
		}
		for _, job := range everyJob {
			if !slices.Contains(m.Jobs, job) {
				wider := *m
				wider.Jobs = append(slices.Clone(m.Jobs), job)
				try("of jobs that are "+string(job), wider)
			}
		}
	}
}
