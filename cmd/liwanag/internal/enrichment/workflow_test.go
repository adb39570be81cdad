package enrichment_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// golden files are rewritten with -update.
var _ = flag.Bool("update", false, "rewrite golden files")

// scripted is the work of the steps, with ids that are always the same.
type scripted struct {
	batch   enrichment.Batch
	refuse  []int // statuses of the first attempts
	sub     enrichment.Submission
	look    func(after time.Duration) (enrichment.Arrival, bool, error)
	begun   time.Time
	settle  error
	handled []string
}

type refusal int

func (r refusal) Error() string     { return "refused" }
func (r refusal) StatusCode() int   { return int(r) }
func (r refusal) ErrorCode() string { return "provider_unavailable" }

func (s *scripted) ClaimBatch(context.Context) (enrichment.Batch, error) { return s.batch, nil }

func (s *scripted) Submit(context.Context) (enrichment.Submission, error) {
	if len(s.refuse) > 0 {
		status := s.refuse[0]
		s.refuse = s.refuse[1:]
		return enrichment.Submission{}, refusal(status)
	}
	s.begun = time.Now()
	return s.sub, nil
}

func (s *scripted) Follow(context.Context) (enrichment.Arrival, bool, error) {
	if s.look == nil {
		return enrichment.Arrival{}, false, nil
	}
	return s.look(time.Since(s.begun))
}

func (s *scripted) Settle(context.Context, enrichment.Arrival) (enrichment.Settlement, error) {
	return enrichment.Settlement{Enriched: 1, NotFound: 1, Credits: 1}, s.settle
}

func (s *scripted) MarkFailed(_ context.Context, f workflow.Failure) error {
	s.handled = append(s.handled, "failed: "+string(f.Reason))
	return nil
}

func (s *scripted) MarkCanceled(_ context.Context, reason string) error {
	s.handled = append(s.handled, "canceled: "+reason)
	return nil
}

func fixedID(kind liwanag.Kind, last byte) liwanag.ID {
	id, err := liwanag.IDFromBytes(kind, []byte{1, 0x9a, 0xb0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, last, 0})
	if err != nil {
		panic(err)
	}
	return id
}

const someEnrichment = "0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11"

func TestTranscripts(t *testing.T) {
	job, sub := fixedID(liwanag.JobKind, 1), fixedID(liwanag.SubmissionKind, 2)
	batch := enrichment.Batch{JobIDs: []liwanag.ID{job}}
	accepted := enrichment.Submission{SubmissionID: sub, EnrichmentID: someEnrichment, JobIDs: batch.JobIDs}
	doubt := enrichment.Submission{SubmissionID: sub, JobIDs: batch.JobIDs, Grace: time.Hour}
	arrival := enrichment.Arrival{DeliveryID: "d1", SubmissionID: sub, EnrichmentID: someEnrichment}
	webhook := workflowtest.Send(90*time.Second, enrichment.Completed, "d1", arrival)
	for name, tc := range map[string]struct {
		work   scripted
		script []workflowtest.Act
	}{
		"completed":        {scripted{batch: batch, sub: accepted}, []workflowtest.Act{webhook}},
		"no-pending-jobs":  {scripted{}, nil},
		"no-jobs-left":     {scripted{batch: batch}, nil},
		"retried":          {scripted{batch: batch, sub: accepted, refuse: []int{503, 429, 502}}, []workflowtest.Act{webhook}},
		"given-up":         {scripted{batch: batch, refuse: []int{500, 502, 503, 504, 500, 500}}, nil},
		"not-retried":      {scripted{batch: batch, refuse: []int{400}}, nil},
		"timed-out":        {scripted{batch: batch, sub: accepted}, nil},
		"late-webhook":     {scripted{batch: batch, sub: accepted}, []workflowtest.Act{workflowtest.Send(25*time.Hour, enrichment.Completed, "d1", arrival)}},
		"fetched":          {scripted{batch: batch, sub: accepted, look: fetchedAfter(40*time.Minute, arrival)}, nil},
		"in-doubt":         {scripted{batch: batch, sub: doubt, look: fetchedAfter(time.Hour, arrival)}, nil},
		"canceled-waiting": {scripted{batch: batch, sub: accepted}, []workflowtest.Act{workflowtest.Cancel(time.Hour, "not wanted")}},
		"settle-fails":     {scripted{batch: batch, sub: accepted, settle: errors.New("database is closed")}, []workflowtest.Act{webhook}},
		"webhook-first":    {scripted{batch: batch, sub: accepted, refuse: []int{503}}, []workflowtest.Act{workflowtest.Send(500*time.Millisecond, enrichment.Completed, "d1", arrival)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run := workflowtest.Run(t, enrichment.New(&tc.work, enrichment.Config{}), enrichment.Input{}, tc.script...)
				workflowtest.Golden(t, "testdata/"+name+".golden", workflowtest.Transcript(run))
			})
		})
	}
}

