package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

type (
	file    struct{ Name string }
	row     struct{ N int }
	import_ struct{ N int }
)

// etl is a map over files whose steps read outputs of the run around it.
func etl(load func(ctx context.Context, bucket string, f file) (row, error), opts ...workflow.StepOption) *workflow.Workflow[import_] {
	wf := workflow.New[import_]("etl")
	bucket := workflow.Step(wf, "bucket", func(context.Context, import_) (string, error) { return "b", nil })
	files := workflow.Step(wf, "list", func(_ context.Context, in import_) (l []file, err error) {
		for i := range in.N {
			l = append(l, file{fmt.Sprint(i)})
		}
		return l, nil
	})
	loaded := workflow.Map(wf, "load", workflow.Each(files), func(b *workflow.Workflow[file]) *workflow.Result[row] {
		return workflow.Step(b, "fetch", func(ctx context.Context, f file) (row, error) { return load(ctx, bucket.Output(ctx), f) },
			workflow.Retry{MaxAttempts: 2, InitialDelay: time.Millisecond})
	}, opts...)
	workflow.Step(wf, "sum", func(ctx context.Context, _ import_) (sum row, err error) {
		for it, err := range loaded.All(ctx) {
			if err != nil {
				return sum, err
			}
			sum.N += it.Output.N
		}
		return sum, nil
	})
	return wf
}

func TestAMapRunsItsBodyForEachItem(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		var open, most, tries atomic.Int64
		wf := etl(func(ctx context.Context, bucket string, f file) (row, error) {
			if n := open.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer open.Add(-1)
			tries.Add(1)
			i := workflow.InfoFrom(ctx)
			if want := fmt.Sprintf("etl-1/load[%d]", i.Index); bucket != "b" || f.Name != fmt.Sprint(i.Index) || i.RunID != want ||
				i.IdempotencyKey != want+"/fetch" {
				return row{}, workflow.Permanent(fmt.Errorf("bucket %q file %q info %+v", bucket, f.Name, i))
			}
			if i.Index%10 == 3 && i.Attempt == 1 {
				return row{}, errors.New("once more")
			}
			return row{i.Index}, nil
		}, workflow.AtMost(8))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		if err := wf.Start(t.Context(), e, "etl-1", import_{230}); err != nil {
			t.Fatal(err)
		}
		run := endOf(t, e, "etl-1")
		if run.Status != workflow.StatusCompleted || string(run.Output) != `{"N":26335}` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		if most.Load() > 8 || tries.Load() != 253 {
			t.Errorf("at once: %d, tries: %d", most.Load(), tries.Load())
		}
		for i, h := range run.History {
			if h.Seq != int64(i+1) {
				t.Errorf("the history has a gap at %d: %+v", i+1, run.History)
			}
		}
		if len(run.History) != 7 { // start, two steps, two of the map, a step, the end
			t.Errorf("%d items: %+v", len(run.History), run.History)
		}
		if got := agree(t, st, "etl-1", 0, "load"); got[store.Completed] != 230 {
			t.Error(got)
		}
		page, err := e.List(t.Context(), workflow.Query{})
		if err != nil || len(page.Runs) != 1 {
			t.Errorf("%d runs are listed, %v", len(page.Runs), err)
		}
		item, err := e.Describe(t.Context(), "etl-1/load[7]")
		if err != nil || item.Parent != "etl-1" || string(item.Input) != `{"Name":"7"}` ||
			string(item.Output) != `{"N":7}` || len(item.Steps) != 1 {
			t.Errorf("%+v %v", item, err)
		}
	})
}

