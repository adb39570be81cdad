package runnertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// world is one test: a runner, the definitions' side of it, and what they did.
type world struct {
	*testing.T
	cfg     Config
	harness Harness
	gates   []*gate
	lag     time.Duration // of listings

	mu      sync.Mutex
	log     []string
	handled []workflow.Failure

	pace   sync.Mutex
	late   time.Duration // how much later than planned something ended, at most
	faults []string      // in real time
}

// The events and the input of all definitions of the suite.
var (
	alpha = workflow.Event[string]{Name: "alpha"}
	beta  = workflow.Event[string]{Name: "beta"}
)

type input struct {
	N int `json:"n"`
}

const id = "run-1"

func (w *world) virtual() bool { return w.cfg.Second == 0 }

// s is a number of the suite's seconds.
func (w *world) s(n float64) time.Duration {
	second := w.cfg.Second
	if w.virtual() {
		second = time.Second
	}
	return time.Duration(n * float64(second))
}

func (w *world) pass(n float64) {
	defer w.keep(time.Now(), w.s(n))
	time.Sleep(w.s(n))
}

// begin starts the runner with the definitions, and a run of the first of them.
func (w *world) begin(defs ...workflow.Definition) {
	w.Helper()
	w.hold(defs...)
	w.start(defs[0], id)
}

func (w *world) hold(defs ...workflow.Definition) {
	w.Helper()
	for _, d := range defs {
		if err := d.Plan().Validate(); err != nil {
			w.Fatal(err)
		}
	}
	w.harness = w.cfg.New(w.T, defs...)
	// Cleanups run last in, first out: no step is left behind a closed gate when the
	// runner stops.
	w.Cleanup(func() {
		for _, g := range w.gates {
			close(g.leave)
		}
	})
}

func (w *world) start(def workflow.Definition, id string) {
	w.Helper()
	defer w.keep(time.Now(), 0)
	p := def.Plan()
	err := w.harness.Runner.Start(w.Context(),
		workflow.StartRequest{Workflow: p.Name, Version: p.Version, RunID: id, Input: json.RawMessage(`{"n":1}`)})
	if err != nil {
		w.Fatalf("start of %s: %v", id, err)
	}
}

func (w *world) send(event workflow.Event[string], signalID, payload string) workflow.Receipt {
	w.Helper()
	defer w.keep(time.Now(), 0)
	r, err := event.Send(w.Context(), w.harness.Runner, id, signalID, payload)
	if err != nil {
		w.Fatalf("event %s: %v", event.Name, err)
	}
	return r
}

func (w *world) cancel(reason string) {
	w.Helper()
	defer w.keep(time.Now(), 0)
	if err := w.harness.Runner.Cancel(w.Context(), id, reason); err != nil {
		w.Fatalf("cancel: %v", err)
	}
}

func (w *world) retry(from string) {
	w.Helper()
	defer w.keep(time.Now(), 0)
	if err := w.harness.Runner.Retry(w.Context(), id, from); err != nil {
		w.Fatalf("retry from %q: %v", from, err)
	}
}

func (w *world) restart() {
	defer w.keep(time.Now(), 0)
	w.harness.Runner = w.harness.Restart()
}

func (w *world) describe(id string) workflow.Run {
	w.Helper()
	defer w.keep(time.Now(), 0)
	run, err := w.harness.Runner.Describe(w.Context(), id)
	if err != nil {
		w.Fatalf("describe %s: %v", id, err)
	}
	return run
}

// until waits until a run is as wanted, for at most two minutes of the suite's, or one
// in which it had ended: what was wanted has passed unseen.
func (w *world) until(id, what string, is func(workflow.Run) bool) workflow.Run {
	w.Helper()
	ended := 0.0
	for waited, pause := 0.0, 0.25; waited < 120 && ended < 60; waited += pause {
		if w.virtual() {
			synctest.Wait()
			time.Sleep(2 * time.Microsecond) // a deadline is decided once its instant has passed
			synctest.Wait()
		}
		run := w.describe(id)
		if is(run) {
			return run
		}
		if run.Status.Ended() {
			ended += pause
		}
		if w.pass(pause); !w.virtual() {
			pause = min(2*pause, 1) // a runner elsewhere has better things to do than to be asked
		}
	}
	w.Fatalf("run %s is not %s:\n%s", id, what, strings.Join(w.lines(w.describe(id)), "\n"))
	return workflow.Run{}
}

