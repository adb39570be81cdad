package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// story is a definition that stands at a wait; what changes about it is up to build.
func story(did func(string), build func(wf *workflow.Workflow[int],
	step func(string) func(context.Context, int) (int, error))) *workflow.Workflow[int] {
	wf := workflow.New[int]("story")
	build(wf, func(name string) func(context.Context, int) (int, error) {
		return func(context.Context, int) (int, error) { did(name); return 1, nil }
	})
	workflow.OnError(wf, func(context.Context, int, workflow.Failure) error { did("compensation"); return nil })
	return wf
}

type stepOf = func(string) func(context.Context, int) (int, error)

func original(wf *workflow.Workflow[int], step stepOf) {
	a := workflow.Step(wf, "a", step("a"))
	workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", func(n int) bool { return n == 2 }))
	workflow.WaitFor(wf, "wait", ping, time.Hour)
	workflow.Step(wf, "b", step("b"))
}

// changed are definitions of the same name and version that a run of the original one,
// which waits, does not fit, by what is said of it.
func changed() map[string]func(*workflow.Workflow[int], stepOf) {
	rest := func(wf *workflow.Workflow[int], step stepOf) {
		workflow.WaitFor(wf, "wait", ping, time.Hour)
		workflow.Step(wf, "b", step("b"))
	}
	is := func(m int) func(int) bool { return func(n int) bool { return n == m } }
	return map[string]func(*workflow.Workflow[int], stepOf){
		`an outcome of step "a", which version 1 does not have`: func(wf *workflow.Workflow[int], step stepOf) { // renamed
			a := workflow.Step(wf, "a2", step("a2"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(2)))
			rest(wf, step)
		},
		`went on with step "a", where version 1 has "first"`: func(wf *workflow.Workflow[int], step stepOf) { // inserted
			workflow.Step(wf, "first", step("first"))
			original(wf, step)
		},
		`stands at step "wait", where version 1 has step "b"`: func(wf *workflow.Workflow[int], step stepOf) { // reordered
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(2)))
			workflow.Step(wf, "b", step("b"))
			workflow.WaitFor(wf, "wait", ping, time.Hour)
		},
		`because of "is-two", and version 1 has the condition "is-three"`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-three", is(3)))
			rest(wf, step)
		},
		`step "never" was skipped, which the condition of version 1 says otherwise`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(1)))
			rest(wf, step)
		},
		`the output of step "a" is of another type`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", func(context.Context, int) (string, error) { return "", nil })
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", func(string) bool { return false }))
			rest(wf, step)
		},
		`stands at step "wait", which version 1 skips because of "is-two"`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(2)))
			workflow.WaitFor(wf, "wait", ping, time.Hour, workflow.If(a, "is-two", is(2)))
			workflow.Step(wf, "b", step("b"))
		},
		`stands at step "wait", where version 1 has step "on-error"`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(2)))
			workflow.FailIf(wf, a, "is-one", is(1), "one") // was gone past
			rest(wf, step)
		},
		`"wait", which is a sleep in version 1`: func(wf *workflow.Workflow[int], step stepOf) {
			a := workflow.Step(wf, "a", step("a"))
			workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", is(2)))
			workflow.Sleep(wf, "wait", time.Minute)
			workflow.Step(wf, "b", step("b"))
		},
	}
}

// faults notes the faults an engine tells of.
type faultLog struct {
	mu   sync.Mutex
	said []string
}

func (f *faultLog) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}
func (f *faultLog) RunnerFault(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, op+": "+err.Error())
}

func TestARunIsLeftAloneByADefinitionThatDoesNotFitIt(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return memory.New() },
		"sqlite": func(t *testing.T) store.Store {
			s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "test.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
	} {
		for want, build := range changed() {
			t.Run(name+"/"+want, func(t *testing.T) { misfit(t, open, want, build) })
		}
	}
}

