package temporalrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

const (
	// maxTakeovers is how many workers in a row may be lost with a run before the
	// step at which it happens is given up.
	maxTakeovers = 10
	// overdue is how long after its timeout an attempt that ignores its context is
	// reported.
	overdue = 10 * time.Second
	// patience is how long an attempt may last that its worker says is alive. The
	// step's own timeout is kept by Node.Invoke; a lost worker is known by its silence.
	patience = 10 * 365 * 24 * time.Hour
	// alive is what the heartbeats of an attempt say.
	alive = "alive"
)

// call is what an activity is given.
type call struct {
	Input   json.RawMessage            `json:"input,omitempty"`
	Attempt int                        `json:"attempt"`
	Outputs map[string]json.RawMessage `json:"outputs,omitempty"`
	Failure *workflow.Failure          `json:"failure,omitempty"` // what a handler handles
	Elapsed time.Duration              `json:"elapsed,omitempty"` // since the step's first attempt began
	Keys    *keys                      `json:"keys,omitempty"`
	Undone  int                        `json:"undone,omitempty"` // how often its effect was taken back
	// Before are the reopenings of a run that has sub-runs or is one, and RunKey is of a
	// sub-run the part of idempotency keys that is its own.
	Before []fact `json:"before,omitempty"`
	RunKey string `json:"runKey,omitempty"`
}

// outcome is what it answers with: as its result, or, so that Temporal's own views
// show a failed attempt as one, as the details of its error.
type outcome struct {
	Output json.RawMessage `json:"output,omitempty"`
	Found  bool            `json:"found,omitempty"` // of a look
	After  *workflow.After `json:"after,omitempty"` // of an attempt that returned an error
	// Attributes that it has set; Indexed: the server finds runs by them.
	Attributes workflow.Attributes `json:"attributes,omitempty"`
	Indexed    bool                `json:"indexed,omitempty"`
	Begun      bool                `json:"-"` // of a lost attempt: it said that it begins
}

// act runs one attempt of a step or handler and notes what follows.
func (x *interpreter) act(d workflow.Decision, now time.Time) {
	n := d.Node
	if x.At.Step != n.Name {
		x.At = position{Step: n.Name}
	}
	p := &x.At
	if now.Before(p.Next) && !p.Woken {
		x.pause(n, workflow.WaitingFor{Step: n.Name, Kind: p.Pause, Until: p.Next}, p.Next, p.Since)
		return
	}
	if f, ok := x.givenUp(n); ok {
		x.fail(n.Name, p.Attempts, f, now, now)
		return
	}
	if p.Since.IsZero() {
		p.Since = now
	}
	attempt := p.Attempts + 1
	x.step(n).Status = workflow.StatusRunning
	got, lost := x.attempt(n, attempt, d.Failure)
	x.step(n).Status = workflow.StatusPending
	begun, now := now, x.now()
	switch {
	case lost && n.AtMostOnce && !got.Begun: // it never began
		p.Takeovers++
	case lost: // the attempt counts; how it ended nobody knows
		p.Attempts, p.Takeovers, p.Lost = attempt, p.Takeovers+1, true
	case got.After == nil:
		if err := x.set(got); err != nil {
			x.fail(n.Name, attempt, workflow.FailureOf(n.Name, attempt, err), begun, now)
			return
		}
		x.complete(n, attempt, got.Output, begun, now)
	case got.After.Then == workflow.AfterFail:
		x.fail(n.Name, attempt, got.After.Failure, begun, now)
	case x.full(n):
		x.fail(n.Name, attempt, n.HistoryFull(attempt), begun, now)
	case got.After.Then == workflow.AfterSnooze:
		p.Takeovers, p.Pause, p.Next = 0, workflow.WaitSnooze, now.Add(got.After.Delay)
		x.note(now, workflow.HistoryStepSnoozed, n.Name, attempt, map[string]any{"nextAt": p.Next})
		if s := x.step(n); s.StartedAt.IsZero() {
			s.StartedAt = begun
		}
	default:
		p.Takeovers, p.Pause, p.Next, p.Attempts = 0, workflow.WaitRetry, now.Add(got.After.Delay), attempt
		x.retrying(n, attempt, *got.After, begun, now)
	}
}

