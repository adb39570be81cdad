package workflow

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
)

// Ref names a workflow whose runs take an In as input: it starts them without the
// definition, whose functions another program holds.
type Ref[In any] struct {
	Name    string
	Version int // 0: the highest that the runner holds
}

// Start starts a run; see [Workflow.Start].
func (r Ref[In]) Start(ctx context.Context, on Starter, runID string, in In, opts ...StartOption) error {
	q, err := r.request(runID, in, opts)
	if err != nil {
		return err
	}
	return on.Start(ctx, q)
}

func (r Ref[In]) request(runID string, in In, opts []StartOption) (q StartRequest, err error) {
	raw, err := json.Marshal(&in)
	if err != nil {
		return q, fmt.Errorf("workflow %s: the input of run %s cannot be encoded: %w", r.Name, runID, err)
	}
	if err := cmp.Or(CheckName("name", r.Name), checkRef(r.Name, r.Version)); err != nil {
		return q, fmt.Errorf("workflow %q: %w", r.Name, err)
	}
	q = StartRequest{Workflow: r.Name, Version: r.Version, RunID: runID, Input: raw}
	for i, o := range opts {
		if o == nil {
			return q, fmt.Errorf("workflow %s: the option number %d is nil", r.Name, i+1)
		}
		o.startWith(&q)
	}
	return q, nil
}

func checkRef(name string, version int) error {
	if name == "" || version < 0 {
		return fmt.Errorf("a name is needed, and a version of at least 1, or none; it is %d", version)
	}
	return nil
}
