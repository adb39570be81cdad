package temporalrunner

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// start is what an execution begins with: a new run's input, or a run that an
// earlier execution handed on.
type start struct {
	Input json.RawMessage `json:"input,omitempty"`
	Keys  *keys           `json:"keys,omitempty"` // of a new run
	// Shape is that of the definition that began the run; nil: of a release before.
	Shape *workflow.Shape `json:"shape,omitempty"`
	// Attributes of a new run.
	Attributes workflow.Attributes `json:"attributes,omitempty"`
	Carried    *record             `json:"carried,omitempty"`
	// From reopens a carried run, which has ended, from this step.
	From string `json:"from,omitempty"`
	// Sub is of a sub-run.
	Sub *substart `json:"sub,omitempty"`
}

// interpreter is the loop around Plan.Next inside of a Temporal workflow. All of
// it is deterministic: no clock but the workflow's, no map iteration, no context
// of ours.
type interpreter struct {
	*record
	ctx     sdk.Context // nothing cancels it: a running step is never interrupted
	outside sdk.Context // that Temporal's own cancel request ends
	def     *definition
	plan    *workflow.Plan
	ref     workflow.RunRef
	facts   workflow.History
	news    sdk.ReceiveChannel
	refused string // the token of the latest event that found no room
	stays   bool   // too large to be carried to another execution

	place    *workflow.Place // of a sub-run: where it stands in the run around it
	scope    *workflow.Scope // what the sub-runs of the open group see
	starting int             // sub-runs of which the server has not said that they began
	moved    bool            // something came to the group
	idle     time.Duration   // between two looks after the sub-runs
}

// execute is the Temporal workflow of a definition. Its result, or the details of
// the error it fails with, is the run's record, which outlives the worker.
func (d *definition) execute(outside sdk.Context, s start) (*record, error) {
	d.mustHaveBegun(s)
	ctx, _ := sdk.NewDisconnectedContext(outside)
	x := &interpreter{ctx: ctx, outside: outside, def: d, plan: d.plan, news: sdk.GetSignalChannel(ctx, signalName)}
	if err := x.answer(); err != nil {
		return nil, err
	}
	if err := x.begin(s); err != nil {
		return nil, err
	}
	for {
		x.hear()
		if x.crowded() {
			if next, ok := x.carried(); ok {
				return nil, sdk.NewContinueAsNewError(ctx, typeOfPlan(d.plan), start{Carried: next, Shape: s.Shape})
			}
		}
		if x.Run.Status.Ended() || x.turn() {
			x.tellParent()
			return x.result()
		}
	}
}

// begin takes over what the execution starts with.
func (x *interpreter) begin(s start) error {
	info := sdk.GetInfo(x.ctx)
	if s.Sub != nil && s.Sub.Again != "" {
		x.again(&s)
	}
	if s.Carried != nil {
		full, err := s.Carried.unpacked()
		if err != nil {
			return err
		}
		x.record, x.facts = full, full.history()
	} else {
		created := x.began()
		x.record = &record{Opened: created, Keys: s.Keys,
			Run: workflow.Run{ID: info.WorkflowExecution.ID, Workflow: x.plan.Name, Version: x.plan.Version,
				Input: s.Input, CreatedAt: created, StartedAt: x.now(), Attributes: s.Attributes}}
		if x.facts = x.history(); s.Sub != nil {
			x.Key = s.Sub.Key
			x.Run.Parent, _, _, _, _ = workflow.SplitRunID(x.Run.ID)
		}
		x.note(created, workflow.HistoryRunStarted, "", 0, map[string]any{"workflow": x.plan.Name, "version": x.plan.Version})
		for _, n := range x.plan.Nodes {
			if n.Kind != workflow.KindFinish {
				x.step(n)
			}
		}
	}
	x.Run.Status = workflow.StatusRunning
	x.ref = workflow.RunRef{ID: x.Run.ID, Workflow: x.Run.Workflow, Version: x.Run.Version}
	if err := x.settleIn(); err != nil {
		return err
	}
	if s.Sub != nil && s.Sub.Again != "" {
		if s.From = workflow.UndoName; !s.Sub.Undo {
			s.From = x.plan.ResumeFrom(x.facts)
		}
	}
	if s.From != "" {
		x.reopen(s.From)
	}
	if s.Sub != nil && s.Sub.Fault != nil {
		x.end(x.now(), workflow.StatusFailed, s.Sub.Fault, "")
	}
	return nil
}

