package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/workflow"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// looks are the first looks of a schedule, in minutes.
func looks(s workflow.Schedule, n int) (minutes []float64) {
	after := start
	for range n {
		at, ok := s.Next("run", start, after)
		if !ok {
			break
		}
		minutes = append(minutes, at.Sub(start).Minutes())
		after = at
	}
	return minutes
}

func TestSchedulesRepeatTheirLastOffset(t *testing.T) {
	for want, offsets := range map[string][]time.Duration{
		"[]":                      nil,
		"[5 10 15 20 25]":         {5 * time.Minute},
		"[10 20 40 100 160]":      {10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour},
		"[60 70 80 90 100]":       {time.Hour, 10 * time.Minute},
		"[1 1441 2881 4321 5761]": {time.Minute, 24 * time.Hour},
	} {
		if got := fmt.Sprint(looks(workflow.Schedule{Offsets: offsets}, 5)); got != want {
			t.Errorf("%v looks after %s minutes, want %s", offsets, got, want)
		}
	}
}

func TestAScheduleFindsItsNextLookFromAnyTime(t *testing.T) {
	s := workflow.Schedule{Offsets: []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour}}
	for after, want := range map[time.Duration]time.Duration{
		-time.Hour:                      10 * time.Minute,
		0:                               10 * time.Minute,
		10*time.Minute - 1:              10 * time.Minute,
		10 * time.Minute:                20 * time.Minute,
		39 * time.Minute:                40 * time.Minute,
		40 * time.Minute:                100 * time.Minute,
		100*time.Minute + 1:             160 * time.Minute,
		1000*time.Hour + 40*time.Minute: 1001*time.Hour + 40*time.Minute,
	} {
		if at, ok := s.Next("run", start, start.Add(after)); !ok || at.Sub(start) != want {
			t.Errorf("after %s the next look is after %s, want %s", after, at.Sub(start), want)
		}
	}
}

func TestAnyScheduleGoesOnAndIsJitteredWithinBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s workflow.Schedule
		offset := time.Duration(0)
		for range rapid.IntRange(1, 5).Draw(rt, "offsets") {
			offset += time.Duration(rapid.IntRange(1, 1000).Draw(rt, "step")) * time.Second
			s.Offsets = append(s.Offsets, offset)
		}
		s.Offsets = append(s.Offsets, time.Duration(rapid.IntRange(1, 5000).Draw(rt, "interval"))*time.Second)
		exact := looks(s, 40)
		if !slices.IsSorted(exact) || len(exact) != 40 {
			rt.Fatalf("%v looks after %v minutes", s.Offsets, exact)
		}
		s.Jitter = rapid.Float64Range(0, 1).Draw(rt, "jitter")
		jittered := looks(s, 20)
		if len(jittered) != 20 || !slices.IsSorted(jittered) || slices.Compare(jittered, looks(s, 20)) != 0 {
			rt.Fatalf("with jitter it looks after %v minutes", jittered)
		}
		for _, at := range jittered {
			if !slices.ContainsFunc(exact, func(e float64) bool { return at >= e-1e-6 && at <= e*(1+s.Jitter)+1e-6 }) && at < exact[39] {
				rt.Fatalf("a look after %v minutes is none of %v with jitter %v", at, exact, s.Jitter)
			}
		}
		// The next look is the same from wherever it is asked for before it.
		from := time.Duration(rapid.Int64Range(0, int64(30*24*time.Hour)).Draw(rt, "from"))
		at, _ := s.Next("run", start, start.Add(from))
		between := start.Add(from + time.Duration(rapid.Float64Range(0, 0.999).Draw(rt, "between")*float64(at.Sub(start)-from)))
		if again, _ := s.Next("run", start, between); again.Before(start.Add(from)) || again.After(at) && s.Jitter == 0 || !again.After(between) {
			rt.Fatalf("asked after %s the next look is after %s, asked after %s after %s", from, at.Sub(start), between.Sub(start), again.Sub(start))
		}
	})
}

