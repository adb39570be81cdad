package engine

import (
	"errors"
	"slices"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// errUndone ends the transaction of an attempt that has failed.
var errUndone = errors.New("the attempt has failed")

// storeKind is what steps in transactions of the store are for; empty: there are none.
func storeKind(s store.Store) string {
	if t, ok := s.(store.Transactor); ok {
		return t.StepsIn()
	}
	return ""
}

// transact runs an attempt of a step in a transaction of the store, which its outcome is
// committed with. When the store fails, the attempt is undone, and done again: nobody
// else has seen it.
func (x *execution) transact(d workflow.Decision, entry store.Entry, handling bool) bool {
	t := x.e.store.(store.Transactor) // New has checked it
	for failures := 1; ; failures++ {
		one, err, gone := entry, error(nil), false
		news, fault := t.Transact(x.e.working(), x.lease, d.Node.Timeout, func(in store.Inside) (store.Progress, error) {
			one.StartedAt = x.e.now()
			one.Output, err, gone = x.invoke(d, entry.Attempt, in)
			if one.At = x.e.now(); gone || err != nil {
				return store.Progress{}, errUndone
			}
			one.Kind, one.Attributes = store.EntryCompleted, x.kept()
			return store.Progress{Decided: x.inboxSeq, Known: x.known(), Canceled: x.canceled,
				Append: append(slices.Clone(x.pending), one), StartedAt: x.startedAt(nil), Now: one.At}, nil
		})
		var refusal *store.Refusal
		if errors.As(fault, &refusal) {
			err = refusal
		}
		switch {
		case gone:
			return false
		case fault == nil:
			return x.transacted(one, news)
		case err != nil:
			one.Output = nil
			return x.failed(d.Node, one, err, handling)
		}
		x.e.tell.RunnerFault("step in a transaction", fault)
		if errors.Is(fault, store.ErrLeaseLost) || errors.Is(fault, store.ErrClosed) {
			return false
		}
		if pause(x.e.working(), backoff(failures)); x.e.working().Err() != nil {
			return false
		}
		if x.reload() != nil {
			return false
		}
		if x.settled(d.Node.Name) { // it has landed, unheard
			x.lease.Token++
			x.forgetAll()
			return true
		}
		if next := x.next(); next.Node != d.Node { // a cancel came
			x.forget()
			return true
		}
	}
}

// transacted takes over what a step's transaction has written.
func (x *execution) transacted(en store.Entry, news store.News) bool {
	x.settle(en)
	x.lease.Token++
	x.history = append(x.history, x.pending...)
	x.pending, x.dirty = nil, false
	return x.after(x.heard(news, nil, nil))
}

// forgetAll drops the counters of a step that has its outcome.
func (x *execution) forgetAll() {
	x.pending, x.dirty = nil, false
	x.attempt, x.begun, x.takeovers, x.park = 0, false, 0, store.Park{}
	x.forget()
}
