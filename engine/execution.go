package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// execution is a run while this engine owns it.
type execution struct {
	e     *Engine
	plan  *workflow.Plan
	ref   workflow.RunRef
	lease store.Lease
	run   store.Run // its row as last read; the counters below are newer

	history []store.Entry // as last read; pending follows it
	facts   workflow.History
	signals []store.Signal
	cut     bool // signals lacks some
	took    bool // since they were read some were consumed

	inboxSeq int64 // what has been seen of the inbox
	canceled bool  // what has been seen of cancels

	// pending are entries that are decided and not yet written; dirty says that
	// one of them is the outcome of a step, which must be durable before the next
	// step begins.
	pending []store.Entry
	dirty   bool

	attempt   int       // attempts at the present step that are over
	since     time.Time // when the first of them began; zero: none
	begun     bool
	takeovers int
	park      store.Park        // as claimed; the zero Park once the step it was for is settled
	looked    bool              // the wait has looked for its answer at its deadline
	refused   *workflow.Failure // of a look, after which none can succeed
	woken     bool              // the pause at hand is over before its time
	refusal   bool              // the store has refused a commit for what is in it
	opened    time.Time         // creation or latest reopening

	place   *workflow.Place // of a sub-run
	group   *store.Group    // how far its sub-runs are, as last read
	opening *store.Opening  // of sub-runs, with the next commit
	stops   bool            // no more sub-runs begin, with the next commit
	closing bool            // the sub-runs' step has its outcome, with the next commit
	cancels bool            // the sub-runs that are open were canceled here

	setting    workflow.Setting    // what the attempt at hand sets
	attributes workflow.Attributes // what the latest attempt has set

	traces context.Context     // of the attempts, where somebody traces; nil: nobody does
	carry  workflow.Attributes // where the trace goes on, for the outcomes of this turn
	news   store.News          // of the latest commit
	vacate func()              // of a suspect: its attempt is over, others may begin theirs
}

// errNoDefinition says that a run's definition is not held, which a claim excludes.
var errNoDefinition = errors.New("its definition is not held")

// open reads a claimed run.
func (x *execution) open(c store.Claimed) (err error) {
	x.attempt, x.begun, x.takeovers, x.park = c.Run.Attempt, c.Run.Begun, c.Run.Takeovers, c.Run.Park
	x.inboxSeq, x.canceled = c.Run.InboxSeq, c.Run.Canceled
	if x.plan, x.place, err = x.e.setting(x.e.read, &c.Run); err != nil {
		return err
	}
	if x.plan == nil {
		return errNoDefinition
	}
	x.read(c)
	if err := x.regroup(); err != nil {
		return err
	}
	x.woken = x.park.Kind.Wakes() && x.park.Until.IsZero()
	if x.park.Kind == store.ParkRetry || x.park.Kind == store.ParkSnooze {
		x.since = x.park.Since
	}
	d := x.next()
	if x.park.Step != "" && (d.Node == nil || d.Node.Name != x.park.Step) && !x.settled(x.park.Step) {
		x.forget() // a cancel has turned the run from the step that the counters belong to
	}
	x.lose(c, d)
	return nil
}

// lose counts the attempt that was lost with a worker: one of which is known that it
// had begun, or, of a run that no worker was lost with before, one that may have. Of
// a step that runs at most once it is always known.
func (x *execution) lose(c store.Claimed, d workflow.Decision) {
	known := x.begun
	if d.Node == nil || !d.Node.AtMostOnce || d.Move != workflow.MoveAct {
		x.begun = false // what it counts for is counted; it is written anew
	} else if c.TakenOver && !known {
		x.takeovers = 0
		return
	}
	if (known || c.TakenOver) && (d.Move == workflow.MoveAct || d.Move == workflow.MoveHandle) {
		x.attempt++
	}
}

// mustSay says whether it must be durable that an attempt begins, since a lost worker
// would leave doubt: of a step that runs at most once, and of a run that workers were
// lost with.
func (x *execution) mustSay(n *workflow.Node) bool {
	return !x.begun && (n.AtMostOnce || x.takeovers > 0)
}

// cleared says of a suspect that its attempt came to an end: it goes on as any other
// run does, in a slot.
func (x *execution) cleared() bool { return x.vacate != nil && x.takeovers == 0 }

