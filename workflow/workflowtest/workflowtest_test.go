package workflowtest_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// golden files are rewritten with -update.
var _ = flag.Bool("update", false, "rewrite golden files")

type order struct{ ID string }

var (
	pickedUp = workflow.Event[string]{Name: "picked-up"}
	paid     = workflow.Event[string]{Name: "paid"}
)

// shipping is a definition with every kind of node; printing fails as often as
// told, every time the step is begun anew.
func shipping(failures int) *workflow.Workflow[order] {
	wf := workflow.New[order]("ship-order", workflow.RunTimeout(72*time.Hour))
	label := workflow.Step(wf, "print-label", func(ctx context.Context, o order) (string, error) {
		if workflow.InfoFrom(ctx).Attempt <= failures {
			return "", errors.New("out of paper")
		}
		return "L-" + o.ID, nil
	}, workflow.Retry{MaxAttempts: 3, InitialDelay: time.Second})
	workflow.Step(wf, "insure", func(context.Context, order) (int, error) { return 1, nil },
		workflow.If(label, "valuable", func(string) bool { return false }))
	began := time.Time{}
	workflow.Step(wf, "pack", func(context.Context, order) (int, error) {
		if began.IsZero() {
			began = time.Now()
			return 0, workflow.Snooze(time.Minute)
		}
		return 1, nil
	})
	workflow.Sleep(wf, "dry", time.Hour)
	workflow.WaitFor(wf, "wait-for-pickup", pickedUp, 24*time.Hour, workflow.Reconcile(
		workflow.Schedule{Offsets: []time.Duration{10 * time.Hour}},
		func(context.Context, order) (string, bool, error) { return "", false, errors.New("courier is closed") }))
	workflow.OnError(wf, func(context.Context, order, workflow.Failure) error { return nil })
	workflow.OnCancel(wf, func(context.Context, order, string) error { return nil })
	return wf
}

func TestTranscripts(t *testing.T) {
	for name, c := range map[string]struct {
		failures int
		script   []workflowtest.Act
	}{
		"picked-up": {2, []workflowtest.Act{workflowtest.Send(2*time.Hour, pickedUp, "scan-1", "van 3")}},
		"early, twice and late events": {0, []workflowtest.Act{
			workflowtest.Send(3*time.Hour, pickedUp, "scan-2", "late"),
			workflowtest.Send(time.Minute, pickedUp, "scan-1", "early"), workflowtest.Send(2*time.Minute, pickedUp, "scan-1", "again")}},
		"timed out, then retried": {0, []workflowtest.Act{workflowtest.Retry(26*time.Hour, ""), workflowtest.Send(27*time.Hour, pickedUp, "scan-1", "van 3")}},
		"canceled":                {0, []workflowtest.Act{workflowtest.Cancel(30*time.Minute, "changed my mind")}},
		"failed":                  {9, nil},
		"canceled, then retried from the first step": {0, []workflowtest.Act{
			workflowtest.Cancel(30*time.Minute, "wait"), workflowtest.Retry(time.Hour, "print-label")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := workflowtest.Run(t, shipping(c.failures), order{"7"}, c.script...)
				workflowtest.Golden(t, filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(name)+".golden"),
					workflowtest.Transcript(run))
			})
		})
	}
}

func TestARunTakesNoRealTime(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		run := workflowtest.Run(t, shipping(0), order{"7"})
		if took := run.EndedAt.Sub(run.CreatedAt); run.Status != workflow.StatusTimedOut || took != 25*time.Hour+time.Minute {
			t.Errorf("the run is %s after %s", run.Status, took)
		}
	})
	if took := time.Since(began); took > time.Minute {
		t.Errorf("25 hours took %s", took)
	}
}

func TestActsSeeTheRunAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		look := func(t testing.TB, on workflow.Runner) {
			run, err := on.Describe(context.Background(), workflowtest.RunID)
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, string(run.Status)+" "+run.WaitingFor.Step)
		}
		workflowtest.Run(t, shipping(0), order{"7"}, workflowtest.Do(0, look), workflowtest.Do(2*time.Minute, look),
			workflowtest.Do(2*time.Hour, look))
		if got := strings.Join(seen, ", "); got != "waiting pack, waiting dry, waiting wait-for-pickup" {
			t.Errorf("the acts saw %s", got)
		}
	})
}

