package why

import (
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// waiting tells of a run that waits.
func (r Run) waiting(s *story) {
	w := r.Run.WaitingFor
	if w == nil {
		s.sum(r.Standing.Latest, none, "It waits.")
		return
	}
	since := r.stepSince(w.Step)
	switch w.Kind {
	case workflow.WaitEvent:
		r.waitsForEvent(s, w)
	case workflow.WaitSnooze:
		r.snoozes(s, w)
	case workflow.WaitRetry:
		r.retries(s, w)
	case workflow.WaitRuns:
		r.waitsForRuns(s, w)
	case workflow.WaitSleep:
		s.sum(since, w.Until, "It sleeps at %s until then: nothing else ends that.", w.Step)
	}
}

// stepSince is since when a run stands at a step.
func (r Run) stepSince(name string) (since time.Time) {
	for _, st := range r.Run.Steps {
		if st.Name == name {
			since = st.StartedAt
		}
	}
	if since.IsZero() {
		since = r.Standing.Latest
	}
	return since
}

func (r Run) waitsForEvent(s *story, w *workflow.WaitingFor) {
	since := r.stepSince(w.Step)
	if r.Latest != nil {
		s.include(r.Latest.story())
		s.fact(since, w.Until, "It waits at %s for the event %s. At the latest it gives up then, after one more look.",
			w.Step, strings.Join(w.Events, " or "))
		return
	}
	s.sum(since, w.Until, "It waits at %s for the event %s. At the latest that ends then.", w.Step,
		strings.Join(w.Events, " or "))
	if !w.NextFetchAt.IsZero() {
		s.fact(none, w.NextFetchAt, "It looks for the answer by itself.")
		s.act("Let it look now.", "liwanag runs wake %s", r.Run.ID)
	}
	if len(w.Events) > 0 {
		s.act("Send the event by hand.", "liwanag runs event %s %s", r.Run.ID, w.Events[0]+" '{…}'")
	}
}

// snoozes tells of a step that says it cannot go on yet.
func (r Run) snoozes(s *story, w *workflow.WaitingFor) {
	since := r.stepSince(w.Step)
	if m := r.Message; m != nil {
		s.sum(since, w.Until, "All places for sending webhooks are taken: it is tried again in a moment.")
		return
	}
	b := r.Batch
	if b == nil {
		s.sum(since, w.Until, "The step %s says that it cannot go on yet: it looks again then.", w.Step)
		s.act("Let it look now.", "liwanag runs wake %s", r.Run.ID)
		return
	}
	if b.State == liwanag.BatchOpen && b.Waiting == liwanag.WaitingNothing {
		s.sum(b.CreatedAt, b.ClosesAt, "Its batch still takes people in, %s so far: it closes then, or when it is full.",
			people(b.Size))
		return
	}
	r.unpaid(s)
	tellWaiting(s, r.World, b.Waiting, since, w.Until)
	if r.Latest != nil && r.Latest.Before > 0 {
		s.sum(none, none, "It stands in line behind %s.", count(r.Latest.Before, "paid call", "paid calls"))
	}
	s.sum(since, w.Until, "Nothing is sent yet: the step %s looks again then.", w.Step)
	s.act("Let it look now.", "liwanag runs wake %s", r.Run.ID)
}

// retries tells of a step that failed, and is tried again.
func (r Run) retries(s *story, w *workflow.WaitingFor) {
	since := r.stepSince(w.Step)
	if m := r.Message; m != nil {
		m.tell(s, w.Until)
		return
	}
	tries, fault := 0, ""
	for _, st := range r.Run.Steps {
		if st.Name == w.Step {
			for _, a := range st.Attempts {
				tries, fault = a.N, a.Error
			}
		}
	}
	s.sum(since, w.Until, "The step %s failed (%s so far%s) and is tried again then.", w.Step, count(tries, "attempt",
		"attempts"), because(fault))
	if r.Latest != nil {
		s.include(r.Latest.story())
	}
	s.act("Try it again now.", "liwanag runs wake %s", r.Run.ID)
}

func (r Run) waitsForRuns(s *story, w *workflow.WaitingFor) {
	c := r.Run.Children
	if c == nil {
		s.sum(r.stepSince(w.Step), w.Until, "It waits at %s for its sub-runs.", w.Step)
		return
	}
	begun := c.Open + c.Completed + c.Failed + c.Canceled
	s.sum(r.stepSince(w.Step), w.Until, "It waits at %s for its sub-runs: %d of %d are done, %d open, %d failed%s.",
		w.Step, c.Completed, c.Total,
		c.Open, c.Failed, notBegun(c.Total-begun))
	s.act("See what each of them waits for.", "liwanag runs list --parent %s", r.Run.ID)
	if c.Failed > 0 {
		s.act("See why some failed.", "liwanag runs list --parent %s --status failed", r.Run.ID)
	}
}

func notBegun(n int) string {
	if n <= 0 {
		return ""
	}
	return ", " + count(n, "has", "have") + " not begun"
}