func TestAMapToleratesSomeAndARetryRunsOnlyTheBadOnesAgain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		var broken atomic.Int64 // so many of the first
		broken.Store(4)
		var mu sync.Mutex
		tries := map[int]int{}
		wf := etl(func(ctx context.Context, _ string, _ file) (row, error) {
			i := workflow.InfoFrom(ctx).Index
			mu.Lock()
			tries[i]++
			mu.Unlock()
			if int64(i) < broken.Load() {
				return row{}, workflow.Permanent(errors.New("no such file"))
			}
			return row{1}, nil
		}, workflow.AtMost(4), workflow.Tolerate(4))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "ok", import_{80})
		if run := endOf(t, e, "ok"); run.Status != workflow.StatusCompleted || string(run.Output) != `{"N":76}` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		clear(tries)
		broken.Store(5)
		_ = wf.Start(t.Context(), e, "bad", import_{200})
		run := endOf(t, e, "bad")
		want := "5 of 200 failed, 4 are tolerated; load[0]/fetch: no such file"
		if run.Status != workflow.StatusFailed || run.Failure.Code != workflow.CodeSubRuns || run.Failure.Message != want {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		before := agree(t, st, "bad", 0, "load")
		begun := before[store.Completed] + before[store.Failed] + before[store.Canceled]
		if before[store.Failed] != 5 {
			t.Error(before)
		}
		broken.Store(0)
		if err := e.Retry(t.Context(), "bad/load[0]", ""); !errors.Is(err, workflow.ErrSubRun) {
			t.Error(err)
		}
		if err := e.Retry(t.Context(), "bad", ""); err != nil {
			t.Fatal(err)
		}
		if run = endOf(t, e, "bad"); run.Status != workflow.StatusCompleted || string(run.Output) != `{"N":200}` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		if got := agree(t, st, "bad", 0, "load"); got[store.Completed] != 200 {
			t.Error(got)
		}
		twice := 0
		for _, n := range tries {
			twice += n - 1
		}
		if twice > begun-before[store.Completed] || len(tries) != 200 {
			t.Errorf("%d were tried again, %d had not completed", twice, begun-before[store.Completed])
		}
	})
}

var tick = workflow.Event[int]{Name: "tick"}

// waits is a map whose items wait for an event each.
func waits(opts ...workflow.StepOption) (*workflow.Workflow[[]int], *workflow.Mapped[int]) {
	wf := workflow.New[[]int]("waits")
	return wf, workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.WaitFor(b, "w", tick, time.Hour)
	}, opts...)
}

func TestACancelReachesTheSubRunsAndTheirRunEndsLast(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		wf, each := waits(workflow.AtMost(2000))
		handled := make(chan int, 1)
		workflow.OnCancel(wf, func(ctx context.Context, _ []int, _ string) error {
			n := 0
			for it, err := range each.All(ctx) {
				if err != nil {
					return err
				}
				if it.Status == workflow.StatusCanceled {
					n++
				}
			}
			handled <- n
			return nil
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		const n = 620 // more than one commit opens
		if err := wf.Start(t.Context(), e, "r", make([]int, n)); err != nil {
			t.Fatal(err)
		}
		await(t, "all to wait", func() bool {
			subs, err := st.Subs(t.Context(), store.SubQuery{Parent: "r", Step: "each", Rows: true})
			waiting := 0
			for _, s := range subs {
				if s.Run.Park.Kind == store.ParkWait && s.Run.Owner == 0 {
					waiting++
				}
			}
			return err == nil && waiting == n
		})
		run, err := e.Describe(t.Context(), "r")
		if err != nil || run.Status != workflow.StatusWaiting || run.WaitingFor.Kind != workflow.WaitRuns || run.NoDefinition != "" ||
			run.Children == nil || *run.Children != (workflow.Children{Step: "each", Total: n, Open: n}) {
			t.Errorf("%+v %+v %v", run, run.Children, err)
		}
		if _, err := tick.Send(t.Context(), e, "r/each[7]", "s", 1); err != nil {
			t.Fatal(err)
		}
		endOf(t, e, "r/each[7]")
		if err := e.Cancel(t.Context(), "r", "stop it"); err != nil {
			t.Fatal(err)
		}
		if run = endOf(t, e, "r"); run.Status != workflow.StatusCanceled || <-handled != n-1 {
			t.Errorf("%s %v", run.Status, run.Failure)
		}
		if got := agree(t, st, "r", 0, "each"); got[store.Canceled] != n-1 || got[store.Completed] != 1 {
			t.Error(got)
		}
	})
}

