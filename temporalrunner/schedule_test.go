//go:build temporal

package temporalrunner

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// Schedules are a loop over any runner: here two of them, with one ledger.
func TestSchedulesStartRunsOnTemporal(t *testing.T) {
	t.Parallel()
	wf := workflow.New[string]("nightly")
	workflow.Step(wf, "tell", func(_ context.Context, day string) (string, error) { return "report of " + day, nil })
	r, _ := running(t, Config{Client: shared.namespace(t), Definitions: []workflow.Definition{wf}})
	ledger := memory.New().Ledger()
	var loops []*schedule.Loop
	for range 2 {
		l, err := schedule.New(schedule.Config{Runner: r, Ledger: ledger, Fault: func(err error) { t.Log(err) },
			Schedules: []schedule.Schedule{{Name: "nightly", Next: cron.Must("0 2 * * *").Next, Overlap: schedule.Queue,
				Start: schedule.Run(wf.Ref(), func(at time.Time) string { return at.Format(time.DateOnly) })}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		var ended sync.WaitGroup
		ended.Go(func() { _ = l.Run(ctx) })
		t.Cleanup(func() { stop(); ended.Wait() })
		loops = append(loops, l)
	}
	begin := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	if n, err := loops[0].Backfill(t.Context(), "nightly", begin, begin.AddDate(0, 0, 5)); n != 5 || err != nil {
		t.Fatalf("%d firings, %v", n, err)
	}
	if _, err := loops[1].Trigger(t.Context(), "nightly"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		done, err := loops[0].Firings(t.Context(), schedule.Query{State: schedule.Started})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d firings were started, %v", len(done), err)
		}
		if len(done) < 6 {
			continue
		}
		for _, f := range done {
			run, err := workflow.Await(t.Context(), r, f.RunID())
			if want := `"report of ` + f.At.Format(time.DateOnly) + `"`; err != nil || string(run.Output) != want {
				t.Errorf("%s: %s, %v; want %s", f.RunID(), run.Output, err, want)
			}
		}
		return
	}
}
