package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// client is the one that the command line uses, without a socket between.
func (w *world) client() *apiclient.Client {
	w.t.Helper()
	c, err := apiclient.New(apiclient.Config{Server: "http://localhost:8484", APIKey: apiKey,
		HTTPClient: &http.Client{Transport: simulator.InMemory(w.server)}})
	w.must(err)
	return c
}

func wantCode(t testing.TB, err error, status int, code string) {
	t.Helper()
	var p *apiclient.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code || p.Detail == "" || p.RequestID == "" {
		t.Errorf("error %v, want %d %s", err, status, code)
	}
}

func TestASignUpIsEnrichedAndEverythingIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "Ada@Gmail.com ", Source: "blog", Tags: []string{"x"}})
		w.must(err)
		if added.Status != "created" || added.RunID == "" {
			t.Errorf("%+v", added)
		}
		run, err := runapi.GetRun.Call(ctx, c, runapi.ID(added.RunID))
		w.must(err)
		if run.Ended() || run.Workflow != "subscriber-enrichment" {
			t.Errorf("%+v", run)
		}
		var seen []string
		for r, err := range c.WatchRun(ctx, added.RunID, time.Second) {
			w.must(err)
			seen, run = append(seen, r.Status), r
		}
		if run.Status != "completed" || len(seen) < 2 || slices.Index(seen, "completed") != len(seen)-1 {
			t.Errorf("statuses seen: %v", seen)
		}
		if len(run.Steps) < 4 || run.Steps[0].Name != "batch-pending-jobs" || len(run.Events) != 1 ||
			run.Events[0].ConsumedBy != "wait-for-webhook" {
			t.Errorf("run %+v", run)
		}
		list, err := runapi.GetRunHistory.Call(ctx, c, runapi.ID(added.RunID))
		w.must(err)
		history := list.Items
		if history[0].Type != "run.started" || history[len(history)-1].Type != "run.completed" || history[0].Seq != 1 {
			t.Errorf("history %+v", history)
		}
		person, err := api.GetSubscriber.Call(ctx, c, runapi.ID(added.SubscriberID))
		w.must(err)
		if person.EnrichmentStatus != "enriched" || person.FullName == "" || person.CompanyName == "" || len(person.Profile) == 0 ||
			person.EnrichedAt.IsZero() ||
			person.Email != "Ada@gmail.com" || person.Source != "blog" || person.Metadata != nil || !slices.Equal(person.Tags, []string{"x"}) ||
			person.Found == nil || person.Found.FullName != person.FullName || person.NameFrom != "found" || person.Stated != nil {
			t.Errorf("%+v", person)
		}
		if len(person.Jobs) != 1 || person.Jobs[0].Status != "enriched" || person.Jobs[0].RunID != added.RunID || person.Jobs[0].Credits != 1 {
			t.Errorf("jobs %+v", person.Jobs)
		}
		listings(t, w, c, added, person.Jobs[0].EnrichmentID)
		acts(t, w, c, added)
	})
}

