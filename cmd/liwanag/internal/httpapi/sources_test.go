package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestASourceIsManagedOverTheAPI(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	kinds, err := api.ListSourceKinds.Call(ctx, c, runapi.NoInput{})
	if err != nil || len(kinds.Items) != 4 || kinds.Items[0].Kind != "generic" || !kinds.Items[0].Signed || kinds.Items[3].Signed ||
		kinds.Items[2].SecretFrom != "sender" {
		t.Errorf("%+v, %v", kinds, err)
	}
	s := w.addSource("generic", "", "")
	if !strings.HasPrefix(s.Secret, "whsec_") || s.Secrets != 1 || string(s.Settings) != `{"proof":"standard-webhooks"}` {
		t.Errorf("%+v", s)
	}
	shown, err := api.GetSource.Call(ctx, c, runapi.ID(s.ID))
	if err != nil || shown.URL != "" || shown.Secret != "" || shown.Name != "Blog" {
		t.Errorf("what is shown once is shown again: %+v, %v", shown, err)
	}
	if all, err := api.ListSources.Call(ctx, c, runapi.NoInput{}); err != nil || len(all.Items) != 1 || all.Items[0].ID != s.ID ||
		all.Items[0].Secret != "" {
		t.Errorf("%+v, %v", all, err)
	}
	rotated, err := api.RotateSource.Call(ctx, c, runapi.To(s.ID, api.RotateSourceRequest{MakeSecret: true, URL: true}))
	if err != nil || rotated.Secret == s.Secret || rotated.Secret == "" || rotated.URL == s.URL || rotated.URL == "" || rotated.Secrets != 2 {
		t.Errorf("%+v, %v", rotated, err)
	}
	if dropped, err := api.RotateSource.Call(ctx, c, runapi.To(s.ID, api.RotateSourceRequest{DropOld: true})); err != nil ||
		dropped.Secrets != 1 || dropped.Secret != "" {
		t.Errorf("%+v, %v", dropped, err)
	}
	w.wantProblem(w.deliver(s, `{}`), 404, "unknown_source") // the old URL
	if path, err := api.ChangeSource.Call(ctx, c,
		runapi.To(s.ID, api.ChangeSourceRequest{Settings: json.RawMessage(`{"proof":"path"}`)})); err != nil || path.Secrets != 0 {
		t.Errorf("secrets of another proof: %+v, %v", path, err)
	}
	if signed, err := api.ChangeSource.Call(ctx, c,
		runapi.To(s.ID, api.ChangeSourceRequest{Settings: json.RawMessage(`{"proof":"bearer"}`)})); err != nil ||
		signed.Secret == "" || signed.Secrets != 1 {
		t.Errorf("%+v, %v", signed, err)
	}
}

// refusal is a call that is refused.
type refusal struct {
	do     func() error
	status int
	code   string
}

func refuse(t *testing.T, all map[string]refusal) {
	for name, c := range all {
		t.Run(name, func(t *testing.T) { wantCode(t, c.do(), c.status, c.code) })
	}
}

