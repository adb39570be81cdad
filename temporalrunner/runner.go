package temporalrunner

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/liwanag/liwanag/workflow"
)

const (
	// patienceOfCalls bounds a call to a server that does not answer.
	patienceOfCalls = 10 * time.Second
	// patienceOfQueries is the same for a run that a worker is to tell of: longer than
	// the 10 s after which the server repeats a task that was lost on its way.
	patienceOfQueries = 15 * time.Second
	// patienceOfReceipts bounds the wait for a worker that says whether an event,
	// which is durable by then, was the first of its ID.
	patienceOfReceipts = 10 * time.Second
	// digestName is the memo that an ID taken twice is compared by.
	digestName = "liwanag-start"
	// shapeName is the memo that says what the definition was like that began a run.
	shapeName = "liwanag-shape"
)

// Start starts a run; see [workflow.Runner]. An ID is free again once the server
// has dropped its run, after the namespace's retention.
func (r *Runner) Start(ctx context.Context, q workflow.StartRequest) error {
	plan, err := r.starting(q)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patienceOfCalls)
	defer cancel()
	digest := digestOf(plan.Name, q.Input)
	options := r.options(plan, q.RunID, digest)
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	r.index.with(ctx, &options, q.Attributes)
	_, err = r.client.ExecuteWorkflow(ctx, options, typeOf(plan.Name, plan.Version), r.startOf(plan, q))
	if errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted)) {
		return r.sameRun(ctx, q.RunID, digest)
	}
	return r.fault("start", q.RunID, err)
}

// starting is the plan of a request that can be taken.
func (r *Runner) starting(q workflow.StartRequest) (*workflow.Plan, error) {
	plan := r.latest[q.Workflow]
	if q.Version != 0 {
		plan = r.plans[typeOf(q.Workflow, q.Version)]
	}
	if plan == nil {
		return nil, fmt.Errorf("%w: %q version %d", workflow.ErrUnknownWorkflow, q.Workflow, q.Version)
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if err := plan.CheckInput(q.Input); err != nil {
		return nil, fmt.Errorf("run %s: %w", q.RunID, err)
	}
	return plan, nil
}

func (r *Runner) startOf(plan *workflow.Plan, q workflow.StartRequest) start {
	shape := plan.Shape()
	return start{Input: q.Input, Keys: &keys{r.cfg.Namespace}, Shape: &shape, Attributes: q.Attributes}
}

// StartWith starts a run with its first event, or sends it the event, in one call of the
// server; see [workflow.StartSender].
func (r *Runner) StartWith(ctx context.Context, q workflow.StartRequest, s workflow.Signal) (workflow.Receipt, error) {
	plan, err := r.starting(q)
	if err != nil {
		return workflow.Receipt{}, err
	}
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	_, err = r.client.DescribeWorkflowExecution(ctx, q.RunID, "")
	switch {
	case err == nil: // which may be of another definition
		return r.Signal(ctx, q.RunID, s)
	case !errors.As(err, new(*serviceerror.NotFound)):
		return workflow.Receipt{}, r.fault("start", q.RunID, err)
	}
	if err := plan.CheckEvent(s); err != nil {
		return workflow.Receipt{}, fmt.Errorf("run %s: %w", q.RunID, err)
	}
	within, cancel := context.WithTimeout(ctx, patienceOfCalls)
	defer cancel()
	options := r.options(plan, q.RunID, digestOf(plan.Name, q.Input))
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	options.WorkflowIDConflictPolicy = enums.WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED
	options.EnableEagerStart = false
	r.index.with(within, &options, q.Attributes)
	m := newMessage(s)
	_, err = r.client.SignalWithStartWorkflow(within, q.RunID, signalName, m, options, typeOf(plan.Name, plan.Version), r.startOf(plan, q))
	if errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted)) { // and has ended
		return r.late(ctx, q.RunID, s.ID)
	}
	if err != nil {
		return workflow.Receipt{}, r.fault("start", q.RunID, err)
	}
	return r.receiptOf(ctx, q.RunID, m)
}

func (r *Runner) options(plan *workflow.Plan, runID, digest string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: runID, TaskQueue: r.queueOf(plan), WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL, EnableEagerStart: true,
		Memo: map[string]any{digestName: digest, shapeName: plan.Shape()}}
}

// sameRun says whether the run that exists is the one that was to be started.
func (r *Runner) sameRun(ctx context.Context, runID, digest string) error {
	d, err := r.client.DescribeWorkflow(ctx, runID, "")
	if err != nil {
		return r.fault("start", runID, err)
	}
	var taken string
	if err := d.GetMemoValue(digestName, &taken); err != nil && !errors.Is(err, temporal.ErrNoData) {
		return r.fault("start", runID, err)
	}
	if taken != digest {
		return fmt.Errorf("%w: %s", workflow.ErrInputDiffers, runID)
	}
	return nil
}

// digestOf names a workflow and an input, however it is spaced.
func digestOf(name string, input json.RawMessage) string {
	var b bytes.Buffer
	b.WriteString(name + "\n")
	_ = json.Compact(&b, input) // it was validated
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:16])
}

