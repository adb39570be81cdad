package workflowtest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// maxTurns is how many attempts or looks of one step, wait or handler there may be
// before its run is taken for one that does not end.
const maxTurns = 50_000

// run is one run: what happened, and how people see it.
type run struct {
	runner  *Runner
	plan    *workflow.Plan
	facts   workflow.History
	state   workflow.Run
	signals []workflow.Signal // beside state.Events
	opened  time.Time         // created, or reopened the last time
	decided bool              // a failure, a cancel or the deadline is the run's ending
	woken   bool              // the pause at hand is over before its time
	turns   int               // attempts and looks of the node at hand
	endless string            // why the run was given up
	wake    chan struct{}     // something came: the run looks again
	halt    context.CancelFunc
	setting workflow.Setting // attributes that the attempt at hand sets
	parent  *run             // of a sub-run
	group   *group           // of a run that stands at a step with sub-runs
}

// note is the data of a history item, in the words of the engine.
type note struct {
	Workflow string            `json:"workflow,omitempty"`
	Version  int               `json:"version,omitempty"`
	ID       string            `json:"id,omitempty"`   // of an event
	Type     string            `json:"type,omitempty"` // of an event
	Error    string            `json:"error,omitempty"`
	NextAt   time.Time         `json:"nextAt,omitzero"`
	Because  string            `json:"because,omitempty"` // of a skip
	Reason   string            `json:"reason,omitempty"`  // of a cancel
	Found    bool              `json:"found,omitempty"`   // of a look
	Count    int               `json:"count,omitempty"`   // of snoozes or looks in a row
	Failure  *workflow.Failure `json:"failure,omitempty"`
	Finished string            `json:"finishedBecause,omitempty"`
}

func noteOf(err error) note {
	if err == nil {
		return note{}
	}
	return note{Error: workflow.Clip(err.Error())}
}

func newRun(r *Runner, p *workflow.Plan, q workflow.StartRequest) *run {
	n := &run{runner: r, plan: p, wake: make(chan struct{}, 1), state: workflow.Run{ID: q.RunID, Workflow: p.Name, Version: p.Version,
		Status: workflow.StatusPending, Input: q.Input, CreatedAt: now(), Attributes: maps.Clone(q.Attributes)}}
	n.opened = n.state.CreatedAt
	n.facts = workflow.History{{Kind: workflow.FactStarted, Output: q.Input}}
	for _, node := range p.Nodes {
		if node.Kind != workflow.KindFinish {
			n.state.Steps = append(n.state.Steps, workflow.StepState{Name: node.Name, Kind: node.Kind, Status: workflow.StatusPending})
		}
	}
	return n
}

func (n *run) launch() {
	ctx, halt := context.WithCancel(n.runner.ctx)
	n.halt = halt
	n.runner.going.Go(func() {
		defer halt()
		n.execute(ctx)
	})
}

func (n *run) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *run) record(t workflow.HistoryType, step string, attempt int, what note) {
	raw, _ := json.Marshal(what) // plain data: this cannot fail
	n.state.History = workflow.AppendHistory(n.state.History,
		workflow.HistoryItem{At: now(), Type: t, Step: step, Attempt: attempt, Data: raw})
}

// position is where a step stands, -1 when there is none of that name.
func (n *run) position(step string) int {
	return slices.IndexFunc(n.state.Steps, func(s workflow.StepState) bool { return s.Name == step })
}

// step is a node's state; a handler, which people do not see as a step, has one
// that nobody keeps.
func (n *run) step(name string) *workflow.StepState {
	for i := range n.state.Steps {
		if n.state.Steps[i].Name == name {
			return &n.state.Steps[i]
		}
	}
	return &workflow.StepState{}
}

func (n *run) begin(node *workflow.Node) {
	n.woken, n.turns = false, 0
	s := n.step(node.Name)
	s.Status, s.StartedAt = workflow.StatusRunning, now()
}

func (n *run) started(node *workflow.Node, attempt int) {
	n.state.Status, n.state.WaitingFor, n.woken = workflow.StatusRunning, nil, false
	n.turns++
	s := n.step(node.Name)
	s.Status = workflow.StatusRunning
	if last := len(s.Attempts) - 1; last >= 0 && s.Attempts[last].N == attempt {
		return // it was snoozed
	}
	s.Attempts = append(s.Attempts, workflow.Attempt{N: attempt, StartedAt: now()})
}

func (n *run) ended(node *workflow.Node, attempt int, err error, next time.Time, then string) {
	s := n.step(node.Name)
	for i := range s.Attempts {
		if a := &s.Attempts[i]; a.N == attempt {
			a.EndedAt, a.Error, a.NextAt = now(), workflow.FailureOf(node.Name, attempt, err).Message, next
			switch then {
			case workflow.AfterFail:
				a.NextAt = time.Time{}
			case workflow.AfterSnooze:
				a.EndedAt, a.Error = time.Time{}, ""
			}
		}
	}
}

func (n *run) park(w workflow.WaitingFor) {
	n.state.Status, n.state.WaitingFor = workflow.StatusWaiting, &w
	n.step(w.Step).Status = workflow.StatusWaiting
}

func (n *run) complete(node *workflow.Node, attempt int, output json.RawMessage) {
	n.settle(node, workflow.StatusCompleted)
	s := n.step(node.Name)
	s.Output = output
	if last := len(s.Attempts) - 1; last >= 0 {
		s.Attempts[last].EndedAt, s.Attempts[last].NextAt = now(), time.Time{}
	}
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactCompleted, Step: node.Name, Output: output})
	n.record(workflow.HistoryStepCompleted, node.Name, attempt, note{})
}