func TestARunAsleepForYearsIsLookedAtSoonAndFast(t *testing.T) {
	for _, jitter := range []float64{0, 0.1, 1} {
		s := workflow.Schedule{Offsets: []time.Duration{time.Second, 2 * time.Second, time.Second}, Jitter: jitter}
		began := time.Now()
		after := start.Add(50 * 365 * 24 * time.Hour)
		at, ok := s.Next("run", start, after)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("with jitter %v the next look took %s to find", jitter, took)
		}
		if late := at.Sub(after); !ok || late <= 0 || jitter == 0 && late > time.Second {
			t.Errorf("with jitter %v the next look comes %s later", jitter, late)
		}
	}
}

func TestAWaitLooksBeforeItsDeadlineOnly(t *testing.T) {
	wf := workflow.New[in]("w")
	a := workflow.Step(wf, "a", returns(1))
	look := func(context.Context, in) (string, bool, error) { return "", false, nil }
	by := func(n int) workflow.Schedule {
		if n == 13 {
			panic("unlucky")
		}
		return workflow.Schedule{Offsets: []time.Duration{time.Duration(n) * time.Minute}}
	}
	workflow.WaitFor(wf, "fixed", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{20 * time.Minute}}, look))
	workflow.WaitFor(wf, "from", alpha, time.Hour, workflow.Reconcile(workflow.ScheduleFrom(a, by), look))
	workflow.WaitFor(wf, "never", alpha, time.Hour)
	p := wf.Plan()
	for name, c := range map[string]struct {
		node    int
		history workflow.History
		after   time.Duration
		want    time.Duration // 0: none
	}{
		"the first":                         {1, nil, 0, 20 * time.Minute},
		"the second":                        {1, nil, 20 * time.Minute, 40 * time.Minute},
		"none at the deadline itself":       {1, nil, 40 * time.Minute, 0},
		"by an output":                      {2, workflow.History{done("a", 7)}, 0, 7 * time.Minute},
		"without the output":                {2, workflow.History{skipped("a")}, 0, 0},
		"by an output that no longer fits":  {2, workflow.History{done("a", "seven")}, 0, 0},
		"by a schedule that panics":         {2, workflow.History{done("a", 13)}, 0, 0},
		"by a schedule that makes no sense": {2, workflow.History{done("a", -1)}, 0, 0},
		"of a wait that does not look":      {3, nil, 0, 0},
	} {
		at, ok := p.Nodes[c.node].LookAt("run", c.history, start, start.Add(c.after))
		if ok != (c.want > 0) || ok && at.Sub(start) != c.want {
			t.Errorf("%s: %t after %s, want %s", name, ok, at.Sub(start), c.want)
		}
	}
}

// inbox is signals "event:id".
func inbox(ids ...string) (all []workflow.Signal) {
	for _, s := range ids {
		event, id, _ := strings.Cut(s, ":")
		all = append(all, workflow.Signal{ID: id, Event: event, Payload: json.RawMessage(fmt.Sprintf("%q", id))})
	}
	return all
}

func TestWaitsConsumeFirstInFirstOut(t *testing.T) {
	wf := workflow.New[in]("w")
	text := workflow.Event[string]{Name: "beta"}
	workflow.WaitFor(wf, "one", alpha, time.Hour)
	workflow.WaitForAny(wf, "any", time.Hour, []workflow.AnyEvent{alpha, text})
	workflow.WaitForAll(wf, "all", time.Hour, []workflow.AnyEvent{alpha, text})
	workflow.WaitForAny(wf, "any of one", time.Hour, []workflow.AnyEvent{alpha})
	for _, c := range []struct {
		wait, inbox, consumed, output string
	}{
		{"one", "", "", ""},
		{"one", "beta:1 gamma:2", "", ""},
		{"one", "beta:1 alpha:2 alpha:3", "2", `"2"`},
		{"any", "gamma:1", "", ""},
		{"any", "gamma:1 beta:2 alpha:3", "2", `{"events":[{"type":"beta","data":"2"}]}`},
		{"any", "alpha:9 beta:2", "9", `{"events":[{"type":"alpha","data":"9"}]}`},
		{"any of one", "alpha:1 alpha:2", "1", `{"events":[{"type":"alpha","data":"1"}]}`},
		{"all", "alpha:1 alpha:2", "", ""},
		{"all", "beta:1 beta:2 alpha:3", "3 1", `{"events":[{"type":"alpha","data":"3"},{"type":"beta","data":"1"}]}`},
	} {
		node, _ := wf.Plan().Node(c.wait)
		consumed, output, ok := node.Match(inbox(strings.Fields(c.inbox)...))
		var ids []string
		for _, s := range consumed {
			ids = append(ids, s.ID)
		}
		if got := strings.Join(ids, " "); got != c.consumed || string(output) != c.output || ok != (c.consumed != "") {
			t.Errorf("%s of %q consumes %q as %s, want %q as %s", c.wait, c.inbox, got, output, c.consumed, c.output)
		}
	}
}

