package engine_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

var nightly = func() *workflow.Workflow[string] {
	wf := workflow.New[string]("nightly")
	workflow.Step(wf, "tell", func(_ context.Context, day string) (string, error) { return "report of " + day, nil })
	return wf
}()

func everyNight(overlap schedule.Overlap) schedule.Schedule {
	return schedule.Schedule{Name: "nightly", Next: cron.Must("0 2 * * *").Next, Overlap: overlap,
		Start: schedule.Run(nightly.Ref(), func(at time.Time) string { return at.Format(time.DateOnly) })}
}

// A process that was away over two nights starts the run of the later one only.
func TestAScheduleGoesOnWithTheFileThatItsEngineLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Synchronous: sqlitedb.Normal})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		process := func(during time.Duration) (runs []string) {
			st, err := sqlite.Open(opened.With(t.Context(), db), path)
			if err != nil {
				t.Fatal(err)
			}
			eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{nightly},
				Schedules: []schedule.Schedule{everyNight(schedule.Skip)}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var ended sync.WaitGroup
			ended.Go(func() { _ = eng.Run(ctx) })
			time.Sleep(during)
			page, err := eng.List(ctx, workflow.Query{Status: workflow.StatusCompleted})
			stop()
			ended.Wait()
			for _, r := range page.Runs {
				runs = append(runs, r.ID)
			}
			if err != nil {
				t.Error(err)
			}
			return runs
		}
		first := process(3 * time.Hour)
		time.Sleep(47*time.Hour + 30*time.Minute)
		second := process(time.Hour)
		if want := []string{"nightly@2000-01-01T02:00:00Z"}; !slices.Equal(first, want) {
			t.Errorf("at first %q ran, want %q", first, want)
		}
		if want := []string{"nightly@2000-01-03T02:00:00Z", "nightly@2000-01-01T02:00:00Z"}; !slices.Equal(second, want) {
			t.Errorf("then %q ran, want %q", second, want)
		}
	})
}

// reportsOf waits for the reports of days, on whichever engine.
func reportsOf(t *testing.T, engines []*engine.Engine, begin time.Time, days int) {
	t.Helper()
	for day := range days {
		f := schedule.Firing{Schedule: "nightly", At: begin.AddDate(0, 0, day).Add(2 * time.Hour)}
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			if run, err := workflow.Await(t.Context(), engines[day%2], f.RunID()); err == nil {
				if want := `"report of ` + f.At.Format(time.DateOnly) + `"`; string(run.Output) != want {
					t.Errorf("%s: %s, want %s", run.ID, run.Output, want)
				}
				break
			} else if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
}

func TestTwoNodesOnPostgreSQLFireAMonthOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var loops []*schedule.Loop
	var engines []*engine.Engine
	var mu sync.Mutex
	fired := map[string]int{}
	s := everyNight(schedule.Queue)
	start := s.Start
	s.Start = func(ctx context.Context, on workflow.Runner, f schedule.Firing) error {
		mu.Lock()
		fired[f.RunID()]++
		mu.Unlock()
		return start(ctx, on, f)
	}
	for range 2 {
		st, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{nightly}, Schedules: []schedule.Schedule{s}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var ended sync.WaitGroup
		ended.Go(func() { _ = eng.Run(ctx) })
		t.Cleanup(func() { stop(); ended.Wait(); _ = st.Close() })
		loops, engines = append(loops, eng.Schedules()), append(engines, eng)
	}
	begin := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for i, l := range loops {
		n, err := l.Backfill(t.Context(), "nightly", begin, begin.AddDate(0, 1, 0))
		if want := 31 * (1 - i); err != nil || n != want {
			t.Errorf("%d firings, want %d; %v", n, want, err)
		}
	}
	reportsOf(t, engines, begin, 31)
	mu.Lock()
	defer mu.Unlock()
	for id, n := range fired {
		if n != 1 {
			t.Errorf("%s was started %d times", id, n)
		}
	}
	if len(fired) != 31 {
		t.Errorf("%d firings were started", len(fired))
	}
}

// bare is a store of somebody's own, which keeps no schedules.
type bare struct{ store.Store }

func TestSchedulesNeedAStoreThatKeepsThem(t *testing.T) {
	st := bare{memory.New()}
	_, err := engine.New(engine.Config{Store: st, Schedules: []schedule.Schedule{everyNight(schedule.Skip)}})
	if err == nil {
		t.Error("an engine whose store keeps no schedules took some")
	}
	eng, err := engine.New(engine.Config{Store: st})
	if err != nil || eng.Schedules() != nil {
		t.Errorf("without any it is %v, %v", eng.Schedules(), err)
	}
	if _, err = engine.New(engine.Config{Store: memory.New(), Schedules: []schedule.Schedule{{Name: "x"}}}); err == nil {
		t.Error("a schedule without times was taken")
	}
}