func TestATerminateReachesAllBelow(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		wf := workflow.New[[]int]("deep")
		workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[workflow.Summary] {
			two := workflow.Step(b, "two", func(context.Context, int) ([]int, error) { return []int{1, 2}, nil })
			return workflow.Map(b, "p", workflow.Each(two), func(b *workflow.Workflow[int]) *workflow.Result[int] {
				return workflow.WaitFor(b, "w", tick, time.Hour)
			}).Summary()
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		for _, id := range []string{"r", "q"} {
			_ = wf.Start(t.Context(), e, id, make([]int, 5))
			for i := range 5 {
				await(t, "all to wait", func() bool {
					return statusOf(t, e, fmt.Sprintf("%s/each[%d]/p[1]", id, i)) == workflow.StatusWaiting &&
						statusOf(t, e, fmt.Sprintf("%s/each[%d]/p[0]", id, i)) == workflow.StatusWaiting
				})
			}
		}
		// A terminated sub-run is a failed one: the others are canceled, the run fails.
		if err := e.Terminate(t.Context(), "r/each[4]/p[1]", "x"); err != nil {
			t.Fatal(err)
		}
		run := endOf(t, e, "r")
		if run.Status != workflow.StatusFailed || run.Failure.Code != workflow.CodeSubRuns {
			t.Errorf("%s %v", run.Status, run.Failure)
		}
		if got := agree(t, st, "r", 0, "each"); got[store.Failed] != 1 || got[store.Canceled] != 4 {
			t.Error(got)
		}
		if err := e.Terminate(t.Context(), "q", "x"); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"q", "q/each[0]", "q/each[4]/p[1]"} {
			if got := statusOf(t, e, id); got != workflow.StatusCanceled {
				t.Errorf("%s is %s", id, got)
			}
			agree(t, st, id, 0, "each", "p")
		}
		if n, err := e.Prune(t.Context(), time.Now().Add(time.Hour), 10); err != nil || n != 2 {
			t.Errorf("%d runs pruned, %v", n, err)
		}
		if got := statusOf(t, e, "q/each[4]/p[1]"); got != "" {
			t.Errorf("a pruned sub-run is %s", got)
		}
	})
}

func TestTheTimeoutOfARunStopsItsSubRuns(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		wf := workflow.New[[]int]("late", workflow.RunTimeout(500*time.Millisecond))
		m := workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			workflow.Sleep(b, "s", time.Hour)
			return workflow.Step(b, "x", func(context.Context, int) (int, error) { return 1, nil })
		})
		partial := make(chan int, 1)
		workflow.OnError(wf, func(ctx context.Context, _ []int, _ workflow.Failure) error {
			n := 0
			for range m.All(ctx) {
				n++
			}
			partial <- n
			return nil
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		for try, canceled := 1, 0; canceled != 10; try++ { // a busy machine may not have begun them by then
			id := fmt.Sprint("r", try)
			_ = wf.Start(t.Context(), e, id, make([]int, 10))
			run := endOf(t, e, id)
			canceled = agree(t, st, id, 0, "each")[store.Canceled]
			if run.Status != workflow.StatusTimedOut || run.Failure.Code != workflow.CodeRunTimeout || <-partial != canceled || try > 50 {
				t.Fatalf("%s %v with %d sub-runs", run.Status, run.Failure, canceled)
			}
			for i, h := range run.History {
				if h.Seq != int64(i+1) {
					t.Errorf("the history has a gap at %d: %+v", i+1, run.History)
				}
			}
		}
	})
}

func TestARetryFromBeforeAMapIsAnotherGeneration(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		var round atomic.Int64
		wf := workflow.New[int]("generations")
		list := workflow.Step(wf, "list", func(_ context.Context, n int) ([]int, error) { return make([]int, n+int(round.Add(1))), nil })
		m := workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "x", func(ctx context.Context, _ int) (int, error) {
				if round.Load() == 1 && workflow.InfoFrom(ctx).Index == 2 {
					return 0, errors.New("broken")
				}
				return len(list.Output(ctx)), nil
			})
		})
		workflow.Step(wf, "sum", func(ctx context.Context, _ int) (l []int, err error) {
			for it := range m.All(ctx) {
				l = append(l, it.Output)
			}
			return l, nil
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "r", 3)
		if run := endOf(t, e, "r"); run.Status != workflow.StatusFailed {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		if err := e.Retry(t.Context(), "r", "list"); err != nil {
			t.Fatal(err)
		}
		run := endOf(t, e, "r")
		if run.Status != workflow.StatusCompleted || string(run.Output) != `[5,5,5,5,5]` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		if got := agree(t, st, "r", 1, "each"); got[store.Completed] != 5 {
			t.Error(got)
		}
	})
}

