package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// Metrics counts what happens in this process, and shows what Watch reads of the
// database, in a registry of its own. It is an observer of runners, and the meter
// of every part. Labels are words of ours: no ids, addresses or paths.
type Metrics struct {
	registry *prometheus.Registry
	declared []Metric

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
	calls         *prometheus.CounterVec   // operation, outcome
	callSeconds   *prometheus.HistogramVec // operation

	accepted       *prometheus.CounterVec   // kind
	refused        *prometheus.CounterVec   // kind, why
	messages       *prometheus.CounterVec   // topic, outcome
	messageSeconds *prometheus.HistogramVec // topic
	importRows     *prometheus.CounterVec   // result

	requests       *prometheus.CounterVec   // method, route, status
	requestSeconds *prometheus.HistogramVec // method, route

	figures *figures
	commits *commits
}

// Metric is one metric of ours as it is declared.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Help   string
	Labels []string
}

// NewMetrics returns counters at zero, those of the Go runtime and the process
// among them. version is the program's.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	quick := prometheus.ExponentialBuckets(0.001, 4, 8) // 1 ms to 16 s
	long := prometheus.ExponentialBuckets(1, 4, 10)     // 1 s to 3 days
	m.runs = m.counter("runs_ended_total", "Runs that ended.", "workflow", "status")
	m.runSeconds = m.histogram("run_duration_seconds", "Time from a run's creation to its end.", long, "workflow")
	m.attempts = m.counter("step_attempts_total", "Attempts of steps, by what came next.", "workflow", "step", "then")
	m.stepSeconds = m.histogram("step_duration_seconds", "Duration of an attempt.", quick, "workflow", "step")
	m.waits = m.counter("waits_ended_total", "Waits that ended.", "workflow", "step", "how")
	m.eventLag = m.histogram("event_lag_seconds", "Time from an event's receipt to its run going on.", quick, "workflow", "step")
	m.faults = m.counter("runner_faults_total", "Faults that the runner met and went on from.", "op")

	m.submissions = m.counter("submissions_total", "Paid calls by outcome.", "outcome")
	m.adopted = m.counter("adopted_total", "Submissions in doubt whose enrichment id was learnt.", "by")
	m.resubmitted = m.counter("resubmitted_total", "Submissions that supersede one in doubt.").WithLabelValues()
	m.duplicatePaid = m.counter("duplicate_paid_total", "Jobs that were paid for a second time.").WithLabelValues()
	m.lateResults = m.counter("late_results_total", "Jobs whose result came after their run had ended.").WithLabelValues()
	m.calls = m.counter("fullenrich_calls_total", "Requests to FullEnrich.", "operation", "outcome")
	m.callSeconds = m.histogram("fullenrich_call_duration_seconds", "Duration of a request to FullEnrich.",
		prometheus.ExponentialBuckets(0.01, 2, 12), "operation")

	m.accepted = m.counter("webhooks_accepted_total", "Webhooks that were taken in.", "kind")
	m.refused = m.counter("webhooks_refused_total", "Webhooks that were turned away.", "kind", "why")
	m.messages = m.counter("messages_total",
		"Webhooks out: attempts that were delivered or are retried, and messages that failed or were dropped.", "topic", "outcome")
	m.messageSeconds = m.histogram("message_duration_seconds", "Duration of an attempt to send a webhook.", quick, "topic")
	m.importRows = m.counter("import_rows_total", "Rows of uploads that were imported.", "result")

	m.requests = m.counter("http_requests_total", "Requests that were answered.", "method", "route", "status")
	m.requestSeconds = m.histogram("http_request_duration_seconds",
		"Duration of a request; listeners of server-sent events apart.", quick, "method", "route")

	m.gauge("build_info", "Always 1; the labels tell what runs.", "version", "go_version").WithLabelValues(version, runtime.Version()).Set(1)
	m.figures, m.commits = newFigures(m), newCommits(m)
	m.registry.MustRegister(m.figures, m.commits, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Declared are all metrics of ours, in the order of the code.
func (m *Metrics) Declared() []Metric { return m.declared }

func (m *Metrics) declare(kind, name, help string, labels []string) string {
	m.declared = append(m.declared, Metric{"liwanag_" + name, kind, help, labels})
	return "liwanag_" + name
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.declare("counter", name, help, labels), Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.declare("gauge", name, help, labels), Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.declare("histogram", name, help, labels),
		Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

// described declares a metric that a collector makes at each scrape.
func (m *Metrics) described(kind, name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(m.declare(kind, name, help, labels), help, labels, nil)
}

// Handler answers with all metrics in Prometheus' format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Listeners shows how many listen to server-sent events now. Once.
func (m *Metrics) Listeners(now func() int) {
	const name, help = "sse_listeners", "Open listeners of server-sent events."
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.declare("gauge", name, help, nil), Help: help},
		func() float64 { return float64(now()) }))
}

// Commits shows the group commits of a writer: application, engine, or all where
// both share one.
func (m *Metrics) Commits(writer string, stats func() groupcommit.Stats) {
	m.commits.add(writer, stats)
}

// Close waits until nothing is read any more. It comes before the database's.
func (m *Metrics) Close() { m.figures.close() }

// seconds observes a duration.
func seconds(h prometheus.Observer, took time.Duration) { h.Observe(took.Seconds()) }
