package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// faulty wraps a store: the call numbered failAt fails, before or (unheard) after
// it took effect; once cut is set every call fails as after a crash, with full all
// changes fail.
type faulty struct {
	store.Store
	mu      sync.Mutex
	calls   int
	failAt  int
	unheard bool
	deafAt  int // fails before it took effect
	cutAt   int
	cut     bool
	full    bool
}

var errInjected = errors.New("injected")

// call makes a call that changes something, or only reads.
func (f *faulty) call(change bool, do func() error) error {
	f.mu.Lock()
	f.calls++
	if f.cutAt != 0 && f.calls >= f.cutAt {
		f.cut = true
	}
	cut, fails, full := f.cut, f.calls == f.failAt, f.full && change || f.calls == f.deafAt
	f.mu.Unlock()
	switch {
	case cut:
		return store.ErrClosed
	case full:
		return errInjected
	case fails && f.unheard && change:
		return errors.Join(errInjected, do())
	case fails:
		return errInjected
	}
	return do()
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *faulty) Create(ctx context.Context, r store.Run) error {
	return f.call(true, func() error { return f.Store.Create(ctx, r) })
}

// Claim never fails after it took effect: see the contract.
func (f *faulty) Claim(ctx context.Context, n store.Node, w store.Wanted, now time.Time) (c []store.Claimed, next time.Time, err error) {
	err = f.call(false, func() error { c, next, err = f.Store.Claim(ctx, n, w, now); return err })
	return c, next, err
}

func (f *faulty) Commit(ctx context.Context, l store.Lease, p store.Progress) (news store.News, err error) {
	err = f.call(true, func() error { news, err = f.Store.Commit(ctx, l, p); return err })
	return news, err
}

func (f *faulty) Deliver(ctx context.Context, id string, s workflow.Signal, now time.Time) (r workflow.Receipt, err error) {
	err = f.call(true, func() error { r, err = f.Store.Deliver(ctx, id, s, now); return err })
	return r, err
}

func (f *faulty) Get(ctx context.Context, id string) (c store.Claimed, err error) {
	err = f.call(false, func() error { c, err = f.Store.Get(ctx, id); return err })
	return c, err
}

// counted is a workflow whose steps count how often they ran and how often they
// ran again although their outcome was durable.
type counted struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *counted) ran(step string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs[step]++
	return c.runs[step]
}

func (c *counted) workflow() *workflow.Workflow[string] {
	wf := workflow.New[string]("counted")
	step := func(name string) *workflow.Result[int] {
		return workflow.Step(wf, name, func(context.Context, string) (int, error) {
			n := c.ran(name)
			time.Sleep(time.Second)
			if name == "b" && n == 1 {
				return 0, errors.New("busy")
			}
			return n, nil
		}, workflow.Retry{MaxAttempts: 50, InitialDelay: time.Second, MaxDelay: time.Second})
	}
	step("a")
	step("b")
	workflow.WaitFor(wf, "wait", done, time.Hour)
	workflow.Sleep[string](wf, "rest", time.Minute)
	step("c")
	return wf
}