// listings checks what finds the run and its paid call.
func listings(t *testing.T, w *world, c *apiclient.Client, added api.SignedUp, enrichmentID string) {
	ctx := t.Context()
	for _, q := range []string{added.RunID, enrichmentID, "ada@GMAIL.com"} {
		runs, err := runapi.ListRuns.Call(ctx, c,
			runapi.RunQuery{RunFilter: runapi.RunFilter{Q: q, Status: "completed", Workflow: "subscriber-enrichment"}})
		w.must(err)
		if len(runs.Items) != 1 || runs.Items[0].ID != added.RunID {
			t.Errorf("runs about %s: %+v", q, runs)
		}
	}
	for _, q := range []string{"nobody@gmail.com", "x", "@", liwanag.NewID(liwanag.RunKind).String()} {
		if runs, err := runapi.ListRuns.Call(ctx, c, runapi.RunQuery{RunFilter: runapi.RunFilter{Q: q}}); err != nil || len(runs.Items) != 0 {
			t.Errorf("runs about %s: %+v %v", q, runs, err)
		}
	}
	byAttributes(t, w, c)
	runs, err := runapi.ListRuns.Call(ctx, c, runapi.RunQuery{RunFilter: runapi.RunFilter{Since: time.Now().Add(time.Hour)}})
	if err != nil || len(runs.Items) != 0 {
		t.Errorf("runs of the future: %+v %v", runs, err)
	}
	subs, err := api.ListSubmissions.Call(ctx, c,
		api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{RunID: added.RunID, State: "settled"}})
	w.must(err)
	if len(subs.Items) != 1 || subs.Items[0].EnrichmentID != enrichmentID || subs.Items[0].Jobs != 1 || subs.Items[0].Credits != 1 {
		t.Fatalf("submissions %+v", subs)
	}
	one, err := api.GetSubmission.Call(ctx, c, runapi.ID(subs.Items[0].ID))
	if diff := cmp.Diff(subs.Items[0], one); err != nil || diff != "" {
		t.Error(err, diff)
	}
	tracked, err := api.GetEnrichment.Call(ctx, c, api.EnrichmentPath{EnrichmentID: enrichmentID})
	w.must(err)
	if want := (api.Tracked{RunID: added.RunID, SubmissionID: one.ID, State: "settled"}); tracked != want {
		t.Errorf("tracked %+v", tracked)
	}
	credits, err := api.GetCredits.Call(ctx, c, runapi.NoInput{})
	w.must(err)
	if credits.Spent != 1 || credits.Reserved != 0 || credits.Budget != nil || credits.Paused {
		t.Errorf("credits %+v", credits)
	}
	workflows, err := runapi.ListWorkflows.Call(ctx, c, runapi.NoInput{})
	w.must(err)
	one2, err := runapi.GetWorkflow.Call(ctx, c,
		runapi.WorkflowVersion{WorkflowPath: runapi.WorkflowPath{Name: "subscriber-enrichment"}, Version: 1})
	if diff := cmp.Diff(workflows.Items, []workflow.Description{one2}); err != nil || diff != "" || len(one2.Steps) < 6 ||
		one2.OnError == nil {
		t.Error(err, diff, one2)
	}
}

// acts checks what operators do.
func acts(t *testing.T, w *world, c *apiclient.Client, added api.SignedUp) {
	actsOnAnEndedRun(t, c, added)
	paid := actsOnAPausedRun(t, c, added)
	actsOnAWaitingRun(t, c, paid)
	actsOnACanceledRun(t, c, paid)
}

func actsOnAnEndedRun(t *testing.T, c *apiclient.Client, added api.SignedUp) {
	ctx := t.Context()
	_, err := runapi.CancelRun.Call(ctx, c, runapi.To(added.RunID, &runapi.CancelRunRequest{Reason: "x"}))
	wantCode(t, err, 409, "run_ended")
	_, err = runapi.CancelRun.Call(ctx, c, runapi.To(added.RunID, &runapi.CancelRunRequest{Reason: "x", Force: true}))
	wantCode(t, err, 409, "run_ended")
	_, err = runapi.RetryRun.Call(ctx, c, runapi.To(added.RunID, &runapi.RetryRunRequest{}))
	wantCode(t, err, 409, "run_ended")
	_, err = runapi.WakeRun.Call(ctx, c, runapi.ID(added.RunID))
	wantCode(t, err, 409, "run_ended")
	receipt, err := runapi.SendEvent.Call(ctx, c,
		runapi.To(added.RunID, runapi.SendEventRequest{ID: "e1", Type: "enrichment-complete", Data: json.RawMessage(`{}`)}))
	if want := (runapi.EventReceipt{ID: "e1", Late: true}); err != nil || receipt != want {
		t.Errorf("a late event: %+v %v", receipt, err)
	}
	again, err := api.EnrichSubscriber.Call(ctx, c, runapi.To(added.SubscriberID, &api.EnrichSubscriberRequest{Again: false}))
	if err != nil || again.Result != "reused" || again.RunID != "" {
		t.Errorf("a young result: %+v %v", again, err)
	}
}

