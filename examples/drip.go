package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Signup is somebody new.
type Signup struct{ Email string }

// Bought and Unsubscribed end the letters.
var (
	Bought       = workflow.Event[string]{Name: "bought"}
	Unsubscribed = workflow.Event[string]{Name: "unsubscribed"}
)

// Drip shows steps made by a loop of the constructor, and waits that go on when nothing
// came: a welcome, after two days a hint, after five a discount, and an end after
// fourteen, or as soon as they buy or unsubscribe.
func Drip(mail Mail) *workflow.Workflow[Signup] {
	wf := workflow.New[Signup]("drip")
	send := func(letter string) {
		workflow.Do(wf, letter, func(ctx context.Context, s Signup) error { return mail(ctx, s.Email, letter) })
	}
	send("welcome")
	for _, next := range []struct {
		letter string
		after  time.Duration
	}{{"hint", 2 * day}, {"discount", 3 * day}, {"goodbye", 9 * day}} {
		answer := workflow.WaitForAny(wf, "before-"+next.letter, next.after,
			[]workflow.AnyEvent{Bought, Unsubscribed}, workflow.ContinueOnTimeout)
		workflow.FinishIf(wf, answer, "answered-before-"+next.letter, func(workflow.Arrived) bool { return true })
		send(next.letter)
	}
	return wf
}
