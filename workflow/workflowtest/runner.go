package workflowtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Runner is a [workflow.Runner] that remembers runs in memory only: a goroutine
// a run, and the clock of the process, which is virtual inside of a
// testing/synctest bubble. It is the rules of running in their shortest form.
type Runner struct {
	// Namespace begins the idempotency keys of steps; set it before the first Start.
	// Default: none.
	Namespace string
	// Around is called around each attempt; set it before the first Start.
	Around []workflow.Around

	mu    sync.Mutex
	plans []*workflow.Plan
	runs  map[string]*run
	stop  context.CancelFunc
	ctx   context.Context // of every run: ends with Close
	going sync.WaitGroup
	// punctual are the times at which something comes from outside; each channel is
	// closed when it has come.
	punctual map[time.Time]chan struct{}
}

var (
	_ workflow.Runner  = (*Runner)(nil)
	_ workflow.Counter = (*Runner)(nil)

	_ workflow.StartSender = (*Runner)(nil)
)

// NewRunner makes a runner of these definitions; an error names the faults of
// those that are wrong. Close it.
func NewRunner(defs ...workflow.Definition) (*Runner, error) {
	r := &Runner{runs: map[string]*run{}, punctual: map[time.Time]chan struct{}{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	plans, err := workflow.PlansOf(defs)
	if err != nil {
		return r, err
	}
	for _, p := range plans {
		if err := p.CheckStores(""); err != nil {
			return r, fmt.Errorf("workflowtest: %w", err)
		}
		p.Seal()
		for _, child := range p.Children() {
			if !slices.Contains(plans, child) && !slices.Contains(r.plans, child) {
				r.plans = append(r.plans, child)
			}
		}
	}
	r.plans = append(plans, r.plans...)
	return r, nil
}

// Close stops the runner where it stands and waits for steps that run.
func (r *Runner) Close() {
	r.stop()
	r.going.Wait()
}

func (r *Runner) plan(name string, version int) (found *workflow.Plan) {
	for _, p := range r.plans {
		if p.Name == name && (p.Version == version || version == 0 && (found == nil || p.Version > found.Version)) {
			found = p
		}
	}
	return found
}

// Start starts a run.
func (r *Runner) Start(_ context.Context, q workflow.StartRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.start(q)
	if n != nil {
		n.launch()
	}
	return err
}

// StartWith starts a run with its first event, or sends it the event.
func (r *Runner) StartWith(ctx context.Context, q workflow.StartRequest, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	r.mu.Lock()
	if r.runs[q.RunID] != nil {
		r.mu.Unlock()
		return r.Signal(ctx, q.RunID, s)
	}
	defer r.mu.Unlock()
	if p := r.plan(q.Workflow, q.Version); p != nil {
		if err := p.CheckEvent(s); err != nil {
			return workflow.Receipt{}, fmt.Errorf("run %s: %w", q.RunID, err)
		}
	}
	n, err := r.start(q)
	if err != nil {
		return workflow.Receipt{}, err
	}
	defer n.launch()
	return n.receive(s)
}

// start makes a run; nil: it is there.
func (r *Runner) start(q workflow.StartRequest) (*run, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if old, taken := r.runs[q.RunID]; taken {
		if old.state.Workflow != q.Workflow || !bytes.Equal(compact(old.state.Input), compact(q.Input)) {
			return nil, fmt.Errorf("run %s of %s: %w", q.RunID, q.Workflow, workflow.ErrInputDiffers)
		}
		return nil, nil
	}
	p := r.plan(q.Workflow, q.Version)
	if p == nil {
		return nil, fmt.Errorf("workflow %s, version %d: %w", q.Workflow, q.Version, workflow.ErrUnknownWorkflow)
	}
	if err := p.CheckInput(q.Input); err != nil {
		return nil, fmt.Errorf("run %s: %w", q.RunID, err)
	}
	n := newRun(r, p, q)
	r.runs[q.RunID] = n
	n.record(workflow.HistoryRunStarted, "", 0, note{Workflow: p.Name, Version: p.Version})
	return n, nil
}

// Signal delivers an event.
func (r *Runner) Signal(_ context.Context, runID string, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	return locked(r, runID, func(n *run) (workflow.Receipt, error) {
		if err := n.plan.CheckEvent(s); err != nil {
			return workflow.Receipt{}, err
		}
		return n.receive(s)
	})
}

// Cancel asks a run to end.
func (r *Runner) Cancel(_ context.Context, runID, reason string) error {
	return r.change(runID, func(n *run) error {
		if n.state.Status.Ended() {
			return workflow.ErrEnded
		}
		n.cancel(reason)
		return nil
	})
}

// cancel asks a run to end, once.
func (n *run) cancel(reason string) {
	if n.state.CancelRequested {
		return
	}
	n.state.CancelRequested = true
	if !n.decided {
		n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactCanceled, Reason: workflow.Clip(reason)})
	}
	n.record(workflow.HistoryCancelRequested, "", 0, note{Reason: workflow.Clip(reason)})
	n.nudge()
}