func (w *world) ended() workflow.Run {
	w.Helper()
	return w.until(id, "ended", func(r workflow.Run) bool { return r.Status.Ended() })
}

// parked waits until the run pauses at a step.
func (w *world) parked(step string, kind workflow.WaitKind) workflow.Run {
	w.Helper()
	return w.until(id, fmt.Sprintf("parked at %s (%s)", step, kind), func(r workflow.Run) bool {
		return r.Status == workflow.StatusWaiting && r.WaitingFor != nil && r.WaitingFor.Step == step && r.WaitingFor.Kind == kind
	})
}

// did notes what a definition does.
func (w *world) did(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
}

// didOnly compares all that the definitions did.
func (w *world) didOnly(want ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.log, want) {
		w.Errorf("the functions of the definition ran as %q, want %q", w.log, want)
	}
}

type stepFunc = func(context.Context, input) (string, error)

// does is a step that succeeds with its own name.
func (w *world) does(name string) stepFunc {
	return func(context.Context, input) (string, error) {
		w.did(name)
		return name, nil
	}
}

// fails is a step that returns these errors, one an attempt, and then its name.
func (w *world) fails(name string, errs ...error) stepFunc {
	var mu sync.Mutex
	n := 0
	return func(context.Context, input) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		w.did(name)
		if n++; n <= len(errs) {
			return "", errs[n-1]
		}
		return name, nil
	}
}

func times(n int, err error) []error { return slices.Repeat([]error{err}, n) }

var errBroken = errors.New("broken")

// handles is an error handler that notes what it is told.
func (w *world) handles(ctx context.Context, _ input, f workflow.Failure) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handled = append(w.handled, f)
	return nil
}

// told compares what the error handler was told with how the run ended.
func (w *world) told(run workflow.Run) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if run.Failure == nil || len(w.handled) == 0 || w.handled[len(w.handled)-1] != *run.Failure {
		w.Errorf("the handler was told %+v, the run ended with %+v", w.handled, run.Failure)
	}
}

// gate holds a function of the definition until the test lets it go.
type gate struct{ entered, leave chan struct{} }

func (w *world) gate() *gate {
	g := &gate{make(chan struct{}, 100), make(chan struct{}, 100)}
	w.gates = append(w.gates, g)
	return g
}

// holds is a step that stands in the gate.
func (w *world) holds(name string, g *gate, err error) stepFunc {
	return func(context.Context, input) (string, error) {
		g.pass()
		w.did(name)
		return name, err
	}
}

func (g *gate) pass() {
	g.entered <- struct{}{}
	<-g.leave
}

func (g *gate) awaitEntered() { <-g.entered }
func (g *gate) release()      { g.leave <- struct{}{} }

