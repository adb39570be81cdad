package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func TestAnAttemptGetsTheInputAndYieldsJSON(t *testing.T) {
	out, err := invoke(t, func(_ context.Context, in in) (any, error) { return map[string]int{"n": in.N}, nil })
	if err != nil || out != `{"n":7}` {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAttemptsThatGoWrong(t *testing.T) {
	large := strings.Repeat("x", workflow.MaxPayload)
	for name, c := range map[string]struct {
		fn        func(context.Context, in) (any, error)
		code      string
		reason    workflow.Reason
		permanent bool
	}{
		"an error":                             {func(context.Context, in) (any, error) { return nil, errBroken }, "", workflow.ReasonError, false},
		"a panic":                              {func(context.Context, in) (any, error) { panic("oh no") }, workflow.CodePanic, workflow.ReasonError, false},
		"a panic with an error":                {func(context.Context, in) (any, error) { panic(errBroken) }, workflow.CodePanic, workflow.ReasonError, false},
		"an attempt that takes too long":       {func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, ctx.Err() }, workflow.CodeTimeout, workflow.ReasonTimeout, false},
		"an output that is too large":          {func(context.Context, in) (any, error) { return large, nil }, workflow.CodeTooLarge, workflow.ReasonError, true},
		"an output that cannot be encoded":     {func(context.Context, in) (any, error) { return func() {}, nil }, workflow.CodeDefinition, workflow.ReasonError, true},
		"a permanent error that took too long": {func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, workflow.Permanent(errBroken) }, workflow.CodeTimeout, workflow.ReasonTimeout, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, err := invoke(t, c.fn, workflow.Timeout(time.Second))
				if err == nil || out != "" {
					t.Fatalf("the attempt yields %q, %v", out, err)
				}
				f := workflow.FailureOf("step", 1, err)
				_, again := workflow.Retry{MaxAttempts: 2}.Delay(1, err)
				if f.Code != c.code || f.Reason != c.reason || again == c.permanent {
					t.Errorf("the failure is %+v, tried again: %t", f, again)
				}
			})
		})
	}
}

func TestATimeOutIsADeadlineExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := invoke(t, func(ctx context.Context, _ in) (any, error) { <-ctx.Done(); return nil, errBroken })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBroken) || time.Since(began) != workflow.DefaultTimeout {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if want := "the attempt took longer than 1m: broken"; err.Error() != want {
			t.Errorf("the error reads %q, want %q", err, want)
		}
	})
}

func TestAnAttemptThatIgnoresItsTimeoutAndSucceedsHasSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, err := invoke(t, func(context.Context, in) (any, error) { time.Sleep(time.Hour); return 1, nil }, workflow.Timeout(time.Second))
		if err != nil || out != "1" {
			t.Errorf("%s, %v", out, err)
		}
	})
}

