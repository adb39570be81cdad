package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func viewScenarios() []scenario {
	return []scenario{
		{"say what a run waits for", waitingFor},
		{"list runs newest first, page by page", listing},
		{"list runs by workflow, status, time and id", filtering},
		{"count runs by workflow, status and step", func(w *world) { counting(w, workflow.Count{Status: workflow.StatusWaiting, Step: "a"}) }},
	}
}

func waitingFor(w *world) {
	g := w.gate()
	wf := workflow.New[input]("watched")
	workflow.Step(wf, "step", w.holds("step", g, nil))
	workflow.Step(wf, "retry", w.fails("retry", errBroken), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(5)})
	workflow.Step(wf, "snooze", w.fails("snooze", workflow.Snooze(w.s(6))))
	workflow.Sleep(wf, "sleep", w.s(7))
	workflow.WaitForAny(wf, "event", w.s(30), []workflow.AnyEvent{alpha, beta},
		workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 8)},
			func(context.Context, input) (a workflow.Arrived, ok bool, err error) { return }))
	w.begin(wf)
	g.awaitEntered()
	if run := w.describe(id); run.Status != workflow.StatusRunning || run.WaitingFor != nil {
		w.Errorf("while a step runs the run is %s and waits for %+v", run.Status, run.WaitingFor)
	}
	g.release()
	check := func(step string, kind workflow.WaitKind, until, next float64, events ...string) {
		w.Helper()
		run := w.parked(step, kind)
		got := run.WaitingFor
		if fmt.Sprint(got.Events) != fmt.Sprint(events) {
			w.Errorf("at %s the run waits for the events %v, want %v", step, got.Events, events)
		}
		w.about(run, step+" until", got.Until, until)
		if next > 0 {
			w.about(run, step+" next look", got.NextFetchAt, next)
		} else if !got.NextFetchAt.IsZero() {
			w.Errorf("at %s the run is said to look by itself at %s", step, got.NextFetchAt)
		}
	}
	check("retry", workflow.WaitRetry, 5, 0)
	w.pass(5)
	check("snooze", workflow.WaitSnooze, 11, 0)
	w.pass(6)
	check("sleep", workflow.WaitSleep, 18, 0)
	w.pass(7)
	check("event", workflow.WaitEvent, 48, 26, "alpha", "beta")
	w.pass(8)
	check("event", workflow.WaitEvent, 48, 34, "alpha", "beta")
	w.send(beta, "s1", "done")
	run := w.ended()
	if run.WaitingFor != nil || run.EndedAt.IsZero() || run.StartedAt.IsZero() {
		w.Errorf("the ended run waits for %+v, started at %s, ended at %s", run.WaitingFor, run.StartedAt, run.EndedAt)
	}
}

// about compares a time with seconds since the run's creation.
func (w *world) about(run workflow.Run, what string, at time.Time, want float64) {
	w.Helper()
	off := at.Sub(run.CreatedAt) - w.s(want)
	if w.virtual() && off.Abs() > time.Millisecond || off < -w.s(0.5) || off > w.cfg.Slack {
		w.Errorf("%s is %s after the creation, want %s", what, at.Sub(run.CreatedAt), w.s(want))
	}
}