func misfit(t *testing.T, open func(*testing.T) store.Store, want string, build func(*workflow.Workflow[int], stepOf)) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		var mu sync.Mutex
		var log []string
		did := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, what)
		}
		run := func(build func(*workflow.Workflow[int], stepOf)) (*engine.Engine, *faultLog, func() error) {
			return executing(t, engine.Config{Store: s, Definitions: []workflow.Definition{story(did, build)}})
		}
		e, _, stop := run(original)
		if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before, err := s.Get(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		_ = stop()

		e, faults, stop := run(build)
		elsewhere, err := engine.New(engine.Config{Store: s}) // the new definition may know no such event
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ping.Send(t.Context(), elsewhere, "run", "s1", 7); err != nil {
			t.Fatal(err)
		}
		if err := e.Wake(t.Context(), "run"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		after, err := s.Get(t.Context(), "run")
		if err != nil || after.Run.Status != store.Open || len(after.History) != len(before.History) {
			t.Errorf("the run was touched: %v %+v", err, after)
		}
		if len(faults.said) != 1 || !strings.Contains(faults.said[0], "story version 1") {
			t.Errorf("the engine says %q, want it once of the workflow", faults.said)
		}
		saysSo(t, e, want)
		_ = stop()

		e, _, stop = run(original)
		defer func() { _ = stop() }()
		time.Sleep(time.Minute)
		if got, err := e.Describe(t.Context(), "run"); err != nil || got.NoDefinition != "" || got.Status != workflow.StatusCompleted ||
			fmt.Sprint(log) != "[a b]" {
			t.Errorf("after the rollback the run is %s (%v), and the steps ran as %v", got.Status, err, log)
		}
	})
}

// saysSo sees that an engine says everywhere why the one run there is waits.
func saysSo(t *testing.T, e *engine.Engine, want string) {
	if run, err := e.Describe(t.Context(), "run"); err != nil || !strings.Contains(run.NoDefinition, want) {
		t.Errorf("the run has no definition because of %q, want %q (%v)", run.NoDefinition, want, err)
	}
	if page, err := e.List(t.Context(), workflow.Query{}); err != nil || !strings.Contains(page.Runs[0].NoDefinition, want) {
		t.Errorf("listed is %+v, %v", page.Runs, err)
	}
	if n := e.Notices(); len(n) != 1 || !strings.Contains(n[0], "1 runs of story version 1") || !strings.Contains(n[0], want) {
		t.Errorf("the notices are %q", n)
	}
	if m := e.Misfits(); len(m) != 1 || m[0].RunID != "run" || !strings.Contains(m[0].Why, want) {
		t.Errorf("the misfits are %+v", m)
	}
	if o, err := e.Orphans(t.Context()); err != nil || len(o) != 1 || o[0].Runs != 1 {
		t.Errorf("the orphans are %+v, %v", o, err)
	}
}

func TestARunIsLeftAloneWhoseWaitEndedWithOtherEvents(t *testing.T) {
	other := workflow.Event[int]{Name: "other"}
	def := func(wait func(*workflow.Workflow[int])) *workflow.Workflow[int] {
		return story(func(string) {}, func(wf *workflow.Workflow[int], step stepOf) {
			wait(wf)
			workflow.WaitFor(wf, "wait", ping, time.Hour)
		})
	}
	for want, wait := range map[string]func(*workflow.Workflow[int]){
		"": func(wf *workflow.Workflow[int]) { workflow.WaitFor(wf, "first", other, time.Hour) },
		`wait "first" ended with the events ["other"]`: func(wf *workflow.Workflow[int]) { workflow.WaitFor(wf, "first", ping, time.Hour) },
		`"first" ended with the events ["other"]`: func(wf *workflow.Workflow[int]) {
			workflow.WaitForAll(wf, "first", time.Hour, []workflow.AnyEvent{ping, other})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New()
			e, stop := run(t.Context(), t, s, def(func(wf *workflow.Workflow[int]) {
				workflow.WaitForAny(wf, "first", time.Hour, []workflow.AnyEvent{ping, other})
			}))
			if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
				t.Fatal(err)
			}
			if _, err := other.Send(t.Context(), e, "run", "s1", 7); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			stop()
			left(t, s, def(wait), want)
		})
	}
}

