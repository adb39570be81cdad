package runnertest

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func stepScenarios() []scenario {
	return []scenario{
		{"run in order and read earlier outputs", stepsRunInOrderAndReadEarlierOutputs},
		{"are skipped when their condition does not hold", skipping},
		{"end the run early when a finish holds", stepsEndTheRunEarlyWhenAFinishHolds},
		{"sleep durably", stepsSleepDurably},
		{"know where they run", knowing},
		{"wait between attempts as an exponential policy says", backingOff(workflow.Exponential, 0, 4, "0", "1", "3", "7", "15")},
		{"wait between attempts as a linear policy says", backingOff(workflow.Linear, 0, 3, "0", "1", "3", "6")},
		{"wait between attempts as a constant policy says", backingOff(workflow.Constant, 0, 3, "0", "1", "2", "3")},
		{"wait no longer than the policy's cap", backingOff(workflow.Exponential, 2, 3, "0", "1", "3", "5")},
		{"wait with the jitter drawn from run, step and attempt", jittering},
		{"wait as a server directs", stepsWaitAsAServerDirects},
		{"snooze without using an attempt", stepsSnoozeWithoutUsingAnAttempt},
		{"that must run at most once still retry what they return", stepsThatMustRunAtMostOnceStillRetryWhatTheyReturn},
	}
}

func stepsRunInOrderAndReadEarlierOutputs(w *world) {
	wf := workflow.New[input]("plain")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.Step(wf, "b", func(ctx context.Context, in input) (string, error) {
		w.did("b")
		return a.Output(ctx) + "+b", nil
	})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.completed b #1", "0 run.completed")
	w.output(run, `"a+b"`)
	w.didOnly("a", "b")
	w.stepIs(run, "a", workflow.StatusCompleted)
}

func stepsEndTheRunEarlyWhenAFinishHolds(w *world) {
	wf := workflow.New[input]("early")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.FinishIf(wf, a, "not-a", func(s string) bool { return s != "a" })
	workflow.FinishIf(wf, a, "nothing-to-do", func(s string) bool { return s == "a" })
	workflow.Step(wf, "b", w.does("b"))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 run.completed")
	if run.FinishedBecause != "nothing-to-do" || len(run.Steps) != 2 {
		w.Errorf("finished because %q, with the steps %v; want nothing-to-do and a, b", run.FinishedBecause, run.Steps)
	}
	w.stepIs(run, "b", workflow.StatusSkipped)
	if run.Steps[1].SkippedBecause != "nothing-to-do" {
		w.Errorf("b was skipped because %q, want the label of the finish", run.Steps[1].SkippedBecause)
	}
	w.didOnly("a")
}

func stepsSleepDurably(w *world) {
	wf := workflow.New[input]("sleepy")
	workflow.Sleep(wf, "nap", w.s(5))
	workflow.Step(wf, "a", w.does("a"))
	w.begin(wf)
	parked := w.parked("nap", workflow.WaitSleep)
	if want := parked.CreatedAt.Add(w.s(5)); w.virtual() && !parked.WaitingFor.Until.Equal(want) {
		w.Errorf("sleeps until %s, want %s", parked.WaitingFor.Until, want)
	}
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started nap", "5 step.completed nap",
		"5 step.completed a #1", "5 run.completed")
}