// Signal delivers an event; see [workflow.Runner]. It is durable when the server
// has taken it, whether a worker runs or not. Whether it was the first of its ID a
// worker tells; while none answers the receipt says neither. An event to an ended
// run is refused by the server: the receipt says late, and it is not kept.
func (r *Runner) Signal(ctx context.Context, runID string, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	if err := r.takes(ctx, runID, s); err != nil {
		return workflow.Receipt{}, err
	}
	m := newMessage(s)
	err := r.send(ctx, "signal", runID, m)
	if errors.Is(err, workflow.ErrEnded) {
		return r.late(ctx, runID, s.ID)
	}
	if err != nil {
		return workflow.Receipt{}, err
	}
	return r.receiptOf(ctx, runID, m)
}

func newMessage(s workflow.Signal) message {
	return message{Event: s.Event, ID: s.ID, Payload: s.Payload, Token: rand.Text()[:16]}
}

// receiptOf asks a worker what became of an event that the server has taken.
func (r *Runner) receiptOf(ctx context.Context, runID string, m message) (receipt workflow.Receipt, err error) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfReceipts)
	defer cancel()
	answer, err := r.ask(ctx, &client.QueryWorkflowWithOptionsRequest{WorkflowID: runID, QueryType: receiptName, Args: []any{m.ID, m.Token}})
	if err != nil && strings.Contains(err.Error(), errRefused.Error()) {
		return receipt, fmt.Errorf("%w: %s", workflow.ErrInboxFull, runID)
	}
	if err == nil {
		_ = answer.QueryResult.Get(&receipt) // else it stays the receipt of an event that nobody has seen yet
	}
	return receipt, nil
}

// takes says whether a run's definition, if it is held here, takes an event. The server
// is asked for it only when not all that is held here takes the event.
func (r *Runner) takes(ctx context.Context, runID string, s workflow.Signal) error {
	if !slices.ContainsFunc(withBodies(r.order), func(p *workflow.Plan) bool { return p.CheckEvent(s) != nil }) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patienceOfCalls)
	defer cancel()
	d, err := r.client.DescribeWorkflow(ctx, runID, "")
	if err != nil {
		return r.fault("signal", runID, err)
	}
	plan := r.plans[d.WorkflowType.Name]
	var begun workflow.Shape
	if plan == nil || d.GetMemoValue(shapeName, &begun) == nil && plan.Shape().Differs(begun) != nil {
		return nil
	}
	if err := plan.CheckEvent(s); err != nil {
		return fmt.Errorf("run %s: %w", runID, err)
	}
	return nil
}

// send signals a run. ErrNotFound, ErrEnded.
func (r *Runner) send(ctx context.Context, op, runID string, m message) error {
	ctx, cancel := context.WithTimeout(ctx, patienceOfCalls)
	defer cancel()
	return r.refused(ctx, op, runID, r.client.SignalWorkflow(ctx, runID, "", signalName, m))
}

// late is the receipt of an event to an ended run.
func (r *Runner) late(ctx context.Context, runID, signalID string) (workflow.Receipt, error) {
	run, err := r.Describe(ctx, runID)
	if err != nil {
		return workflow.Receipt{}, err
	}
	for _, e := range run.Events {
		if e.ID == signalID {
			return workflow.Receipt{Duplicate: true}, nil
		}
	}
	return workflow.Receipt{Late: true}, nil
}

// Cancel asks a run to end; see [workflow.Runner].
func (r *Runner) Cancel(ctx context.Context, runID, reason string) error {
	return r.send(ctx, "cancel", runID, message{Cancel: true, Reason: workflow.Clip(reason)})
}

// Wake ends a snooze or back-off now; see [workflow.Runner]. It is durable when the
// server has taken it, whether a worker runs or not.
func (r *Runner) Wake(ctx context.Context, runID string) error {
	return r.send(ctx, "wake", runID, message{Wake: true})
}

// Terminate ends a run at once, without handlers; see [workflow.Runner].
func (r *Runner) Terminate(ctx context.Context, runID, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	reason = workflow.Clip(reason)
	if err := r.refused(ctx, "terminate", runID, r.client.TerminateWorkflow(ctx, runID, "", reason)); err != nil {
		return err
	}
	return errors.Join(r.terminateBelow(ctx, runID, reason), r.tellTerminated(ctx, runID, reason))
}

// refused tells the two reasons apart for which the server takes nothing more for
// a run: it has ended, or is not known.
func (r *Runner) refused(ctx context.Context, op, runID string, err error) error {
	if !errors.As(err, new(*serviceerror.NotFound)) {
		return r.fault(op, runID, err)
	}
	if _, err := r.client.DescribeWorkflowExecution(ctx, runID, ""); err != nil {
		return r.fault(op, runID, err)
	}
	return fmt.Errorf("%w: %s", workflow.ErrEnded, runID)
}

// fault names the run and what was tried. Only the server's word that it knows no
// such run is ErrNotFound, and that no run can have the id.
func (r *Runner) fault(op, runID string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*serviceerror.NotFound)):
		return fmt.Errorf("%w: %s", workflow.ErrNotFound, runID)
	}
	if _, some := (workflow.Query{IDs: []string{runID}}).Possible(); !some {
		return fmt.Errorf("%w: %q", workflow.ErrNotFound, runID)
	}
	return fmt.Errorf("temporalrunner: %s of run %s: the Temporal server cannot do it now: %w", op, runID, err)
}
