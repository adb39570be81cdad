package telemetry

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/liwanag/liwanag/workflow"
)

// Metrics counts what happens, in a registry of its own. It is an observer of
// runners, and the meter of paid calls.
type Metrics struct {
	registry *prometheus.Registry

	runs        *prometheus.CounterVec   // workflow, status
	runSeconds  *prometheus.HistogramVec // workflow
	attempts    *prometheus.CounterVec   // workflow, step, then
	stepSeconds *prometheus.HistogramVec // workflow, step
	waits       *prometheus.CounterVec   // workflow, step, how
	eventLag    *prometheus.HistogramVec // workflow, step
	faults      *prometheus.CounterVec   // op

	submissions   *prometheus.CounterVec // outcome
	adopted       *prometheus.CounterVec // by
	resubmitted   prometheus.Counter
	duplicatePaid prometheus.Counter
	lateResults   prometheus.Counter
	refused       *prometheus.CounterVec // why
}

var (
	_ workflow.Observer      = (*Metrics)(nil)
	_ workflow.StepObserver  = (*Metrics)(nil)
	_ workflow.WaitObserver  = (*Metrics)(nil)
	_ workflow.FaultObserver = (*Metrics)(nil)
)

// NewMetrics returns counters at zero, those of the Go runtime and the process
// among them.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "liwanag_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "liwanag_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	quick := prometheus.ExponentialBuckets(0.001, 4, 8) // 1 ms to 16 s
	long := prometheus.ExponentialBuckets(1, 4, 10)     // 1 s to 3 days
	m.runs = counter("runs_ended_total", "Runs that ended.", "workflow", "status")
	m.runSeconds = histogram("run_duration_seconds", "Time from a run's creation to its end.", long, "workflow")
	m.attempts = counter("step_attempts_total", "Attempts of steps, by what came next.", "workflow", "step", "then")
	m.stepSeconds = histogram("step_duration_seconds", "Duration of an attempt.", quick, "workflow", "step")
	m.waits = counter("waits_ended_total", "Waits that ended.", "workflow", "step", "how")
	m.eventLag = histogram("event_lag_seconds", "Time from an event's receipt to its run going on.", quick, "workflow", "step")
	m.faults = counter("runner_faults_total", "Faults that the runner met and went on from.", "op")

	m.submissions = counter("submissions_total", "Paid calls by outcome.", "outcome")
	m.adopted = counter("adopted_total", "Submissions in doubt whose enrichment id was learnt.", "by")
	m.resubmitted = counter("resubmitted_total", "Submissions that supersede one in doubt.").WithLabelValues()
	m.duplicatePaid = counter("duplicate_paid_total", "Jobs that were paid for a second time.").WithLabelValues()
	m.lateResults = counter("late_results_total", "Jobs whose result came after their run had ended.").WithLabelValues()
	m.refused = counter("webhooks_refused_total", "Webhooks that were turned away.", "why")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with all counters in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// RunEnded counts a run's end.
func (m *Metrics) RunEnded(run workflow.RunRef, status workflow.Status, _ *workflow.Failure, took time.Duration) {
	m.runs.WithLabelValues(run.Workflow, string(status)).Inc()
	m.runSeconds.WithLabelValues(run.Workflow).Observe(took.Seconds())
}

// AttemptStarted leaves the context as it is.
func (m *Metrics) AttemptStarted(ctx context.Context, _ workflow.RunRef, _ string, _ int) context.Context {
	return ctx
}

// AttemptEnded counts an attempt.
func (m *Metrics) AttemptEnded(_ context.Context, run workflow.RunRef, step string, _ int, then string, _ error, took time.Duration) {
	m.attempts.WithLabelValues(run.Workflow, step, then).Inc()
	m.stepSeconds.WithLabelValues(run.Workflow, step).Observe(took.Seconds())
}

// WaitStarted counts nothing: how many wait is what the store knows.
func (m *Metrics) WaitStarted(workflow.RunRef, string) {}

// WaitEnded counts a wait's end.
func (m *Metrics) WaitEnded(run workflow.RunRef, step, how string, lag time.Duration) {
	m.waits.WithLabelValues(run.Workflow, step, how).Inc()
	m.eventLag.WithLabelValues(run.Workflow, step).Observe(lag.Seconds())
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

// Refused counts a webhook that was turned away.
func (m *Metrics) Refused(why string) { m.refused.WithLabelValues(why).Inc() }
