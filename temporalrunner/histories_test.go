package temporalrunner

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// histories is where event histories lie that releases recorded: a directory a
// release, in which nothing changes once it is out. Those of the release to come
// are written by: go test -tags temporal ./temporalrunner -run Recorded -update
const (
	histories = "testdata/histories"
	upcoming  = "v0.1"
)

// tick is a second of the definitions as their histories are recorded.
const tick = 50 * time.Millisecond

// recorded are the definitions whose histories are kept.
func recorded(tick time.Duration) []workflow.Definition {
	return []workflow.Definition{enriching(tick), dozing(tick)}
}

// enriching has the shape of an enrichment; its input says what happens.
func enriching(tick time.Duration) *workflow.Workflow[order] {
	wf := workflow.New[order]("enriching", workflow.RunTimeout(time.Hour))
	batch := workflow.Step(wf, "batch", func(_ context.Context, in order) (int, error) { return in.ID, nil },
		workflow.Retry{MaxAttempts: 3, InitialDelay: tick})
	workflow.FinishIf(wf, batch, "nothing-to-do", func(n int) bool { return n == 0 })
	workflow.Step(wf, "only-even", func(context.Context, order) (int, error) { return 2, nil },
		workflow.If(batch, "even", func(n int) bool { return n%2 == 0 }))
	submission := workflow.Step(wf, "submit", func(ctx context.Context, in order) (string, error) {
		if in.ID == 13 {
			return "", workflow.Permanent(errAgain)
		}
		if workflow.InfoFrom(ctx).Attempt < 3 {
			return "", errAgain
		}
		return fmt.Sprint("submitted ", batch.Output(ctx)), nil
	}, workflow.AtMostOnce, workflow.Retry{MaxAttempts: 5, InitialDelay: tick})
	every := func(string) workflow.Schedule {
		return workflow.Schedule{Offsets: []time.Duration{10 * tick, 40 * tick}}
	}
	answer := workflow.WaitFor(wf, "wait", answered, 60*tick, workflow.Reconcile(workflow.ScheduleFrom(submission, every),
		func(_ context.Context, in order) (string, bool, error) { return "found", in.ID == 8, nil }))
	workflow.Sleep(wf, "rest", 2*tick)
	workflow.Step(wf, "process", func(ctx context.Context, in order) (string, error) {
		if in.ID == 9 && answer.Output(ctx) == "bad" {
			return "", workflow.Permanent(errAgain)
		}
		return answer.Output(ctx) + "!", nil
	})
	workflow.OnError(wf, func(ctx context.Context, _ order, _ workflow.Failure) error {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return errAgain
		}
		return nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: tick})
	workflow.OnCancel(wf, func(context.Context, order, string) error { return nil })
	return wf
}

// dozing snoozes so often that its history is continued as new.
func dozing(tick time.Duration) *workflow.Workflow[order] {
	wf := workflow.New[order]("dozing")
	workflow.WaitForAny(wf, "begin", time.Hour, []workflow.AnyEvent{answered, workflow.Event[int]{Name: "other"}})
	var dozed atomic.Int64
	workflow.Step(wf, "doze", func(context.Context, order) (int64, error) {
		if n := dozed.Add(1); n > 12 {
			return n, nil
		}
		return 0, workflow.Snooze(tick)
	})
	workflow.WaitFor(wf, "end", answered, time.Hour)
	return wf
}

func TestRunsThatEarlierReleasesBeganGoOn(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(histories, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
		replayer := worker.NewWorkflowReplayer()
		for _, wf := range recorded(tick) {
			d := &definition{plan: wf.Plan(), lease: time.Minute}
			replayer.RegisterWorkflowWithOptions(d.execute, optionsOf(wf))
		}
		if err := replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file); err != nil {
			t.Errorf("%s: %v\nTry: put the new behavior behind workflow.GetVersion, so that runs in flight keep the old one", file, err)
		}
	}
	for _, name := range []string{"answered.json", "found.json", "nothing-to-do.json", "failed.json", "canceled.json", "timed-out.json",
		"reopened-1.json", "reopened-2.json", "continued-1.json", "continued-2.json"} {
		if !slices.Contains(names, name) {
			t.Errorf("no release recorded %s", name)
		}
	}
}

func optionsOf(wf workflow.Definition) sdk.RegisterOptions {
	return sdk.RegisterOptions{Name: typeOf(wf.Plan().Name, wf.Plan().Version)}
}