// actsOnAPausedRun leaves a run that the pause of submissions keeps waiting.
func actsOnAPausedRun(t *testing.T, c *apiclient.Client, added api.SignedUp) (paid api.Enriched) {
	ctx := t.Context()
	paused, err := api.PauseSubmissions.Call(ctx, c, api.PauseRequest{Body: &api.Reason{Reason: "audit"}})
	if err != nil || !paused.Paused || paused.PausedReason != "paused" || paused.PausedNote != "audit" {
		t.Errorf("%+v %v", paused, err)
	}
	paid, err = api.EnrichSubscriber.Call(ctx, c, runapi.To(added.SubscriberID, &api.EnrichSubscriberRequest{Again: true}))
	if err != nil || paid.Result != "started" || paid.RunID == "" {
		t.Fatalf("again: %+v %v", paid, err)
	}
	time.Sleep(5 * time.Second)
	waiting, err := runapi.GetRun.Call(ctx, c, runapi.ID(paid.RunID))
	if err != nil || waiting.WaitingFor == nil || waiting.WaitingFor.Kind != "snooze" || waiting.WaitingFor.Reason != "paused" {
		t.Errorf("a paused run: %+v %v", waiting.WaitingFor, err)
	}
	person, err := api.GetSubscriber.Call(ctx, c, runapi.ID(added.SubscriberID))
	if err != nil || person.Jobs[0].WaitingFor != "paused" || person.EnrichmentStatus != "pending" {
		t.Errorf("a paused job: %+v %v", person.Jobs, err)
	}
	_, err = runapi.RetryRun.Call(ctx, c, runapi.To(paid.RunID, &runapi.RetryRunRequest{}))
	wantCode(t, err, 409, "run_running")
	if woken, err := runapi.WakeRun.Call(ctx, c, runapi.ID(paid.RunID)); err != nil || woken.ID != paid.RunID {
		t.Errorf("a wake: %+v %v", woken, err)
	}
	pausesAndResumes(t, c, paid.RunID)
	time.Sleep(time.Millisecond)
	looked, err := runapi.GetRun.Call(ctx, c, runapi.ID(paid.RunID))
	if err != nil || looked.WaitingFor == nil || looked.WaitingFor.Kind != "snooze" ||
		!looked.WaitingFor.Until.After(waiting.WaitingFor.Until) {
		t.Errorf("a woken run has not looked: %+v, before %+v, %v", looked.WaitingFor, waiting.WaitingFor, err)
	}
	return paid
}

func pausesAndResumes(t *testing.T, c *apiclient.Client, runID string) {
	ctx := t.Context()
	for _, paused := range []bool{true, false} {
		route := runapi.ResumeRun
		if paused {
			route = runapi.PauseRun
		}
		if run, err := route.Call(ctx, c, runapi.To(runID, &runapi.PauseRunRequest{Reason: "a look"})); err != nil || run.Paused != paused {
			t.Errorf("paused: %v, want %v; %v", run.Paused, paused, err)
		}
	}
	_, err := runapi.ResolveRun.Call(ctx, c, runapi.To(runID, runapi.ResolveRunRequest{Step: "batch-pending-jobs", Failure: "no"}))
	wantCode(t, err, 409, "run_running")
}

func actsOnAWaitingRun(t *testing.T, c *apiclient.Client, paid api.Enriched) {
	ctx := t.Context()
	for _, e := range []runapi.SendEventRequest{{Type: "nothing"}, {Type: "enrichment-complete", Data: json.RawMessage(`{"deliveryId":"x"}`)},
		{Type: "enrichment-complete", Data: json.RawMessage(`null`)}, {ID: "a\x1bb", Type: "enrichment-complete"},
		{Type: "enrichment-complete", Data: json.RawMessage(`{"results":{}}`)}} {
		_, err := runapi.SendEvent.Call(ctx, c, runapi.To(paid.RunID, e))
		wantCode(t, err, 422, "invalid_field")
	}
	results := func(size int) runapi.SendEventRequest { // they go beside the event, whose own data may be small only
		return runapi.SendEventRequest{Type: "enrichment-complete",
			Data: json.RawMessage(`{"results":[{"x":"` + strings.Repeat("x", size) + `"}]}`)}
	}
	_, err := runapi.SendEvent.Call(ctx, c, runapi.To(paid.RunID, results(workflow.MaxPayload)))
	wantCode(t, err, 409, "state")
	_, err = runapi.SendEvent.Call(ctx, c, runapi.To(paid.RunID, results(door.MaxJSON)))
	wantCode(t, err, 413, "too_large")
	for i, want := range []bool{false, true} {
		receipt, err := runapi.SendEvent.Call(ctx, c, runapi.To(paid.RunID, runapi.SendEventRequest{ID: "same", Type: "enrichment-complete"}))
		if err != nil || receipt.Duplicate != want || receipt.Late {
			t.Errorf("event %d: %+v %v", i, receipt, err)
		}
	}
}

