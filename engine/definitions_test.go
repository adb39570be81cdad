package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// typed is a definition whose input, output and event are of the given types, and which
// waits, takes what came, and waits again.
func typed[In, Out, Payload any](more ...func(*workflow.Workflow[In])) workflow.Definition {
	wf := workflow.New[In]("typed")
	workflow.Step(wf, "a", func(_ context.Context, _ In) (out Out, err error) { return out, nil })
	workflow.WaitFor(wf, "w", workflow.Event[Payload]{Name: "e"}, time.Hour)
	workflow.WaitFor(wf, "go", ping, time.Hour)
	for _, add := range more {
		add(wf)
	}
	return wf
}

type (
	name     struct{ Name string }
	numbered struct{ Name int }
	longer   struct{ Name, Country string }
	renamed  struct{ Title string }
)

// executing runs an engine until stop is called; err is why it does not.
func executing(t *testing.T, cfg engine.Config) (e *engine.Engine, faults *faultLog, stop func() error) {
	t.Helper()
	faults = &faultLog{}
	cfg.Observers = []workflow.Observer{faults}
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	time.Sleep(time.Second)
	return e, faults, func() error { cancel(); return <-ended }
}

func TestARunWhoseValuesAreOfAnotherTypeIsLeftAlone(t *testing.T) {
	stores := map[string]func(t *testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return memory.New() },
		"sqlite": func(t *testing.T) store.Store {
			s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "test.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
	}
	for want, changed := range map[string]workflow.Definition{
		"":                         typed[longer, longer, longer](),
		"input is of another type": typed[numbered, name, name](),
		`input is of another type than that of version 1: json: unknown field "Name"`: typed[renamed, name, name](),
		`output of step "a" is of another type`:                                       typed[name, renamed, name](),
		`output of step "w" is of another type`:                                       typed[name, name, numbered](),
		`output of step "w" is of another type than that of version 1: json: unknown`: typed[name, name, renamed](),
	} {
		for on, open := range stores {
			t.Run(on+"/"+want, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { retyped(t, open(t), changed, want) })
			})
		}
	}
}

