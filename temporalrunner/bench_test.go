//go:build temporal

package temporalrunner

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// The enrichment's shape, as the figures of docs/performance.md have it: three
// steps, a wait of up to a day before the last, an event of 2 KB.

type submission struct {
	EnrichmentID string   `json:"enrichmentId"`
	JobIDs       []string `json:"jobIds"`
}

var (
	arrived = workflow.Event[string]{Name: "enrichment-complete"}
	payload = strings.Repeat("x", 2<<10)
)

func batchOf(context.Context, order) ([]string, error) {
	return []string{strings.Repeat("a", 60), strings.Repeat("b", 60), strings.Repeat("c", 60)}, nil
}

func submit(ids []string) submission { return submission{"enr-1", ids} }

// atHand is a client's side of one run: start, send, wait for the end.
type atHand func(ctx context.Context, id string) error

func byHand(b *testing.B, c client.Client) atHand {
	w := worker.New(c, "by-hand", worker.Options{MaxConcurrentActivityExecutionSize: 256})
	w.RegisterActivityWithOptions(batchOf, activity.RegisterOptions{Name: "batch-pending-jobs"})
	w.RegisterActivityWithOptions(func(_ context.Context, ids []string) (submission, error) { return submit(ids), nil },
		activity.RegisterOptions{Name: "submit-to-fullenrich"})
	w.RegisterActivityWithOptions(func(_ context.Context, arrival string) (int, error) { return len(arrival), nil },
		activity.RegisterOptions{Name: "process-results"})
	w.RegisterWorkflowWithOptions(func(ctx sdk.Context, in order) (n int, err error) {
		ctx = sdk.WithActivityOptions(ctx, sdk.ActivityOptions{StartToCloseTimeout: time.Minute})
		var ids []string
		if err := sdk.ExecuteActivity(ctx, "batch-pending-jobs", in).Get(ctx, &ids); err != nil {
			return 0, err
		}
		var s submission
		if err := sdk.ExecuteActivity(ctx, "submit-to-fullenrich", ids).Get(ctx, &s); err != nil {
			return 0, err
		}
		var arrival string
		came := false
		timing, stop := sdk.WithCancel(ctx)
		sdk.NewSelector(ctx).
			AddReceive(sdk.GetSignalChannel(ctx, arrived.Name), func(ch sdk.ReceiveChannel, _ bool) { came = ch.ReceiveAsync(&arrival) }).
			AddFuture(sdk.NewTimer(timing, 24*time.Hour), func(sdk.Future) {}).Select(ctx)
		if stop(); !came {
			return 0, fmt.Errorf("no %s", arrived.Name)
		}
		err = sdk.ExecuteActivity(ctx, "process-results", arrival).Get(ctx, &n)
		return n, err
	}, sdk.RegisterOptions{Name: "enrichment"})
	if err := w.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	return func(ctx context.Context, id string) error {
		run, err := c.ExecuteWorkflow(ctx,
			client.StartWorkflowOptions{ID: id, TaskQueue: "by-hand", EnableEagerStart: true}, "enrichment", order{1})
		if err != nil {
			return err
		}
		if err := c.SignalWorkflow(ctx, id, "", arrived.Name, payload); err != nil {
			return err
		}
		return run.Get(ctx, nil)
	}
}

func byDefinition(b *testing.B, c client.Client) atHand {
	wf := workflow.New[order]("enrichment")
	batch := workflow.Step(wf, "batch-pending-jobs", batchOf)
	workflow.Step(wf, "submit-to-fullenrich", func(ctx context.Context, _ order) (submission, error) { return submit(batch.Output(ctx)), nil })
	arrival := workflow.WaitFor(wf, "wait-for-webhook", arrived, 24*time.Hour)
	workflow.Step(wf, "process-results", func(ctx context.Context, _ order) (int, error) { return len(arrival.Output(ctx)), nil })
	r, err := New(Config{Client: c, Definitions: []workflow.Definition{wf}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return func(ctx context.Context, id string) error {
		if err := wf.Start(ctx, r, id, order{1}); err != nil {
			return err
		}
		if _, err := arrived.Send(ctx, r, id, "delivery", payload); err != nil {
			return err
		}
		return c.GetWorkflow(ctx, id, "").Get(ctx, nil)
	}
}

// BenchmarkEnrich compares a definition with a Temporal workflow of the same shape
// that was written by hand, in turns, so that both see the same machine.
func BenchmarkEnrich(b *testing.B) {
	hand, definition := byHand(b, shared.namespace(b)), byDefinition(b, shared.namespace(b))
	const clients, each = 16, 2
	round := func(one atHand, name string) (took, busiedFor time.Duration) {
		began, used := time.Now(), processor(b)
		var busy sync.WaitGroup
		for c := range clients {
			busy.Go(func() {
				for n := range each {
					if err := one(b.Context(), fmt.Sprintf("%s-%d-%d", name, c, n)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		busy.Wait()
		return time.Since(began), processor(b) - used
	}
	round(hand, "warm")
	round(definition, "warm")
	var took, used [2]time.Duration
	runs := 0
	for b.Loop() {
		for i, one := range []atHand{hand, definition} {
			t, u := round(one, fmt.Sprint("run-", runs))
			took[i], used[i] = took[i]+t, used[i]+u
		}
		runs += clients * each
	}
	for i, name := range []string{"by-hand", "by-definition"} {
		b.ReportMetric(float64(took[i].Microseconds())/1e3/float64(runs), "ms/run-"+name)
		b.ReportMetric(float64(used[i].Microseconds())/1e3/float64(runs), "cpu-ms/run-"+name)
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "times-by-hand")
	b.ReportMetric(float64(used[1])/float64(used[0]), "cpu-times-by-hand")
}

// processor is how long this process and the server have used the processor, which
// tells more than the clock does on a machine with others.
func processor(b *testing.B) time.Duration {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		b.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", shared.process.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(behind)
	var ticks int64 // of 10 ms, in user and system mode
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(self.Utime.Nano()+self.Stime.Nano()) + time.Duration(ticks)*10*time.Millisecond
}