// reopen forgets the outcomes of a step and of all later ones, of the handlers,
// and the ending; the events they consumed, and those that came late, go back to
// the inbox.
func (x *interpreter) reopen(from string) {
	now := x.began()
	x.note(now, workflow.HistoryRunReopened, from, 0, nil)
	before, live := x.reopenings(from)
	x.facts = slices.DeleteFunc(live, func(f workflow.Fact) bool {
		if n, ok := x.plan.Node(f.Step); ok && n.Undoes() && f.Kind == workflow.FactCompleted {
			if x.Undone == nil {
				x.Undone = map[string]int{}
			}
			x.Undone[n.Subject().Name]++
		}
		outcome := f.Kind == workflow.FactCompleted || f.Kind == workflow.FactSkipped || f.Kind == workflow.FactFailed
		_, step := stepOf(x.plan, f.Step)
		return f.Kind != workflow.FactStarted && (!outcome || !step || precedes(x.plan, from, f.Step))
	})
	x.facts = slices.Insert(x.facts, 1, before...)
	x.Run.Steps = slices.DeleteFunc(x.Run.Steps, func(s workflow.StepState) bool { _, ok := stepOf(x.plan, s.Name); return !ok })
	for i := range x.Run.Steps {
		if s := &x.Run.Steps[i]; precedes(x.plan, from, s.Name) {
			*s = workflow.StepState{Name: s.Name, Kind: s.Kind, Status: workflow.StatusPending}
		}
	}
	for i := range x.Run.Events {
		e := &x.Run.Events[i]
		e.Late = false
		if precedes(x.plan, from, e.ConsumedBy) {
			e.ConsumedBy = ""
		}
	}
	x.Opened, x.At = now, position{}
	x.Run.Failure, x.Run.FinishedBecause, x.Run.EndedAt, x.Run.CancelRequested = nil, "", time.Time{}, false
}

// stepOf finds a node that is no handler.
func stepOf(p *workflow.Plan, name string) (*workflow.Node, bool) {
	n, ok := p.Node(name)
	return n, ok && n.Kind != workflow.KindHandler
}

// precedes says whether a is a step and stands before b, or is b.
func precedes(p *workflow.Plan, a, b string) bool {
	for _, n := range p.Nodes {
		if n.Name == a {
			return n.Kind != workflow.KindFinish && slices.ContainsFunc(p.Nodes, func(o *workflow.Node) bool { return o.Name == b })
		}
		if n.Name == b {
			return false
		}
	}
	return false
}

// began is when this execution was started.
func (x *interpreter) began() time.Time { return timeOf(sdk.GetInfo(x.ctx).WorkflowStartTime) }

// now is the workflow's clock, in the resolution of every runner.
func (x *interpreter) now() time.Time { return timeOf(sdk.Now(x.ctx)) }

// turn makes one move and says whether the run has ended with it.
func (x *interpreter) turn() (ended bool) {
	now := x.now()
	d := x.decide(now)
	if x.group() != nil {
		x.goOn(d, now)
		return false
	}
	switch d.Move {
	case workflow.MoveSkip:
		x.skip(d.Node, d.Because, now)
		return false
	case workflow.MoveHandle, workflow.MoveEnd:
		switch {
		case x.unrecorded(d, now):
		case d.Move == workflow.MoveEnd:
			x.end(now, d.Status, d.Failure, d.Because)
			x.Run.Output = x.plan.Output(x.facts)
			return true
		default:
			x.act(d, now)
		}
		return false
	}
	if d.Node.Undoes() { // of a step with sub-runs
		if !x.unrecorded(d, now) {
			x.goOn(d, now)
		}
		return false
	}
	if at, ok := x.deadline(); ok && !now.Before(at) {
		x.cutShort(d.Node, workflow.Failure{Step: d.Node.Name, Reason: workflow.ReasonTimeout, Code: workflow.CodeRunTimeout,
			Message: fmt.Sprintf("the run took longer than %s", x.plan.RunTimeout)}, now)
		return false
	}
	if x.full(d.Node) {
		x.cutShort(d.Node, d.Node.HistoryFull(x.At.Attempts), now)
		return false
	}
	switch d.Move {
	case workflow.MoveWait:
		x.wait(d.Node, now)
	case workflow.MoveSleep:
		x.sleep(d.Node, now)
	case workflow.MoveOpen, workflow.MoveSettle:
		x.goOn(d, now)
	default:
		x.act(d, now)
	}
	return false
}

// unrecorded notes what an ending leaves behind and no outcome tells yet: the
// wait or sleep that a cancel cut short, and a failure of the definition itself,
// which must outlive a handler that backs off.
func (x *interpreter) unrecorded(d workflow.Decision, now time.Time) bool {
	if n, ok := x.plan.Node(x.At.Step); ok && x.At.Begun && d.Status != workflow.StatusCompleted {
		f := workflow.Failure{Step: n.Name, Reason: workflow.ReasonCanceled, Message: "cut short"}
		if d.Failure != nil {
			f.Reason, f.Message = d.Failure.Reason, d.Failure.Message
		}
		x.cutShort(n, f, now)
		return true
	}
	if d.Failure == nil || d.Failure.Code != workflow.CodeDefinition || x.settled(d.Failure.Step) {
		return false
	}
	x.fail(d.Failure.Step, 0, *d.Failure, now, now)
	return true
}

func (x *interpreter) settled(step string) bool {
	return slices.ContainsFunc(x.Run.Steps, func(s workflow.StepState) bool { return s.Name == step && s.Status.Ended() })
}

