package httpapi

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (w *world) why(route runapi.Route[runapi.IDPath, api.Why], id string) (said string, answer api.Why) {
	w.t.Helper()
	answer, err := route.Call(w.t.Context(), w.client(), runapi.ID(id))
	w.must(err)
	if answer.Summary == "" || answer.Facts == nil || answer.Acts == nil {
		w.t.Errorf("%s says nothing: %+v", route.Path, answer)
	}
	for _, f := range answer.Facts {
		said += f.What + "\n"
	}
	for _, a := range answer.Acts {
		said += a.Command + "\n"
	}
	return said, answer
}

// paidCall stores a paid call that FullEnrich took, with a token.
func (w *world) paidCall(state liwanag.SubmissionState, token string) liwanag.ID {
	w.t.Helper()
	id := liwanag.NewID(liwanag.SubmissionKind)
	w.must(w.store.Write(w.t.Context(), func(tx *datastore.Tx) error {
		return tx.Submissions.Insert(liwanag.Submission{ID: id, RunID: liwanag.NewID(liwanag.RunKind), N: 1, State: state,
			Name: "liwanag-" + id.String(), Jobs: 2, PreparedAt: time.Now(), SendingAt: time.Now(),
			TokenHash:    sha256.Sum256([]byte(token)),
			EnrichmentID: "0197c1e5-5a55-4a0e-9b2f-0d6f7d0f9a11"}, nil)
	}))
	return id
}

func TestAWebhookThatWasTurnedAwayIsToldOfByItsPaidCall(t *testing.T) {
	w := newWorld(t)
	token := strings.Repeat("t", 43)
	id := w.paidCall(liwanag.SubmissionAccepted, token).String()
	if said, _ := w.why(api.WhySubmission, id); strings.Contains(said, "turned away") {
		t.Errorf("before any came:\n%s", said)
	}
	hook := request("POST", "/webhooks/fullenrich/"+token, `{"id":"x"}`)
	hook.Header.Set("X-Signature-SHA1", "sha1=00")
	w.wantProblem(w.do(hook), 401, "bad_signature")
	stranger := request("POST", "/webhooks/fullenrich/"+strings.Repeat("u", 43)+"/contact", `{}`)
	stranger.Header.Set("X-Signature-SHA1", "sha1=00")
	w.wantProblem(w.do(stranger), 404, "unknown_token")
	said, _ := w.why(api.WhySubmission, id)
	for _, want := range []string{"1 webhook was turned away, under its own address: the signature was missing or of " +
		"another key (401)",
		"no paid call has the address it came to (404)", "FULLENRICH_PREVIOUS_API_KEY"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

func TestAWebhookThatNoKeyVerifiesIsToldOfByItsPaidCall(t *testing.T) {
	w := newWorldOf(t, []fullenrich.Secret{""})
	token := strings.Repeat("t", 43)
	id := w.paidCall(liwanag.SubmissionAccepted, token).String()
	hook := request("POST", "/webhooks/fullenrich/"+token, `{"id":"x"}`)
	hook.Header.Set("X-Signature-SHA1", "sha1=00")
	w.wantProblem(w.do(hook), 503, "secret_missing")
	if said, _ := w.why(api.WhySubmission, id); !strings.Contains(said, "there was no key to verify it with (503)") {
		t.Error(said)
	}
}

func TestWhyIsAskedOfRunsPaidCallsPeopleFilesAndSinks(t *testing.T) {
	w := newWorldWithSinks(t)
	ctx, c := t.Context(), w.client()
	w.must(w.service.Pause(ctx, "the list is wrong"))
	added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
	w.must(err)
	work, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@acme-corp.com"})
	w.must(err)
	upload := liwanag.NewID(liwanag.UploadKind)
	w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Uploads.Insert(liwanag.Upload{ID: upload, FileName: "x.csv", Status: liwanag.UploadNeedsMapping,
			CreatedAt: time.Now()})
	}))
	held := w.held(liwanag.SubmissionHeld, 7).String()
	sink, err := api.AddSink.Call(ctx, c, api.AddSinkRequest{Name: "CRM", URL: "https://crm.example.com/hook"})
	w.must(err)
	for _, tc := range []struct {
		route runapi.Route[runapi.IDPath, api.Why]
		id    string
		want  string
	}{
		{api.WhyRun, added.RunID, "It has not begun"},
		{api.WhySubscriber, added.SubscriberID, "It has not begun"},
		{api.WhySubscriber, "Ada@Gmail.com", "liwanag runs show " + added.RunID},
		{api.WhySubscriber, work.SubscriberID, "It is a work address"},
		{api.WhySubmission, held, "liwanag submissions adopt " + held},
		{api.WhyUpload, upload.String(), "cannot be understood yet"},
		{api.WhySink, sink.ID, "The sink CRM takes what is sent to it"},
	} {
		if said, _ := w.why(tc.route, tc.id); !strings.Contains(said, tc.want) {
			t.Errorf("%s of %s does not say %q:\n%s", tc.route.Path, tc.id, tc.want, said)
		}
	}
	stop := w.run()
	defer stop()
	for _, answer := w.why(api.WhyRun, added.RunID); answer.Summary != "All spending is paused: the list is wrong."; {
		time.Sleep(5 * time.Millisecond)
		_, answer = w.why(api.WhyRun, added.RunID)
	}
	if said, _ := w.why(api.WhySubscriber, added.SubscriberID); !strings.Contains(said, "liwanag submissions resume") {
		t.Error(said)
	}
	for _, route := range []runapi.Route[runapi.IDPath, api.Why]{api.WhyRun, api.WhySubmission, api.WhySubscriber,
		api.WhyUpload, api.WhySink} {
		for _, id := range []string{"x", "run_01980000-0000-7000-8000-000000000000", "nobody@example.com"} {
			_, err := route.Call(ctx, c, runapi.ID(id))
			wantCode(t, err, 404, "not_found")
		}
	}
}

func TestARunSaysThatItsDatabaseTakesNoChanges(t *testing.T) {
	for want, trouble := range map[string]why.Trouble{"The disk is full": {DiskFull: true},
		"The database is read-only":               {ReadOnly: true},
		"The database cannot be used: it is gone": {Fault: "it is gone"}} {
		w := newWorld(t, func(c *Config) {
			c.Why = why.Config{Trouble: func(context.Context) why.Trouble { return trouble },
				Ahead: func() time.Duration { return time.Minute }}
		})
		added, err := api.AddSubscriber.Call(t.Context(), w.client(), api.SignUp{Email: "ada@gmail.com"})
		w.must(err)
		said, answer := w.why(api.WhyRun, added.RunID)
		if !strings.HasPrefix(answer.Summary, want) || !strings.Contains(said, "The clocks are apart") {
			t.Errorf("want %q:\n%s", want, said)
		}
	}
}