func (n *run) fail(node *workflow.Node, attempt int, f workflow.Failure) {
	n.settle(node, workflow.StatusFailed)
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactFailed, Step: node.Name, Failure: &f})
	n.record(workflow.HistoryStepFailed, node.Name, attempt, note{Failure: &f})
}

func (n *run) timeOut(node *workflow.Node) {
	f := node.TimedOut()
	n.settle(node, workflow.StatusTimedOut)
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactFailed, Step: node.Name, Failure: &f})
	n.record(workflow.HistoryWaitTimedOut, node.Name, 0, note{Failure: &f})
}

func (n *run) skip(node *workflow.Node, because string) {
	n.settle(node, workflow.StatusSkipped)
	n.step(node.Name).SkippedBecause = because
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactSkipped, Step: node.Name})
	n.record(workflow.HistoryStepSkipped, node.Name, 0, note{Because: because})
}

func (n *run) settle(node *workflow.Node, s workflow.Status) {
	step := n.step(node.Name)
	step.Status, step.EndedAt = s, now()
}

// end records the ending.
func (n *run) end(s workflow.Status, f *workflow.Failure, because string) {
	types := map[workflow.Status]workflow.HistoryType{workflow.StatusCompleted: workflow.HistoryRunCompleted,
		workflow.StatusFailed: workflow.HistoryRunFailed, workflow.StatusTimedOut: workflow.HistoryRunTimedOut,
		workflow.StatusCanceled: workflow.HistoryRunCanceled}
	n.state.Status, n.state.Failure, n.state.FinishedBecause = s, f, because
	n.state.EndedAt, n.state.WaitingFor = now(), nil
	n.state.Output = n.plan.Output(n.facts)
	for i := range n.state.Steps {
		if step := &n.state.Steps[i]; !step.Status.Ended() && step.Status != workflow.StatusPending {
			step.Status, step.EndedAt = s, now()
		} else if because != "" && step.Status == workflow.StatusPending {
			step.Status, step.SkippedBecause = workflow.StatusSkipped, because
		}
	}
	for i := range n.state.Events {
		n.state.Events[i].Late = n.state.Events[i].ConsumedBy == ""
	}
	n.record(types[s], "", 0, note{Failure: f, Finished: because})
	n.tellParent()
}

func (n *run) receive(s workflow.Signal) (workflow.Receipt, error) {
	for _, old := range n.signals {
		if old.ID == s.ID {
			return workflow.Receipt{Duplicate: true}, nil
		}
	}
	size := 0
	for _, have := range n.signals {
		size += len(have.Payload)
	}
	if !workflow.InboxHolds(len(n.signals), size, s.Payload) {
		return workflow.Receipt{}, workflow.ErrInboxFull
	}
	late, t := n.state.Status.Ended(), workflow.HistoryEventReceived
	if late {
		t = workflow.HistoryEventLate
	}
	n.signals = append(n.signals, s)
	n.state.Events = append(n.state.Events, workflow.EventState{ID: s.ID, Type: s.Event, Data: s.Payload, ReceivedAt: now(), Late: late})
	n.record(t, "", 0, note{Type: s.Event, ID: s.ID})
	n.nudge()
	return workflow.Receipt{Late: late}, nil
}

func (n *run) inbox() (open []workflow.Signal) {
	for i, s := range n.signals {
		if n.state.Events[i].ConsumedBy == "" {
			open = append(open, s)
		}
	}
	return open
}

func (n *run) matches(node *workflow.Node) bool {
	_, _, ok := node.Match(n.inbox())
	return ok
}

// consume ends a wait with what lies in the inbox, if that is enough.
func (n *run) consume(node *workflow.Node) bool {
	taken, output, ok := node.Match(n.inbox())
	if !ok {
		return false
	}
	for _, s := range taken {
		i := slices.IndexFunc(n.signals, func(x workflow.Signal) bool { return x.ID == s.ID })
		n.state.Events[i].ConsumedBy = node.Name
		n.record(workflow.HistoryEventConsumed, node.Name, 0, note{ID: s.ID})
	}
	n.complete(node, 0, output)
	return true
}

// reopen forgets the outcomes of a step and of all later ones; the events that
// they consumed go back to the inbox.
func (n *run) reopen(from string) {
	n.record(workflow.HistoryRunReopened, from, 0, note{})
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactReopened, Step: from})
	first := n.position(from)
	if from == workflow.EndName || from == workflow.UndoName {
		first = len(n.state.Steps)
	}
	for i := first; i < len(n.state.Steps); i++ {
		s := &n.state.Steps[i]
		for j := range n.state.Events {
			if n.state.Events[j].ConsumedBy == s.Name {
				n.state.Events[j].ConsumedBy = ""
			}
		}
		*s = workflow.StepState{Name: s.Name, Kind: s.Kind, Status: workflow.StatusPending}
	}
	for i := range n.state.Events {
		n.state.Events[i].Late = false
	}
	n.state.Status, n.state.Failure, n.state.FinishedBecause, n.state.Output = workflow.StatusRunning, nil, "", n.plan.Output(n.facts)
	n.state.EndedAt, n.state.CancelRequested, n.decided, n.opened = time.Time{}, false, false, now()
}

// copy is the state for others to keep.
func (n *run) copy() workflow.Run {
	c := n.state
	c.Output = n.plan.Output(n.facts)
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].Attempts = slices.Clone(c.Steps[i].Attempts)
	}
	c.Events, c.History = slices.Clone(c.Events), slices.Clone(c.History)
	return c
}