func actsOnACanceledRun(t *testing.T, c *apiclient.Client, paid api.Enriched) {
	ctx := t.Context()
	if _, err := runapi.CancelRun.Call(ctx, c, runapi.To(paid.RunID, &runapi.CancelRunRequest{Reason: "no more"})); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	canceled, err := runapi.GetRun.Call(ctx, c, runapi.ID(paid.RunID))
	if err != nil || canceled.Status != "canceled" || canceled.Failure == nil || canceled.Failure.Reason != "canceled" ||
		canceled.Failure.Message != "no more" {
		t.Errorf("%+v %v", canceled.Failure, err)
	}
	if resumed, err := api.ResumeSubmissions.Call(ctx, c, runapi.NoInput{}); err != nil || resumed.Paused || resumed.PausedReason != "" {
		t.Errorf("%+v %v", resumed, err)
	}
	_, err = runapi.RetryRun.Call(ctx, c, runapi.To(paid.RunID, &runapi.RetryRunRequest{From: "nothing"}))
	wantCode(t, err, 422, "unknown_step")
	if _, err := runapi.RetryRun.Call(ctx, c, runapi.To(paid.RunID, &runapi.RetryRunRequest{})); err != nil {
		t.Errorf("retry: %v", err)
	}
	triggered, err := api.TriggerEnrichment.Call(ctx, c, runapi.NoInput{})
	if err != nil || triggered.RunID == "" || !slices.Equal(triggered.RunIDs, []string{triggered.RunID}) {
		t.Errorf("%+v %v", triggered, err)
	}
}

func TestManyAreEnrichedByAFilterOnceTheirNumberIsKnown(t *testing.T) {
	w := newWorld(t)
	ctx, c := context.Background(), w.client()
	var all []string
	for i := range 3 {
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: fmt.Sprintf("p%d@acme-corp.com", i)})
		w.must(err)
		if added.RunID != "" {
			t.Fatalf("a corporate address is enriched: %+v", added)
		}
		all = append(all, added.SubscriberID)
	}
	selected := &api.SubscriberFilter{Status: "none", Source: ""}
	for _, ask := range []api.EnrichMany{{Status: "none"}, {Filter: selected}, {Filter: &api.SubscriberFilter{}, Again: true}} {
		_, err := api.EnrichSubscribers.Call(ctx, c, ask)
		wantCode(t, err, 422, "count_needed")
	}
	for _, f := range []api.SubscriberFilter{{Q: "\x00"}, {Q: " "}, {Source: "a\nb"}, {Status: "lost"}, {EmailType: "x"}} {
		_, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: &f, DryRun: true})
		wantCode(t, err, 400, "invalid_filter")
	}
	counted, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: selected, DryRun: true})
	w.must(err)
	if counted.Count != 3 || counted.Credits != 3 || len(counted.LeftOut) != 0 || len(counted.Items) != 0 || !counted.DryRun {
		t.Errorf("%+v", counted)
	}
	for _, n := range []int64{0, 2, 4} {
		_, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: selected, Expect: &n})
		wantCode(t, err, 409, "count_differs")
	}
	done, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: selected, Expect: &counted.Count})
	w.must(err)
	var got []string
	for _, e := range done.Items {
		if e.Result != "started" || e.RunID == "" {
			t.Errorf("%+v", e)
		}
		got = append(got, e.SubscriberID)
	}
	slices.Reverse(got)
	if diff := cmp.Diff(all, got); diff != "" || done.Count != 3 {
		t.Errorf("%s; %+v", diff, done)
	}
	again, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: &api.SubscriberFilter{EmailType: "corporate"}, DryRun: true})
	w.must(err)
	if again.Count != 0 || again.LeftOut["open"] != 3 {
		t.Errorf("%+v", again)
	}
	unknown := liwanag.NewID(liwanag.SubscriberKind).String()
	done, err = api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{IDs: []string{all[0], unknown, all[0]}})
	w.must(err)
	if len(done.Items) != 2 || done.Items[0].Result != "open" || done.Items[1].Result != "not_found" || done.Items[1].SubscriberID != unknown {
		t.Errorf("%+v", done)
	}
	if done, err = api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Status: "failed", Expect: new(int64)}); err != nil ||
		len(done.Items) != 0 {
		t.Errorf("%+v %v", done, err)
	}
}

