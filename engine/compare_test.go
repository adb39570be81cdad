package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

var (
	ping = workflow.Event[int]{Name: "ping"}
	pong = workflow.Event[int]{Name: "pong"}
)

// TestTheEngineDoesWhatTheSmallRunnerDoes runs random definitions with random
// things from outside on the engine and on the small runner of workflowtest, and
// compares all that people can see.
func TestTheEngineDoesWhatTheSmallRunnerDoes(t *testing.T) {
	runs := uint64(2000)
	if testing.Short() {
		runs = 200
	}
	for seed := range runs {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				small, err := workflowtest.NewRunner(randomDefinition(seed))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(small.Close)
				st := memory.New()
				h := harness(t, func() store.Store { return st }, func(store.Store) {}, []workflow.Definition{randomDefinition(seed)})
				if diff := cmp.Diff(played(t, seed, small), played(t, seed, h.Runner)); diff != "" {
					t.Errorf("the engine (+) differs from the small runner (-):\n%s", diff)
				}
			})
		})
	}
}

// randomDefinition draws a definition; the same seed yields the same one. Its
// times are multiples of 0.1 s, those of what comes from outside are not.
func randomDefinition(seed uint64) *workflow.Workflow[int] {
	r := rand.New(rand.NewPCG(seed, 1))
	var opts []workflow.Option
	if r.IntN(4) == 0 {
		opts = append(opts, workflow.RunTimeout(time.Duration(1+r.IntN(20))*time.Second))
	}
	wf := workflow.New[int]("random", opts...)
	results := []*workflow.Result[int]{workflow.Step(wf, "n0", randomStep(r), randomRetry(r))}
	for i := 1; i < 2+r.IntN(6); i++ {
		name := fmt.Sprintf("n%d", i)
		on, odd := results[r.IntN(len(results))], r.IntN(2)
		holds := func(n int) bool {
			if n == 7 {
				panic("seven")
			}
			return n%2 == odd
		}
		var opts []workflow.StepOption
		if r.IntN(3) == 0 {
			opts = append(opts, workflow.If(on, "parity", holds))
		}
		within := time.Duration(1+r.IntN(9)) * time.Second
		switch r.IntN(8) {
		case 0, 1:
			results = append(results, workflow.Step(wf, name, randomStep(r), append(opts, randomRetry(r))...))
		case 2:
			workflow.Sleep(wf, name, within, opts...)
		case 3:
			workflow.FinishIf(wf, on, name, func(n int) bool { return n == 3 })
		case 4:
			workflow.WaitForAll(wf, name, within, []workflow.AnyEvent{ping, pong}, append(opts, workflow.ContinueOnTimeout)...)
		case 5:
			workflow.WaitForAny(wf, name, within, []workflow.AnyEvent{ping, pong}, opts...)
		default:
			if r.IntN(2) == 0 {
				opts = append(opts, workflow.ContinueOnTimeout)
			}
			if r.IntN(2) == 0 {
				opts = append(opts, randomReconcile(r))
			}
			results = append(results, workflow.WaitFor(wf, name, ping, within, opts...))
		}
	}
	if r.IntN(2) == 0 {
		step := randomStep(r)
		workflow.OnError(wf, func(ctx context.Context, in int, _ workflow.Failure) error { _, err := step(ctx, in); return err }, randomRetry(r))
	}
	if r.IntN(2) == 0 {
		step := randomStep(r)
		workflow.OnCancel(wf, func(ctx context.Context, in int, _ string) error { _, err := step(ctx, in); return err }, randomRetry(r))
	}
	return wf
}

// randomStep draws a step that takes its time, snoozes at first, fails some
// attempts, and then succeeds.
func randomStep(r *rand.Rand) func(context.Context, int) (int, error) {
	takes, snoozes, failures, output := time.Duration(r.IntN(3))*300*time.Millisecond, r.IntN(5)-3, r.IntN(4)-1, r.IntN(8)
	permanent := r.IntN(8) == 0
	return func(ctx context.Context, _ int) (int, error) {
		time.Sleep(takes)
		switch attempt := workflow.InfoFrom(ctx).Attempt; {
		case snoozes > 0:
			snoozes--
			return 0, workflow.Snooze(2 * time.Second)
		case attempt <= failures && permanent:
			return 0, workflow.Permanent(errors.New("broken"))
		case attempt <= failures:
			return 0, errors.New("broken")
		}
		return output, nil
	}
}

func randomRetry(r *rand.Rand) workflow.StepOption {
	return workflow.Retry{MaxAttempts: 1 + r.IntN(4), InitialDelay: time.Duration(r.IntN(4)) * time.Second,
		Backoff: []workflow.Backoff{workflow.Exponential, workflow.Linear, workflow.Constant}[r.IntN(3)]}
}