// full says that a run must come to its end: its history has no room for another
// attempt, or the server's own history of an execution that cannot be handed on.
// Temporal ends one of 51,200 events or 50 MiB without a word to the run. A handler
// has a tenth more than what came before it.
func (x *interpreter) full(n *workflow.Node) bool {
	items, events, bytes := workflow.MaxHistory, 40_000, 40<<20
	if n.Kind == workflow.KindHandler {
		items, events, bytes = items+items/10, events+events/10, bytes+bytes/10
	}
	info := sdk.GetInfo(x.ctx)
	return len(x.History) >= items || x.stays && (info.GetCurrentHistoryLength() >= events || info.GetCurrentHistorySize() >= bytes)
}

// retrying notes an attempt that is tried again.
func (x *interpreter) retrying(n *workflow.Node, attempt int, after workflow.After, begun, now time.Time) {
	next := x.At.Next
	x.note(now, workflow.HistoryStepRetrying, n.Name, attempt, map[string]any{"error": after.Failure.Message, "nextAt": next})
	s := x.step(n)
	if s.StartedAt.IsZero() {
		s.StartedAt = begun
	}
	s.Attempts = append(s.Attempts, workflow.Attempt{N: attempt, StartedAt: begun, EndedAt: now, Error: after.Failure.Message, NextAt: next})
}

// givenUp says whether a step must not be run again after lost workers.
func (x *interpreter) givenUp(n *workflow.Node) (workflow.Failure, bool) {
	f := workflow.Failure{Step: n.Name, Reason: workflow.ReasonUnknown, Attempts: x.At.Attempts}
	switch {
	case x.At.Lost && n.AtMostOnce:
		f.Code, f.Message = workflow.CodeWorkerLost, "the worker was lost inside the step; nobody knows whether its effect happened"
	case x.At.Takeovers >= maxTakeovers:
		f.Code, f.Message = workflow.CodeCrashLoop, fmt.Sprintf("%d workers in a row were lost at this step", x.At.Takeovers)
	default:
		return f, false
	}
	return f, true
}

// attempt has a worker run an attempt of a step, a handler or a look, and hears
// meanwhile what comes. lost says that the worker fell silent.
func (x *interpreter) attempt(n *workflow.Node, attempt int, f *workflow.Failure) (got outcome, lost bool) {
	x.At.Woken = false
	c := call{Input: x.Run.Input, Attempt: attempt, Failure: f, Keys: x.Keys, Undone: x.Undone[n.Subject().Name]}
	for _, fact := range x.facts {
		if fact.Kind == workflow.FactCompleted && fact.Output != nil {
			if c.Outputs == nil {
				c.Outputs = map[string]json.RawMessage{}
			}
			c.Outputs[fact.Step] = fact.Output
		}
	}
	if x.keepsReopenings() {
		c.Before, c.Undone, c.RunKey = factsOf(x.reopened()), 0, x.Key
	}
	options := sdk.ActivityOptions{StartToCloseTimeout: n.Timeout + patience, HeartbeatTimeout: x.def.lease,
		// Retries are the interpreter's: it counts attempts, records each, and ends a
		// back-off for a cancel or the run's deadline.
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}}
	if n.Kind != workflow.KindWait {
		c.Elapsed = x.now().Sub(x.At.Since)
	}
	if attempt > 1 {
		options.Summary = fmt.Sprintf("attempt %d", attempt)
	}
	done := sdk.ExecuteActivity(sdk.WithActivityOptions(x.ctx, options), activityOf(n), c)
	// The context is never canceled, so there is no error to see.
	_ = sdk.Await(x.ctx, func() bool {
		x.hear()
		return done.IsReady()
	})
	err := done.Get(x.ctx, &got)
	var told *temporal.ApplicationError
	var silent *temporal.TimeoutError
	switch {
	case err == nil:
		return got, false
	case errors.As(err, &silent):
		return outcome{Begun: silent.HasLastHeartbeatDetails()}, true
	case errors.As(err, &told) && told.HasDetails() && told.Details(&got) == nil && got.After != nil:
		return got, false
	}
	after := workflow.After{Then: workflow.AfterFail, Failure: workflow.FailureOf(n.Name, attempt, err)}
	if errors.As(err, new(*temporal.PanicError)) {
		after.Failure.Code = workflow.CodePanic
	}
	return outcome{After: &after}, false
}