func TestASnoozeAfterTheTimeoutIsStillASnooze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := invoke(t, func(ctx context.Context, _ in) (any, error) {
			<-ctx.Done()
			return nil, workflow.Snooze(time.Minute)
		}, workflow.Timeout(time.Second))
		if got := node(t).After("run", 1, 0, err); got.Then != workflow.AfterSnooze {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestTheRunnersOwnCancelIsNoTimeout(t *testing.T) {
	wf := workflow.New[in]("w")
	workflow.Step(wf, "step", func(ctx context.Context, _ in) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := wf.Plan().Nodes[0].Invoke(ctx, call())
	if f := workflow.FailureOf("step", 1, err); f.Reason != workflow.ReasonError || f.Code != "" {
		t.Errorf("%+v", f)
	}
}

func TestPanicsHaveAStack(t *testing.T) {
	_, err := invoke(t, func(context.Context, in) (any, error) { panic("oh no") })
	if !strings.Contains(string(workflow.Stack(err)), "invoke_test.go") || err.Error() != "panic: oh no" {
		t.Errorf("%v\n%s", err, workflow.Stack(err))
	}
	if workflow.Stack(errBroken) != nil {
		t.Error("an error has a stack")
	}
}

func TestInputsAndOutputsThatNoLongerFitAreTheDefinitionsFault(t *testing.T) {
	wf := workflow.New[in]("w")
	a := workflow.Step(wf, "a", returns(1))
	workflow.Step(wf, "b", func(ctx context.Context, _ in) (int, error) { return a.Output(ctx), nil })
	workflow.WaitFor(wf, "c", beta, time.Hour,
		workflow.Reconcile(workflow.Schedule{}, func(ctx context.Context, _ in) (int, bool, error) { return 0, true, nil }))
	workflow.OnError(wf, func(ctx context.Context, _ in, _ workflow.Failure) error { a.Output(ctx); return nil })
	p := wf.Plan()
	misfit := call()
	misfit.Input = []byte(`"text"`)
	stale := call()
	stale.History = workflow.History{done("a", "text")}
	_, input := p.Nodes[0].Invoke(t.Context(), misfit)
	_, output := p.Nodes[1].Invoke(t.Context(), stale)
	_, _, check := p.Nodes[2].Check(t.Context(), misfit)
	for what, err := range map[string]error{"input": input, "output": output, "look": check,
		"handler":          p.ErrorNode.Handle(t.Context(), misfit, workflow.Failure{}),
		"handler's output": p.ErrorNode.Handle(t.Context(), stale, workflow.Failure{})} {
		_, again := workflow.Retry{MaxAttempts: 2}.Delay(1, err)
		if f := workflow.FailureOf("x", 1, err); f.Code != workflow.CodeDefinition || again ||
			!strings.Contains(f.Message, "no longer fits the definition") {
			t.Errorf("%s: %+v, tried again: %t", what, f, again)
		}
	}
}

func TestAllOutputsOfARunHaveALimitTogether(t *testing.T) {
	wf := workflow.New[in]("w")
	var history workflow.History
	big := strings.Repeat("x", workflow.MaxPayload-2)
	for i := range workflow.MaxOutputs/workflow.MaxPayload + 1 {
		workflow.Step(wf, string(rune('a'+i)), returns(big))
	}
	p := wf.Plan()
	for i, n := range p.Nodes {
		c := call()
		c.History = history
		out, err := n.Invoke(t.Context(), c)
		if last := i == len(p.Nodes)-1; last {
			if !errors.Is(err, workflow.ErrTooLarge) || !strings.Contains(err.Error(), "step q") {
				t.Errorf("beyond the limit: %v", err)
			}
		} else if err != nil {
			t.Fatalf("output %d of %d bytes: %v", i, len(out), err)
		}
		history = append(history, workflow.Fact{Kind: workflow.FactCompleted, Step: n.Name, Output: out})
	}
}

func TestALooksAnswerHasTheLimitOfAnOutput(t *testing.T) {
	wf := workflow.New[in]("w")
	workflow.WaitFor(wf, "a", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{},
		func(context.Context, in) (string, bool, error) {
			return strings.Repeat("x", workflow.MaxPayload), true, nil
		}))
	if _, found, err := wf.Plan().Nodes[0].Check(t.Context(), call()); found || !errors.Is(err, workflow.ErrTooLarge) {
		t.Errorf("found: %t, %v", found, err)
	}
}

func TestLookupSaysWhetherThereIsAnOutput(t *testing.T) {
	wf := workflow.New[in]("w")
	a := workflow.Step(wf, "a", returns(1))
	workflow.Step(wf, "b", func(ctx context.Context, _ in) ([2]any, error) {
		v, ok := a.Lookup(ctx)
		if a.Output(ctx) != v {
			return [2]any{}, errBroken
		}
		return [2]any{v, ok}, nil
	})
	for want, history := range map[string]workflow.History{`[5,true]`: {done("a", 5)}, `[0,false]`: {skipped("a")}} {
		c := call()
		c.History = history
		if out, err := wf.Plan().Nodes[1].Invoke(t.Context(), c); string(out) != want || err != nil {
			t.Errorf("%s, %v, want %s", out, err, want)
		}
	}
}

func TestOutputsReadOutsideOfTheirRunPanic(t *testing.T) {
	wf, other := workflow.New[in]("w"), workflow.New[in]("other")
	a := workflow.Step(wf, "a", returns(1))
	workflow.Step(other, "b", func(ctx context.Context, _ in) (int, error) { return a.Output(ctx), nil })
	const want = `workflow: the output of step "a" was read outside of a run of workflow "w"`
	if _, err := other.Plan().Nodes[0].Invoke(t.Context(), call()); err == nil || err.Error() != "panic: "+want {
		t.Errorf("in another workflow: %v", err)
	}
	defer func() {
		if got := recover(); got != want {
			t.Errorf("outside of any: %v", got)
		}
	}()
	a.Output(t.Context())
}

func TestAStepKnowsWhereItRuns(t *testing.T) {
	var got workflow.Info
	wf := workflow.New[in]("w", workflow.Version(4))
	workflow.Step(wf, "a", func(ctx context.Context, _ in) (int, error) { got = workflow.InfoFrom(ctx); return 0, nil })
	c := call()
	c.Attempt = 3
	if _, err := wf.Plan().Nodes[0].Invoke(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if want := (workflow.Info{Workflow: "w", Version: 4, RunID: "run", Step: "a", Attempt: 3, IdempotencyKey: "run/a"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := workflow.InfoFrom(t.Context()); got != (workflow.Info{}) {
		t.Errorf("outside of a run: %+v", got)
	}
}

func TestTheCancelHandlerIsToldTheReason(t *testing.T) {
	wf := workflow.New[in]("w")
	told := ""
	workflow.OnCancel(wf, func(_ context.Context, in in, reason string) error { told = reason; return errBroken })
	err := wf.Plan().CancelNode.Handle(t.Context(), call(), workflow.Failure{Reason: workflow.ReasonCanceled, Message: "stop"})
	if told != "stop" || !errors.Is(err, errBroken) {
		t.Errorf("told %q, %v", told, err)
	}
}

func TestStartAndSendEncodeAndAddress(t *testing.T) {
	r := &recorder{}
	wf := workflow.New[in]("w", workflow.Version(2))
	if err := wf.Start(t.Context(), r, "run", in{5}); err != nil {
		t.Fatal(err)
	}
	if r.start.Workflow != "w" || r.start.Version != 2 || r.start.RunID != "run" || string(r.start.Input) != `{"N":5}` {
		t.Errorf("%+v", r.start)
	}
	if _, err := beta.Send(t.Context(), r, "run", "s1", 6); err != nil {
		t.Fatal(err)
	}
	if r.to != "run" || r.signal.ID != "s1" || r.signal.Event != "beta" || string(r.signal.Payload) != "6" {
		t.Errorf("%s %+v", r.to, r.signal)
	}
	bad := workflow.New[func()]("bad")
	if err := bad.Start(t.Context(), r, "run", func() {}); err == nil {
		t.Error("an input that cannot be encoded was started")
	}
	if _, err := (workflow.Event[func()]{Name: "bad"}).Send(t.Context(), r, "run", "s1", func() {}); err == nil {
		t.Error("a payload that cannot be encoded was sent")
	}
}

type recorder struct {
	start  workflow.StartRequest
	to     string
	signal workflow.Signal
}

func (r *recorder) Start(_ context.Context, q workflow.StartRequest) error { r.start = q; return nil }
func (r *recorder) Signal(_ context.Context, to string, s workflow.Signal) (workflow.Receipt, error) {
	r.to, r.signal = to, s
	return workflow.Receipt{}, nil
}

func TestRequestsThatNoRunnerTakes(t *testing.T) {
	ok := workflow.StartRequest{Workflow: "w", RunID: "run", Input: json.RawMessage("{}")}
	for name, c := range map[string]struct {
		change func(*workflow.StartRequest)
		want   string
	}{
		"sound":              {func(*workflow.StartRequest) {}, ""},
		"the longest id":     {func(r *workflow.StartRequest) { r.RunID = strings.Repeat("x", 200) }, ""},
		"no id":              {func(r *workflow.StartRequest) { r.RunID = "" }, "run id"},
		"a long id":          {func(r *workflow.StartRequest) { r.RunID = strings.Repeat("x", 201) }, "run id"},
		"an id with NUL":     {func(r *workflow.StartRequest) { r.RunID = "a\x00b" }, "run id"},
		"an id not in UTF-8": {func(r *workflow.StartRequest) { r.RunID = "a\xff" }, "run id"},
		"no input":           {func(r *workflow.StartRequest) { r.Input = nil }, "not JSON"},
		"broken input":       {func(r *workflow.StartRequest) { r.Input = json.RawMessage("{") }, "not JSON"},
		"the largest input":  {func(r *workflow.StartRequest) { r.Input = text(workflow.MaxPayload) }, ""},
		"too large an input": {func(r *workflow.StartRequest) { r.Input = text(workflow.MaxPayload + 1) }, "65537 bytes"},
	} {
		r := ok
		c.change(&r)
		check(t, name, r.Validate(), c.want)
	}
}

func TestSignalsThatNoRunnerTakes(t *testing.T) {
	ok := workflow.Signal{ID: "s", Event: "alpha", Payload: json.RawMessage("{}")}
	for name, c := range map[string]struct {
		change func(*workflow.Signal)
		want   string
	}{
		"sound":               {func(*workflow.Signal) {}, ""},
		"no id":               {func(s *workflow.Signal) { s.ID = "" }, "id"},
		"a long id":           {func(s *workflow.Signal) { s.ID = strings.Repeat("x", 257) }, "id"},
		"an id with newlines": {func(s *workflow.Signal) { s.ID = "a\nb" }, "id"},
		"no event":            {func(s *workflow.Signal) { s.Event = "" }, "names no event"},
		"no payload":          {func(s *workflow.Signal) { s.Payload = nil }, "not JSON"},
		"the largest payload": {func(s *workflow.Signal) { s.Payload = text(workflow.MaxPayload) }, ""},
		"too large a payload": {func(s *workflow.Signal) { s.Payload = text(workflow.MaxPayload + 1) }, "65537 bytes"},
	} {
		s := ok
		c.change(&s)
		check(t, name, s.Validate(), c.want)
	}
}

// text is a JSON string of so many bytes.
func text(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }

// check compares an error by a part of it; empty means none.
func check(t *testing.T, name string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
	if err != nil && strings.Contains(want, "bytes") && !errors.Is(err, workflow.ErrTooLarge) {
		t.Errorf("%s: %v is not ErrTooLarge", name, err)
	}
}

func TestHandlesReadAtOrBeforeTheirStepAreFaultsOfTheDefinition(t *testing.T) {
	wf := workflow.New[in]("w")
	var later, own, never *workflow.Result[int]
	reads := func(h **workflow.Result[int]) func(context.Context, in) (int, error) {
		return func(ctx context.Context, _ in) (int, error) { return (*h).Output(ctx), nil }
	}
	workflow.Step(wf, "early", reads(&later), workflow.Retry{MaxAttempts: 5})
	own = workflow.Step(wf, "own", reads(&own), workflow.Retry{MaxAttempts: 5})
	workflow.Step(wf, "never", reads(&never), workflow.Retry{MaxAttempts: 5})
	later = workflow.Step(wf, "later", returns(1))
	workflow.OnError(wf, func(ctx context.Context, _ in, _ workflow.Failure) error {
		if _, there := later.Lookup(ctx); there {
			return errBroken
		}
		return nil
	})
	c := call()
	c.History = workflow.History{done("early", 1), done("own", 2), done("later", 3)}
	for i, want := range []string{`step "early" reads the output of "later", which does not stand before it`,
		`step "own" reads the output of "own", which does not stand before it`, "a handle was read that no step has returned"} {
		n := wf.Plan().Nodes[i]
		_, err := n.Invoke(t.Context(), c)
		after := n.After("run", 1, 0, err)
		if f := after.Failure; after.Then != workflow.AfterFail || f.Code != workflow.CodeDefinition || !strings.Contains(f.Message, want) {
			t.Errorf("%s: %+v, want %q", n.Name, after, want)
		}
	}
	c.History = nil
	if err := wf.Plan().ErrorNode.Handle(t.Context(), c, workflow.Failure{}); err != nil {
		t.Errorf("a handler may read every step: %v", err)
	}
}