func stepsWaitAsAServerDirects(w *world) {
	wf := workflow.New[input]("directed")
	workflow.Step(wf, "a", w.fails("a", workflow.RetryAfter(errBroken, w.s(3))), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.retrying a #1", "3 step.completed a #2", "3 run.completed")
}

func stepsSnoozeWithoutUsingAnAttempt(w *world) {
	wf := workflow.New[input]("snoozy")
	workflow.Step(wf, "a", w.fails("a", workflow.Snooze(w.s(2)), workflow.Snooze(w.s(2)), errBroken, workflow.Snooze(w.s(2))),
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.snoozed a #1", "2 step.snoozed a #1", "4 step.retrying a #1",
		"5 step.snoozed a #2", "7 step.completed a #2", "7 run.completed")
}

func stepsThatMustRunAtMostOnceStillRetryWhatTheyReturn(w *world) {
	wf := workflow.New[input]("once")
	workflow.Step(wf, "a", w.fails("a", errBroken), workflow.AtMostOnce, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.retrying a #1", "1 step.completed a #2", "1 run.completed")
}

func skipping(w *world) {
	wf := workflow.New[input]("conditional")
	a := workflow.Step(wf, "a", w.does("a"))
	b := workflow.Step(wf, "b", w.does("b"), workflow.If(a, "a-is-b", func(s string) bool { return s == "b" }))
	workflow.Step(wf, "c", w.does("c"), workflow.If(b, "b-is-there", func(string) bool { return true }))
	workflow.WaitFor(wf, "d", alpha, w.s(1), workflow.If(a, "a-is-d", func(s string) bool { return s == "d" }))
	workflow.Step(wf, "e", func(ctx context.Context, _ input) (bool, error) {
		_, there := b.Lookup(ctx)
		return there, nil
	}, workflow.If(a, "a-is-a", func(s string) bool { return s == "a" }))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.skipped b",
		"0 step.skipped c", "0 step.skipped d",
		"0 step.completed e #1", "0 run.completed")
	w.output(run, "false")
	w.didOnly("a")
	w.stepIs(run, "b", workflow.StatusSkipped)
	if got := run.Steps[1].SkippedBecause; got != "a-is-b" {
		w.Errorf("b is skipped because %q, want a-is-b", got)
	}
}

func knowing(w *world) {
	wf := workflow.New[input]("informed", workflow.Version(3))
	var infos []workflow.Info
	workflow.Step(wf, "a", func(ctx context.Context, in input) (int, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if infos = append(infos, workflow.InfoFrom(ctx)); len(infos) == 1 {
			return 0, errBroken
		}
		return in.N, nil
	}, workflow.Retry{MaxAttempts: 2})
	workflow.Step(wf, "b/c%", func(ctx context.Context, _ input) (string, error) { return workflow.InfoFrom(ctx).IdempotencyKey, nil })
	w.begin(wf)
	w.output(w.ended(), `"`+id+`/b%2Fc%25"`)
	want := workflow.Info{Workflow: "informed", Version: 3, RunID: id, Step: "a", Attempt: 1, IdempotencyKey: id + "/a"}
	again := want
	again.Attempt = 2
	if len(infos) != 2 || infos[0] != want || infos[1] != again {
		w.Errorf("the attempts were told %+v, want %+v and %+v", infos, want, again)
	}
}

// backingOff fails some attempts and compares when each came.
func backingOff(b workflow.Backoff, most float64, failures int, at ...string) func(*world) {
	return func(w *world) {
		wf := workflow.New[input]("backing-off")
		workflow.Step(wf, "a", w.fails("a", times(failures, errBroken)...), workflow.Retry{MaxAttempts: failures + 1, Backoff: b,
			InitialDelay: w.s(1), MaxDelay: w.s(most)})
		w.begin(wf)
		want := []string{"0 run.started"}
		for n := range failures {
			want = append(want, at[n]+" step.retrying a #"+string(rune('1'+n)))
		}
		// #nosec G115 -- a digit
		want = append(want, at[failures]+" step.completed a #"+string(rune('1'+failures)), at[failures]+" run.completed")
		run := w.ended()
		w.expect(run, workflow.StatusCompleted, want...)
		if got := run.Steps[0].Attempts; len(got) != failures+1 || got[0].Error != "broken" || got[failures].Error != "" {
			w.Errorf("the attempts are shown as %+v", got)
		}
	}
}

func jittering(w *world) {
	wf := workflow.New[input]("jittery")
	workflow.Step(wf, "a", w.fails("a", errBroken), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(10), Jitter: 1})
	w.begin(wf)
	run := w.ended()
	node, _ := wf.Plan().Node("a")
	want := node.After(id, 1, 0, errBroken).Delay
	got := run.History[2].At.Sub(run.History[1].At)
	if w.virtual() && (got-want).Abs() > time.Millisecond || got < want-w.s(0.5) {
		w.Errorf("the second attempt came after %s, want %s", got, want)
	}
}

func failureScenarios() []scenario {
	return []scenario{
		{"come after the last attempt and reach the handler", exhausting},
		{"are permanent at once", failing(workflow.Permanent(errBroken), workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})},
		{"carry the code of the error", failing(workflow.Permanent(codedError{}), workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: "no_credit", Message: "no credit", Attempts: 1})},
		{"follow a status that is not tried again", failing(statusError(422), workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "status", Attempts: 1})},
		{"come of attempts that time out", failuresComeOfAttemptsThatTimeOut},
		{"come when all attempts together take too long", failuresComeWhenAllAttemptsTogetherTakeTooLong},
		{"come of panics, which follow the policy", failuresComeOfPanicsWhichFollowThePolicy},
		{"come of outputs that are too large", failuresComeOfOutputsThatAreTooLarge},
		{"come of predicates that panic", failuresComeOfPredicatesThatPanic},
		{"come of handles that are read too early", failuresComeOfHandlesThatAreReadTooEarly},
		{"are not hidden by a handler that fails", handlerFailing},
		{"let the handler see what was done", handlerSeeing},
	}
}

func failuresComeOfAttemptsThatTimeOut(w *world) {
	wf := workflow.New[input]("slow")
	workflow.Step(wf, "a", func(ctx context.Context, _ input) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}, workflow.Timeout(w.s(1)), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "1 step.retrying a #1", "3 step.failed a #2", "3 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonTimeout, Code: workflow.CodeTimeout,
		Message: "longer than", Attempts: 2})
}