func listing(w *world) {
	wf := workflow.New[input]("listed")
	workflow.Step(wf, "a", w.does("a"))
	w.hold(wf)
	const n = 7
	for i := range n {
		w.start(wf, fmt.Sprintf("run-%d", i))
		w.pass(0.5)
	}
	w.until("run-6", "ended", func(r workflow.Run) bool { return r.Status.Ended() })
	if w.virtual() {
		synctest.Wait()
	}
	w.listed(func() (faults []string) {
		var ids []string
		cursor := ""
		for page := 0; page < n; page++ {
			got, err := w.harness.Runner.List(w.Context(), workflow.Query{Limit: 3, Cursor: cursor})
			if err != nil {
				w.Fatal(err)
			}
			for _, r := range got.Runs {
				ids = append(ids, r.ID)
				if r.Workflow != "listed" || r.Version != 1 || r.CreatedAt.IsZero() || len(r.Steps)+len(r.Events)+len(r.History) > 0 {
					w.Errorf("a listed run is %+v", r)
				}
			}
			if cursor = got.Next; cursor == "" {
				break
			}
		}
		if got, want := strings.Join(ids, " "), "run-6 run-5 run-4 run-3 run-2 run-1 run-0"; got != want {
			faults = append(faults, fmt.Sprintf("listed were %s, want %s", got, want))
		}
		return faults
	})
	if _, err := w.harness.Runner.List(w.Context(), workflow.Query{Cursor: "nonsense"}); err == nil {
		w.Error("a cursor that no page had was taken")
	}
}

