package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Figures are what the database says of how things stand, over all nodes.
type Figures struct {
	Runs    []workflow.Count
	Overdue int64 // open runs that were due a minute ago and that nobody took on

	Jobs        map[liwanag.JobStatus]int64
	Submissions map[liwanag.SubmissionState]int64
	Uploads     map[liwanag.UploadStatus]int64
	Deliveries  map[liwanag.DeliveryState]int64 // those that wait for a person

	Credits liwanag.Credits // of this UTC day
	Balance liwanag.Balance
	Budget  int64           // credits a UTC day; 0: no limit
	Paused  liwanag.Waiting // why nothing is sent; empty: spending is on

	Calls, CallLimit int // of this calendar minute

	DatabaseBytes int64
}

// How figures are read: by one reader at a time, when they are asked for and older
// than readEvery. A scrape waits for scrapeWait and then shows the former ones.
const (
	readEvery  = 10 * time.Second
	readWithin = 30 * time.Second
	scrapeWait = 500 * time.Millisecond
)

// Watch lets scrapes show what read says, at most every ten seconds. When it fails
// they show what it said last, and liwanag_figures_up is 0.
func (m *Metrics) Watch(read func(ctx context.Context) (Figures, error)) {
	m.figures.mu.Lock()
	defer m.figures.mu.Unlock()
	m.figures.read = read
}

// figures is the collector of Figures.
type figures struct {
	up, readAt                               *prometheus.Desc
	runs, waiting, overdue                   *prometheus.Desc
	jobs, held, submissions, uploads         *prometheus.Desc
	deliveries                               *prometheus.Desc
	balance, reserved, spent, budget, paused *prometheus.Desc
	callsUsed, callsLimit, databaseBytes     *prometheus.Desc
	all                                      []*prometheus.Desc

	mu      sync.Mutex
	read    func(ctx context.Context) (Figures, error)
	latest  Figures
	ok      bool          // the last reading succeeded
	at      time.Time     // of the last one that did; zero: none
	tried   time.Time     // when the last one began
	reading chan struct{} // closed when the one under way is over; nil: none
	closed  bool
}

func newFigures(m *Metrics) *figures {
	f := &figures{}
	gauge := func(to **prometheus.Desc, name, help string, labels ...string) {
		*to = m.described("gauge", name, help, labels...)
		f.all = append(f.all, *to)
	}
	gauge(&f.up, "figures_up", "1 if the gauges that come from the database could be read last time, else 0: then they are former ones.")
	gauge(&f.readAt, "figures_read_timestamp_seconds", "When the gauges that come from the database were read, in Unix time.")
	gauge(&f.runs, "runs", "Runs by status; pending ones count as running.", "workflow", "status")
	gauge(&f.waiting, "runs_waiting", "Runs that wait in a pause of a step.", "workflow", "step")
	gauge(&f.overdue, "runs_overdue", "Runs that should have gone on over a minute ago: their wait is over, or they were never begun.")
	gauge(&f.jobs, "jobs", "Jobs by status.", "status")
	gauge(&f.held, "held_jobs", "Jobs of which nobody knows whether they were paid for: an operator decides.")
	gauge(&f.submissions, "submissions", "Paid calls by state; held ones wait for an operator.", "state")
	gauge(&f.deliveries, "deliveries",
		"Raw results that wait for a person: quarantined ones could not be applied whole, unmatched ones are of no submission.", "state")
	gauge(&f.uploads, "uploads", "Uploads by status.", "status")
	gauge(&f.balance, "credits_balance", "Credits left, as FullEnrich said last; absent when it never did.")
	gauge(&f.reserved, "credits_reserved", "Credits of this UTC day that are reserved by submissions whose cost is not known yet.")
	gauge(&f.spent, "credits_spent", "Credits that were spent this UTC day.")
	gauge(&f.budget, "credits_budget", "Credits that may be spent a UTC day; absent without a limit.")
	gauge(&f.paused, "spending_paused", "1 for the reason why nothing is sent to FullEnrich.", "reason")
	gauge(&f.callsUsed, "call_budget_used", "Calls of FullEnrich that were taken this calendar minute, over all nodes.")
	gauge(&f.callsLimit, "call_budget_limit", "Calls of FullEnrich that may be taken a calendar minute.")
	gauge(&f.databaseBytes, "database_size_bytes", "Size of the database, its log included.")
	return f
}

