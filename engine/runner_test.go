package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runnertest"
)

func TestTheEngineKeepsTheRulesOfEveryRunnerInMemory(t *testing.T) {
	runnertest.Run(t, runnertest.Config{New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
		st := memory.New()
		return harness(t, func() store.Store { return st }, func(store.Store) {}, defs)
	}})
}

func TestTheEngineKeepsTheRulesOfEveryRunnerOnSQLite(t *testing.T) {
	t.Parallel()
	runnertest.Run(t, runnertest.Config{New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
		path := filepath.Join(t.TempDir(), "runs.db")
		open := func() store.Store {
			st, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		return harness(t, open, func(st store.Store) {
			if err := st.(*sqlite.Store).Close(); err != nil {
				t.Error(err)
			}
		}, defs)
	}})
}

// sender is an engine that holds no definition, and one that is woken when it sends,
// since in one process nothing else tells of it.
type sender struct {
	workflow.Runner
	executes workflow.Runner
}

func (s *sender) Signal(ctx context.Context, runID string, signal workflow.Signal) (workflow.Receipt, error) {
	receipt, err := s.Runner.Signal(ctx, runID, signal)
	return receipt, errors.Join(err, s.executes.Wake(ctx, runID))
}

func onlySends(t *testing.T, st store.Store) workflow.Runner {
	e, err := engine.New(engine.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// harness runs an engine over a store that is opened anew for every restart.
func harness(t *testing.T, open func() store.Store, shut func(store.Store), defs []workflow.Definition) runnertest.Harness {
	var stop func()
	elsewhere := &sender{}
	start := func() workflow.Runner {
		st := open()
		e, err := engine.New(engine.Config{Store: st, Definitions: defs})
		if err != nil {
			t.Fatal(err)
		}
		elsewhere.Runner, elsewhere.executes = onlySends(t, st), e
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		stop = func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			shut(st)
		}
		return e
	}
	h := runnertest.Harness{Runner: start(), Elsewhere: elsewhere, Restart: func() workflow.Runner {
		stop()
		return start()
	}}
	t.Cleanup(func() { stop() })
	return h
}