func TestArrivedEventsAreReadByType(t *testing.T) {
	arrived := workflow.Arrived{Events: []workflow.ArrivedEvent{{Type: "beta", Data: json.RawMessage("5")}}}
	if v, ok := workflow.As(arrived, beta); v != 5 || !ok {
		t.Errorf("beta is %d, %t", v, ok)
	}
	if v, ok := workflow.As(arrived, alpha); v != "" || ok {
		t.Errorf("alpha is %q, %t", v, ok)
	}
	if v, ok := workflow.As(arrived, workflow.Event[string]{Name: "beta"}); v != "" || ok {
		t.Errorf("beta of another type is %q, %t", v, ok)
	}
}

func TestEventsCheckTheirPayload(t *testing.T) {
	type payload struct{ N int }
	e := workflow.Event[payload]{Name: "gamma"}
	for text, want := range map[string]string{`{"N":1}`: "", `{"N":1,"more":true}`: "",
		`{"N":"one"}`: "event gamma: the payload does not fit", `[]`: "event gamma", `{`: "event gamma"} {
		check(t, text, e.Check(json.RawMessage(text)), want)
	}
}

func TestBackoffsBeyondAllMeasureStayPositive(t *testing.T) {
	for _, r := range []workflow.Retry{{}, {InitialDelay: math.MaxInt64}, {InitialDelay: 1},
		{Backoff: workflow.Linear, InitialDelay: math.MaxInt64}} {
		r.MaxAttempts = math.MaxInt
		if d, ok := r.Delay(math.MaxInt-1, errBroken); !ok || d < 0 || d > century {
			t.Errorf("%+v waits %s", r, d)
		}
	}
}

// forwards is a sender that changes what it sends on.
type forwards func(workflow.Signal)

func (f forwards) Signal(_ context.Context, _ string, s workflow.Signal) (workflow.Receipt, error) {
	f(s)
	return workflow.Receipt{}, nil
}

func TestASenderThatChangesAPayloadIsNotBelieved(t *testing.T) {
	wf := workflow.New[struct{}]("w")
	workflow.WaitFor(wf, "wait", workflow.Event[int]{Name: "number"}, time.Hour)
	for name, c := range map[string]struct {
		send    func(forwards) (workflow.Receipt, error)
		payload string
		fits    bool
	}{
		"as it was": {func(f forwards) (workflow.Receipt, error) {
			return workflow.Event[int]{Name: "number"}.Send(t.Context(), f, "run", "s", 1)
		}, "1", true},
		"changed": {func(f forwards) (workflow.Receipt, error) {
			return workflow.Event[int]{Name: "number"}.Send(t.Context(), f, "run", "s", 1)
		}, `"one"`, false},
		"no JSON": {func(f forwards) (workflow.Receipt, error) {
			return workflow.Event[int]{Name: "number"}.Send(t.Context(), f, "run", "s", 1)
		}, "x", false},
		"of another type": {func(f forwards) (workflow.Receipt, error) {
			return workflow.Event[string]{Name: "number"}.Send(t.Context(), f, "run", "s", "one")
		}, `"one"`, false},
	} {
		if _, err := c.send(func(s workflow.Signal) {
			s.Payload = json.RawMessage(c.payload)
			if err := wf.Plan().CheckEvent(s); (err == nil) != c.fits {
				t.Errorf("%s: CheckEvent: %v", name, err)
			}
			if err := s.Validate(); (err == nil) != json.Valid(s.Payload) {
				t.Errorf("%s: Validate: %v", name, err)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}
