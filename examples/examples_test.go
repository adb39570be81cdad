package examples_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

const day = 24 * time.Hour

// everywhere plays a scenario in virtual time over a store in memory, and again over a
// SQLite file.
func everywhere(t *testing.T, scenario func(t *testing.T, st store.Store)) {
	t.Helper()
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { scenario(t, memory.New()) })
	})
	t.Run("sqlite", func(t *testing.T) {
		onSQLite(t, func(t *testing.T, st *sqlite.Store) { scenario(t, unwatched{st}) })
	})
}

// unwatched is a store without the look at its file every few seconds, which of virtual
// days would be all that takes time.
type unwatched struct{ store.Store }

func (u unwatched) Ledger() schedule.Ledger { return ledgerOf(u.Store) }

func ledgerOf(st store.Store) schedule.Ledger {
	return st.(interface{ Ledger() schedule.Ledger }).Ledger()
}

// onSQLite is for what only SQLite can do; the program has tables of its own in the file.
func onSQLite(t *testing.T, scenario func(t *testing.T, st *sqlite.Store)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program.db")
	synctest.Test(t, func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), path)
		must(t, err)
		t.Cleanup(func() { must(t, st.Close()) })
		must(t, st.Migrate(t.Context(), fstest.MapFS{"1_orders.sql": {Data: []byte(
			"CREATE TABLE orders (id TEXT PRIMARY KEY, email TEXT NOT NULL);\n" +
				"CREATE TABLE bookings (order_id TEXT PRIMARY KEY);\n")}}))
		scenario(t, st)
	})
}

// running is an engine that runs until stop, or the end of the test.
func running(t *testing.T, st store.Store, defs ...workflow.Definition) (eng *engine.Engine, stop func()) {
	t.Helper()
	return runningAround(t, st, nil, defs...)
}

// runningAround is running with something around each attempt.
func runningAround(t *testing.T, st store.Store, around workflow.Around, defs ...workflow.Definition) (eng *engine.Engine, stop func()) {
	t.Helper()
	cfg := engine.Config{Store: st, Definitions: defs}
	if around != nil {
		cfg.Around = []workflow.Around{around}
	}
	eng, err := engine.New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- eng.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		must(t, <-over)
	})
	t.Cleanup(stop)
	return eng, stop
}

// begun starts a run with the id "run" on an engine of its own.
func begun[In any](t *testing.T, st store.Store, wf *workflow.Workflow[In], in In,
	others ...workflow.Definition) *engine.Engine {
	t.Helper()
	eng, _ := running(t, st, append(others, wf)...)
	must(t, wf.Start(t.Context(), eng, "run", in))
	return eng
}

func ended(t *testing.T, eng *engine.Engine, wanted workflow.Status) workflow.Run {
	t.Helper()
	run, err := workflow.Await(t.Context(), eng, "run")
	must(t, err)
	if run.Status != wanted {
		t.Fatalf("the run is %s: %v", run.Status, run.Failure)
	}
	return run
}

func send[T any](t *testing.T, eng *engine.Engine, e workflow.Event[T], runID string, payload T) {
	t.Helper()
	_, err := e.Send(t.Context(), eng, runID, "delivery-1", payload)
	must(t, err)
}

// pass lets virtual time pass: nobody waits for it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// diary notes what steps did, and how long after it was made.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func newDiary() *diary { return &diary{began: time.Now()} }

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%dh ", int(time.Since(d.began).Hours()))+fmt.Sprintf(format, args...))
}

func (d *diary) mail(_ context.Context, to, text string) error {
	d.note("%s: %s", to, text)
	return nil
}

// says compares; lines of one hour may come in any order.
func (d *diary) says(t *testing.T, wanted ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.lines)
	slices.Sort(wanted)
	if !slices.Equal(d.lines, wanted) {
		t.Errorf("it happened:\n%q\nwanted:\n%q", d.lines, wanted)
	}
}
