package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Start starts a run; see [workflow.Runner]. A run that is started while this
// engine has room belongs to it from the first write on.
func (e *Engine) Start(ctx context.Context, r workflow.StartRequest) error {
	err := e.start(ctx, r, nil)
	if errors.Is(err, store.ErrExists) {
		return e.sameRun(ctx, r)
	}
	return err
}

// StartWith starts a run with its first event, or sends it the event; see
// [workflow.StartSender].
func (e *Engine) StartWith(ctx context.Context, r workflow.StartRequest, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	if err := e.start(ctx, r, &s); !errors.Is(err, store.ErrExists) {
		return workflow.Receipt{}, err
	}
	return e.Signal(ctx, r.RunID, s)
}

// start starts a run, with a first event if there is one. store.ErrExists: there is a run
// of this ID.
func (e *Engine) start(ctx context.Context, r workflow.StartRequest, first *workflow.Signal) error {
	plan := e.latest[r.Workflow]
	if r.Version != 0 {
		plan = e.plans[store.Definition{Workflow: r.Workflow, Version: r.Version}]
	}
	if plan == nil {
		return fmt.Errorf("%w: %q version %d", workflow.ErrUnknownWorkflow, r.Workflow, r.Version)
	}
	if err := r.Validate(); err != nil {
		return err
	}
	if err := plan.CheckInput(r.Input); err != nil {
		return fmt.Errorf("run %s: %w", r.RunID, err)
	}
	now := e.now()
	run := store.Run{ID: r.RunID, Workflow: plan.Name, Version: plan.Version, Input: r.Input, CreatedAt: now, Status: store.Open, Seq: 1,
		Attributes: r.Attributes, First: first}
	held := store.Claimed{Lease: store.Lease{RunID: r.RunID, Token: 1}}
	if first != nil {
		if err := plan.CheckEvent(*first); err != nil {
			return fmt.Errorf("run %s: %w", r.RunID, err)
		}
		run.Seq, held.Signals, held.Whole = 2, []store.Signal{{Signal: *first, Seq: 2, At: now}}, true
	}
	run.Attributes, run.Park.Until = e.startTrace(ctx, run), now // due since then, whoever takes it
	epoch, p := e.reserve()
	if p != noPlace {
		run.Owner = epoch
	}
	if p == inSlot { // it is never due: in the index of what is, runs of one owner take less room so
		run.StartedAt, run.Park.Until = now, time.Time{}
	}
	err := e.store.Create(ctx, run)
	if p != noPlace && errors.Is(err, store.ErrLeaseLost) { // the run is for a node that lives
		e.unreserve(p)
		p, run.Owner, run.StartedAt, run.Park.Until = noPlace, 0, time.Time{}, now
		err = e.store.Create(ctx, run)
	}
	if err != nil {
		exists := errors.Is(err, store.ErrExists)
		switch {
		case p != noPlace && exists:
			e.unreserve(p)
		case p != noPlace && e.createdAfterAll(run, p):
			return nil
		}
		if exists {
			return err
		}
		return e.fromStore(r.RunID, err)
	}
	if p != noPlace {
		held.Lease.Epoch, held.Run = epoch, run
		e.launchHeld(held, p)
	} else {
		e.slots.left()
		e.announce()
	}
	return nil
}

// createdAfterAll reads a run back whose creation failed, since the answer alone
// may have been lost: then it is there, owned by this node, and nobody else would
// ever execute it. While the store does not answer it goes on in the background.
func (e *Engine) createdAfterAll(run store.Run, p place) bool {
	c, err := e.store.Get(e.working(), run.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		go func() {
			c, err := e.read(run.ID)
			e.adopt(run, c, err, p)
		}()
		return false
	}
	return e.adopt(run, c, err, p)
}

// adopt launches the run if it is the one that was to be created.
func (e *Engine) adopt(run store.Run, c store.Claimed, err error, p place) bool {
	if err != nil || c.Run.Owner != run.Owner || !c.Run.CreatedAt.Equal(run.CreatedAt) {
		e.unreserve(p)
		return false
	}
	c.Lease = store.Lease{RunID: run.ID, Epoch: run.Owner, Token: 1}
	e.launchHeld(c, p)
	return true
}