// cutShort notes that a step, wait or sleep ends with its run.
func (x *interpreter) cutShort(n *workflow.Node, f workflow.Failure, now time.Time) {
	since := now
	if n.Kind == workflow.KindWait || n.Kind == workflow.KindSleep || n.Sub != nil {
		if x.At.Step != n.Name || !x.At.Begun {
			x.note(now, workflow.HistoryWaitStarted, n.Name, 0, nil)
		} else {
			since = x.At.Since
		}
	}
	x.fail(n.Name, 0, f, since, now)
}

// deadline is when the run's RunTimeout passes, counted from its creation or its
// latest reopening; false when it has none.
func (x *interpreter) deadline() (time.Time, bool) {
	return x.Opened.Add(x.plan.RunTimeout), x.plan.RunTimeout > 0
}

// settle writes the outcome of a step; the next one begins from nothing.
func (x *interpreter) settle(f workflow.Fact, s workflow.Status, attempt int, since, now time.Time) {
	x.facts = append(x.facts, f)
	x.At = position{}
	kind := workflow.KindStep
	if n, ok := x.plan.Node(f.Step); ok {
		kind = n.Kind
	}
	step := x.stepNamed(f.Step, kind)
	if step.StartedAt.IsZero() {
		step.StartedAt = since
	}
	step.Status, step.EndedAt, step.Output = s, now, f.Output
	if attempt > 0 {
		a := workflow.Attempt{N: attempt, StartedAt: since, EndedAt: now}
		if f.Failure != nil {
			a.Error = f.Failure.Message
		}
		step.Attempts = append(step.Attempts, a)
	}
	x.Run.Output = x.plan.Output(x.facts)
}

func (x *interpreter) skip(n *workflow.Node, because string, now time.Time) {
	x.settle(workflow.Fact{Kind: workflow.FactSkipped, Step: n.Name}, workflow.StatusSkipped, 0, time.Time{}, now)
	x.step(n).SkippedBecause = because
	x.note(now, workflow.HistoryStepSkipped, n.Name, 0, map[string]any{"because": because})
}

func (x *interpreter) complete(n *workflow.Node, attempt int, output json.RawMessage, since, now time.Time) {
	x.settle(workflow.Fact{Kind: workflow.FactCompleted, Step: n.Name, Output: output}, workflow.StatusCompleted, attempt, since, now)
	x.note(now, workflow.HistoryStepCompleted, n.Name, attempt, nil)
}

func (x *interpreter) fail(step string, attempt int, f workflow.Failure, since, now time.Time) {
	n, known := x.plan.Node(step)
	pause := known && (n.Kind == workflow.KindWait || n.Kind == workflow.KindSleep || n.Sub != nil)
	status, item := workflow.StatusFailed, workflow.HistoryStepFailed
	switch {
	case f.Reason == workflow.ReasonCanceled:
		status = workflow.StatusCanceled
	case f.Reason == workflow.ReasonTimeout && pause:
		status, item = workflow.StatusTimedOut, workflow.HistoryWaitTimedOut
	}
	fact := workflow.Fact{Kind: workflow.FactFailed, Step: step, Failure: &f}
	x.settle(fact, status, attempt, since, now)
	past := func(f workflow.Fact) bool { return f.Kind == workflow.FactDeadline }
	if f.Code == workflow.CodeRunTimeout && !slices.ContainsFunc(x.facts, past) {
		x.facts[len(x.facts)-1] = workflow.Fact{Kind: workflow.FactDeadline}
	}
	x.note(now, item, step, attempt, map[string]any{"failure": f})
}

// crowded says that the server wants a shorter history.
func (x *interpreter) crowded() bool {
	return !x.stays && sdk.GetInfo(x.ctx).GetContinueAsNewSuggested()
}

// carried is the run for the next execution; false when it is too large, and stays
// in this one.
func (x *interpreter) carried() (*record, bool) {
	x.Facts = factsOf(x.facts)
	next, err := x.packed()
	x.stays = err != nil || next.tooLarge()
	return next, !x.stays
}

// result ends the execution as its run ended, for those who look at it with
// Temporal's own tools.
func (x *interpreter) result() (*record, error) {
	if !sdk.IsReplaying(x.ctx) {
		x.def.tell.RunEnded(x.ref, x.Run.Status, x.Run.Failure, x.Run.EndedAt.Sub(x.Run.CreatedAt))
	}
	if x.Facts = nil; x.Run.Status != workflow.StatusCompleted || x.place != nil {
		x.Facts = factsOf(x.facts)
	}
	x.plan.Sift(x.Run.Events)
	last, err := x.packed()
	if err == nil && last.tooLarge() {
		for i := range x.Run.Events { // what came in vain goes first
			if e := &x.Run.Events[i]; e.Late {
				e.Data = nil
			}
		}
		last, err = x.packed()
	}
	switch {
	case err != nil:
		return nil, err
	case x.Run.Status == workflow.StatusCompleted:
		return last, nil
	case x.Run.Status == workflow.StatusCanceled:
		return nil, temporal.NewCanceledError(last)
	}
	return nil, temporal.NewApplicationErrorWithOptions(x.Run.Failure.Error(), string(x.Run.Status),
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{last}})
}