func randomReconcile(r *rand.Rand) workflow.StepOption {
	step := randomStep(r)
	blanks := r.IntN(3)
	s := workflow.Schedule{Offsets: []time.Duration{time.Duration(1+r.IntN(3)) * time.Second, time.Duration(1+r.IntN(3)) * time.Second}}
	return workflow.Reconcile(s, func(ctx context.Context, in int) (int, bool, error) {
		if blanks--; blanks > 0 {
			return 0, false, nil
		}
		v, err := step(ctx, in)
		return v, err == nil, err
	}, randomRetry(r))
}

// seen is all that people see of a run.
type seen struct {
	Said    []string // what the calls from outside returned
	Status  workflow.Status
	Output  string
	Because string
	Failure workflow.Failure
	Steps   []string
	Events  []string
	History []string
}

// played starts a run and does to it what the seed says.
func played(t *testing.T, seed uint64, on workflow.Runner) (s seen) {
	ctx, r := t.Context(), rand.New(rand.NewPCG(seed, 2))
	if err := on.Start(ctx, workflow.StartRequest{Workflow: "random", RunID: "run", Input: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	at := 0
	for i := range r.IntN(9) {
		at += 1 + r.IntN(3)
		time.Sleep(time.Until(began.Add(time.Duration(at)*time.Second + time.Duration(550+i)*time.Millisecond)))
		synctest.Wait()
		s.Said = append(s.Said, outside(ctx, r, on))
	}
	for range 100 {
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if run, err := on.Describe(ctx, "run"); err != nil {
			t.Fatal(err)
		} else if run.Status.Ended() {
			return s.look(run)
		}
	}
	t.Fatal("the run does not end")
	return s
}

func outside(ctx context.Context, r *rand.Rand, on workflow.Runner) string {
	payload, id := r.IntN(8), fmt.Sprintf("s%d", r.IntN(5))
	switch r.IntN(9) {
	case 8:
		return "wake: " + class(on.Wake(ctx, "run"))
	case 0:
		return "cancel: " + class(on.Cancel(ctx, "run", "stop"))
	case 1, 2:
		from := []string{"", "n0", "n1", "n3"}[r.IntN(4)]
		return "retry: " + class(on.Retry(ctx, "run", from))
	case 3, 4:
		receipt, err := pong.Send(ctx, on, "run", id, payload)
		return fmt.Sprintf("pong: %t %s", receipt.Duplicate, class(err))
	default:
		receipt, err := ping.Send(ctx, on, "run", id, payload)
		return fmt.Sprintf("ping: %t %s", receipt.Duplicate, class(err))
	}
}

func class(err error) string {
	for _, e := range []error{workflow.ErrEnded, workflow.ErrNotEnded, workflow.ErrUnknownStep} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return fmt.Sprint(err)
}

func (s seen) look(run workflow.Run) seen {
	s.Status, s.Output, s.Because = run.Status, string(run.Output), run.FinishedBecause
	if run.Failure != nil {
		s.Failure = *run.Failure
	}
	kinds := map[string]workflow.Kind{}
	for _, step := range run.Steps {
		kinds[step.Name] = step.Kind
		if step.Kind != workflow.KindHandler {
			s.Steps = append(s.Steps, fmt.Sprintf("%s %s %s %s", step.Name, step.Status, step.SkippedBecause, step.Output))
		}
	}
	for _, e := range run.Events {
		s.Events = append(s.Events, fmt.Sprintf("%s %s %s late=%t", e.ID, e.Type, e.ConsumedBy, e.Late))
	}
	for i, item := range run.History {
		if item.Seq != int64(i+1) {
			s.History = append(s.History, fmt.Sprintf("number %d at place %d", item.Seq, i+1))
		}
	}
	// The end of a sleep may be written after what came during the next step.
	slices.SortStableFunc(run.History, func(a, b workflow.HistoryItem) int { return a.At.Compare(b.At) })
	for _, item := range run.History {
		attempt := fmt.Sprintf(" #%d", item.Attempt)
		if k := kinds[item.Step]; item.Attempt == 0 || k == workflow.KindWait || k == workflow.KindSleep {
			attempt = ""
		}
		s.History = append(s.History, fmt.Sprintf("%s %s %s%s", item.At.Sub(run.CreatedAt).Round(time.Millisecond),
			item.Type, item.Step, attempt))
	}
	return s.withoutSurplus()
}

// withoutSurplus leaves out pauses that a runner had begun when it saw the cancel
// that came before them: whether one begins is the runner's own affair.
func (s seen) withoutSurplus() seen {
	if slices.ContainsFunc(s.History, func(line string) bool { return strings.Contains(line, " run.cancel_requested") }) {
		s.Steps = slices.DeleteFunc(s.Steps, func(line string) bool { return strings.Contains(line, " pending ") })
	}
	for i := 1; i < len(s.History); i++ {
		at, step, began := strings.Cut(s.History[i-1], " wait.started ")
		if began && s.History[i] == at+" step.failed "+step {
			s.History = slices.Delete(s.History, i-1, i+1)
			s.Steps = slices.DeleteFunc(s.Steps, func(line string) bool { return strings.HasPrefix(line, step+" ") })
			i = 0
		}
	}
	return s
}
