//go:build temporal

package temporalrunner

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// until polls a run, which real servers and processes force.
func until(t *testing.T, r *Runner, runID, what string, is func(workflow.Run) bool) workflow.Run {
	t.Helper()
	var run workflow.Run
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		if run, err = r.Describe(t.Context(), runID); err == nil && is(run) {
			return run
		}
	}
	t.Fatalf("run %s is not %s: %+v, %v", runID, what, run, err)
	return run
}

func ended(r workflow.Run) bool { return r.Status.Ended() }

func waiting(r workflow.Run) bool { return r.Status == workflow.StatusWaiting }

func TestRunsGoOnAfterTheServerWasKilled(t *testing.T) {
	server, err := startServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer server.stop()
	wf := workflow.New[order]("survivor")
	answer := workflow.WaitFor(wf, "wait", answered, time.Hour)
	workflow.Step(wf, "process", func(ctx context.Context, _ order) (string, error) { return answer.Output(ctx), nil })
	r, _ := running(t, Config{Client: server.namespace(t), Definitions: []workflow.Definition{wf}})
	if err := wf.Start(t.Context(), r, "run", order{1}); err != nil {
		t.Fatal(err)
	}
	until(t, r, "run", "waiting", waiting)

	server.stop()
	for what, call := range map[string]func(context.Context) error{
		"start":  func(ctx context.Context) error { return wf.Start(ctx, r, "other", order{2}) },
		"signal": func(ctx context.Context) error { _, err := answered.Send(ctx, r, "run", "e1", "lost?"); return err },
		"cancel": func(ctx context.Context) error { return r.Cancel(ctx, "run", "why") },
		"describe": func(ctx context.Context) error {
			_, err := r.Describe(ctx, "run")
			return err
		},
		"list":  func(ctx context.Context) error { _, err := r.List(ctx, workflow.Query{}); return err },
		"retry": func(ctx context.Context) error { return r.Retry(ctx, "run", "") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		began := time.Now()
		err := call(ctx)
		cancel()
		if err == nil || errors.Is(err, workflow.ErrNotFound) || errors.Is(err, workflow.ErrEnded) || errors.Is(err, workflow.ErrNotEnded) {
			t.Errorf("%s while the server is away: %v", what, err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s while the server is away took %s", what, took)
		}
	}
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	send := func() error { _, err := answered.Send(t.Context(), r, "run", "e2", "back"); return err }
	for deadline := time.Now().Add(time.Minute); send() != nil; time.Sleep(250 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(send())
		}
	}
	if run := until(t, r, "run", "ended", ended); string(run.Output) != `"back"` || run.Status != workflow.StatusCompleted {
		t.Errorf("the run is %s with %s", run.Status, run.Output)
	}
	if _, err := r.Describe(t.Context(), "other"); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("a run whose start failed: %v", err)
	}
}

// stuck is what a worker of its own process runs until it is killed: a step that
// says that it begins, and does not return there.
func stuck(stay bool) []workflow.Definition {
	var defs []workflow.Definition
	for _, once := range []bool{false, true} {
		name, opts := "stuck", []workflow.StepOption{workflow.Timeout(time.Hour)}
		if once {
			name, opts = "stuck-once", append(opts, workflow.AtMostOnce, workflow.Retry{MaxAttempts: 3})
		}
		wf := workflow.New[order](name)
		workflow.Step(wf, "step", func(ctx context.Context, _ order) (int, error) {
			if stay {
				fmt.Println("in the step")
				<-ctx.Done()
			}
			return workflow.InfoFrom(ctx).Attempt, ctx.Err()
		}, opts...)
		defs = append(defs, wf)
	}
	return defs
}

// workerVariable makes the test binary a worker: "address namespace".
const workerVariable = "LIWANAG_TEST_WORKER"

func beWorker(where string) error {
	address, namespace, _ := strings.Cut(where, " ")
	c, err := Dial(context.Background(), DialConfig{Address: address, Namespace: namespace, Log: quiet()})
	if err != nil {
		return err
	}
	r, err := New(Config{Client: c, Definitions: stuck(true), Lease: 3 * time.Second})
	if err != nil {
		return err
	}
	return r.Run(context.Background())
}

