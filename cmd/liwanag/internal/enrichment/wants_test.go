package enrichment_test

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// job is a person's latest job.
func (w *world) job(email string) liwanag.Job {
	w.t.Helper()
	ctx := context.Background()
	s, err := w.life.store.Subscribers.ByEmail(ctx, email)
	w.must(err)
	jobs, err := w.life.store.Jobs.OfSubscriber(ctx, s.ID)
	w.must(err)
	if len(jobs) == 0 {
		w.t.Fatalf("%s has no job", email)
	}
	return jobs[0]
}

func (w *world) wantJob(email string, status liwanag.JobStatus, code string) liwanag.Job {
	w.t.Helper()
	j := w.job(email)
	if j.Status != status || j.Failure.Code != code {
		w.t.Errorf("job of %s is %s %q (%s), want %s %q", email, j.Status, j.Failure.Code, j.Failure.Message, status, code)
	}
	return j
}

func (w *world) wantRun(run liwanag.ID, status workflow.Status) workflow.Run {
	w.t.Helper()
	r, err := w.life.engine.Describe(context.Background(), run.String())
	w.must(err)
	if r.Status != status {
		w.t.Errorf("run is %s (%+v), want %s", r.Status, r.Failure, status)
	}
	return r
}

func (w *world) submissions(run liwanag.ID) []liwanag.Submission {
	w.t.Helper()
	subs, err := w.life.store.Submissions.OfRun(context.Background(), run)
	w.must(err)
	return subs
}

func (w *world) wantSubmissions(run liwanag.ID, states ...liwanag.SubmissionState) []liwanag.Submission {
	w.t.Helper()
	subs := w.submissions(run)
	var got []liwanag.SubmissionState
	for _, s := range subs {
		got = append(got, s.State)
	}
	if fmt.Sprint(got) != fmt.Sprint(states) {
		w.t.Errorf("submissions are %v, want %v", got, states)
	}
	if len(got) < len(states) {
		w.t.FailNow() // the caller looks at one that is not there
	}
	return subs
}

// wantAccepted asks the oracle how often each job was accepted and so paid for.
func (w *world) wantAccepted(times int, emails ...string) {
	w.t.Helper()
	accepted := map[string]int{}
	for _, j := range w.sim.Ledger().Jobs {
		accepted[j.Email] += j.Accepted
	}
	for _, e := range emails {
		if accepted[e] != times {
			w.t.Errorf("%s was accepted %d times, want %d", e, accepted[e], times)
		}
	}
}

// wantPaidOnce is wantAccepted for the whole ledger, and the books: what jobs
// cost is what submissions cost is what was charged.
func (w *world) wantPaidOnce() {
	w.t.Helper()
	if d := w.sim.Ledger().Duplicates; len(d) > 0 {
		w.t.Errorf("accepted more than once: %+v", d)
	}
	if w.meter.get("duplicate") != 0 {
		w.t.Errorf("%d duplicates counted", w.meter.get("duplicate"))
	}
	w.wantBooks()
}

func (w *world) wantBooks() {
	w.t.Helper()
	ctx := context.Background()
	var jobs, subs, reserved int64
	all, _, err := w.life.store.Subscribers.List(ctx, liwanag.SubscriberFilter{}, liwanag.Page{Limit: 500})
	w.must(err)
	for _, s := range all {
		of, err := w.life.store.Jobs.OfSubscriber(ctx, s.ID)
		w.must(err)
		for _, j := range of {
			jobs += j.Credits
		}
	}
	list, _, err := w.life.store.Submissions.List(ctx, liwanag.SubmissionFilter{}, liwanag.Page{Limit: 500})
	w.must(err)
	for _, s := range list {
		subs += s.Credits
		reserved += s.Reserved
	}
	if charged := w.sim.Ledger().Totals.Credits; jobs != charged || subs != charged {
		w.t.Errorf("jobs cost %d, submissions %d, FullEnrich charged %d", jobs, subs, charged)
	}
	if reserved != 0 {
		w.t.Errorf("%d credits are still reserved", reserved)
	}
	w.wantReserved(0)
}

// wantReserved asks the ledger of all days how many credits are set aside for
// lookups that are on their way.
func (w *world) wantReserved(want int64) {
	w.t.Helper()
	reserved := int64(0)
	for day := liwanag.DayOf(w.born); day <= liwanag.DayOf(time.Now()); day++ {
		used, err := w.life.store.Ledger.Credits(context.Background(), day)
		w.must(err)
		reserved += used.Reserved
	}
	if reserved != want {
		w.t.Errorf("%d credits are reserved in the ledger, want %d", reserved, want)
	}
}

// wantFired makes sure that the fault happened: otherwise the test proves nothing.
func (w *world) wantFired(actions ...simulator.Action) {
	w.t.Helper()
	for _, a := range actions {
		if w.sim.Ledger().Fired[a] == 0 {
			w.t.Errorf("the fault %s never fired", a)
		}
	}
}

func (w *world) deliveries() []liwanag.Delivery {
	w.t.Helper()
	all, _, err := w.life.store.Deliveries.List(context.Background(), liwanag.DeliveryFilter{}, liwanag.Page{Limit: 500})
	w.must(err)
	return all
}