// forget drops the counters of a step that the run does not go on with. The park
// stays: it tells of a wait that was begun.
func (x *execution) forget() { x.attempt, x.since, x.begun = 0, time.Time{}, false }

// settled says whether a step has an outcome that counts.
func (x *execution) settled(step string) bool {
	for _, en := range effective(x.plan, x.history) {
		switch en.Kind {
		case store.EntryCompleted, store.EntryFailed, store.EntrySkipped, store.EntryResolved:
			if en.Step == step {
				return true
			}
		}
	}
	return false
}

// latest finds the latest entry of one of the kinds about a step.
func (x *execution) latest(step string, kinds ...store.EntryKind) (store.Entry, bool) {
	for _, entries := range [][]store.Entry{x.pending, x.history} {
		for i := len(entries) - 1; i >= 0; i-- {
			if entries[i].Step == step && slices.Contains(kinds, entries[i].Kind) {
				return entries[i], true
			}
		}
	}
	return store.Entry{}, false
}

// read takes over what the store knows of the run; what is pending here comes
// after it.
func (x *execution) read(c store.Claimed) {
	x.run, x.history, x.signals, x.opened = c.Run, c.History, c.Signals, c.Run.CreatedAt
	x.cut, x.took = c.Cut, false
	for _, en := range c.History {
		if en.Kind == store.EntryReopened {
			x.opened = en.At
		}
	}
	x.inboxSeq, x.canceled = c.Run.InboxSeq, c.Run.Canceled
	for _, p := range x.pending {
		x.consume(p)
	}
	x.facts = appendFacts(factsOfRun(x.plan, x.place, c.Run.Input, c.History, x.signals), x.plan, x.pending, x.signals)
}

// consume marks the signals that an entry consumed.
func (x *execution) consume(en store.Entry) {
	x.took = x.took || len(en.Consumed) > 0
	for i := range x.signals {
		for _, id := range en.Consumed {
			if x.signals[i].ID == id {
				x.signals[i].ConsumedBy = en.Step
			}
		}
	}
}

// inbox is what no wait has consumed, oldest first.
func (x *execution) inbox() []workflow.Signal {
	var in []workflow.Signal
	for _, s := range x.signals {
		if s.ConsumedBy == "" && !s.Late {
			in = append(in, s.Signal)
		}
	}
	return in
}

// again notes an entry of a step or wait that goes on; one that snoozes, or looks
// in vain, in a row is folded with the one before it.
func (x *execution) again(en store.Entry) {
	if before, ok := x.foldable(en); ok {
		en = en.After(before)
		en.Folds = before.Seq
	}
	x.pending = append(x.pending, en)
}

// foldable is the entry that another one goes on with, as far as this engine knows.
func (x *execution) foldable(en store.Entry) (before store.Entry, ok bool) {
	if len(x.pending) > 0 || x.known() >= x.run.Seq {
		return before, false
	}
	return store.Foldable(x.history, en, x.run.Seq)
}

// full says that the history has no room for another attempt.
func (x *execution) full(n *workflow.Node, en store.Entry) bool {
	if _, folds := x.foldable(en); folds {
		return false
	}
	most := workflow.MaxHistory
	if n.Kind == workflow.KindHandler {
		most += most / 10
	}
	return len(x.history)+len(x.pending) >= most
}

// settle notes the outcome of a node; it is written with the next commit.
func (x *execution) settle(en store.Entry) {
	x.pending = append(x.pending, en)
	// A time-out or a cut that is not durable before a handler or the next step
	// begins could be overtaken by an event or a cancel, and decided otherwise.
	x.dirty = x.dirty || en.Kind == store.EntryFailed
	x.consume(en)
	x.facts = appendFacts(x.facts, x.plan, []store.Entry{en}, x.signals)
	x.attempt, x.since, x.begun, x.takeovers, x.park, x.looked, x.woken, x.refused = 0, time.Time{}, false, 0, store.Park{}, false, false, nil
}

// commit results.
type committed int

const (
	written  committed = iota // durable, the run goes on here
	changed                   // durable or not, a cancel came: read again, decide anew
	finished                  // durable, this engine is done with the run
	lost                      // not written: another owns the run, or the store is closed
)

