package httpapi

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// needs are the entries by kind.
func (w *world) needs() map[string]api.Attention {
	w.t.Helper()
	now, err := api.ListAttention.Call(w.t.Context(), w.client(), runapi.NoInput{})
	w.must(err)
	all := map[string]api.Attention{}
	for _, a := range now.Items {
		if a.Message == "" || a.Cause == "" {
			w.t.Errorf("%s says nothing: %+v", a.Kind, a)
		}
		all[a.Kind] = a
	}
	return all
}

// held stores a submission in doubt.
func (w *world) held(state liwanag.SubmissionState, jobs int) liwanag.ID {
	w.t.Helper()
	id := liwanag.NewID(liwanag.SubmissionKind)
	w.must(w.store.Write(w.t.Context(), func(tx *datastore.Tx) error {
		return tx.Submissions.Insert(liwanag.Submission{ID: id, RunID: liwanag.NewID(liwanag.RunKind), N: 1, State: state,
			Name: "liwanag-" + id.String(), Jobs: jobs, PreparedAt: time.Now(), SendingAt: time.Now()}, nil)
	}))
	return id
}

func TestEachThingThatNeedsAPersonIsNamedWithWhatIsAtStake(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.NoKey, c.Unreachable = true, "http://127.0.0.1:8484" })
	held, ambiguous := w.held(liwanag.SubmissionHeld, 7), w.held(liwanag.SubmissionAmbiguous, 3)
	upload := liwanag.NewID(liwanag.UploadKind)
	w.must(w.store.Write(t.Context(), func(tx *datastore.Tx) error {
		return tx.Uploads.Insert(liwanag.Upload{ID: upload, FileName: "people.csv", Status: liwanag.UploadPreviewed,
			Counts: liwanag.UploadCounts{Rows: 9, New: 9}, CreatedAt: time.Now()})
	}))
	got := w.needs()
	for kind, want := range map[string]api.Attention{
		"key_missing": {}, "public_url_missing": {},
		"submission_held":      {ID: held.String(), Name: "liwanag-" + held.String(), People: 7, Credits: 7},
		"submission_ambiguous": {ID: ambiguous.String(), Name: "liwanag-" + ambiguous.String(), People: 3, Credits: 3},
		"upload_waiting":       {ID: upload.String(), Name: "people.csv", People: 9},
	} {
		a, ok := got[kind]
		if !ok || a.ID != want.ID || a.Name != want.Name || a.People != want.People || a.Credits != want.Credits {
			t.Errorf("%s: %+v", kind, a)
		}
	}
	for range mostNamed {
		w.held(liwanag.SubmissionHeld, 2)
	}
	if a := w.needs()["submission_held"]; a.Count != mostNamed+1 || a.People != 7+2*mostNamed || a.ID != "" {
		t.Errorf("many are %+v", a)
	}
}

func TestWhatWasDismissedIsShownAgainForAnotherCause(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	id, now := liwanag.NewID(liwanag.SinkKind), time.Now().UTC().Truncate(time.Microsecond)
	sink := liwanag.Sink{ID: id, Name: "CRM", URL: "https://crm.example", FailingSince: now, CreatedAt: now, UpdatedAt: now}
	w.must(w.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Sinks.Insert(sink) }))
	change := func(at time.Time) {
		sink.FailingSince = at
		w.must(w.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Sinks.Update(sink) }))
	}
	shown := w.needs()["sink_failing"]
	_, err := api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String(), Cause: "another"})
	wantCode(t, err, 409, "cause_differs")
	_, err = api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "sink_disabled", ID: id.String()})
	wantCode(t, err, 404, "not_found")
	after, err := api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String(), Cause: shown.Cause})
	w.must(err)
	if len(after.Items) != 0 || len(after.Dismissed) != 1 || after.Dismissed[0].ID != id.String() {
		t.Errorf("%+v", after)
	}
	o, err := api.GetOverview.Call(ctx, c, api.OverviewRequest{})
	w.must(err)
	if len(o.Attention) != 0 || len(o.Dismissed) != 1 {
		t.Errorf("the overview shows %+v", o.Attention)
	}
	change(now.Add(time.Hour))
	if a := w.needs()["sink_failing"]; a.ID != id.String() {
		t.Error("another cause is not shown")
	}
	_, err = api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String()})
	w.must(err)
	after, err = api.RestoreAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String()})
	w.must(err)
	if len(after.Items) != 1 {
		t.Errorf("%+v", after)
	}
	_, err = api.RestoreAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String()})
	wantCode(t, err, 404, "not_found")
	_, err = api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "sink_failing", ID: id.String()})
	w.must(err)
	change(time.Time{})
	w.needs()
	change(now.Add(time.Hour)) // the very same, but it was over in between
	if a := w.needs()["sink_failing"]; a.ID != id.String() {
		t.Error("what came again is not shown")
	}
	acts, err := api.ListActs.Call(ctx, c, api.ActQuery{ActFilter: api.ActFilter{Subject: id.String(), Act: "attention.dismiss"}})
	w.must(err)
	if len(acts.Items) != 5 || acts.Items[0].Reason != "sink_failing" {
		t.Errorf("%+v", acts.Items)
	}
}

func TestTheFirstStepsAreShownUntilTheyAreDoneOrDismissed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.NoKey = true })
	ctx, c := t.Context(), w.client()
	open := func() (names []string, now api.Onboarding) {
		all, err := api.ListAttention.Call(ctx, c, runapi.NoInput{})
		w.must(err)
		for _, step := range all.Onboarding.Steps {
			if !step.Done {
				names = append(names, step.Name)
			}
		}
		return names, all.Onboarding
	}
	if got, now := open(); !slices.Equal(got, []string{"key", "people", "results"}) || now.Done {
		t.Errorf("%v", got)
	}
	_, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
	w.must(err)
	w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
		return errors.Join(tx.Acts.Insert(liwanag.Act{At: time.Now(), Act: "subscribers.export"}))
	}))
	if got, _ := open(); !slices.Equal(got, []string{"key"}) {
		t.Errorf("%v", got)
	}
	_, err = api.DismissAttention.Call(ctx, c, api.Dismissal{Kind: "onboarding"})
	w.must(err)
	if _, now := open(); !now.Dismissed || now.Done {
		t.Errorf("%+v", now)
	}
}