func TestSenioritySelectsInListsFilesAndLookups(t *testing.T) {
	w := newWorld(t)
	ctx, c := context.Background(), w.client()
	for address, level := range map[string]string{"ann@acme-corp.com": "VP", "bob@acme-corp.com": "Senior", "cat@acme-corp.com": "vp"} {
		person := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: address, Email: address, EmailType: liwanag.Corporate,
			At: time.Now()}
		w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
			if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{person}); err != nil {
				return err
			}
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: person.ID, Found: liwanag.Finding{Seniority: level},
				Profile: []byte("{}"), At: person.At.AddDate(-1, 0, 0)}})
			return err
		}))
	}
	filter := api.SubscriberFilter{Seniority: "Vp"}
	if page, err := api.ListSubscribers.Call(ctx, c, api.SubscriberQuery{SubscriberFilter: filter}); err != nil || len(page.Items) != 2 {
		t.Errorf("%+v %v", page, err)
	}
	var export bytes.Buffer
	wanted := api.SubscriberExport{SubscriberFilter: filter}
	if _, err := api.ExportSubscribers.Copy(ctx, c, wanted, &export); err != nil || strings.Count(export.String(), "\n") != 3 ||
		strings.Contains(export.String(), "bob@") {
		t.Errorf("%s %v", &export, err)
	}
	export.Reset()
	wanted.Limit = 1
	if _, err := api.ExportSubscribers.Copy(ctx, c, wanted, &export); err != nil || strings.Count(export.String(), "\n") != 2 {
		t.Errorf("one of two: %s %v", &export, err)
	}
	if counted, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: &filter, DryRun: true}); err != nil || counted.Count != 2 {
		t.Errorf("%+v %v", counted, err)
	}
	_, err := api.EnrichSubscribers.Call(ctx, c, api.EnrichMany{Filter: &api.SubscriberFilter{Seniority: "vp\x00"}, DryRun: true})
	wantCode(t, err, 400, "invalid_filter")
	_, err = api.ListSubscribers.Call(ctx, c, api.SubscriberQuery{SubscriberFilter: api.SubscriberFilter{Seniority: "vp\n"}})
	wantCode(t, err, 400, "invalid_filter")
}

func TestASubscriberSaysSinceWhenTheyAreGone(t *testing.T) {
	w := newWorld(t)
	ctx, c, left := context.Background(), w.client(), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ann@acme-corp.com"})
	w.must(err)
	id, err := liwanag.ParseID(liwanag.SubscriberKind, added.SubscriberID)
	w.must(err)
	for _, at := range []time.Time{{}, left, {}} {
		w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Suppress(liwanag.Departure{IDs: []liwanag.ID{id}, At: at})
			return err
		}))
		if person, err := api.GetSubscriber.Call(ctx, c, runapi.ID(added.SubscriberID)); err != nil || !person.UnsubscribedAt.Equal(at) {
			t.Errorf("%v: %+v %v", at, person, err)
		}
	}
}

