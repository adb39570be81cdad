package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrInsideStep: a step waits for another run, and would hold its place meanwhile.
	ErrInsideStep = errors.New("workflow: a step must not wait for a run\n  Try: Child, or an event that the other run sends")
	// ErrNoOutput: the step has no output in this run. It was skipped, has not come to
	// its end, or is of another workflow.
	ErrNoOutput = errors.New("workflow: the step has no output in this run")
)

// Awaiter is a [Runner] that knows a better way to wait for the end of a run than to
// look now and then.
type Awaiter interface {
	// AwaitEnd returns when the run may have ended, or be gone, or with an error.
	AwaitEnd(ctx context.Context, runID string) error
}

// lookEvery is how often Await looks at a run of a runner that is no Awaiter.
const lookEvery = time.Second

// Await waits until a run has ended, however, and describes it; [Result.Of] reads
// outputs of it. A run that was started in a transaction is waited for from its commit
// on. [ErrNotFound] of a run that is not known, or was pruned, [ErrInsideStep] in a step,
// and what ended ctx when that came first.
func Await(ctx context.Context, on Runner, runID string) (Run, error) {
	if callFrom(ctx) != nil {
		return Run{}, fmt.Errorf("run %s: %w", runID, ErrInsideStep)
	}
	for {
		if a, ok := on.(Awaiter); ok {
			if err := a.AwaitEnd(ctx, runID); err != nil {
				return Run{}, err
			}
		}
		run, err := on.Describe(ctx, runID)
		if err != nil || run.Status.Ended() {
			return run, err
		}
		if _, ok := on.(Awaiter); ok {
			continue // it was reopened
		}
		select {
		case <-ctx.Done():
			return Run{}, fmt.Errorf("run %s has not ended: %w", runID, context.Cause(ctx))
		case <-time.After(lookEvery):
		}
	}
}

// Of is the output of the handle's step in a run, as [Runner].Describe or [Await] tells
// it. [ErrNoOutput] when there is none, together with the failure of a run that failed.
func (r *Result[T]) Of(run Run) (v T, err error) {
	from := r.of()
	if len(from) == 0 {
		return v, misuse("a handle was read that no step has returned: is it declared twice, or never set?")
	}
	for _, n := range from {
		raw := n.outputIn(run)
		if raw == nil {
			continue
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return v, misuse("run %s: the stored output of step %q no longer fits the definition: %w", run.ID, n.Name, err)
		}
		return v, nil
	}
	err = fmt.Errorf("%w: %s of run %s, which is %s", ErrNoOutput, from[0].Name, run.ID, run.Status)
	if run.Failure != nil {
		err = fmt.Errorf("%w: %w", err, *run.Failure)
	}
	return v, err
}

// outputIn is what the node has left in a run, nil if nothing.
func (n *Node) outputIn(run Run) json.RawMessage {
	if run.Workflow != n.plan.Name {
		return nil
	}
	if n.Kind == kindInput {
		return run.Input
	}
	for _, s := range run.Steps {
		if s.Name != n.Name || s.Output == nil {
			continue
		}
		if n.branch == "" {
			return s.Output
		}
		var parts map[string]json.RawMessage
		if json.Unmarshal(s.Output, &parts) != nil {
			return nil
		}
		return parts[n.branch]
	}
	return nil
}

// Returns says which step's output is that of the run, whatever runs after it. Without
// it that is the output of the last step that completed with one.
func Returns[In, T any](wf *Workflow[In], handle *Result[T]) {
	p := wf.mine()
	if p.returns != nil {
		p.fault("", "Returns is given twice: which one counts?")
	}
	p.returns = handle.of()
	if len(p.returns) == 0 {
		p.fault("", "Returns needs a handle that a step has returned")
	}
	for _, n := range p.returns {
		if n.plan != p {
			p.fault("", "Returns needs a step of this workflow, %q is of another one", n.Name)
		}
	}
}

// Output is the output of the run: of the step that [Returns] names, or else of the last
// completed step that has one; nil when there is none.
func (p *Plan) Output(history History) json.RawMessage {
	o := p.fold(history).outputs
	for i := range o.own[:len(p.Nodes)] {
		output := o.own[len(p.Nodes)-1-i]
		if output != nil && p.returns == nil {
			return output
		}
	}
	for _, n := range p.returns {
		if output := o.of(n); output != nil {
			return output
		}
	}
	return nil
}