func TestARunThatIsStartedAfterOneOfItsNameWasPrunedSeesItself(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		wf := workflow.New[[]int]("named")
		m := workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
		})
		workflow.Step(wf, "sum", func(ctx context.Context, _ []int) (sum int, err error) {
			for it := range m.All(ctx) {
				sum += it.Output
			}
			return sum, nil
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		for _, c := range []struct {
			in   []int
			want string
		}{{[]int{1, 2}, "3"}, {[]int{10, 20, 30}, "60"}, {[]int{7}, "7"}} {
			if err := wf.Start(t.Context(), e, "r", c.in); err != nil {
				t.Fatal(err)
			}
			if run := endOf(t, e, "r"); run.Status != workflow.StatusCompleted || string(run.Output) != c.want {
				t.Errorf("%v: %s %s %v", c.in, run.Status, run.Output, run.Failure)
			}
			if n, err := e.Prune(t.Context(), time.Now().Add(time.Hour), 10); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
	})
}

type state struct {
	Round int
	Texts []string
}

func TestForksRepeatsAndChildren(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		child := workflow.New[string]("child", workflow.Version(3))
		greeting := workflow.Step(child, "greet", func(_ context.Context, who string) (string, error) { return "hello " + who, nil })
		workflow.Sleep(child, "rest", time.Millisecond)

		wf := workflow.New[int]("all")
		fork := workflow.Parallel(wf, "both")
		left := workflow.Branch(fork, "left", func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "a", func(_ context.Context, n int) (int, error) { return n * 2, nil })
		})
		right := workflow.Branch(fork, "right", func(b *workflow.Workflow[int]) *workflow.Result[string] {
			workflow.Sleep(b, "s", 2*time.Millisecond)
			return workflow.Step(b, "a", func(context.Context, int) (string, error) { return "right", nil })
		})
		race := workflow.Race(wf, "race")
		slow := workflow.Branch(race, "slow", func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.WaitFor(b, "w", tick, time.Hour)
		})
		fast := workflow.Branch(race, "fast", func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "s", func(ctx context.Context, _ int) (int, error) { return left.Output(ctx) + 1, nil })
		})
		rounds := workflow.Repeat(wf, "round", 10, nil, func(b *workflow.Workflow[state]) *workflow.Result[state] {
			list := workflow.Step(b, "split", func(_ context.Context, s state) ([]int, error) { return make([]int, s.Round+1), nil })
			inner := workflow.Map(b, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[int] {
				return workflow.Step(b, "one", func(ctx context.Context, _ int) (int, error) {
					return left.Output(ctx) + workflow.InfoFrom(ctx).Index, nil
				})
			}, workflow.AtMost(2))
			return workflow.Step(b, "next", func(ctx context.Context, s state) (state, error) {
				sum := 0
				for it := range inner.All(ctx) {
					sum += it.Output
				}
				return state{s.Round + 1, append(s.Texts, fmt.Sprint(sum))}, nil
			})
		}, func(s state) bool { return s.Round == 4 })
		greeted := workflow.Child(wf, "child", child, greeting, func(ctx context.Context, n int) string {
			return fmt.Sprint(right.Output(ctx), n)
		})
		workflow.Step(wf, "end", func(ctx context.Context, _ int) (string, error) {
			_, lost := slow.Lookup(ctx)
			return fmt.Sprint(left.Output(ctx), right.Output(ctx), lost, fast.Output(ctx), rounds.Output(ctx), greeted.Output(ctx)), nil
		}, workflow.If(fast, "fast", func(n int) bool { return n == 7 }))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "r", 3)
		run := endOf(t, e, "r")
		if run.Status != workflow.StatusCompleted || string(run.Output) != `"6rightfalse 7 {4 [6 13 21 30]}hello right3"` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		if len(run.History) != 11 {
			t.Errorf("%d items: %+v", len(run.History), run.History)
		}
		belowTheForks(t, e)
	})
}

func belowTheForks(t *testing.T, e *engine.Engine) {
	t.Helper()
	inner, err := e.Describe(t.Context(), "r/round[2]/each[1]")
	if err != nil || inner.Workflow != "all" || inner.Parent != "r/round[2]" || string(inner.Output) != "7" {
		t.Errorf("%+v %v", inner, err)
	}
	if c, err := e.Describe(t.Context(), "r/child[0]"); err != nil || c.Workflow != "child" || c.Version != 3 ||
		string(c.Input) != `"right3"` {
		t.Errorf("%+v %v", c, err)
	}
}