func TestABadCallOfSourcesIsRefused(t *testing.T) {
	w := newWorld(t)
	ctx, c, s := t.Context(), w.client(), w.addSource("generic", "", "")
	nobody := liwanag.NewID(liwanag.SourceIDKind).String()
	refuse(t, map[string]refusal{
		"unknown kind": {func() error {
			_, err := api.AddSource.Call(ctx, c, api.AddSourceRequest{Name: "x", Kind: "substack"})
			return err
		}, 422, "invalid_field"},
		"no name": {func() error {
			_, err := api.AddSource.Call(ctx, c, api.AddSourceRequest{Name: " ", Kind: "ghost"})
			return err
		}, 422, "invalid_name"},
		"wrong settings": {func() error {
			_, err := api.AddSource.Call(ctx, c, api.AddSourceRequest{Name: "x", Kind: "ghost", Settings: json.RawMessage(`{"items":"/x"}`)})
			return err
		}, 422, "invalid_settings"},
		"short secret": {func() error {
			_, err := api.AddSource.Call(ctx, c, api.AddSourceRequest{Name: "x", Kind: "kit", Secret: "short"})
			return err
		}, 422, "invalid_secret"},
		"secret of nobody": {func() error {
			_, err := api.AddSource.Call(ctx, c, api.AddSourceRequest{Name: "x", Kind: "mailchimp", Secret: longSecret})
			return err
		}, 422, "not_signed"},
		"nothing to rotate": {func() error {
			_, err := api.RotateSource.Call(ctx, c, runapi.To(s.ID, api.RotateSourceRequest{}))
			return err
		}, 422, "nothing_to_do"},
		"no such source": {func() error { _, err := api.GetSource.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"change nobody": {func() error {
			_, err := api.ChangeSource.Call(ctx, c, runapi.To(nobody, api.ChangeSourceRequest{}))
			return err
		}, 404, "not_found"},
		"delete nobody": {func() error { _, err := api.DeleteSource.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"try nobody": {func() error {
			_, err := api.TrySource.Call(ctx, c, runapi.To(nobody, api.TrySourceRequest{}))
			return err
		}, 404, "not_found"},
		"no id": {func() error { _, err := api.GetSource.Call(ctx, c, runapi.ID("x")); return err }, 404, "not_found"},
	})
}

func TestABadCallOfDeliveriesIsRefused(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	w.addSource("generic", "", "")
	refuse(t, map[string]refusal{
		"no delivery": {func() error {
			_, err := api.GetDelivery.Call(ctx, c, runapi.ID(liwanag.NewID(liwanag.ReceiptKind).String()))
			return err
		}, 404, "not_found"},
		"no delivery of FE": {func() error {
			_, err := api.GetDelivery.Call(ctx, c, runapi.ID("dlv_"+strings.Repeat("0", 64)))
			return err
		}, 404, "not_found"},
		"replay of nothing": {func() error {
			_, err := api.ReplayDelivery.Call(ctx, c, runapi.ID("dlv_"+strings.Repeat("0", 64)))
			return err
		}, 404, "not_found"},
		"not a digest": {func() error {
			_, err := api.GetDelivery.Call(ctx, c, runapi.ID("dlv_"+strings.Repeat("A", 64)))
			return err
		}, 404, "not_found"},
		"a state from afar": {func() error {
			_, err := api.ListDeliveries.Call(ctx, c, api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{State: "settled"}})
			return err
		}, 400, "bad_parameter"},
		"a state from here": {func() error {
			_, err := api.ListDeliveries.Call(ctx, c, api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: "fullenrich", State: "refused"}})
			return err
		}, 400, "bad_parameter"},
		"a source by name": {func() error {
			_, err := api.ListDeliveries.Call(ctx, c, api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: "Blog"}})
			return err
		}, 400, "bad_parameter"},
	})
}

