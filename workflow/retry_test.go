package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/workflow"
)

var errBroken = errors.New("broken")

type statusError int

func (e statusError) Error() string   { return fmt.Sprintf("status %d", int(e)) }
func (e statusError) StatusCode() int { return int(e) }

// century bounds every delay.
const century = 100 * 365 * 24 * time.Hour

func TestDelaysFollowThePolicy(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		retry workflow.Retry
		want  []time.Duration
	}{
		"the zero value is one attempt": {workflow.Retry{}, nil},
		"one attempt":                   {workflow.Retry{MaxAttempts: 1, InitialDelay: s}, nil},
		"exponential by default":        {workflow.Retry{MaxAttempts: 5, InitialDelay: s}, []time.Duration{s, 2 * s, 4 * s, 8 * s}},
		"exponential":                   {workflow.Retry{MaxAttempts: 5, Backoff: workflow.Exponential, InitialDelay: s}, []time.Duration{s, 2 * s, 4 * s, 8 * s}},
		"linear":                        {workflow.Retry{MaxAttempts: 5, Backoff: workflow.Linear, InitialDelay: s}, []time.Duration{s, 2 * s, 3 * s, 4 * s}},
		"constant":                      {workflow.Retry{MaxAttempts: 4, Backoff: workflow.Constant, InitialDelay: s}, []time.Duration{s, s, s}},
		"capped":                        {workflow.Retry{MaxAttempts: 6, InitialDelay: s, MaxDelay: 5 * s}, []time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s}},
		"capped from the first":         {workflow.Retry{MaxAttempts: 3, Backoff: workflow.Linear, InitialDelay: 9 * s, MaxDelay: s}, []time.Duration{s, s}},
		"at once":                       {workflow.Retry{MaxAttempts: 3}, []time.Duration{0, 0}},
	} {
		var got []time.Duration
		for attempt := 1; ; attempt++ {
			d, again := c.retry.Delay(attempt, errBroken)
			if !again {
				break
			}
			got = append(got, d)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestErrorsDecideOnAnotherAttempt(t *testing.T) {
	on503 := workflow.Retry{MaxAttempts: 3, InitialDelay: time.Second, RetryOn: []int{429, 503}}
	onBroken := workflow.Retry{MaxAttempts: 3, InitialDelay: time.Second, If: func(err error) bool { return errors.Is(err, errBroken) }}
	both := on503
	both.If = onBroken.If
	for name, c := range map[string]struct {
		retry workflow.Retry
		err   error
		again bool
		delay time.Duration
	}{
		"any error":                             {workflow.Retry{MaxAttempts: 2}, errBroken, true, 0},
		"a permanent error":                     {workflow.Retry{MaxAttempts: 2}, workflow.Permanent(errBroken), false, 0},
		"a permanent error inside of another":   {workflow.Retry{MaxAttempts: 2}, fmt.Errorf("so: %w", workflow.Permanent(errBroken)), false, 0},
		"a status that is listed":               {on503, statusError(503), true, time.Second},
		"a listed status in the chain":          {on503, fmt.Errorf("call: %w", statusError(429)), true, time.Second},
		"a listed status among joined errors":   {on503, errors.Join(errBroken, statusError(503)), true, time.Second},
		"a status that is not listed":           {on503, fmt.Errorf("call: %w", statusError(422)), false, 0},
		"no status":                             {on503, errBroken, true, time.Second},
		"status 0 is none":                      {on503, statusError(0), true, time.Second},
		"any status without a list":             {workflow.Retry{MaxAttempts: 2}, statusError(422), true, 0},
		"what If lets pass":                     {onBroken, errBroken, true, time.Second},
		"what If refuses":                       {onBroken, statusError(503), false, 0},
		"what If refuses though it is listed":   {both, statusError(503), false, 0},
		"what the list refuses though If would": {both, errors.Join(errBroken, statusError(422)), false, 0},
		"what a server directs":                 {on503, workflow.RetryAfter(statusError(503), time.Minute), true, time.Minute},
		"a direction inside of another error":   {on503, fmt.Errorf("call: %w", workflow.RetryAfter(statusError(503), time.Minute)), true, time.Minute},
		"a direction about a status not listed": {on503, workflow.RetryAfter(statusError(422), time.Minute), false, 0},
		"a direction into the past":             {on503, workflow.RetryAfter(errBroken, -time.Minute), true, 0},
		"a direction beyond all measure":        {on503, workflow.RetryAfter(errBroken, math.MaxInt64), true, century},
		"a bound that floats cannot tell":       {workflow.Retry{MaxAttempts: 2, InitialDelay: math.MaxInt64, MaxDelay: 1<<53 + 3}, errBroken, true, 1<<53 + 3},
	} {
		if delay, again := c.retry.Delay(1, c.err); again != c.again || delay != c.delay {
			t.Errorf("%s: again %t after %s, want %t after %s", name, again, delay, c.again, c.delay)
		}
	}
	if _, again := on503.Delay(3, workflow.RetryAfter(errBroken, time.Second)); again {
		t.Error("a server's direction grants an attempt that the policy does not")
	}
}

func TestMarksOfErrorsKeepWhatTheyMark(t *testing.T) {
	for name, err := range map[string]error{"Permanent": workflow.Permanent(errBroken),
		"RetryAfter": workflow.RetryAfter(errBroken, time.Second)} {
		if !errors.Is(err, errBroken) || err.Error() != "broken" {
			t.Errorf("%s hides the error: %v", name, err)
		}
	}
	if workflow.Permanent(nil) != nil || workflow.RetryAfter(nil, time.Second) != nil {
		t.Error("no error became one")
	}
	if err := fmt.Errorf("so: %w", workflow.Snooze(time.Second)); !errors.Is(err, workflow.ErrSnoozed) ||
		errors.Is(errBroken, workflow.ErrSnoozed) {
		t.Error("a snooze is not told from an error")
	}
}

// node is a step with options, as runners see it.
func node(t *testing.T, opts ...workflow.StepOption) *workflow.Node {
	t.Helper()
	wf := workflow.New[in]("w")
	workflow.Step(wf, "step", returns(1), opts...)
	if err := wf.Plan().Validate(); err != nil {
		t.Fatal(err)
	}
	return wf.Plan().Nodes[0]
}

func TestWhatFollowsAnAttempt(t *testing.T) {
	const s = time.Second
	retry := workflow.Retry{MaxAttempts: 5, InitialDelay: s}
	for name, c := range map[string]struct {
		opts    []workflow.StepOption
		attempt int
		elapsed time.Duration
		err     error
		want    string
	}{
		"an attempt left":              {[]workflow.StepOption{retry}, 2, 0, errBroken, "retry after 2s"},
		"none left":                    {[]workflow.StepOption{retry}, 5, 0, errBroken, "fail error/ after 5: broken"},
		"no policy":                    {nil, 1, 0, errBroken, "fail error/ after 1: broken"},
		"a snooze":                     {nil, 1, 0, workflow.Snooze(time.Minute), "snooze after 1m0s"},
		"a snooze after the last one":  {[]workflow.StepOption{retry}, 9, 0, workflow.Snooze(time.Minute), "snooze after 1m0s"},
		"a snooze into the past":       {nil, 1, 0, workflow.Snooze(-time.Minute), "snooze after 10ms"},
		"a snooze inside of an error":  {nil, 1, 0, fmt.Errorf("so: %w", workflow.Snooze(s)), "snooze after 1s"},
		"within the bound":             {[]workflow.StepOption{retry, workflow.Within(10 * s)}, 2, 8 * s, errBroken, "retry after 2s"},
		"beyond the bound":             {[]workflow.StepOption{retry, workflow.Within(10 * s)}, 2, 8*s + 1, errBroken, "fail timeout/timeout after 2: all attempts together took longer than 10s, the last one: broken"},
		"directed beyond the bound":    {[]workflow.StepOption{retry, workflow.Within(10 * s)}, 1, 0, workflow.RetryAfter(errBroken, math.MaxInt64), "fail timeout/timeout after 1: all attempts together took longer than 10s, the last one: broken"},
		"snoozed beyond the bound":     {[]workflow.StepOption{workflow.Within(10 * s)}, 1, 9 * s, workflow.Snooze(2 * s), "fail timeout/timeout after 1: all attempts together took longer than 10s, the last one: not yet: again in 2s"},
		"a permanent error in a bound": {[]workflow.StepOption{retry, workflow.Within(10 * s)}, 1, 0, workflow.Permanent(errBroken), "fail error/ after 1: broken"},
		"a policy that panics": {[]workflow.StepOption{workflow.Retry{MaxAttempts: 5, If: func(error) bool { panic("oh no") }}}, 1, 0, errBroken,
			"fail error/definition after 1: a function of the definition panicked: oh no"},
		"an error that panics": {nil, 1, 0, (*nastyError)(nil), "fail error/ after 1: <nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			a := node(t, c.opts...).After("run", c.attempt, c.elapsed, c.err)
			got := fmt.Sprintf("%s after %s", a.Then, a.Delay)
			if a.Then == workflow.AfterFail {
				got = fmt.Sprintf("fail %s/%s after %d: %s", a.Failure.Reason, a.Failure.Code, a.Failure.Attempts, a.Failure.Message)
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

type nastyError struct{ text string }

func (e *nastyError) Error() string { return e.text }

func TestJitterIsTheSameForTheSameAttemptAndBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		retry := workflow.Retry{
			MaxAttempts:  rapid.IntRange(2, 3000).Draw(rt, "attempts"),
			Backoff:      rapid.SampledFrom([]workflow.Backoff{"", workflow.Exponential, workflow.Linear, workflow.Constant}).Draw(rt, "backoff"),
			InitialDelay: time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(rt, "initial")),
			MaxDelay:     time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(rt, "max")),
			Jitter:       rapid.Float64Range(0, 1).Draw(rt, "jitter"),
		}
		if retry.MaxDelay > 0 {
			retry.InitialDelay = min(retry.InitialDelay, retry.MaxDelay)
		}
		attempt := rapid.IntRange(1, retry.MaxAttempts-1).Draw(rt, "attempt")
		run := rapid.String().Draw(rt, "run")
		n := node(t, retry)
		base, again := retry.Delay(attempt, errBroken)
		if !again || base < 0 || base > century || retry.MaxDelay > 0 && base > retry.MaxDelay {
			rt.Fatalf("the delay is %s, again %t", base, again)
		}
		got := n.After(run, attempt, 0, errBroken).Delay
		if got != n.After(run, attempt, 0, errBroken).Delay {
			rt.Fatal("the same attempt was delayed differently")
		}
		if most := float64(base) * (1 + retry.Jitter) * (1 + 1e-9); got < base || float64(got) > most+1 || got > century {
			rt.Fatalf("the delay of %s with jitter %v is %s", base, retry.Jitter, got)
		}
	})
}

func TestJitterSpreadsRunsStepsAndAttempts(t *testing.T) {
	n := node(t, workflow.Retry{MaxAttempts: 100, Backoff: workflow.Constant, InitialDelay: time.Hour, Jitter: 1})
	seen := map[time.Duration]bool{}
	low, high := 0, 0
	for i := range 1000 {
		d := n.After(fmt.Sprintf("run-%d", i/10), i%10+1, 0, errBroken).Delay
		seen[d] = true
		switch f := float64(d-time.Hour) / float64(time.Hour); {
		case f < 0.25:
			low++
		case f >= 0.75:
			high++
		}
	}
	if len(seen) < 990 || low < 180 || low > 320 || high < 180 || high > 320 {
		t.Errorf("1000 attempts have %d delays, %d in the first quarter and %d in the last", len(seen), low, high)
	}
}

func TestFailuresCarryWhatTheErrorSays(t *testing.T) {
	coded := codedError{}
	for name, c := range map[string]struct {
		err  error
		want workflow.Failure
	}{
		"plain":            {errBroken, workflow.Failure{Step: "s", Reason: workflow.ReasonError, Message: "broken", Attempts: 2}},
		"coded":            {fmt.Errorf("call: %w", coded), workflow.Failure{Step: "s", Reason: workflow.ReasonError, Code: "no_credit", Message: "call: no credit", Attempts: 2}},
		"not valid UTF-8":  {errors.New("a\xffb"), workflow.Failure{Step: "s", Reason: workflow.ReasonError, Message: "a\uFFFDb", Attempts: 2}},
		"long":             {errors.New(strings.Repeat("é", 800)), workflow.Failure{Step: "s", Reason: workflow.ReasonError, Message: strings.Repeat("é", 498) + "…", Attempts: 2}},
		"long, cut inside": {errors.New("x" + strings.Repeat("é", 800)), workflow.Failure{Step: "s", Reason: workflow.ReasonError, Message: "x" + strings.Repeat("é", 498) + "…", Attempts: 2}},
	} {
		if got := workflow.FailureOf("s", 2, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := (workflow.Failure{Step: "s", Message: "broken"}).Error(); got != "s: broken" {
		t.Errorf("the failure reads %q", got)
	}
	if got := (workflow.Failure{Message: "stop"}).Error(); got != "stop" {
		t.Errorf("the failure reads %q", got)
	}
}

type codedError struct{}

func (codedError) Error() string     { return "no credit" }
func (codedError) ErrorCode() string { return "no_credit" }

// call is a call of a node with nothing before it.
func call() workflow.Call { return workflow.Call{RunID: "run", Attempt: 1, Input: []byte(`{"N":7}`)} }

func invoke(t *testing.T, fn func(context.Context, in) (any, error), opts ...workflow.StepOption) (string, error) {
	t.Helper()
	wf := workflow.New[in]("w")
	workflow.Step(wf, "step", fn, opts...)
	out, err := wf.Plan().Nodes[0].Invoke(t.Context(), call())
	return string(out), err
}