func TestARunIsLeftAloneWhoseHandlerIsGone(t *testing.T) {
	fails := func() *workflow.Workflow[int] {
		wf := workflow.New[int]("story")
		workflow.Do(wf, "a", func(context.Context, int) error { return errors.New("broken") })
		return wf
	}
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		handled := fails()
		workflow.OnError(handled, func(context.Context, int, workflow.Failure) error { return workflow.Snooze(time.Hour) })
		e, stop := run(t.Context(), t, s, handled)
		if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		stop()
		left(t, s, fails(), `stands at step "on-error", where version 1 has its end`)
	})
}

// left checks why a run is left alone by a definition; it fits when it is not to be.
func left(t *testing.T, s store.Store, def workflow.Definition, want string) {
	t.Helper()
	e, stop := run(t.Context(), t, s, def)
	defer stop()
	if err := e.Wake(t.Context(), "run"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	switch got, err := e.Describe(t.Context(), "run"); {
	case err != nil:
		t.Error(err)
	case want == "" && got.NoDefinition != "", !strings.Contains(got.NoDefinition, want), got.Status.Ended():
		t.Errorf("the run is %s, left alone because of %q, want %q", got.Status, got.NoDefinition, want)
	}
}

func TestARunThatFitsGoesOnUnderAChangedDefinition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		first, stop := run(t.Context(), t, s, story(func(string) {}, original))
		if err := first.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		stop()
		e, err := engine.New(engine.Config{Store: s,
			Definitions: []workflow.Definition{story(func(string) {}, func(wf *workflow.Workflow[int], step stepOf) {
				a := workflow.Step(wf, "a", step("a"), workflow.Retry{MaxAttempts: 9})
				workflow.Step(wf, "never", step("never"), workflow.If(a, "is-two", func(n int) bool { return n == 2 }))
				workflow.WaitFor(wf, "wait", ping, time.Hour)
				workflow.Step(wf, "instead-of-b", step("b"))
			})}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		if _, err := ping.Send(t.Context(), e, "run", "s1", 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		run, err := e.Describe(t.Context(), "run")
		if err != nil || run.Status != workflow.StatusCompleted || len(e.Misfits()) != 0 {
			t.Errorf("the run is %s, %v, %v; misfits %+v", run.Status, run.Failure, errors.Join(err), e.Misfits())
		}
	})
}

func TestAnEventThatDoesNotFitIsSetAsideAndTheRightOneFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		h := harness(t, func() store.Store { return s }, func(store.Store) {}, []workflow.Definition{story(func(string) {}, original)})
		if err := h.Runner.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		elsewhere, err := engine.New(engine.Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, sig := range []workflow.Signal{{ID: "s1", Event: "ping", Payload: []byte(`"a string"`)},
			{ID: "s2", Event: "gamma", Payload: []byte("1")}} {
			if _, err := elsewhere.Signal(t.Context(), "run", sig); err != nil {
				t.Errorf("event %s where no definition is held: %v", sig.ID, err)
			}
			if _, err := h.Runner.Signal(t.Context(), "run", sig); !errors.Is(err, workflow.ErrPayload) &&
				!errors.Is(err, workflow.ErrUnknownEvent) {
				t.Errorf("event %s where it is held: %v", sig.ID, err)
			}
		}
		if err := h.Runner.Wake(t.Context(), "run"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if run, err := h.Runner.Describe(t.Context(), "run"); err != nil || run.Status != workflow.StatusWaiting || len(run.Events) != 2 {
			t.Fatalf("with the wrong events the run is %s, %v: %+v", run.Status, err, run.Events)
		}
		if _, err := ping.Send(t.Context(), h.Runner, "run", "s3", 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		run, err := h.Runner.Describe(t.Context(), "run")
		if err != nil || run.Status != workflow.StatusCompleted || run.Events[2].ConsumedBy != "wait" || run.Events[0].ConsumedBy != "" {
			t.Errorf("the run is %s, %v: %+v", run.Status, err, run.Events)
		}
	})
}

// reads counts how often a run is read whole. Its claims bring rows alone, as they do
// of runs that are not small.
type reads struct {
	store.Store
	n atomic.Int64
}

func (r *reads) Get(ctx context.Context, runID string) (store.Claimed, error) {
	r.n.Add(1)
	return r.Store.Get(ctx, runID)
}

func (r *reads) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	w.Bytes = 0
	return r.Store.Claim(ctx, node, w, now)
}

