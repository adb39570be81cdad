package enrichment

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Input is what a run begins with: nothing, since its batch carries its id.
type Input struct{}

// Batch names the jobs of a run.
type Batch struct {
	JobIDs []liwanag.ID `json:"jobIds"`
}

// Empty says that there is nothing to do.
func (b Batch) Empty() bool { return len(b.JobIDs) == 0 }

// Submission says how the paid call ended. Without an EnrichmentID nobody knows
// yet whether it was accepted.
type Submission struct {
	SubmissionID liwanag.ID   `json:"submissionId,omitzero"`
	EnrichmentID string       `json:"enrichmentId,omitempty"`
	JobIDs       []liwanag.ID `json:"jobIds,omitempty"`
	// Settled: a retried run found its result already applied.
	Settled bool `json:"settled,omitempty"`
	// Grace is how long it is left in doubt from here on.
	Grace time.Duration `json:"grace,omitempty"`
}

// Nothing says that no job was left to submit.
func (s Submission) Nothing() bool { return s.SubmissionID.IsZero() }

// Arrival says that a result has come, or that none will. The result itself is
// in the delivery, not in the event.
type Arrival struct {
	DeliveryID   string     `json:"deliveryId,omitempty"` // the delivery's digest, hexadecimal
	SubmissionID liwanag.ID `json:"submissionId,omitzero"`
	EnrichmentID string     `json:"enrichmentId,omitempty"`
	// Failed is the code of a submission that will have no result.
	Failed string `json:"failed,omitempty"`
}

// Summary says what a result made of the jobs.
type Settlement struct {
	Enriched int   `json:"enriched"`
	NotFound int   `json:"notFound"`
	Failed   int   `json:"failed,omitempty"`
	Returned int   `json:"returned,omitempty"` // pending again: credits ran out
	Credits  int64 `json:"credits"`
}

// Completed resumes a run; the webhook's delivery sends it.
var Completed = workflow.Event[Arrival]{Name: "enrichment-complete"}

// Work is what the steps do; *Enricher is the product's.
type Work interface {
	// ClaimBatch closes the run's batch and names its jobs; it snoozes until the
	// batch closes.
	ClaimBatch(ctx context.Context) (Batch, error)
	// Submit makes the paid call and records its outcome, known or not.
	Submit(ctx context.Context) (Submission, error)
	// Follow looks after a submission whose webhook does not come; true: it came
	// another way.
	Follow(ctx context.Context) (Arrival, bool, error)
	// Settle applies a result.
	Settle(ctx context.Context, a Arrival) (Settlement, error)
	// MarkFailed ends the jobs of a run that failed or timed out.
	MarkFailed(ctx context.Context, f workflow.Failure) error
	// MarkCanceled ends the jobs of a run that was canceled.
	MarkCanceled(ctx context.Context, reason string) error
}

// Name is the name of the workflow.
const Name = "subscriber-enrichment"

// The names of the steps.
const (
	stepBatch  = "batch-pending-jobs"
	stepSubmit = "submit-to-fullenrich"
	stepWait   = "wait-for-webhook"
	stepSettle = "process-results"
)

// submitAttempts is how often a refused paid call is tried.
const submitAttempts = 5

// retryOn are the statuses of a refused paid call that are tried again.
var retryOn = []int{429, 500, 502, 503, 504}

// New defines the workflow: batch, submit, wait, settle.
func New(work Work, cfg Config) *workflow.Workflow[Input] {
	cfg = cfg.withDefaults()
	wf := workflow.New[Input](Name, workflow.Version(1))

	batch := workflow.Step(wf, stepBatch, func(ctx context.Context, _ Input) (Batch, error) {
		return work.ClaimBatch(ctx)
	}, workflow.Retry{MaxAttempts: 3, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: 10 * time.Second})

	workflow.FinishIf(wf, batch, "no-pending-jobs", Batch.Empty)

	submission := workflow.Step(wf, stepSubmit, func(ctx context.Context, _ Input) (Submission, error) {
		return work.Submit(ctx)
	}, workflow.Retry{MaxAttempts: submitAttempts, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: time.Minute,
		RetryOn: retryOn}, workflow.Timeout(30*time.Second))

	workflow.FinishIf(wf, submission, "no-jobs-left", Submission.Nothing)

	arrival := workflow.WaitFor(wf, stepWait, Completed, cfg.WebhookTimeout,
		workflow.Reconcile(workflow.ScheduleFrom(submission, cfg.followSchedule), func(ctx context.Context, _ Input) (Arrival, bool, error) {
			return work.Follow(ctx)
		}, workflow.Retry{MaxAttempts: 3, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: 10 * time.Second}))

	workflow.Step(wf, stepSettle, func(ctx context.Context, _ Input) (Settlement, error) {
		return work.Settle(ctx, arrival.Output(ctx))
	}, workflow.Retry{MaxAttempts: 3, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: 10 * time.Second})

	patient := workflow.Retry{MaxAttempts: 10, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: time.Minute}
	workflow.OnError(wf, func(ctx context.Context, _ Input, f workflow.Failure) error {
		return work.MarkFailed(ctx, f)
	}, patient)
	workflow.OnCancel(wf, func(ctx context.Context, _ Input, reason string) error {
		return work.MarkCanceled(ctx, reason)
	}, patient)
	return wf
}

// followSchedule is when a submission is looked at while the run waits: at the
// configured offsets, each up to a tenth later so that runs that were started
// together do not fetch together, and when its grace ends.
func (c Config) followSchedule(s Submission) workflow.Schedule {
	last := len(c.FetchSchedule) - 1
	late := func(d time.Duration) time.Duration { return d + time.Duration(float64(d)/10*spread(s.SubmissionID)) }
	var offsets []time.Duration
	for _, at := range c.FetchSchedule[:last] {
		offsets = append(offsets, late(at))
	}
	switch {
	case s.Settled:
		offsets = append(offsets, time.Second)
	case s.EnrichmentID == "" && s.Grace > 0:
		offsets = append(offsets, s.Grace)
	}
	slices.Sort(offsets)
	return workflow.Schedule{Offsets: append(slices.Compact(offsets), late(c.FetchSchedule[last]))}
}

// spread maps an ID to a number from 0 up to 1, always the same.
func spread(id liwanag.ID) float64 {
	b := id.Bytes()
	if len(b) == 0 {
		return 0
	}
	return float64(b[len(b)-1]) / 256
}