// sameRun says whether the run that exists is the one that was to be started.
func (e *Engine) sameRun(ctx context.Context, wanted workflow.StartRequest) error {
	c, err := e.store.Get(ctx, wanted.RunID)
	if err != nil {
		return e.fromStore(wanted.RunID, err)
	}
	if c.Run.Workflow != wanted.Workflow || !workflow.SameJSON(c.Run.Input, wanted.Input) {
		return fmt.Errorf("%w: %s", workflow.ErrInputDiffers, wanted.RunID)
	}
	return nil
}

// Signal delivers an event; see [workflow.Runner].
func (e *Engine) Signal(ctx context.Context, runID string, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	if err := e.takes(ctx, runID, s); err != nil {
		return workflow.Receipt{}, err
	}
	receipt, err := e.store.Deliver(ctx, runID, s, e.now())
	if err != nil {
		return workflow.Receipt{}, e.fromStore(runID, err)
	}
	if !receipt.Duplicate && !receipt.Late {
		e.announce()
	}
	return receipt, nil
}

// takes says whether a run's definition, if it is held here, takes an event. The run is
// read only when it matters: when not all that is held here takes the event.
func (e *Engine) takes(ctx context.Context, runID string, s workflow.Signal) error {
	if !slices.ContainsFunc(e.defs, func(d store.Definition) bool { return e.plans[d].CheckEvent(s) != nil }) {
		return nil
	}
	runs, _, err := e.store.List(ctx, store.Query{IDs: []string{runID}, Limit: 1, Now: e.now()})
	switch {
	case err != nil:
		return fmt.Errorf("run %s: %w", runID, err)
	case len(runs) == 0:
		return fmt.Errorf("%w: %s", workflow.ErrNotFound, runID)
	}
	plan, _, err := e.setting(e.once(ctx), &runs[0])
	if err != nil || plan == nil || e.isMisfit(runID) {
		return nil
	}
	if err := plan.CheckEvent(s); err != nil {
		return fmt.Errorf("run %s: %w", runID, err)
	}
	return nil
}

// Cancel asks a run to end; see [workflow.Runner].
func (e *Engine) Cancel(ctx context.Context, runID, reason string) error {
	if err := e.store.Cancel(ctx, runID, workflow.Clip(reason), e.now()); err != nil {
		return e.fromStore(runID, err)
	}
	e.announce()
	return nil
}

// Wake ends a snooze or back-off now; see [workflow.Runner].
func (e *Engine) Wake(ctx context.Context, runID string) error {
	if err := e.store.Hurry(ctx, runID); err != nil {
		return e.fromStore(runID, err)
	}
	e.announce()
	return nil
}

// Terminate ends a run at once, without handlers; see [workflow.Runner].
func (e *Engine) Terminate(ctx context.Context, runID, reason string) error {
	f := workflow.Failure{Reason: workflow.ReasonCanceled, Message: workflow.Clip(reason)}
	err := e.store.Terminate(ctx, runID, f, e.now())
	if err == nil {
		e.adopted(runID)
		e.terminated(runID)
		e.announce() // the run around it may have something to decide
	}
	return e.fromStore(runID, err)
}

// Retry reopens a run from a step; see [workflow.Runner].
func (e *Engine) Retry(ctx context.Context, runID, from string) error {
	return e.reopen(ctx, runID, func(c store.Claimed) (store.Reopening, error) { return e.reopening(c, from, false) })
}

// planOfEnded is the plan of a run that has ended badly.
func (e *Engine) planOfEnded(c store.Claimed) (*workflow.Plan, error) {
	runID := c.Run.ID
	if parent, _, _, _, ok := workflow.SplitRunID(runID); ok && c.Run.Sub {
		return nil, fmt.Errorf("%w: %s is run again with the run that it belongs to: retry %s", workflow.ErrSubRun, runID, parent)
	}
	if c.Run.Status == store.Open || c.Run.Status == store.Completed {
		return nil, fmt.Errorf("%w: %s is %s", workflow.ErrNotEnded, runID, c.Run.Derived(e.now()))
	}
	if len(c.History) >= 2*workflow.MaxHistory {
		return nil, fmt.Errorf("%w: the history of run %s has %d entries: start another run", workflow.ErrTooLarge, runID, len(c.History))
	}
	plan := e.plans[store.Definition{Workflow: c.Run.Workflow, Version: c.Run.Version}]
	if plan == nil {
		return nil, fmt.Errorf("%w: %q version %d, which run %s was started with", workflow.ErrUnknownWorkflow,
			c.Run.Workflow, c.Run.Version, runID)
	}
	return plan, nil
}