func TestARunThatWasLeftAloneIsNotReadAgainUntilSomethingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &reads{Store: memory.New()}
		build := func(step string) engine.Config {
			return engine.Config{Store: s, Definitions: []workflow.Definition{story(func(string) {}, func(wf *workflow.Workflow[int], run stepOf) {
				workflow.Step(wf, step, run(step))
				workflow.WaitFor(wf, "wait", ping, time.Hour)
			})}}
		}
		e, _, stop := executing(t, build("a"))
		if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_ = stop()
		e, _, stop = executing(t, build("renamed"))
		defer func() { _ = stop() }()
		for _, id := range []string{"s1", "s2"} {
			before := s.n.Load()
			if _, err := ping.Send(t.Context(), e, "run", id, 7); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := s.n.Load() - before; n != 1 {
				t.Errorf("after event %s it was read %d times, want once", id, n)
			}
		}
		if len(e.Misfits()) != 1 {
			t.Errorf("the misfits are %+v", e.Misfits())
		}
		if err := s.Terminate(t.Context(), "run", workflow.Failure{}, time.Now()); err != nil { // elsewhere
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if run, err := e.Describe(t.Context(), "run"); err != nil || len(e.Misfits()) != 0 || run.NoDefinition != "" {
			t.Errorf("what ended elsewhere is a misfit: %+v; %q, %v", e.Misfits(), run.NoDefinition, err)
		}
	})
}

// excepting notes which runs the latest claim left to other nodes.
type excepting struct {
	store.Store
	mu     sync.Mutex
	except []string
}

func (s *excepting) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	s.mu.Lock()
	s.except = slices.Clone(w.Except)
	s.mu.Unlock()
	return s.Store.Claim(ctx, node, w, now)
}

func TestARunThatDoesNotFitIsLeftToOtherNodesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &excepting{Store: &leased{Store: memory.New()}}
		build := func(step string) engine.Config {
			return engine.Config{Store: s, Definitions: []workflow.Definition{story(func(string) {}, func(wf *workflow.Workflow[int], run stepOf) {
				workflow.Step(wf, step, run(step))
				workflow.WaitFor(wf, "wait", ping, time.Hour)
			})}}
		}
		e, _, stop := executing(t, build("a"))
		if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: "run", Input: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_ = stop()
		e, _, stop = executing(t, build("renamed"))
		defer func() { _ = stop() }()
		time.Sleep(time.Second)
		for i, id := range []string{"s1", "s2"} {
			if _, err := ping.Send(t.Context(), e, "run", id, 7); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			time.Sleep(time.Second)
			synctest.Wait() // a look of the engine at this very moment is over
			c, err := s.Get(t.Context(), "run")
			if err != nil || c.Run.Owner != 0 || c.Run.Park.Until.After(at) {
				t.Errorf("after event %d the run is %+v, %v; now %s", i+1, c.Run, err, at)
			}
			s.mu.Lock()
			if !slices.Equal(s.except, []string{"run"}) {
				t.Errorf("after event %d a claim leaves %q to others", i+1, s.except)
			}
			s.mu.Unlock()
			time.Sleep(time.Minute)
		}
		for range 2 { // whoever holds what it fits is not there, so it comes by again
			if err := e.Wake(t.Context(), "run"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if c, err := s.Get(t.Context(), "run"); err != nil || len(e.Misfits()) != 1 || c.Run.Owner != 0 {
			t.Errorf("the run is %+v, %v; misfits %+v", c.Run, err, e.Misfits())
		}
	})
}
