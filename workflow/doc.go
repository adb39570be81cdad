// Package workflow defines durable workflows as typed, static lists of steps.
//
// A definition is an ordinary constructor: every step, wait, condition and
// handler stands in it, in order, and Go's scoping is the order check, since a
// step cannot name the result of one that is declared later. What scoping does not
// see, a handle whose variable was declared before its step, fails the step that
// reads it too early:
//
//	wf := workflow.New[Order]("ship-order")
//	label := workflow.Step(wf, "print-label", printLabel, workflow.Retry{MaxAttempts: 5, InitialDelay: time.Second})
//	picked := workflow.WaitFor(wf, "wait-for-pickup", PickedUp, 24*time.Hour)
//	workflow.Step(wf, "notify", func(ctx context.Context, o Order) (Receipt, error) {
//		return notify(ctx, label.Output(ctx), picked.Output(ctx))
//	})
//
// The definition says what happens; a [Runner] makes it happen and remembers it.
// Every runner is a loop around two functions of this package: [Plan.Next], a
// pure function from a run's history to its next move, and [Node.After], which
// says what follows an attempt. A definition therefore behaves the same
// wherever it runs.
//
// Steps run at least once and completed steps never again: make what a step does
// outside idempotent, for example with [Info.IdempotencyKey].
//
// # For authors
//
// Say a workflow: [New], [Step], [WaitFor], [Choose], [FinishIf] and the other functions
// that take a [Workflow]; [If] and the other conditions; [Retry] for what may fail, [Event] for what comes from outside.
// Tell what went wrong by the errors that a step returns: see [Permanent] and [Snooze].
// Start and steer runs by a [Runner]. Package workflowtest runs a definition in virtual
// time.
//
// # For runners
//
// [Plan], [Node], [Decision] and the history are what executes a definition; an author
// needs none of them. Package runnertest is the suite that every runner passes.
//
// The package imports the standard library only.
package workflow