// reopening is how an ended run goes on from a step; an empty name is the step
// that failed. again: steps are repeated of which nobody knows what they did.
func (e *Engine) reopening(c store.Claimed, from string, again bool) (r store.Reopening, err error) {
	plan, err := e.planOfEnded(c)
	if err != nil {
		return r, err
	}
	failed := plan.ReopenFrom(factsOfRun(plan, nil, c.Run.Input, c.History, c.Signals))
	if from == "" {
		from = failed
	}
	if !precedes(plan, from, failed) {
		return r, fmt.Errorf("%w: run %s can go on from %s or a step before it, not from %q", workflow.ErrUnknownStep, c.Run.ID, failed, from)
	}
	for _, n := range plan.Nodes {
		if !again && precedes(plan, from, n.Name) && isUnknown(plan, c, n.Name) {
			return r, fmt.Errorf("%w: %s of run %s", workflow.ErrUnknown, n.Name, c.Run.ID)
		}
	}
	return returning(plan, c, from), nil
}

// returning is how an ended run goes on from a step, with the signals that are consumed
// anew.
func returning(plan *workflow.Plan, c store.Claimed, from string) store.Reopening {
	r := store.Reopening{From: from, Seq: c.Run.Seq}
	for _, s := range c.Signals {
		if s.ConsumedBy != "" && precedes(plan, from, s.ConsumedBy) {
			r.Return = append(r.Return, s.ID)
		}
	}
	return r
}

// precedes says whether a is a step and stands before b, or is b.
func precedes(p *workflow.Plan, a, b string) bool {
	for _, n := range p.Nodes {
		if n.Name == a {
			return n.Kind != workflow.KindFinish
		}
		if n.Name == b {
			return false
		}
	}
	return false
}

// Describe tells everything about a run; see [workflow.Runner].
func (e *Engine) Describe(ctx context.Context, runID string) (workflow.Run, error) {
	c, err := e.store.Get(ctx, runID)
	if err != nil {
		return workflow.Run{}, e.fromStore(runID, err)
	}
	run := e.describe(ctx, c)
	attributes, err := e.store.Attributes(ctx, runID)
	run.Attributes = attributes[runID]
	return run, e.fromStore(runID, err)
}

// List lists runs, newest first; see [workflow.Runner].
func (e *Engine) List(ctx context.Context, q workflow.Query) (workflow.Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	if err := q.ValidateFilters(); err != nil {
		return workflow.Page{}, err
	}
	runs, next, err := e.store.List(ctx, store.Query{Workflow: q.Workflow, Status: store.Status(q.Status), Since: q.Since, Until: q.Until,
		IDs: q.IDs, Parent: q.Parent, Attributes: q.Attributes, Cursor: q.Cursor, Limit: min(limit, 500), Now: e.now()})
	if errors.Is(err, store.ErrCursor) {
		return workflow.Page{}, workflow.ErrInvalidCursor
	}
	if err != nil {
		return workflow.Page{}, fmt.Errorf("runs cannot be listed: %w", err)
	}
	page, owners := workflow.Page{Next: next}, e.owners(ctx, runs...)
	ids := make([]string, len(runs))
	for i, r := range runs {
		page.Runs = append(page.Runs, e.summary(r, owners))
		ids[i] = r.ID
	}
	attributes, err := e.store.Attributes(ctx, ids...)
	if err != nil {
		return workflow.Page{}, fmt.Errorf("runs cannot be listed: %w", err)
	}
	for i := range page.Runs {
		page.Runs[i].Attributes = attributes[ids[i]]
	}
	return page, nil
}

// fromStore names the run and turns the store's sentinels into the library's.
// After any other error the change may have landed: the claim loop looks.
func (e *Engine) fromStore(runID string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %s", workflow.ErrNotFound, runID)
	case errors.Is(err, store.ErrEnded):
		return fmt.Errorf("%w: %s", workflow.ErrEnded, runID)
	case errors.Is(err, store.ErrInboxFull):
		return fmt.Errorf("%w: %s", workflow.ErrInboxFull, runID)
	case errors.Is(err, store.ErrNotEnded):
		return fmt.Errorf("%w: %s", workflow.ErrNotEnded, runID)
	}
	e.announce()
	return fmt.Errorf("run %s: %w", runID, err)
}