func TestADeliveryThatWasRejectedIsReplayedAfterItsSettingsAreMended(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	s := w.addSource("generic", `{"proof":"path"}`, "")
	body := `{"event":"contact.created","data":{"mail":"ann@gmail.com","id":7}}`
	for range 3 { // the sender repeats it; it is kept once
		w.wantProblem(w.deliver(s, body), 422, "invalid_email")
	}
	rejected := w.receipts(api.DeliveryFilter{State: "rejected"})
	if len(rejected) != 1 || rejected[0].Code != "invalid_email" || rejected[0].Failed != 1 || !rejected[0].Replayable ||
		strings.Contains(rejected[0].Reason, "ann") {
		t.Fatalf("%+v", rejected)
	}
	if d, err := api.ReplayDelivery.Call(ctx, c, runapi.ID(rejected[0].ID)); err != nil || d.State != "rejected" || d.ReplayedAt.IsZero() {
		t.Errorf("nothing was mended: %+v, %v", d, err)
	}
	mended := json.RawMessage(`{"proof":"path","items":"/data","fields":{"email":"/mail","id":"/id"}}`)
	tried, err := api.TrySource.Call(ctx, c, runapi.To(s.ID, api.TrySourceRequest{Body: body, Settings: mended}))
	if err != nil || tried.State != "accepted" || len(tried.Items) != 1 || tried.Items[0].SignUp.Email != "ann@gmail.com" ||
		w.person("ann@gmail.com").Email != "" {
		t.Errorf("%+v, %v", tried, err)
	}
	_, err = api.ChangeSource.Call(ctx, c, runapi.To(s.ID, api.ChangeSourceRequest{Settings: mended}))
	w.must(err)
	for i := range 2 {
		d, err := api.ReplayDelivery.Call(ctx, c, runapi.ID(rejected[0].ID))
		if err != nil || d.State != "accepted" || d.Created != 1-i || d.Updated != i || d.Failed != 0 || d.Code != "" || d.Body != "" {
			t.Errorf("replay %d: %+v, %v", i, d, err)
		}
	}
	if jobs := w.jobsOf("ann@gmail.com"); len(jobs) != 1 {
		t.Errorf("%+v", jobs)
	}
	// The sender's own repetition is taken now, and triggers nothing more.
	answerOf[told](w, w.deliver(s, body), http.StatusAccepted)
	if jobs := w.jobsOf("ann@gmail.com"); len(jobs) != 1 {
		t.Errorf("%+v", jobs)
	}
}

func TestAReplayDoesNotBringBackWhoLeftAfterIt(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("mailchimp", "", "")
	first := answerOf[told](w, w.deliver(s, w.payload("mailchimp-subscribe.form"), byMailchimp()...), http.StatusAccepted)
	w.clock.advance(time.Minute)
	answerOf[told](w, w.deliver(s, w.payload("mailchimp-unsubscribe.form"), byMailchimp()...), http.StatusAccepted)
	w.clock.advance(time.Minute)
	if d, err := api.ReplayDelivery.Call(t.Context(), w.client(), runapi.ID(first.DeliveryID)); err != nil || d.Updated != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if p, jobs := w.person("alan.turing@gmail.com"), w.jobsOf("alan.turing@gmail.com"); p.SuppressedAt.IsZero() || len(jobs) != 1 ||
		jobs[0].Status.Open() {
		t.Errorf("%+v %+v", p, jobs)
	}
}

func TestWhatFullEnrichSentIsListedAndReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
		w.must(err)
		for _, err := range c.WatchRun(ctx, added.RunID, time.Second) {
			w.must(err)
		}
		body := `{"id":"0197c1e5-5a55-7a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[]}`
		r := request("POST", "/webhooks/fullenrich/nobodys", body)
		r.Header.Set(fullenrich.SignatureHeader, fullenrich.Sign(simulator.DefaultKey, []byte(body)))
		w.wantProblem(w.do(r), 404, "unknown_token")
		for state, replayable := range map[string]bool{"settled": false, "unmatched": true} {
			got := w.receipts(api.DeliveryFilter{Source: "fullenrich", State: state})
			if len(got) != 1 || got[0].Source != "fullenrich" || got[0].Replayable != replayable || got[0].Size == 0 || got[0].SourceID != "" {
				t.Fatalf("%s: %+v", state, got)
			}
			if one, err := api.GetDelivery.Call(ctx, c, runapi.ID(got[0].ID)); err != nil || one.State != state || one.Body != "" {
				t.Errorf("%+v, %v", one, err)
			}
			again, err := api.ReplayDelivery.Call(ctx, c, runapi.ID(got[0].ID))
			if !replayable {
				wantCode(t, err, 409, "state")
			} else if err != nil || again.State != "unmatched" {
				t.Errorf("%+v, %v", again, err)
			}
		}
		if all := w.receipts(api.DeliveryFilter{Source: "fullenrich"}); len(all) != 2 {
			t.Errorf("%+v", all)
		}
	})
}