// Describe is a Collector's.
func (f *figures) Describe(to chan<- *prometheus.Desc) {
	for _, d := range f.all {
		to <- d
	}
}

// Collect is a Collector's.
func (f *figures) Collect(to chan<- prometheus.Metric) {
	v, ok, at := f.now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(f.up, map[bool]float64{true: 1}[ok])
	if at.IsZero() {
		return // there is nothing to show
	}
	gauge(f.readAt, float64(at.UnixMilli())/1000)
	v.collectRuns(f, gauge)
	gauge(f.overdue, float64(v.Overdue))
	for _, status := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld,
		liwanag.JobEnriched, liwanag.JobNotFound, liwanag.JobFailed, liwanag.JobCanceled} {
		gauge(f.jobs, float64(v.Jobs[status]), string(status))
	}
	gauge(f.held, float64(v.Jobs[liwanag.JobHeld]))
	for _, state := range []liwanag.SubmissionState{liwanag.SubmissionPrepared, liwanag.SubmissionSending,
		liwanag.SubmissionAccepted, liwanag.SubmissionRefused,
		liwanag.SubmissionAmbiguous, liwanag.SubmissionHeld, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled} {
		gauge(f.submissions, float64(v.Submissions[state]), string(state))
	}
	for _, state := range []liwanag.DeliveryState{liwanag.DeliveryQuarantined, liwanag.DeliveryUnmatched} {
		gauge(f.deliveries, float64(v.Deliveries[state]), string(state))
	}
	for _, status := range []liwanag.UploadStatus{liwanag.UploadPreviewed, liwanag.UploadNeedsMapping,
		liwanag.UploadImporting, liwanag.UploadEnriching, liwanag.UploadDone, liwanag.UploadFailed, liwanag.UploadCanceled} {
		gauge(f.uploads, float64(v.Uploads[status]), string(status))
	}
	if !v.Balance.At.IsZero() {
		gauge(f.balance, v.Balance.Credits)
	}
	gauge(f.reserved, float64(v.Credits.Reserved))
	gauge(f.spent, float64(v.Credits.Spent))
	if v.Budget > 0 {
		gauge(f.budget, float64(v.Budget))
	}
	for _, reason := range []liwanag.Waiting{liwanag.WaitingPaused, liwanag.WaitingCredits, liwanag.WaitingKey} {
		gauge(f.paused, map[bool]float64{true: 1}[v.Paused == reason], string(reason))
	}
	gauge(f.callsUsed, float64(v.Calls))
	gauge(f.callsLimit, float64(v.CallLimit))
	gauge(f.databaseBytes, float64(v.DatabaseBytes))
}

func (v Figures) collectRuns(f *figures, gauge func(*prometheus.Desc, float64, ...string)) {
	type key struct{ workflow, word string }
	byStatus, byStep := map[key]int64{}, map[key]int64{}
	for _, c := range v.Runs {
		byStatus[key{c.Workflow, string(c.Status)}] += c.Runs
		if c.Step != "" {
			byStep[key{c.Workflow, c.Step}] += c.Runs
		}
	}
	for k, n := range byStatus {
		gauge(f.runs, float64(n), k.workflow, k.word)
	}
	for k, n := range byStep {
		gauge(f.waiting, float64(n), k.workflow, k.word)
	}
}

// now gives the figures as they were read last, whether that went well, and when.
func (f *figures) now() (v Figures, ok bool, at time.Time) {
	f.mu.Lock()
	if f.read != nil && !f.closed && f.reading == nil && time.Since(f.tried) >= readEvery {
		f.reading, f.tried = make(chan struct{}), time.Now()
		go f.refresh(f.read)
	}
	reading := f.reading
	f.mu.Unlock()
	if reading != nil {
		select {
		case <-reading:
		case <-time.After(scrapeWait):
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest, f.ok, f.at
}

func (f *figures) refresh(read func(ctx context.Context) (Figures, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	v, err := read(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ok = err == nil; f.ok {
		f.latest, f.at = v, time.Now()
	}
	close(f.reading)
	f.reading = nil
}

func (f *figures) close() {
	f.mu.Lock()
	f.closed = true
	reading := f.reading
	f.mu.Unlock()
	if reading != nil {
		<-reading
	}
}