func TestAnOperatorChangesTheStandingAndExportsFollow(t *testing.T) {
	w := newWorld(t)
	ctx, c := context.Background(), w.client()
	var ids []string
	for _, email := range []string{"ann@gmail.com", "bob@gmail.com"} {
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: email})
		w.must(err)
		ids = append(ids, added.SubscriberID)
	}
	why := &api.StandingRequest{Reason: "asked"}
	for rows := range 2 {
		now, err := api.UnsubscribeSubscriber.Call(ctx, c, runapi.To(ids[0], why))
		if err != nil || now.Subscribed || now.UnsubscribedBy != liwanag.ByOperator || now.Rows != 1-rows {
			t.Errorf("%+v %v", now, err)
		}
	}
	person, err := api.GetSubscriber.Call(ctx, c, runapi.ID(ids[0]))
	if err != nil || person.Subscribed || person.EnrichmentStatus != "canceled" {
		t.Errorf("%+v %v", person, err)
	}
	for standing, want := range map[string]struct {
		listed, exported int
		left             string
	}{"": {2, 1, "1"}, "true": {1, 1, "1"}, "false": {1, 1, ""}, "any": {2, 2, ""}} {
		filter := api.SubscriberFilter{Subscribed: standing}
		page, err := api.ListSubscribers.Call(ctx, c, api.SubscriberQuery{SubscriberFilter: filter})
		w.must(err)
		var file exported
		_, err = api.ExportSubscribers.Copy(ctx, c, api.SubscriberExport{SubscriberFilter: filter}, &file)
		w.must(err)
		if rows := strings.Count(file.String(), "\n") - 1; len(page.Items) != want.listed || rows != want.exported || file.left != want.left {
			t.Errorf("subscribed=%q: %d listed, %d exported, %q left out", standing, len(page.Items), rows, file.left)
		}
	}
	if now, err := api.ResubscribeSubscriber.Call(ctx, c, runapi.To(ids[0], why)); err != nil || !now.Subscribed || now.Rows != 1 {
		t.Errorf("%+v %v", now, err)
	}
	_, err = api.UnsubscribeSubscriber.Call(ctx, c, runapi.To(liwanag.NewID(liwanag.SubscriberKind).String(), why))
	wantCode(t, err, 404, "not_found")
}

// exported is a file with what its header says of those who are not in it.
type exported struct {
	bytes.Buffer
	left string
}

func (e *exported) Headers(h http.Header) { e.left = h.Get(api.LeftOutHeader) }

func TestTwoCallsAtOnceMakeOneSubscriberAndOneJob(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	for round := range 10 {
		email := fmt.Sprintf("ada%d@gmail.com", round)
		var calls sync.WaitGroup
		answers := make([]api.SignedUp, 8)
		for i := range answers {
			calls.Go(func() {
				var err error
				if answers[i], err = api.AddSubscriber.Call(context.Background(), c, api.SignUp{Email: email}); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		created := 0
		for _, a := range answers {
			if a.SubscriberID != answers[0].SubscriberID || a.RunID != answers[0].RunID || a.RunID == "" {
				t.Errorf("%+v differs from %+v", a, answers[0])
			}
			if a.Status == "created" {
				created++
			}
		}
		person, err := api.GetSubscriber.Call(context.Background(), c, runapi.ID(answers[0].SubscriberID))
		if err != nil || created != 1 || len(person.Jobs) != 1 {
			t.Errorf("%d created, jobs %+v, %v", created, person.Jobs, err)
		}
		if _, err := runapi.GetRun.Call(context.Background(), c, runapi.ID(answers[0].RunID)); err != nil {
			t.Errorf("the run that was answered: %v", err)
		}
	}
}

func TestListingsPage(t *testing.T) {
	w := newWorld(t)
	ctx, c := context.Background(), w.client()
	var want []string
	for i := range 7 {
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: fmt.Sprintf("p%d@acme-corp.com", i)})
		w.must(err)
		want = append(want, added.SubscriberID)
	}
	slices.Reverse(want)
	var got []string
	for s, err := range apiclient.All(ctx, func(ctx context.Context, p runapi.Paging) (runapi.List[api.Subscriber], error) {
		p.Limit = 3
		found, err := api.ListSubscribers.Call(ctx, c, api.SubscriberQuery{
			SubscriberFilter: api.SubscriberFilter{EmailType: "corporate"}, Paging: p})
		return found.List, err
	}) {
		w.must(err)
		got = append(got, s.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