func fetchedAfter(d time.Duration, a enrichment.Arrival) func(time.Duration) (enrichment.Arrival, bool, error) {
	return func(after time.Duration) (enrichment.Arrival, bool, error) { return a, after >= d, nil }
}

// A changed definition needs a new version: runs that are open keep theirs.
func TestThePlanOfVersion1(t *testing.T) {
	raw, err := json.MarshalIndent(enrichment.New(&scripted{}, enrichment.Config{}).Plan().Describe(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	workflowtest.Golden(t, "testdata/plan-v1.golden", string(raw)+"\n")
}

func node(t *testing.T, name string) *workflow.Node {
	t.Helper()
	plan := enrichment.New(&scripted{}, enrichment.Config{}).Plan()
	if err := plan.Validate(); err != nil {
		t.Fatal(err)
	}
	n, ok := plan.Node(name)
	if !ok {
		t.Fatalf("no step %s", name)
	}
	return n
}

func TestRequirement14_1_AWorkflowIsTriggeredWhenAPersonalSubscriberIsCreated(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		if j := w.wantJob(ana, liwanag.JobPending, ""); j.RunID != run {
			t.Errorf("the job belongs to run %s", j.RunID)
		}
		w.sleep(5 * time.Minute)
		w.wantRun(run, workflow.StatusCompleted)
		s, err := w.life.store.Subscribers.ByEmail(context.Background(), ana)
		w.must(err)
		if s.Summary.FullName == "" || s.EnrichedAt.IsZero() || s.EnrichmentStatus != liwanag.JobEnriched {
			t.Errorf("subscriber %+v", s)
		}
	})
}

func TestRequirement14_2_PendingRequestsAreBatched(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.signUp(addresses(100)...)
		w.sleep(10 * time.Minute)
		if subs := w.sim.Ledger().Submissions; len(subs) != 1 || len(subs[0].Records) != 100 {
			t.Errorf("%d submissions", len(subs))
		}
	})
}

func TestRequirement14_3_TheWorkflowWaitsForTheWebhook(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		got := w.wantRun(run, workflow.StatusWaiting)
		want := &workflow.WaitingFor{Step: "wait-for-webhook", Kind: workflow.WaitEvent, Events: []string{"enrichment-complete"}}
		if got.WaitingFor == nil || got.WaitingFor.Step != want.Step || got.WaitingFor.Kind != want.Kind ||
			!cmp.Equal(got.WaitingFor.Events, want.Events) {
			t.Errorf("waits for %+v", got.WaitingFor)
		}
	})
}

func TestRequirement14_4_TheWebhookResumesTheWorkflow(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionGet404}) // only the webhook can
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		if got := w.wantRun(run, workflow.StatusCompleted); len(got.Events) != 1 || got.Events[0].ConsumedBy != "wait-for-webhook" {
			t.Errorf("events %+v", got.Events)
		}
	})
}

func TestRequirement14_5_StepsHaveRetryPolicies(t *testing.T) {
	for name, want := range map[string]workflow.Retry{
		"batch-pending-jobs":   {MaxAttempts: 3, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: 10 * time.Second},
		"submit-to-fullenrich": {MaxAttempts: 5, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: time.Minute, RetryOn: []int{429, 500, 502, 503, 504}},
		"process-results":      {MaxAttempts: 3, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: 10 * time.Second},
	} {
		if diff := cmp.Diff(want, node(t, name).Retry,
			cmp.Comparer(func(a, b func(error) bool) bool { return a == nil && b == nil })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRequirement14_6_TheWaitEndsAfter24Hours(t *testing.T) {
	if within := node(t, "wait-for-webhook").Within; within != 24*time.Hour {
		t.Errorf("the wait lasts %s", within)
	}
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet404})
		run := w.signUp(ana)[0]
		w.sleep(24*time.Hour - time.Minute)
		w.wantRun(run, workflow.StatusWaiting)
		w.sleep(10 * time.Minute)
		if got := w.wantRun(run, workflow.StatusTimedOut); got.Failure.Reason != workflow.ReasonTimeout ||
			got.Failure.Step != "wait-for-webhook" {
			t.Errorf("failure %+v", got.Failure)
		}
	})
}