// Wake ends a snooze or back-off now.
func (r *Runner) Wake(_ context.Context, runID string) error {
	return r.change(runID, func(n *run) error {
		if n.state.Status.Ended() {
			return workflow.ErrEnded
		}
		n.woken = true
		n.nudge()
		return nil
	})
}

// Terminate ends a run at once.
func (r *Runner) Terminate(_ context.Context, runID, reason string) error {
	return r.change(runID, func(n *run) error {
		if n.state.Status.Ended() {
			return workflow.ErrEnded
		}
		n.terminate(workflow.Failure{Reason: workflow.ReasonCanceled, Message: workflow.Clip(reason)})
		return nil
	})
}

// Retry reopens a run from a step.
func (r *Runner) Retry(_ context.Context, runID, from string) error {
	return r.change(runID, func(n *run) error {
		if n.parent != nil {
			return fmt.Errorf("it is run again with the run that it belongs to: retry %s: %w", n.state.Parent, workflow.ErrSubRun)
		}
		if !n.state.Status.Ended() || n.state.Status == workflow.StatusCompleted {
			return workflow.ErrNotEnded
		}
		stands := n.plan.ReopenFrom(n.facts)
		if from == "" {
			from = stands
		}
		if at := n.position(from); at < 0 || at > n.position(stands) {
			return fmt.Errorf("it can go on from step %s or one before it, not from %q: %w", stands, from, workflow.ErrUnknownStep)
		}
		n.reopen(from)
		n.launch()
		return nil
	})
}

// Describe tells everything about a run.
func (r *Runner) Describe(_ context.Context, runID string) (workflow.Run, error) {
	return locked(r, runID, func(n *run) (workflow.Run, error) { return n.copy(), nil })
}

// List lists runs, newest first.
func (r *Runner) List(_ context.Context, q workflow.Query) (workflow.Page, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := q.ValidateFilters(); err != nil {
		return workflow.Page{}, err
	}
	var all []workflow.Run
	for _, n := range r.runs {
		if n.selected(q) {
			row := n.copy()
			row.Steps, row.Events, row.History = nil, nil, nil
			all = append(all, row)
		}
	}
	slices.SortFunc(all, func(a, b workflow.Run) int {
		if q.Parent != "" {
			_, step, again, index, _ := workflow.SplitRunID(a.ID)
			_, other, before, at, _ := workflow.SplitRunID(b.ID)
			return cmp.Or(strings.Compare(step, other), again-before, index-at)
		}
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	if q.Cursor != "" {
		i := slices.IndexFunc(all, func(x workflow.Run) bool { return x.ID == q.Cursor })
		if i < 0 {
			return workflow.Page{}, fmt.Errorf("workflowtest: no page has the cursor %q", q.Cursor)
		}
		all = all[i+1:]
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 500)
	if len(all) <= limit {
		return workflow.Page{Runs: all}, nil
	}
	return workflow.Page{Runs: all[:limit], Next: all[limit-1].ID}, nil
}

// Counts counts all runs.
func (r *Runner) Counts(context.Context) ([]workflow.Count, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	runs := map[workflow.Count]int64{}
	for _, n := range r.runs {
		if n.parent != nil {
			continue
		}
		c := workflow.Count{Workflow: n.state.Workflow, Version: n.state.Version, Status: n.state.Status}
		switch {
		case n.state.Status == workflow.StatusPending:
			c.Status = workflow.StatusRunning
		case n.state.WaitingFor != nil:
			c.Step = n.state.WaitingFor.Step
		}
		runs[c]++
	}
	var counts []workflow.Count
	for c, n := range runs {
		c.Runs = n
		counts = append(counts, c)
	}
	slices.SortFunc(counts, func(a, b workflow.Count) int {
		return cmp.Or(strings.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version),
			strings.Compare(string(a.Status), string(b.Status)), strings.Compare(a.Step, b.Step))
	})
	return counts, nil
}

func (n *run) selected(q workflow.Query) bool {
	s := &n.state
	return (s.Parent == q.Parent || q.IDs != nil && q.Parent == "") &&
		(q.Workflow == "" || q.Workflow == s.Workflow) && (q.Status == "" || q.Status == s.Status) &&
		(q.Since.IsZero() || !s.CreatedAt.Before(q.Since)) && (q.Until.IsZero() || s.CreatedAt.Before(q.Until)) &&
		(q.IDs == nil || slices.Contains(q.IDs, s.ID)) && s.Attributes.Have(q.Attributes)
}

func locked[T any](r *Runner, runID string, do func(*run) (T, error)) (v T, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.runs[runID]
	if !ok {
		return v, fmt.Errorf("run %s: %w", runID, workflow.ErrNotFound)
	}
	if v, err = do(n); err != nil {
		return v, fmt.Errorf("run %s: %w", runID, err)
	}
	return v, nil
}

func (r *Runner) change(runID string, do func(*run) error) error {
	_, err := locked(r, runID, func(n *run) (struct{}, error) { return struct{}{}, do(n) })
	return err
}

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// now is the time as every record has it.
func now() time.Time { return time.Now().UTC() }