func filtering(w *world) {
	g := w.gate()
	one, two := workflow.New[input]("one"), workflow.New[input]("two")
	workflow.Step(one, "a", w.holds("a", g, nil))
	workflow.WaitFor(two, "a", alpha, w.s(100))
	failing := workflow.New[input]("failing")
	workflow.Step(failing, "a", w.fails("a", times(99, errors.New("broken"))...))
	w.hold(one, two, failing)
	w.start(two, "waiting")
	w.pass(2)
	w.start(one, "running")
	g.awaitEntered()
	w.pass(2)
	w.start(failing, "failed")
	w.until("failed", "ended", func(r workflow.Run) bool { return r.Status.Ended() })
	w.until("waiting", "waiting", func(r workflow.Run) bool { return r.Status == workflow.StatusWaiting })
	middle := w.describe("running").CreatedAt
	queries := map[string]struct {
		query workflow.Query
		want  string
	}{
		"all":                {workflow.Query{}, "failed running waiting"},
		"workflow":           {workflow.Query{Workflow: "two"}, "waiting"},
		"status running":     {workflow.Query{Status: workflow.StatusRunning}, "running"},
		"status waiting":     {workflow.Query{Status: workflow.StatusWaiting}, "waiting"},
		"status failed":      {workflow.Query{Status: workflow.StatusFailed}, "failed"},
		"status completed":   {workflow.Query{Status: workflow.StatusCompleted}, ""},
		"since":              {workflow.Query{Since: middle}, "failed running"},
		"until":              {workflow.Query{Until: middle}, "waiting"},
		"ids":                {workflow.Query{IDs: []string{"waiting", "failed", "nobody"}}, "failed waiting"},
		"no ids":             {workflow.Query{IDs: []string{}}, ""},
		"an id of nobody":    {workflow.Query{IDs: []string{"two\x00", "\xff", "", "failed"}}, "failed"},
		"a name of none":     {workflow.Query{Workflow: "two\x00"}, ""},
		"a name no text":     {workflow.Query{Workflow: "\xff"}, ""},
		"a status of none":   {workflow.Query{Status: "failed\x00"}, ""},
		"a status no text":   {workflow.Query{Status: "\xff"}, ""},
		"since for ever":     {workflow.Query{Since: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)}, ""},
		"until for ever":     {workflow.Query{Until: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "failed running waiting"},
		"until before all":   {workflow.Query{Until: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, ""},
		"workflow and since": {workflow.Query{Workflow: "two", Since: middle}, ""},
	}
	w.listed(func() (faults []string) {
		for what, c := range queries {
			page, err := w.harness.Runner.List(w.Context(), c.query)
			if err != nil {
				w.Errorf("%s: %v", what, err)
			}
			var ids []string
			for _, r := range page.Runs {
				ids = append(ids, r.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				faults = append(faults, fmt.Sprintf("by %s: %q, want %q", what, got, c.want))
			}
		}
		return faults
	})
	g.release()
}

// counting expects of a waiting run the status and the step given.
func counting(w *world, waits workflow.Count) {
	g := w.gate()
	failing, held, waiting := workflow.New[input]("failing"), workflow.New[input]("held"), workflow.New[input]("waiting")
	workflow.Step(failing, "a", w.fails("a", workflow.Permanent(errBroken), workflow.Permanent(errBroken)))
	workflow.Step(held, "a", w.holds("a", g, nil))
	workflow.WaitFor(waiting, "a", alpha, w.s(100))
	w.hold(failing, held, waiting)
	w.start(failing, "failing-1")
	w.start(failing, "failing-2")
	w.start(held, "held")
	w.start(waiting, "waiting")
	g.awaitEntered()
	for _, run := range []string{"failing-1", "failing-2"} {
		w.until(run, "ended", func(r workflow.Run) bool { return r.Status.Ended() })
	}
	w.until("waiting", "waiting", func(r workflow.Run) bool { return r.Status == workflow.StatusWaiting })
	counter, ok := w.harness.Runner.(workflow.Counter)
	if !ok {
		w.Fatal("the runner does not count its runs")
	}
	want := []workflow.Count{
		{Workflow: "failing", Version: 1, Status: workflow.StatusFailed, Runs: 2},
		{Workflow: "held", Version: 1, Status: workflow.StatusRunning, Runs: 1},
		{Workflow: "waiting", Version: 1, Status: waits.Status, Step: waits.Step, Runs: 1},
	}
	w.listed(func() []string {
		got, err := counter.Counts(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if !slices.Equal(got, want) {
			return []string{fmt.Sprintf("counted were %+v, want %+v", got, want)}
		}
		return nil
	})
	g.release()
}

func restartScenarios() []scenario {
	return []scenario{
		{"changes nothing in how runs go on", restartChangesNothingInHowRunsGoOn},
		{"lets a running step end", restartLetsARunningStepEnd},
	}
}

func restartChangesNothingInHowRunsGoOn(w *world) {
	wf := workflow.New[input]("long")
	workflow.Step(wf, "a", w.fails("a", errBroken, workflow.Snooze(w.s(5))), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(5)})
	workflow.Sleep(wf, "b", w.s(5))
	c := workflow.WaitFor(wf, "c", alpha, w.s(20), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 5)}, w.looks()))
	workflow.Step(wf, "d", func(ctx context.Context, _ input) (string, error) { return c.Output(ctx), nil })
	w.begin(wf)
	if w.harness.Restart == nil {
		return // it remembers nothing, so it promises nothing
	}
	for _, at := range []struct {
		step string
		kind workflow.WaitKind
	}{{"a", workflow.WaitRetry}, {"a", workflow.WaitSnooze}, {"b", workflow.WaitSleep}, {"c", workflow.WaitEvent}} {
		w.parked(at.step, at.kind)
		w.pass(2)
		w.restart()
	}
	w.until(id, "looking", func(r workflow.Run) bool {
		return r.History[len(r.History)-1].Type == workflow.HistoryReconcileChecked
	})
	w.pass(1)
	w.restart()
	w.pass(1)
	w.send(alpha, "s1", "hello")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.retrying a #1", "5 step.snoozed a #2", "10 step.completed a #2",
		"10 wait.started b", "15 step.completed b", "15 wait.started c", "20 reconcile.checked c", "22 event.received", "22 event.consumed c",
		"22 step.completed c", "22 step.completed d #1", "22 run.completed")
	w.output(run, `"hello"`)
}

func restartLetsARunningStepEnd(w *world) {
	g := w.gate()
	wf := workflow.New[input]("busy")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.Step(wf, "b", w.does("b"))
	w.begin(wf)
	g.awaitEntered()
	if w.harness.Restart == nil {
		g.release()
		w.ended()
		w.didOnly("a", "b")
		return
	}
	go func() {
		w.pass(2)
		g.release()
	}()
	w.restart()
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "2 step.completed a #1", "2 step.completed b #1", "2 run.completed")
	w.didOnly("a", "b")
}