// activity is the function behind a step's, a handler's or a look's activity.
func (d *definition) activity(n *workflow.Node) func(context.Context, call) (outcome, error) {
	return func(ctx context.Context, c call) (got outcome, err error) {
		info := activity.GetInfo(ctx)
		ref := workflow.RunRef{ID: info.WorkflowExecution.ID, Workflow: d.plan.Name, Version: d.plan.Version}
		defer d.beat(ctx, ref, n, c.Attempt)()
		if n.AtMostOnce {
			// Durable before the step begins, so that a task which was lost on its way
			// is not taken for a step whose effect nobody knows.
			if err := d.mark(ctx, info.TaskToken); err != nil {
				d.tell.RunnerFault("mark", fmt.Errorf("run %s, step %s: %w", ref.ID, n.Name, err))
				return outcome{}, activity.ErrResultPending
			}
		}
		within := d.tell.AttemptStarted(ctx, ref, n.Name, c.Attempt)
		begun := time.Now()
		if err = d.run(within, n, ref.ID, c, &got); got.Attributes != nil {
			got.Indexed = d.index.indexed(ctx)
		}
		took := time.Since(begun)
		if err != nil && ctx.Err() != nil {
			// The worker was told to abandon the attempt: its end is not known.
			return outcome{}, activity.ErrResultPending
		}
		then := "completed"
		if err != nil {
			after := n.After(ref.ID, c.Attempt, c.Elapsed+info.StartedTime.Sub(info.ScheduledTime)+took, err)
			then, got = after.Then, outcome{After: &after}
		}
		d.tell.AttemptEnded(within, ref, n.Name, c.Attempt, then, err, took)
		if then == "completed" || then == workflow.AfterSnooze {
			return got, nil
		}
		return outcome{}, temporal.NewApplicationErrorWithOptions(got.After.Failure.Message, string(got.After.Failure.Reason),
			temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{got}})
	}
}

// run runs the attempt.
func (d *definition) run(ctx context.Context, n *workflow.Node, runID string, c call, got *outcome) (err error) {
	place, err := d.place(ctx, runID, c.RunKey)
	if err != nil {
		return err
	}
	history := append(make(workflow.History, 0, len(c.Outputs)+len(c.Before)+1), workflow.Started(c.Input, place))
	for _, f := range c.Before {
		history = append(history, workflow.Fact{Kind: f.Kind, Step: f.Step})
	}
	for step, output := range c.Outputs {
		history = append(history, workflow.Fact{Kind: workflow.FactCompleted, Step: step, Output: output})
	}
	if undo := n.Subject().Undo(); undo != nil {
		for range c.Undone {
			history = append(history, workflow.Fact{Kind: workflow.FactCompleted, Step: undo.Name})
		}
	}
	setting := &workflow.Setting{}
	full := workflow.Call{RunID: runID, Attempt: c.Attempt, Input: c.Input, History: history, OldKey: c.Keys == nil, Setting: setting,
		Around: d.around, Subs: d.subs}
	if c.Keys != nil {
		full.Namespace = c.Keys.Namespace
	}
	switch n.Kind {
	case workflow.KindHandler:
		var f workflow.Failure
		if c.Failure != nil {
			f = *c.Failure
		}
		err = n.Handle(ctx, full, f)
	case workflow.KindWait:
		got.Output, got.Found, err = n.Check(ctx, full)
	default:
		got.Output, err = n.Invoke(ctx, full)
	}
	if err == nil && (n.Kind != workflow.KindWait || got.Found) {
		got.Attributes = setting.Take()
	}
	return err
}

// beat tells the server that the worker is alive, and the observers once that the
// attempt is overdue. It returns what stops it.
func (d *definition) beat(ctx context.Context, ref workflow.RunRef, n *workflow.Node, attempt int) (stop func()) {
	done := make(chan struct{})
	late := time.AfterFunc(n.Timeout+overdue, func() {
		d.tell.RunnerFault("overdue", fmt.Errorf("run %s, step %s: attempt %d runs longer than its timeout of "+
			"%s and ignores its context", ref.ID, n.Name, attempt, n.Timeout))
	})
	tick := time.NewTicker(d.lease / 3)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx, alive)
			}
		}
	}()
	return func() {
		late.Stop()
		tick.Stop()
		close(done)
	}
}