func failuresComeWhenAllAttemptsTogetherTakeTooLong(w *world) {
	wf := workflow.New[input]("bounded")
	workflow.Step(wf, "a", w.fails("a", times(9, errBroken)...), workflow.Within(w.s(6)),
		workflow.Retry{MaxAttempts: 9, InitialDelay: w.s(1)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.retrying a #1", "1 step.retrying a #2",
		"3 step.failed a #3", "3 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonTimeout, Code: workflow.CodeTimeout, Message: "together", Attempts: 3})
}

func failuresComeOfPanicsWhichFollowThePolicy(w *world) {
	wf := workflow.New[input]("panicky")
	workflow.Step(wf, "a", func(context.Context, input) (string, error) { panic("out of paper") },
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.retrying a #1", "1 step.failed a #2", "1 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: workflow.CodePanic, Message: "out of paper", Attempts: 2})
}

func failuresComeOfOutputsThatAreTooLarge(w *world) {
	wf := workflow.New[input]("large")
	workflow.Step(wf, "a", func(context.Context, input) (string, error) { return strings.Repeat("x", workflow.MaxPayload), nil },
		workflow.Retry{MaxAttempts: 2})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: workflow.CodeTooLarge,
		Message: "step a has 65538 bytes", Attempts: 1})
}

func failuresComeOfPredicatesThatPanic(w *world) {
	wf := workflow.New[input]("poisoned")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.Step(wf, "b", w.does("b"), workflow.If(a, "broken", func(string) bool { panic("oh no") }))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.completed a #1", "0 step.failed b",
		"0 step.completed on-error #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "b", Reason: workflow.ReasonError, Code: workflow.CodeDefinition, Message: "oh no"})
	w.told(run)
}

func failuresComeOfHandlesThatAreReadTooEarly(w *world) {
	wf := workflow.New[input]("too-early")
	var b *workflow.Result[string]
	workflow.Step(wf, "a", func(ctx context.Context, _ input) (string, error) { return b.Output(ctx), nil }, workflow.Retry{MaxAttempts: 3})
	b = workflow.Step(wf, "b", w.does("b"))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
		Message: `reads the output of "b"`, Attempts: 1})
}

func exhausting(w *world) {
	wf := workflow.New[input]("exhausted")
	workflow.Step(wf, "a", w.fails("a", times(9, errBroken)...), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	workflow.Step(wf, "b", w.does("b"))
	workflow.OnError(wf, w.handles)
	workflow.OnCancel(wf, func(context.Context, input, string) error { w.did("on-cancel"); return nil })
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.retrying a #1", "1 step.failed a #2",
		"1 step.completed on-error #1", "1 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 2})
	w.told(run)
	w.didOnly("a", "a")
	w.stepIs(run, "a", workflow.StatusFailed)
	w.stepIs(run, "b", workflow.StatusPending)
}

type codedError struct{}

func (codedError) Error() string     { return "no credit" }
func (codedError) ErrorCode() string { return "no_credit" }

type statusError int

func (statusError) Error() string     { return "status" }
func (s statusError) StatusCode() int { return int(s) }

func failing(err error, want workflow.Failure) func(*world) {
	return func(w *world) {
		wf := workflow.New[input]("failing")
		workflow.Step(wf, "a", w.fails("a", times(9, err)...), workflow.Retry{MaxAttempts: 5, RetryOn: []int{503}})
		w.begin(wf)
		run := w.ended()
		w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 run.failed")
		w.failure(run, want)
	}
}

func handlerFailing(w *world) {
	wf := workflow.New[input]("helpless")
	workflow.Step(wf, "a", w.fails("a", times(9, errBroken)...))
	workflow.OnError(wf, func(context.Context, input, workflow.Failure) error { return errors.New("the handler is broken, too") },
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 step.retrying on-error #1",
		"1 step.failed on-error #2", "1 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
}

func handlerSeeing(w *world) {
	wf := workflow.New[input]("seen")
	a := workflow.Step(wf, "a", w.does("a"))
	b := workflow.Step(wf, "b", w.fails("b", times(9, errBroken)...))
	workflow.OnError(wf, func(ctx context.Context, in input, f workflow.Failure) error {
		if _, there := b.Lookup(ctx); a.Output(ctx) != "a" || there || in.N != 1 || workflow.InfoFrom(ctx).Step != workflow.OnErrorName {
			return errors.New("the handler sees something else")
		}
		w.did("on-error")
		return nil
	})
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusFailed, "0 run.started", "0 step.completed a #1", "0 step.failed b #1",
		"0 step.completed on-error #1", "0 run.failed")
	w.didOnly("a", "b", "on-error")
}