// commit writes what is pending, with a park or an ending if there is one. A
// commit that fails is repeated, the same, until it is durable or the lease is
// lost: a step is never run again because its outcome could not be written.
func (x *execution) commit(park *store.Park, end *store.Ending) committed {
	p := store.Progress{Decided: x.inboxSeq, Known: x.known(), Canceled: x.canceled, Append: x.pending, Park: park, End: end,
		Close: x.closing, Open: x.opening, Stop: x.stops,
		Attempt: x.attempt, Begun: x.begun, Takeovers: x.takeovers, StartedAt: x.startedAt(park), Now: x.e.now()}
	for failures := 1; ; failures++ {
		news, err := x.e.store.Commit(x.e.working(), x.lease, p)
		switch {
		case err == nil:
			x.lease.Token++
			x.history = append(x.history, x.pending...)
			x.pending, x.dirty = nil, false
			counted := x.opening != nil || x.group != nil
			x.opening, x.stops, x.closing = nil, false, false
			got := x.heard(news, park, end)
			if got == written && counted && x.regroup() != nil {
				return lost
			}
			return got
		case errors.Is(err, store.ErrCanceled):
			return changed
		case errors.Is(err, store.ErrLeaseLost), errors.Is(err, store.ErrClosed):
			x.e.tell.RunnerFault("commit", err)
			return lost
		}
		x.e.tell.RunnerFault("commit", err)
		if errors.Is(err, store.ErrRefused) && !x.refusal {
			return x.giveUp(err)
		}
		if pause(x.e.working(), backoff(failures)); x.e.working().Err() != nil {
			return lost
		}
	}
}

// giveUp ends a run whose outcome no repetition would write. What was pending is part
// of what is refused, and dropped.
func (x *execution) giveUp(cause error) committed {
	x.refusal = true
	step := x.park.Step
	if x.plan != nil {
		if d := x.next(); d.Node != nil {
			step = d.Node.Name
		}
	}
	if n := len(x.pending); n > 0 {
		step = x.pending[n-1].Step
	}
	x.pending, x.dirty, x.canceled = nil, false, true // whether it was canceled is no matter any more
	x.attempt, x.begun, x.takeovers = 0, false, 0
	f := workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: workflow.CodeStore,
		Message: workflow.Clip("what is to be stored of it is refused: " + cause.Error())}
	if x.abort(f) {
		return changed
	}
	return lost
}

// abort ends a run that cannot go its way. Sub-runs end with it, at once: nobody would
// wait for them.
func (x *execution) abort(f workflow.Failure) bool {
	if x.group == nil {
		return x.end(workflow.Decision{Status: workflow.StatusFailed, Failure: &f})
	}
	if err := x.e.store.Terminate(x.e.working(), x.run.ID, f, x.e.now()); err != nil {
		x.e.tell.RunnerFault("terminate", err)
	}
	x.e.terminated(x.run.ID)
	x.e.announce()
	return false
}

// heard takes over what came from outside. A run that something came to is not
// parked: it goes on here.
func (x *execution) heard(news store.News, park *store.Park, end *store.Ending) committed {
	x.news = news
	if park != nil && (park.Kind == store.ParkRetry || park.Kind == store.ParkSnooze) {
		x.park = *park // what came must not cut the back-off short
	}
	if park != nil && park.Kind.Wakes() && (park.Kind != store.ParkWait || park.Seq != 0) && store.Woken(x.inboxSeq, news.InboxSeq) {
		x.woken = true // unless it was meant for the step before the wait
	}
	switch {
	case end != nil:
		return finished
	case news.Canceled != x.canceled:
		return changed
	case news.InboxSeq != x.inboxSeq:
		x.inboxSeq, x.signals = news.InboxSeq, append(x.signals, news.Signals...)
		return written
	case park != nil:
		x.e.parked(*park)
		return finished
	}
	return written
}

// known is the number of the latest signal that was seen.
func (x *execution) known() int64 {
	if n := len(x.signals); n > 0 {
		return x.signals[n-1].Seq
	}
	return 0
}

