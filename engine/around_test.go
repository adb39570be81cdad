package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

type tenant struct{}

// around runs a definition with something around its attempts.
func around(t *testing.T, wf *workflow.Workflow[string], arounds ...workflow.Around) (run workflow.Run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}, Around: arounds})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		if err := wf.Start(ctx, e, "r1", "in"); err != nil {
			t.Fatal(err)
		}
		if run, err = workflow.Await(ctx, e, "r1"); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return run
}

func TestAroundIsCalledAroundEachAttemptTheFirstOutermost(t *testing.T) {
	var said []string
	says := func(name string) workflow.Around {
		return func(ctx context.Context, next func(context.Context) error) error {
			info := workflow.InfoFrom(ctx)
			said = append(said, fmt.Sprintf("%s %s #%d", name, info.Step, info.Attempt))
			err := next(context.WithValue(ctx, tenant{}, name))
			said = append(said, fmt.Sprint(name, " ", err))
			return err
		}
	}
	wf := workflow.New[string]("wrapped")
	workflow.Step(wf, "a", func(ctx context.Context, _ string) (any, error) {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return nil, errors.New("busy")
		}
		return ctx.Value(tenant{}), nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Second})
	workflow.WaitFor(wf, "b", done, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{time.Second}},
		func(context.Context, string) (string, bool, error) { return "found", true, nil }))
	run := around(t, wf, says("outer"), says("inner"))
	want := []string{"outer a #1", "inner a #1", "inner busy", "outer busy", "outer a #2", "inner a #2", "inner <nil>", "outer <nil>",
		"outer b #1", "inner b #1", "inner <nil>", "outer <nil>"}
	if !slices.Equal(said, want) {
		t.Errorf("said is %q, want %q", said, want)
	}
	if run.Status != workflow.StatusCompleted || string(run.Steps[0].Output) != `"inner"` {
		t.Errorf("the run is %s, %s", run.Status, run.Steps[0].Output)
	}
}

func TestAnAroundThatMisbehavesFailsTheAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		around workflow.Around
		code   string
		says   string
		ran    int
	}{
		"hides an error": {func(ctx context.Context, next func(context.Context) error) error { _ = next(ctx); return nil },
			"", "busy", 2},
		"refuses": {func(context.Context, func(context.Context) error) error { return errors.New("no credit") },
			"", "no credit", 0},
		"skips": {func(context.Context, func(context.Context) error) error { return nil },
			workflow.CodeDefinition, "returned no error", 0},
		"calls twice": {func(ctx context.Context, next func(context.Context) error) error { _ = next(ctx); return next(ctx) },
			workflow.CodeDefinition, "twice", 1},
		"panics": {func(context.Context, func(context.Context) error) error { panic("oh") }, workflow.CodePanic, "oh", 0},
	} {
		ran := 0
		wf := workflow.New[string]("wrapped")
		workflow.Step(wf, "a", func(context.Context, string) (string, error) {
			ran++
			return "done", errors.New("busy")
		}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Second})
		f := around(t, wf, c.around).Failure
		if f == nil || f.Step != "a" || f.Code != c.code || !strings.Contains(f.Message, c.says) || ran != c.ran {
			t.Errorf("%s: the failure is %+v after %d calls of the step", name, f, ran)
		}
	}
	if _, err := engine.New(engine.Config{Store: memory.New(), Around: []workflow.Around{nil}}); err == nil {
		t.Error("an Around that is nil was taken")
	}
}
