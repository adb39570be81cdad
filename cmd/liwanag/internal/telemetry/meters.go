package telemetry

import (
	"context"
	"strconv"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

var (
	_ workflow.Observer      = (*Metrics)(nil)
	_ workflow.StepObserver  = (*Metrics)(nil)
	_ workflow.WaitObserver  = (*Metrics)(nil)
	_ workflow.FaultObserver = (*Metrics)(nil)
)

// RunEnded counts a run's end.
func (m *Metrics) RunEnded(run workflow.RunRef, status workflow.Status, _ *workflow.Failure, took time.Duration) {
	m.runs.WithLabelValues(run.Workflow, string(status)).Inc()
	seconds(m.runSeconds.WithLabelValues(run.Workflow), took)
}

// AttemptStarted leaves the context as it is.
func (m *Metrics) AttemptStarted(ctx context.Context, _ workflow.RunRef, _ string, _ int) context.Context {
	return ctx
}

// AttemptEnded counts an attempt.
func (m *Metrics) AttemptEnded(_ context.Context, run workflow.RunRef, step string, _ int, then string, _ error, took time.Duration) {
	m.attempts.WithLabelValues(run.Workflow, step, then).Inc()
	seconds(m.stepSeconds.WithLabelValues(run.Workflow, step), took)
}

// WaitStarted counts nothing: how many wait is what the store knows.
func (m *Metrics) WaitStarted(workflow.RunRef, string) {}

// WaitEnded counts a wait's end.
func (m *Metrics) WaitEnded(run workflow.RunRef, step, how string, lag time.Duration) {
	m.waits.WithLabelValues(run.Workflow, step, how).Inc()
	if how == "event" {
		seconds(m.eventLag.WithLabelValues(run.Workflow, step), lag)
	}
}

// RunnerFault counts a fault.
func (m *Metrics) RunnerFault(op string, _ error) { m.faults.WithLabelValues(op).Inc() }

// Submission counts the outcome of a paid call.
func (m *Metrics) Submission(outcome string) { m.submissions.WithLabelValues(outcome).Inc() }

// Adopted counts a submission in doubt whose id was learnt.
func (m *Metrics) Adopted(by string) { m.adopted.WithLabelValues(by).Inc() }

// Resubmitted counts a submission that supersedes one in doubt.
func (m *Metrics) Resubmitted() { m.resubmitted.Inc() }

// DuplicatePaid counts jobs that were paid for a second time.
func (m *Metrics) DuplicatePaid(jobs int) { m.duplicatePaid.Add(float64(jobs)) }

// LateResults counts jobs whose result came after their run had ended.
func (m *Metrics) LateResults(jobs int) { m.lateResults.Add(float64(jobs)) }

// fullEnrich is the kind of FullEnrich's own webhooks.
const fullEnrich = "fullenrich"

// Accepted counts a webhook of FullEnrich that was taken in.
func (m *Metrics) Accepted() { m.WebhookAccepted(fullEnrich) }

// Refused counts a webhook of FullEnrich that was turned away.
func (m *Metrics) Refused(why string) { m.WebhookRefused(fullEnrich, why) }

// WebhookAccepted counts a sender's webhook that was taken in.
func (m *Metrics) WebhookAccepted(kind string) { m.accepted.WithLabelValues(kind).Inc() }

// WebhookRefused counts a sender's webhook that was turned away.
func (m *Metrics) WebhookRefused(kind, why string) { m.refused.WithLabelValues(kind, why).Inc() }

// Message counts webhooks out.
func (m *Metrics) Message(topic liwanag.Topic, outcome string, took time.Duration) {
	m.messages.WithLabelValues(string(topic), outcome).Inc()
	if took > 0 { // it was an attempt
		seconds(m.messageSeconds.WithLabelValues(string(topic)), took)
	}
}

// ImportedRows counts rows of an upload that was imported.
func (m *Metrics) ImportedRows(result string, rows int64) {
	m.importRows.WithLabelValues(result).Add(float64(rows))
}

// Call counts a request to FullEnrich.
func (m *Metrics) Call(c fullenrich.Call) {
	m.calls.WithLabelValues(c.Op, c.Result).Inc()
	seconds(m.callSeconds.WithLabelValues(c.Op), c.Took)
}

// Request counts a request that was answered, by its route's pattern. It is not
// timed when took is 0.
func (m *Metrics) Request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	if took > 0 {
		seconds(m.requestSeconds.WithLabelValues(method, route), took)
	}
}