func retyped(t *testing.T, s store.Store, changed workflow.Definition, want string) {
	original := engine.Config{Store: s, Definitions: []workflow.Definition{typed[name, name, name]()}}
	e, _, stop := executing(t, original)
	if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "typed", RunID: "run", Input: []byte(`{"Name":"Ann"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Signal(t.Context(), "run", workflow.Signal{ID: "s", Event: "e", Payload: []byte(`{"Name":"Bob"}`)}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	next, faults, stop := executing(t, engine.Config{Store: s, Definitions: []workflow.Definition{changed}})
	if _, err := ping.Send(t.Context(), next, "run", "p", 1); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	run, err := next.Describe(t.Context(), "run")
	if err != nil || !strings.Contains(run.NoDefinition, want) || (run.Status == workflow.StatusCompleted) != (want == "") {
		t.Errorf("the run is %s without a definition because of %q, %v; want %q", run.Status, run.NoDefinition, err, want)
	}
	if len(faults.said) != 1 || !strings.Contains(faults.said[0],
		"definition: 1 open runs of typed version 1 were begun by another definition: ") {
		t.Errorf("told is %q", faults.said)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	back, faults, stop := executing(t, original)
	time.Sleep(10 * time.Second)
	if run, err = back.Describe(t.Context(), "run"); err != nil || run.Status != workflow.StatusCompleted || run.NoDefinition != "" {
		t.Errorf("after the rollback the run is %s, %v", run.Status, err)
	}
	if err := stop(); err != nil || len(faults.said) != 0 {
		t.Errorf("after the rollback: %v, told is %q", err, faults.said)
	}
}

// newcomers waits in the store before it has begun.
func TestANewcomerWhoseInputIsOfAnotherTypeIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		first, err := engine.New(engine.Config{Store: s, Definitions: []workflow.Definition{typed[name, name, name]()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Start(t.Context(), workflow.StartRequest{Workflow: "typed", RunID: "run", Input: []byte(`{"Name":"Ann"}`)}); err != nil {
			t.Fatal(err)
		}
		e, _, stop := executing(t, engine.Config{Store: s, Definitions: []workflow.Definition{typed[numbered, name, name]()}})
		if run, err := e.Describe(t.Context(), "run"); err != nil || !strings.Contains(run.NoDefinition, "input is of another type") ||
			run.Status.Ended() {
			t.Errorf("the run is %s: %q, %v", run.Status, run.NoDefinition, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// mute never answers what it is asked about definitions.
type mute struct{ store.Store }

func (mute) Shapes(context.Context) (map[store.Definition][]store.Shape, error) { select {} }

func TestAStoreThatSaysNothingOfDefinitionsIsNotWaitedFor(t *testing.T) {
	e, err := engine.New(engine.Config{Store: &mute{memory.New()}, Lease: 50 * time.Millisecond,
		Definitions: []workflow.Definition{typed[name, name, name]()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("Run ends with %v", err)
	}
	if e.Ready(t.Context()) == nil {
		t.Error("an engine whose Run has ended is ready")
	}
}

// strict is a store on which engines of a definition and of the same with a step more
// take turns.
type strict struct {
	t *testing.T
	store.Store
}

func (s strict) config(refuse bool, more ...func(*workflow.Workflow[name])) engine.Config {
	return engine.Config{Store: s.Store, Strict: refuse, Definitions: []workflow.Definition{typed[name, name, name](more...)}}
}

func appended(wf *workflow.Workflow[name]) {
	workflow.Step(wf, "more", func(context.Context, name) (int, error) { return 0, nil })
}

func (s strict) start(e *engine.Engine, id string) {
	s.t.Helper()
	if err := e.Start(s.t.Context(), workflow.StartRequest{Workflow: "typed", RunID: id, Input: []byte(`{"Name":"Ann"}`)}); err != nil {
		s.t.Fatal(err)
	}
}

// says runs an engine that refuses to work for a reason with these words; none: it
// works, and has nothing to tell.
func (s strict) says(what string, cfg engine.Config, words ...string) {
	s.t.Helper()
	_, faults, stop := executing(s.t, cfg)
	err := stop()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			s.t.Errorf("%s: %v, want %q", what, err, w)
		}
	}
	if len(words) == 0 && (err != nil || len(faults.said) > 0) {
		s.t.Errorf("%s: %v, told is %q", what, err, faults.said)
	}
}

func TestStrictRefusesADefinitionThatOpenRunsWereNotBegunWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strict{t, memory.New()}
		e, _, stop := executing(t, s.config(true))
		s.start(e, "old-1")
		s.start(e, "old-2")
		time.Sleep(time.Second)
		_ = stop()
		s.says("a step more", s.config(true, appended), "2 open runs of typed version 1", `step "more" is new`)
		s.says("a refused one is not noted", s.config(true))

		e, _, stop = executing(t, s.config(false, appended)) // it fits, and goes on
		s.start(e, "new")
		time.Sleep(time.Second)
		for i := range 2 {
			_ = e.Terminate(t.Context(), fmt.Sprint("old-", i+1), "")
		}
		_ = stop()
		s.says("the run of the changed one is open", s.config(true), "1 open runs of typed version 1", `step "more" is gone`)
		s.says("those of the first are over", s.config(true, appended))

		e, _, stop = executing(t, s.config(false, appended))
		_ = e.Terminate(t.Context(), "new", "")
		_ = stop()
		s.says("nothing is open", s.config(true))
		if noted, err := s.Shapes(t.Context()); err != nil || len(noted[store.Definition{Workflow: "typed", Version: 1}]) != 1 {
			t.Errorf("noted is %+v, %v", noted, err)
		}
	})
}

func TestWhatIsStartedAtTheInstantOfADeploymentIsOfTheDefinitionBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := strict{t, memory.New()}
		e, _, stop := executing(t, s.config(true))
		s.start(e, "instant")
		synctest.Wait()
		_ = stop()
		_, _, stop = executing(t, s.config(false, appended))
		_ = stop()
		s.says("a run of the instant", s.config(true, appended), "1 open runs of typed version 1")
	})
}

// A run of a node whose clock was ahead was created after the one that comes upon it began.
func TestARunOfANodeWhoseClockWasAheadIsDecodedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		ahead := func() time.Time { return time.Now().Add(time.Hour) }
		e, _, stop := executing(t, engine.Config{Store: s, Definitions: []workflow.Definition{typed[name, name, name]()}, Now: ahead})
		if err := e.Start(t.Context(), workflow.StartRequest{Workflow: "typed", RunID: "run", Input: []byte(`{"Name":"Ann"}`)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		next, _, stop := executing(t, engine.Config{Store: s, Definitions: []workflow.Definition{typed[numbered, name, name]()}})
		if err := next.Wake(t.Context(), "run"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		run, err := next.Describe(t.Context(), "run")
		if err != nil || !strings.Contains(run.NoDefinition, "input is of another type") {
			t.Errorf("the run is %s without a definition because of %q, %v", run.Status, run.NoDefinition, err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}