func TestAStepGoesOnElsewhereWhenItsWorkerIsKilled(t *testing.T) {
	for _, c := range []struct {
		name string
		want func(workflow.Run) bool
	}{
		{"stuck", func(r workflow.Run) bool {
			return r.Status == workflow.StatusCompleted && string(r.Output) == "2" && r.Steps[0].Attempts[0].N == 2
		}},
		{"stuck-once", func(r workflow.Run) bool {
			return r.Status == workflow.StatusFailed && r.Failure.Code == workflow.CodeWorkerLost && r.Failure.Reason == workflow.ReasonUnknown
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			space := shared.newNamespace(t)
			worker := exec.Command(os.Args[0])
			worker.Env = append(os.Environ(), workerVariable+"="+shared.address+" "+space)
			out, err := worker.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := worker.Start(); err != nil {
				t.Fatal(err)
			}
			kill := func() {
				_ = worker.Process.Kill()
				_ = worker.Wait()
			}
			defer kill()
			cfg := Config{Client: shared.dial(t, space), Definitions: stuck(false), Lease: 3 * time.Second}
			r, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Start(t.Context(), workflow.StartRequest{Workflow: c.name, RunID: "run", Input: json.RawMessage(`{"id":1}`)}); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "in the step\n" {
				t.Fatalf("the worker says %q, %v", line, err)
			}
			kill()
			r, _ = running(t, cfg)
			if run := until(t, r, "run", "ended", ended); !c.want(run) {
				t.Errorf("the run is %s with %s; failure %+v, steps %+v", run.Status, run.Output, run.Failure, run.Steps)
			}
		})
	}
}

func TestAConnectionThatCannotBeSaysWhatToTry(t *testing.T) {
	for what, c := range map[string]struct {
		dial DialConfig
		want []string
	}{
		"no server":    {DialConfig{Address: "127.0.0.1:1"}, []string{"127.0.0.1:1 does not answer", "\n  Try: check TEMPORAL_ADDRESS"}},
		"no namespace": {DialConfig{Address: shared.address, Namespace: "nowhere"}, []string{`has no namespace "nowhere"`, "\n  Try: check TEMPORAL_NAMESPACE"}},
	} {
		began := time.Now()
		c.dial.Log = quiet()
		opened, err := Dial(t.Context(), c.dial)
		if err == nil {
			opened.Close()
			t.Errorf("%s: there is a connection", what)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", what, err, part)
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s: it took %s", what, took)
		}
	}
}

func TestARunWhoseVersionNobodyHoldsStaysUntilItIsEnded(t *testing.T) {
	t.Parallel()
	space := shared.namespace(t)
	old := workflow.New[order]("versioned")
	workflow.WaitFor(old, "wait", answered, time.Hour)
	r, stop := running(t, Config{Client: space, Definitions: []workflow.Definition{old}})
	if err := old.Start(t.Context(), r, "run", order{1}); err != nil {
		t.Fatal(err)
	}
	until(t, r, "run", "waiting", waiting)
	stop()
	newer := workflow.New[order]("versioned", workflow.Version(2))
	workflow.WaitFor(newer, "wait", answered, time.Hour)
	r, stop = running(t, Config{Client: space, Definitions: []workflow.Definition{newer}})
	run, err := r.Describe(t.Context(), "run")
	if err != nil || run.Version != 1 || run.Workflow != "versioned" || run.Status != workflow.StatusRunning || run.CreatedAt.IsZero() {
		t.Errorf("the run is %+v, %v", run, err)
	}
	if err := r.Terminate(t.Context(), "run", "nobody holds it"); err != nil {
		t.Fatal(err)
	}
	run, err = r.Describe(t.Context(), "run")
	if err != nil || run.Status != workflow.StatusCanceled || run.Failure.Message != "nobody holds it" || len(run.History) != 2 {
		t.Errorf("the run is %+v, %v", run, err)
	}
	if err := r.Retry(t.Context(), "run", ""); !errors.Is(err, workflow.ErrUnknownWorkflow) && !errors.Is(err, workflow.ErrUnknownStep) {
		t.Errorf("retry of a run whose version nobody holds: %v", err)
	}
	stop()
	// Who holds it knows the rest, and can take it up again.
	r, _ = running(t, Config{Client: space, Definitions: []workflow.Definition{old}})
	if run, err = r.Describe(t.Context(), "run"); err != nil || len(run.History) != 3 || run.Status != workflow.StatusCanceled {
		t.Errorf("the run is %+v, %v", run, err)
	}
	if err := r.Retry(t.Context(), "run", ""); err != nil {
		t.Fatal(err)
	}
	until(t, r, "run", "waiting", waiting)
	if _, err := answered.Send(t.Context(), r, "run", "e1", "at last"); err != nil {
		t.Fatal(err)
	}
	if run = until(t, r, "run", "ended", ended); run.Status != workflow.StatusCompleted || len(run.History) != 9 {
		t.Errorf("the run is %+v", run)
	}
}

