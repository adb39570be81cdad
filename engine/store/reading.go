package store

import "github.com/liwanag/liwanag/workflow"

// Reading puts together what is read of a run, row by row in order of Seq, the history
// first. It folds and bounds what an earlier release has written, which did neither, so
// that whoever reads a run needs memory for what its limits allow.
type Reading struct {
	c             *Claimed
	consumedBy    map[string]string
	events, bytes int // that no wait has consumed
}

// Into reads a run into c.
func Into(c *Claimed) *Reading { return &Reading{c: c, consumedBy: map[string]string{}} }

// Entry takes an entry. Its signals are those that it consumed, or, of a reopening, those
// that it returned: which wait consumed a signal stands there alone.
func (r *Reading) Entry(e Entry, signals []string) {
	for _, id := range signals {
		r.consumedBy[id] = e.Step
		if e.Kind == EntryReopened {
			delete(r.consumedBy, id)
		}
	}
	if e.Consumed = signals; e.Kind == EntryReopened {
		e.Consumed = nil
	}
	h := r.c.History
	if before, ok := Foldable(h, e, e.Seq-int64(max(e.Count, 1))); ok {
		h[len(h)-1] = e.After(before)
		return
	}
	r.c.History = append(h, e)
}

// Signal takes a signal. Of those that no wait has consumed it keeps the earliest, as many
// as an inbox may hold.
func (r *Reading) Signal(s Signal) {
	if s.ConsumedBy = r.consumedBy[s.ID]; s.ConsumedBy == "" {
		if r.c.Cut = r.c.Cut || !workflow.InboxHolds(r.events, r.bytes, s.Payload); r.c.Cut {
			return
		}
		r.events++
		r.bytes += len(s.Payload)
	}
	r.c.Signals = append(r.c.Signals, s)
}

// Bounded are of signals that came as many as an inbox may hold.
func Bounded(signals []Signal) []Signal {
	bytes := 0
	for i, s := range signals {
		if !workflow.InboxHolds(i, bytes, s.Payload) {
			return signals[:i]
		}
		bytes += len(s.Payload)
	}
	return signals
}

// Foldable is the last entry of a history when another one goes on with it: a snooze of
// the same attempt, or a look of the same wait, directly behind it, where seq is the
// latest number before the other one, and behind so many of the kind that it needs no
// place of its own.
func Foldable(history []Entry, e Entry, seq int64) (before Entry, ok bool) {
	n := len(history)
	if n < workflow.KeptApart || e.Kind != EntrySnoozed && e.Kind != EntryChecked {
		return before, false
	}
	for i := 1; i <= workflow.KeptApart; i++ {
		before = history[n-i]
		if before.Kind != e.Kind || before.Step != e.Step || before.Attempt != e.Attempt || before.Seq != seq {
			return before, false
		}
		seq -= int64(max(before.Count, 1))
	}
	return history[n-1], true
}

// After is the entry when it stands for the one before it, too.
func (e Entry) After(before Entry) Entry {
	e.Count, e.First, e.StartedAt = max(before.Count, 1)+max(e.Count, 1), before.First, before.StartedAt
	if e.First.IsZero() {
		e.First = before.At
	}
	return e
}
