package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// overdue is how long after its timeout an attempt that ignores its context is
// reported.
const overdue = 10 * time.Second

// invoke runs one attempt of a step or handler. gone says that this engine was
// told to abandon it: its end is not known. in makes the attempt's context; it may be nil.
func (x *execution) invoke(d workflow.Decision, attempt int, in store.Inside) (output json.RawMessage, err error, gone bool) {
	gone = x.attempted(d.Node, attempt, func(ctx context.Context, call workflow.Call) error {
		if in != nil {
			ctx = in(ctx)
		}
		if d.Move == workflow.MoveHandle {
			err = d.Node.Handle(ctx, call, *d.Failure)
		} else {
			output, err = d.Node.Invoke(ctx, call)
		}
		if err == nil {
			err = x.roomForAttributes()
		}
		return err
	})
	return output, err, gone
}

// check lets a wait look for its answer.
func (x *execution) check(n *workflow.Node, attempt int) (output json.RawMessage, found bool, err error, gone bool) {
	gone = x.attempted(n, attempt, func(ctx context.Context, call workflow.Call) error {
		if output, found, err = n.Check(ctx, call); err == nil && found {
			err = x.roomForAttributes()
		}
		return err
	})
	return output, found, err, gone
}

func (x *execution) attempted(n *workflow.Node, attempt int, run func(context.Context, workflow.Call) error) (gone bool) {
	ctx := x.e.tell.AttemptStarted(x.working(), x.ref, n.Name, attempt)
	late := time.AfterFunc(n.Timeout+overdue, func() {
		x.e.tell.RunnerFault("overdue",
			fmt.Errorf("run %s, step %s: attempt %d runs longer than its timeout of %s and ignores its context", x.run.ID,
				n.Name, attempt, n.Timeout))
	})
	defer late.Stop()
	if x.vacate != nil { // others do not wait for longer than that
		defer time.AfterFunc(n.Timeout, x.vacate).Stop()
	}
	begun := x.e.now()
	x.setting.Take() // what an attempt set that failed
	x.attributes = nil
	err := run(ctx, workflow.Call{RunID: x.run.ID, Attempt: attempt, Input: x.run.Input, History: x.facts,
		Namespace: x.e.cfg.Namespace, OldKey: !x.run.Sub && !x.run.CreatedAt.After(x.e.store.OldKeys()), Subs: x.e.subs, Setting: &x.setting,
		Around: x.e.cfg.Around})
	if err != nil && x.e.working().Err() != nil {
		return true
	}
	then := "completed"
	if err != nil {
		then = n.After(x.run.ID, attempt, x.e.now().Sub(x.since), err).Then
	}
	x.e.tell.AttemptEnded(ctx, x.ref, n.Name, attempt, then, err, x.e.now().Sub(begun))
	return false
}