// verdict is a testing.TB that keeps what is said to it.
type verdict struct {
	testing.TB
	said string
}

func (v *verdict) Helper() {}
func (v *verdict) Errorf(format string, args ...any) {
	v.said += format
}
func (v *verdict) Fatal(args ...any) {
	v.said += args[0].(error).Error()
	panic(v)
}
func (v *verdict) Fatalf(format string, args ...any) {
	v.said += format
	panic(v)
}

// judged runs a function that may fail its test.
func judged(t *testing.T, do func(testing.TB)) string {
	v := &verdict{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(v) {
				panic(r)
			}
		}()
		do(v)
	}()
	return v.said
}

func snoozing(d time.Duration) *workflow.Workflow[order] {
	wf := workflow.New[order]("snoozing")
	workflow.Step(wf, "a", func(context.Context, order) (int, error) { return 0, workflow.Snooze(d) })
	return wf
}

func looking() *workflow.Workflow[order] {
	wf := workflow.New[order]("looking")
	workflow.WaitFor(wf, "a", paid, 24*time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{time.Millisecond}},
		func(context.Context, order) (string, bool, error) { return "", false, nil }))
	return wf
}

func TestAnEventAtTheInstantOfADeadlineComesInTime(t *testing.T) {
	for name, opts := range map[string][]workflow.StepOption{
		"a wait": nil,
		"a wait that looks": {workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{7 * time.Minute}},
			func(context.Context, order) (string, bool, error) { return "", false, nil })},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wf := workflow.New[order]("punctual")
				workflow.WaitFor(wf, "a", paid, time.Hour, opts...)
				run := workflowtest.Run(t, wf, order{}, workflowtest.Send(time.Hour, paid, "s1", "now"))
				if run.Status != workflow.StatusCompleted {
					t.Errorf("the run is %s:\n%s", run.Status, workflowtest.Transcript(run))
				}
			})
		})
	}
}

func TestMistakesFailTheTest(t *testing.T) {
	wrong := workflow.New[order]("wrong")
	endless := workflow.New[order]("endless")
	workflow.Step(endless, "a", func(context.Context, order) (int, error) { return 0, workflow.Snooze(24 * time.Hour) })
	for name, c := range map[string]struct {
		do   func(testing.TB)
		want string
	}{
		"a wrong definition":       {func(t testing.TB) { workflowtest.Run(t, wrong, order{}) }, "has no steps"},
		"an input without JSON":    {func(t testing.TB) { workflowtest.Run(t, shipping(0), func() {}) }, "cannot be encoded"},
		"a run that never ends":    {func(t testing.TB) { workflowtest.Run(t, endless, order{}) }, "open after ten years"},
		"a snooze of no time":      {func(t testing.TB) { workflowtest.Run(t, snoozing(0), order{}) }, "a step is never done"},
		"a snooze of a second":     {func(t testing.TB) { workflowtest.Run(t, snoozing(time.Second), order{}) }, "a step is never done"},
		"a look every millisecond": {func(t testing.TB) { workflowtest.Run(t, looking(), order{}) }, "a step is never done"},
		"a cancel after the end":   {func(t testing.TB) { workflowtest.Run(t, shipping(9), order{}, workflowtest.Cancel(time.Hour, "")) }, "cancel: %v"},
		"a retry before the end":   {func(t testing.TB) { workflowtest.Run(t, shipping(9), order{}, workflowtest.Retry(0, "")) }, "retry from"},
		"an event without an id":   {func(t testing.TB) { workflowtest.Run(t, shipping(9), order{}, workflowtest.Send(0, paid, "", "")) }, "event %s"},
		"a golden that is missing": {func(t testing.TB) { workflowtest.Golden(t, "testdata/missing.golden", "x") }, "-update"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if said := judged(t, c.do); !strings.Contains(said, c.want) {
					t.Errorf("the test is told %q, want %q", said, c.want)
				}
			})
		})
	}
}

func TestAGoldenThatDiffersFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.golden")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := judged(t, func(t testing.TB) { workflowtest.Golden(t, path, "a\nb\n") }); said != "" {
		t.Errorf("an equal golden: %s", said)
	}
	if said := judged(t, func(t testing.TB) { workflowtest.Golden(t, path, "a\nc\n") }); !strings.Contains(said, "differs") {
		t.Errorf("another golden: %q", said)
	}
}