func TestARunThatAnotherDefinitionBeganGoesOnAfterTheRollback(t *testing.T) {
	t.Parallel()
	space := shared.namespace(t)
	build := func(step string) *workflow.Workflow[order] {
		wf := workflow.New[order]("changed")
		workflow.Step(wf, step, func(context.Context, order) (string, error) { return step, nil })
		workflow.WaitFor(wf, "wait", answered, time.Hour)
		return wf
	}
	original := Config{Client: space, Definitions: []workflow.Definition{build("a")}, Strict: true}
	r, stop := running(t, original)
	if err := build("a").Start(t.Context(), r, "run", order{1}); err != nil {
		t.Fatal(err)
	}
	until(t, r, "run", "waiting", waiting)
	stop()
	strict, err := New(Config{Client: space, Definitions: []workflow.Definition{build("renamed")}, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	err = nil
	for deadline := time.Now().Add(time.Minute); err == nil && time.Now().Before(deadline); { // until the index has it
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err = strict.Run(ctx)
		cancel()
	}
	if err == nil || !strings.Contains(err.Error(), `of 1 open runs: it was begun by another definition of changed version 1`) {
		t.Errorf("Strict runs with another definition: %v", err)
	}
	faults := &faultLog{}
	r, stop = running(t, Config{Client: space, Definitions: []workflow.Definition{build("renamed")}, Observers: []workflow.Observer{faults}})
	if _, err := answered.Send(t.Context(), r, "run", "e1", "at last"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		run, err := r.Describe(t.Context(), "run")
		if err != nil || run.Status.Ended() || !strings.Contains(run.NoDefinition, `step "a" is gone; step "renamed" is new`) {
			t.Errorf("the run is %+v, %v", run, err)
		}
	}
	if err := build("renamed").Start(t.Context(), r, "new", order{1}); err != nil {
		t.Fatal(err)
	}
	if run := until(t, r, "new", "waiting", waiting); run.NoDefinition != "" {
		t.Errorf("a run of its own has no definition: %s", run.NoDefinition)
	}
	stop()
	if len(faults.said) != 1 || !strings.Contains(faults.said[0], "another definition of changed version 1") {
		t.Errorf("told is %q", faults.said)
	}
	original.Strict = false
	r, _ = running(t, original)
	if run := until(t, r, "run", "ended", ended); run.Status != workflow.StatusCompleted || string(run.Output) != `"at last"` ||
		run.NoDefinition != "" {
		t.Errorf("the run is %+v", run)
	}
}

func TestARunMayHaveAsMuchOutputAsOnEveryRunner(t *testing.T) {
	t.Parallel()
	wf := workflow.New[order]("heavy")
	for i := range 17 {
		workflow.Step(wf, fmt.Sprintf("step-%02d", i), func(context.Context, order) (string, error) {
			return hex.EncodeToString(random(32_400)), nil // 64,802 bytes, and little to compress
		})
	}
	workflow.OnError(wf, func(context.Context, order, workflow.Failure) error { return nil })
	r, _ := running(t, Config{Client: shared.namespace(t), Definitions: []workflow.Definition{wf}})
	if err := wf.Start(t.Context(), r, "run", order{1}); err != nil {
		t.Fatal(err)
	}
	run := until(t, r, "run", "ended", ended)
	if run.Status != workflow.StatusFailed || run.Failure.Step != "step-16" || run.Failure.Code != workflow.CodeTooLarge {
		t.Errorf("the run is %s: %+v", run.Status, run.Failure)
	}
	if len(run.Steps) != 18 || len(run.Steps[15].Output) != 64_802 {
		t.Errorf("the run shows %d steps, the sixteenth with %d bytes", len(run.Steps), len(run.Steps[15].Output))
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}