// startedAt is when the run began: at its first move, which a release is not.
func (x *execution) startedAt(park *store.Park) time.Time {
	if !x.run.StartedAt.IsZero() {
		return x.run.StartedAt
	}
	if park != nil && park.Kind == store.ParkNone && len(x.pending) == 0 {
		return time.Time{}
	}
	x.run.StartedAt = x.e.now()
	return x.run.StartedAt
}

// parked tells the claim loop when to look again.
func (e *Engine) parked(p store.Park) {
	if p.Until.IsZero() {
		e.announce()
		return
	}
	e.note(p.Until)
}

// reload reads the run again after something came from outside.
func (x *execution) reload() error {
	c, err := x.e.read(x.run.ID)
	switch {
	case err != nil:
		return err
	case c.Run.Status != store.Open || c.Run.Owner != x.lease.Epoch:
		return store.ErrLeaseLost
	}
	if c.Run.Sub {
		c.Run.Input = x.run.Input
	}
	x.read(c)
	return x.regroup()
}

// read reads a run, as often as it takes.
func (e *Engine) read(runID string) (store.Claimed, error) {
	for failures := 1; ; failures++ {
		c, err := e.store.Get(e.working(), runID)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			return c, err
		}
		e.tell.RunnerFault("read", err)
		if pause(e.working(), backoff(failures)); errors.Is(err, store.ErrClosed) || e.working().Err() != nil {
			return c, err
		}
	}
}

// factsOfRun are the facts of a whole run, which begin with its input.
func factsOfRun(plan *workflow.Plan, place *workflow.Place, input json.RawMessage, history []store.Entry,
	signals []store.Signal) workflow.History {
	facts := append(make(workflow.History, 0, len(history)+4), workflow.Started(input, place))
	return appendFacts(facts, plan, history, signals)
}

// appendFacts turns stored entries into the facts that are decided upon. The output
// of a wait that consumed signals is theirs.
func appendFacts(facts workflow.History, plan *workflow.Plan, history []store.Entry, signals []store.Signal) workflow.History {
	for _, en := range history {
		switch en.Kind {
		case store.EntryResolved:
			if en.Failure != nil {
				facts = append(facts, workflow.Fact{Kind: workflow.FactFailed, Step: en.Step, Failure: en.Failure})
				continue
			}
			facts = append(facts, workflow.Fact{Kind: workflow.FactCompleted, Step: en.Step, Output: en.Output})
		case store.EntryCompleted:
			facts = append(facts, workflow.Fact{Kind: workflow.FactCompleted, Step: en.Step, Output: outputOf(plan, en, signals)})
		case store.EntrySkipped:
			facts = append(facts, workflow.Fact{Kind: workflow.FactSkipped, Step: en.Step, Reason: en.Label})
		case store.EntryFailed:
			if failureOf(en).Code == workflow.CodeRunTimeout {
				facts = append(facts, workflow.Fact{Kind: workflow.FactDeadline})
				if n, ok := plan.Node(en.Step); !ok || n.Sub == nil {
					continue
				}
			}
			facts = append(facts, workflow.Fact{Kind: workflow.FactFailed, Step: en.Step, Failure: en.Failure, Output: en.Output})
		case store.EntryCancel:
			facts = append(facts, workflow.Fact{Kind: workflow.FactCanceled, Reason: en.Label})
		case store.EntryReopened:
			facts = append(facts, workflow.Fact{Kind: workflow.FactReopened, Step: en.Step})
		}
	}
	return facts
}

// failureOf is what an entry says of a failure, also when it says nothing.
func failureOf(en store.Entry) workflow.Failure {
	if en.Failure == nil {
		return workflow.Failure{Step: en.Step, Reason: workflow.ReasonError, Code: workflow.CodeDefinition, Message: "nothing says why"}
	}
	return *en.Failure
}

func outputOf(plan *workflow.Plan, en store.Entry, signals []store.Signal) []byte {
	if len(en.Consumed) == 0 {
		return en.Output
	}
	n, ok := plan.Node(en.Step)
	if !ok {
		return nil
	}
	var consumed []workflow.Signal
	for _, id := range en.Consumed {
		for _, s := range signals {
			if s.ID == id {
				consumed = append(consumed, s.Signal)
			}
		}
	}
	if len(consumed) == 0 {
		return nil
	}
	return n.OutputOf(consumed)
}