func run(ctx context.Context, t *testing.T, st store.Store, defs ...workflow.Definition) (*engine.Engine, func()) {
	t.Helper()
	e, err := engine.New(engine.Config{Store: st, Definitions: defs, StopTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	synctest.Wait()
	return e, func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func checkCompleted(t *testing.T, e *engine.Engine, id string) workflow.Run {
	t.Helper()
	r, err := e.Describe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != workflow.StatusCompleted {
		t.Errorf("the run is %s: %+v", r.Status, r.Failure)
	}
	completed := map[string]int{}
	for i, h := range r.History {
		if h.Seq != int64(i+1) {
			t.Errorf("history item %d has number %d", i+1, h.Seq)
		}
		if h.Type == workflow.HistoryStepCompleted {
			completed[h.Step]++
		}
	}
	for _, s := range r.Steps {
		if completed[s.Name] != 1 {
			t.Errorf("step %s has %d outcomes", s.Name, completed[s.Name])
		}
	}
	return r
}

func TestAFailingStoreCallNeverLosesARunAndNeverRunsACompletedStepAgain(t *testing.T) {
	everyFailingCall(t, false)
}

func TestAChangeWhoseAnswerIsLostNeverLosesARunAndIsNotMadeTwice(t *testing.T) {
	everyFailingCall(t, true)
}

func everyFailingCall(t *testing.T, unheard bool) {
	for failAt := 1; ; failAt++ {
		reached := false
		t.Run(fmt.Sprint("call ", failAt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { reached = failingCall(t, failAt, unheard) })
		})
		if !reached {
			if failAt < 8 {
				t.Fatalf("only %d calls were reached", failAt)
			}
			return
		}
	}
}

func failingCall(t *testing.T, failAt int, unheard bool) (reached bool) {
	f := &faulty{Store: memory.New(), unheard: unheard}
	c := &counted{runs: map[string]int{}}
	wf := c.workflow()
	e, stop := run(t.Context(), t, f, wf)
	defer stop()
	calls := f.count()
	f.mu.Lock()
	f.failAt = calls + failAt
	f.mu.Unlock()
	again := func(what func() error) {
		err := what()
		if errors.Is(err, errInjected) {
			err = what()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	again(func() error { return wf.Start(t.Context(), e, "r", "in") })
	time.Sleep(20 * time.Second)
	again(func() error { _, err := done.Send(t.Context(), e, "r", "s", "x"); return err })
	time.Sleep(5 * time.Minute)
	f.mu.Lock()
	reached = f.calls >= f.failAt
	f.failAt = 0
	f.mu.Unlock()
	checkCompleted(t, e, "r")
	if c.runs["a"] != 1 || c.runs["b"] != 2 || c.runs["c"] != 1 {
		t.Errorf("steps ran %v", c.runs)
	}
	return reached
}

func TestARunCreatedUnheardIsExecutedWhenTheStoreAnswersAgain(t *testing.T) {
	for _, landed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{Store: memory.New(), unheard: landed}
			wf := nap(time.Second)
			e, stop := run(t.Context(), t, f, wf)
			defer stop()
			calls := f.count()
			f.mu.Lock()
			f.failAt, f.deafAt = calls+1, calls+2
			f.mu.Unlock()
			if err := wf.Start(t.Context(), e, "r", ""); !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			_, err := e.Describe(t.Context(), "r")
			if landed {
				checkCompleted(t, e, "r")
			} else if !errors.Is(err, workflow.ErrNotFound) {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestARunIsTakenOverWhereverItsWorkerDies(t *testing.T) {
	for cutAt := 2; ; cutAt++ {
		reached := false
		t.Run(fmt.Sprint("call ", cutAt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				durable := memory.New()
				f := &faulty{Store: durable}
				c := &counted{runs: map[string]int{}}
				wf := c.workflow()
				e, stop := run(t.Context(), t, f, wf)
				calls := f.count()
				f.mu.Lock()
				f.cutAt = calls + cutAt
				f.mu.Unlock()
				if err := wf.Start(t.Context(), e, "r", "in"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				_, _ = done.Send(t.Context(), e, "r", "s", "x")
				time.Sleep(5 * time.Minute)
				f.mu.Lock()
				reached = f.cut
				f.mu.Unlock()
				stop()
				next, stopNext := run(t.Context(), t, durable, wf)
				_, _ = done.Send(t.Context(), next, "r", "s", "x")
				time.Sleep(10 * time.Minute)
				r := checkCompleted(t, next, "r")
				for _, s := range r.Steps {
					if ran := c.runs[s.Name]; s.Kind == workflow.KindStep && ran > len(s.Attempts)+1 {
						t.Errorf("step %s ran %d times, recorded %d", s.Name, ran, len(s.Attempts))
					}
				}
				stopNext()
			})
		})
		if !reached {
			if cutAt < 8 {
				t.Fatalf("only %d calls were reached", cutAt)
			}
			return
		}
	}
}

func TestAGracefulStopGivesRunsBackWithoutCountingALostWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		wf := workflow.New[string]("slow")
		attempts := 0
		for _, name := range []string{"a", "b"} {
			workflow.Step(wf, name, func(ctx context.Context, _ string) (int, error) {
				attempts = max(attempts, workflow.InfoFrom(ctx).Attempt)
				time.Sleep(10 * time.Second)
				return 1, nil
			})
		}
		ctx, stop := context.WithCancel(t.Context())
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		if err := wf.Start(ctx, e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		begun := time.Now()
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("stopping took %s, the running step needs 5 s more", took)
		}
		c, err := st.Get(t.Context(), "r")
		if err != nil || c.Run.Owner != 0 || len(c.History) != 1 || c.Run.Takeovers != 0 {
			t.Errorf("after the stop: %+v, %v", c.Run, err)
		}
		next, stopNext := run(t.Context(), t, st, wf)
		time.Sleep(time.Minute)
		checkCompleted(t, next, "r")
		if attempts != 1 {
			t.Errorf("attempt %d was counted", attempts)
		}
		stopNext()
	})
}

func TestAStepThatKillsTenWorkersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		durable := memory.New()
		var handled workflow.Failure
		wf := workflow.New[string]("poison")
		workflow.Step(wf, "poison", func(ctx context.Context, _ string) (int, error) {
			time.Sleep(time.Hour)
			return 0, nil
		}, workflow.Timeout(2*time.Hour))
		workflow.OnError(wf, func(_ context.Context, _ string, f workflow.Failure) error { handled = f; return nil })
		if err := wf.Start(t.Context(), mustNew(t, durable, wf), "r", ""); err != nil {
			t.Fatal(err)
		}
		for range 11 {
			f := &faulty{Store: durable}
			_, stop := run(t.Context(), t, f, wf)
			time.Sleep(time.Minute)
			f.mu.Lock()
			f.cut = true
			f.mu.Unlock()
			stop()
		}
		e, stop := run(t.Context(), t, durable, wf)
		time.Sleep(time.Minute)
		r, _ := e.Describe(t.Context(), "r")
		if r.Status != workflow.StatusFailed || handled.Code != workflow.CodeCrashLoop || handled.Reason != workflow.ReasonUnknown {
			t.Errorf("%s, handled %+v", r.Status, handled)
		}
		stop()
		time.Sleep(3 * time.Hour) // the abandoned steps end
	})
}

func mustNew(t *testing.T, st store.Store, defs ...workflow.Definition) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{Store: st, Definitions: defs})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestIdleIsNoQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: memory.New()}
		c := &counted{runs: map[string]int{}}
		wf := c.workflow()
		e, stop := run(t.Context(), t, f, wf)
		if err := wf.Start(t.Context(), e, "r", "in"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // parked at the wait
		before := f.count()
		time.Sleep(50 * time.Minute)
		if now := f.count(); now != before {
			t.Errorf("%d calls of the store while nothing was due", now-before)
		}
		stop()
	})
}
