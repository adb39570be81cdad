package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// newWorldWithSinks is newWorld that may tell others what happens.
func newWorldWithSinks(t testing.TB) *world {
	t.Helper()
	return newWorld(t, withSinks(t))
}

// withSinks lets a world send webhooks out.
func withSinks(t testing.TB) func(*Config) {
	return func(c *Config) {
		sender, err := notify.NewSender(notify.Config{Store: c.Store, Now: c.Now, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Views: Views(c.Store)})
		if err != nil {
			t.Fatal(err)
		}
		c.Sinks = sender
	}
}

func TestASinkIsManagedOverTheAPI(t *testing.T) {
	w := newWorldWithSinks(t)
	ctx, c := t.Context(), w.client()
	made, err := api.AddSink.Call(ctx, c, api.AddSinkRequest{URL: "https://hooks.example.com/in", Topics: []string{"subscriber.enriched"}})
	if err != nil || made.Name != "hooks.example.com" || !strings.HasPrefix(made.Secret, "whsec_") || made.Disabled ||
		!slices.Equal(made.Topics, []string{"subscriber.enriched"}) {
		t.Errorf("%+v, %v", made, err)
	}
	if shown, err := api.GetSink.Call(ctx, c, runapi.ID(made.ID)); err != nil || shown.Secret != "" || shown.URL != made.URL {
		t.Errorf("what is shown once is shown again: %+v, %v", shown, err)
	}
	if all, err := api.ListSinks.Call(ctx, c, runapi.NoInput{}); err != nil || len(all.Items) != 1 || all.Items[0].Secret != "" {
		t.Errorf("%+v, %v", all, err)
	}
	if rotated, err := api.RotateSink.Call(ctx, c, runapi.ID(made.ID)); err != nil || rotated.Secret == "" || rotated.Secret == made.Secret {
		t.Errorf("%+v, %v", rotated, err)
	}
	name, disabled := "CRM", true
	if changed, err := api.ChangeSink.Call(ctx, c, runapi.To(made.ID, api.ChangeSinkRequest{Name: &name})); err != nil ||
		changed.Name != name || len(changed.Topics) != 1 || changed.Secret != "" {
		t.Errorf("%+v, %v", changed, err)
	}
	if changed, err := api.ChangeSink.Call(ctx, c,
		runapi.To(made.ID, api.ChangeSinkRequest{Topics: []string{}, Disabled: &disabled})); err != nil ||
		len(changed.Topics) != 0 || !changed.Disabled || changed.Name != name {
		t.Errorf("%+v, %v", changed, err)
	}
	_, err = api.DeleteSink.Call(ctx, c, runapi.ID(made.ID))
	w.must(err)
	if all, err := api.ListSinks.Call(ctx, c, runapi.NoInput{}); err != nil || len(all.Items) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// addSink adds the sink of these tests.
func (w *world) addSink() api.Sink {
	made, err := api.AddSink.Call(w.t.Context(), w.client(), api.AddSinkRequest{URL: "https://hooks.example.com/in"})
	w.must(err)
	return made
}

func TestASinkIsTestedUnlessItIsDisabled(t *testing.T) {
	w := newWorldWithSinks(t)
	ctx, c, made := t.Context(), w.client(), w.addSink()
	_, err := api.ChangeSink.Call(ctx, c, runapi.To(made.ID, api.ChangeSinkRequest{Disabled: new(true)}))
	w.must(err)
	_, err = api.TestSink.Call(ctx, c, runapi.ID(made.ID))
	wantCode(t, err, 409, "sink_disabled")
	_, err = api.ChangeSink.Call(ctx, c, runapi.To(made.ID, api.ChangeSinkRequest{Disabled: new(false)}))
	w.must(err)
	m, err := api.TestSink.Call(ctx, c, runapi.ID(made.ID))
	if err != nil || m.Topic != "test" || m.State != "pending" || m.SinkID != made.ID {
		t.Errorf("%+v, %v", m, err)
	}
	if listed, err := api.ListMessages.Call(ctx, c,
		api.MessageQuery{MessageFilter: api.MessageFilter{SinkID: made.ID, State: "pending", Topic: "test"}}); err != nil ||
		len(listed.Items) != 1 || listed.Items[0].ID != m.ID {
		t.Errorf("%+v, %v", listed, err)
	}
	_, err = api.ResendMessage.Call(ctx, c, runapi.ID(m.ID))
	wantCode(t, err, 409, "state")
}

func TestABadCallOfSinksIsRefused(t *testing.T) {
	w := newWorldWithSinks(t)
	ctx, c, made := t.Context(), w.client(), w.addSink()
	nobody, nothing := liwanag.NewID(liwanag.SinkKind).String(), liwanag.NewID(liwanag.MessageKind).String()
	bad := "http://hooks.example.com/in"
	refuse(t, map[string]refusal{
		"no such sink": {func() error { _, err := api.GetSink.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"change nobody": {func() error {
			_, err := api.ChangeSink.Call(ctx, c, runapi.To(nobody, api.ChangeSinkRequest{Name: new("x")}))
			return err
		}, 404, "not_found"},
		"rotate nobody":   {func() error { _, err := api.RotateSink.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"test nobody":     {func() error { _, err := api.TestSink.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"delete nobody":   {func() error { _, err := api.DeleteSink.Call(ctx, c, runapi.ID(nobody)); return err }, 404, "not_found"},
		"no id":           {func() error { _, err := api.GetSink.Call(ctx, c, runapi.ID(made.ID[4:])); return err }, 404, "not_found"},
		"no such message": {func() error { _, err := api.GetMessage.Call(ctx, c, runapi.ID(nothing)); return err }, 404, "not_found"},
		"resend nothing":  {func() error { _, err := api.ResendMessage.Call(ctx, c, runapi.ID(nothing)); return err }, 404, "not_found"},
		"unencrypted":     {func() error { _, err := api.AddSink.Call(ctx, c, api.AddSinkRequest{URL: bad}); return err }, 422, "invalid_sink"},
		"becomes so": {func() error {
			_, err := api.ChangeSink.Call(ctx, c, runapi.To(made.ID, api.ChangeSinkRequest{URL: &bad}))
			return err
		}, 422, "invalid_sink"},
		"unknown topic": {func() error {
			_, err := api.AddSink.Call(ctx, c, api.AddSinkRequest{URL: made.URL, Topics: []string{"x"}})
			return err
		}, 422, "invalid_field"},
		"unknown state": {func() error {
			_, err := api.ListMessages.Call(ctx, c, api.MessageQuery{MessageFilter: api.MessageFilter{State: "x"}})
			return err
		}, 400, "bad_parameter"},
		"messages of no id": {func() error {
			_, err := api.ListMessages.Call(ctx, c, api.MessageQuery{MessageFilter: api.MessageFilter{SinkID: "x"}})
			return err
		}, 400, "bad_parameter"},
	})
}

// examples are the payloads of docs/webhooks-out.md by their type.
func examples(t *testing.T) map[string]any {
	t.Helper()
	page, err := os.ReadFile("../../../../docs/webhooks-out.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	for _, block := range regexp.MustCompile("(?ms)^```json\n(.*?)^```$").FindAllSubmatch(page, -1) {
		var payload map[string]any
		if err := json.Unmarshal(block[1], &payload); err != nil {
			t.Fatalf("%v in %s", err, block[1])
		}
		found[fmt.Sprint(payload["type"])] = payload
	}
	return found
}

// shape replaces what differs from case to case, and leaves names and types.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if name == "columns" || name == "mapping" || name == "metadata" { // the user's own names
				value = "free"
			}
			out[name] = shape(value)
		}
		return out
	case []any:
		return []any{"items"}
	}
	return fmt.Sprintf("%T", v)
}

func TestThePayloadsThatAreDocumentedAreWhatIsSent(t *testing.T) {
	documented := examples(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorldWithSinks(t)
		stop := w.run()
		defer stop()
		ctx, c := t.Context(), w.client()
		sink, err := api.AddSink.Call(ctx, c, api.AddSinkRequest{URL: "https://hooks.example.com/in"})
		w.must(err)
		for _, email := range []string{"ada+found@gmail.com", "bo+notfound@gmail.com"} {
			_, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: email, Source: "blog", Tags: []string{"early"}})
			w.must(err)
		}
		upload, err := c.Upload(ctx, apiclient.UploadFile{Name: "letters.csv", Confirm: true}, strings.NewReader("email\ncy+found@gmail.com\n"))
		w.must(err)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if now, err := api.GetUpload.Call(ctx, c, runapi.ID(upload.ID)); err != nil || now.Status != "done" {
			t.Fatalf("the upload is %+v, %v", now, err)
		}
		_, err = w.sim.AddFault(simulator.Fault{Action: simulator.ActionHangWithoutAccepting, Count: 2}) // in doubt twice: held
		w.must(err)
		_, err = api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "di+found@gmail.com"})
		w.must(err)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		w.must(w.store.Write(ctx, func(tx *datastore.Tx) error {
			_, err := datastore.Announce(tx,
				[]liwanag.Announcement{{Topic: liwanag.TopicCreditsLow, Facts: `{"balance":7,"mark":100}`, At: time.Now()},
					{Topic: liwanag.TopicWebhooksSilent, Facts: `{"fetched":3,"hours":24}`, At: time.Now()}})
			return err
		}))
		left, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ed@granite-cloud.example", Source: "blog"})
		w.must(err)
		_, err = api.UnsubscribeSubscriber.Call(ctx, c, runapi.To(left.SubscriberID, &api.StandingRequest{Reason: "asked"}))
		w.must(err)
		_, err = api.TestSink.Call(ctx, c, runapi.ID(sink.ID))
		w.must(err)
		sent := map[string]map[string]any{} // the oldest of each topic
		for m, err := range apiclient.All(ctx, func(ctx context.Context, p runapi.Paging) (runapi.List[api.Message], error) {
			return api.ListMessages.Call(ctx, c, api.MessageQuery{Paging: p})
		}) {
			w.must(err)
			one, err := api.GetMessage.Call(ctx, c, runapi.ID(m.ID))
			w.must(err)
			var payload map[string]any
			w.must(json.Unmarshal(one.Payload, &payload))
			sent[m.Topic] = payload
		}
		for _, topic := range append(liwanag.Topics(), liwanag.TopicTest) {
			if diff := cmp.Diff(shape(documented[string(topic)]), shape(sent[string(topic)])); diff != "" || documented[string(topic)] == nil {
				t.Errorf("%s: the document is - and what is sent +:\n%s", topic, diff)
			}
		}
	})
}