// expect compares an ended run with what should have happened: the lines are
// history items, each behind its time in the suite's seconds since the start.
func (w *world) expect(run workflow.Run, status workflow.Status, want ...string) {
	w.Helper()
	if run.Status != status {
		w.Errorf("the run is %s, want %s; failure: %+v", run.Status, status, run.Failure)
	}
	seq := int64(0)
	for i, item := range run.History {
		if seq += int64(item.Folded().Count); item.Seq != seq {
			w.Errorf("history item %d has the number %d, want %d", i+1, item.Seq, seq)
		}
	}
	got := w.lines(run)
	if w.virtual() {
		if !slices.Equal(got, want) {
			w.Errorf("history:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		}
		return
	}
	w.expectAbout(run, got, want)
}

// expectAbout compares in real time: the same items in the same order, none too
// soon, and none much later than planned.
func (w *world) expectAbout(run workflow.Run, got, want []string) {
	w.Helper()
	same := slices.EqualFunc(got, want, func(a, b string) bool { return what(a) == what(b) })
	if !same {
		w.Errorf("history:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
		return
	}
	before := 0.0
	for i, line := range want {
		at, err := strconv.ParseFloat(line[:strings.Index(line, " ")], 64)
		if err != nil {
			w.Fatal(err)
		}
		if i > 0 {
			// What the test does comes late, and all that follows, too: so nothing comes
			// too soon after the start, or too late after what was before it.
			gap, planned := run.History[i].At.Sub(run.History[i-1].At), w.s(at-before)
			if run.History[i].At.Sub(run.CreatedAt) < w.s(at-0.5) || gap > planned+w.cfg.Slack {
				w.Errorf("%s came %s after %s, want %s", what(line), gap, what(want[i-1]), planned)
			}
		}
		before = at
	}
}

func what(line string) string { return line[strings.Index(line, " ")+1:] }

// lines prints a history: "3 step.completed submit #2". Attempts are those of
// steps and handlers, "x3" stands behind what is folded.
func (w *world) lines(run workflow.Run) (lines []string) {
	pauses := map[string]bool{}
	for _, s := range run.Steps {
		pauses[s.Name] = s.Kind == workflow.KindWait || s.Kind == workflow.KindSleep
	}
	for _, item := range run.History {
		at := float64(item.At.Sub(run.CreatedAt).Round(time.Millisecond)) / float64(w.s(1))
		line := strconv.FormatFloat(at, 'g', 6, 64) + " " + string(item.Type)
		if item.Step != "" {
			line += " " + item.Step
		}
		if item.Attempt > 0 && !pauses[item.Step] {
			line += fmt.Sprintf(" #%d", item.Attempt)
		}
		if n := item.Folded().Count; n > 1 {
			line += fmt.Sprintf(" x%d", n)
		}
		lines = append(lines, line)
	}
	return lines
}

// failure compares a run's failure, the message by a part of it.
func (w *world) failure(run workflow.Run, want workflow.Failure) {
	w.Helper()
	if run.Failure == nil {
		w.Errorf("the run has no failure, want %+v", want)
		return
	}
	got := *run.Failure
	if !strings.Contains(got.Message, want.Message) {
		w.Errorf("the failure says %q, want %q in it", got.Message, want.Message)
	}
	if got.Message = want.Message; got != want {
		w.Errorf("the failure is %+v, want %+v", got, want)
	}
}

func (w *world) output(run workflow.Run, want string) {
	w.Helper()
	if string(run.Output) != want {
		w.Errorf("the run's output is %s, want %s", run.Output, want)
	}
}

// consumedBy compares which wait consumed each event; "late" and "" are those
// that none did.
func (w *world) consumedBy(run workflow.Run, want map[string]string) {
	w.Helper()
	got := map[string]string{}
	for _, e := range run.Events {
		got[e.ID] = e.ConsumedBy
		if e.Late {
			got[e.ID] += "late"
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("events were consumed as %v, want %v", got, want)
	}
}

// setAside compares why events are set aside, by a part of the reason; "" is one that
// is not.
func (w *world) setAside(run workflow.Run, want map[string]string) {
	w.Helper()
	if len(run.Events) != len(want) {
		w.Errorf("the run shows %d events, want %d: %+v", len(run.Events), len(want), run.Events)
	}
	for _, e := range run.Events {
		if part := want[e.ID]; !strings.Contains(e.SetAside, part) || part == "" && e.SetAside != "" {
			w.Errorf("event %s is set aside because of %q, want %q in it", e.ID, e.SetAside, part)
		}
	}
}

func (w *world) stepIs(run workflow.Run, step string, want workflow.Status) {
	w.Helper()
	for _, s := range run.Steps {
		if s.Name == step {
			if s.Status != want {
				w.Errorf("step %s is %s, want %s", step, s.Status, want)
			}
			return
		}
	}
	w.Errorf("the run shows no step %s", step)
}

func (w *world) errorIs(what string, err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: %v, want %v", what, err, want)
	}
}
