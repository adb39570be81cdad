package httpapi

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"

	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// sign signs a request as the specification's own library does.
func sign(w *world, r *http.Request, id string) *http.Request {
	w.t.Helper()
	hook, err := standardwebhooks.NewWebhook(hookSecret)
	w.must(err)
	body := readAll(w.t, r.Body)
	at := w.clock.now()
	signature, err := hook.Sign(id, at, []byte(body))
	w.must(err)
	out := request("POST", r.URL.Path, body)
	out.Header.Del("Authorization")
	out.Header.Set("webhook-id", id)
	out.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	out.Header.Set("webhook-signature", signature)
	return out
}

func TestSubscriberWebhookTakesOneOrMany(t *testing.T) {
	w := newWorld(t)
	one := answerOf[api.SignedUp](w,
		w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"ada@gmail.com","plan":"gold","firstName":"Ada"}`), "msg_1")), 202)
	if one.Status != "created" || !strings.HasPrefix(one.SubscriberID, "sub_") || !strings.HasPrefix(one.RunID, "run_") {
		t.Errorf("%+v", one)
	}
	detail := answerOf[api.SubscriberDetail](w, w.call("GET", "/api/v1/subscribers/"+one.SubscriberID, ""), 200)
	if string(detail.Metadata) != `{"plan":"gold"}` || detail.FirstName != "Ada" {
		t.Errorf("unknown fields: %s", detail.Metadata)
	}
	many := answerOf[api.SignedUpMany](w, w.do(sign(w, request("POST", api.SubscriberWebhook.Path,
		`[{"email":"ada@gmail.com"},{"email":"nobody"},{"email":"grace@acme-corp.com"},7]`), "msg_2")), 202)
	if len(many.Items) != 4 {
		t.Fatalf("%+v", many)
	}
	if a := many.Items[0]; a.Status != "updated" || a.RunID != one.RunID {
		t.Errorf("known: %+v", a)
	}
	if a := many.Items[1]; a.Error == nil || a.Error.Code != "invalid_email" || a.SubscriberID != "" || a.Status != "" {
		t.Errorf("invalid: %+v", a)
	}
	if a := many.Items[2]; a.Status != "created" || a.RunID != "" {
		t.Errorf("corporate: %+v", a)
	}
	if a := many.Items[3]; a.Error == nil {
		t.Errorf("no object: %+v", a)
	}
	w.wantProblem(w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"nobody"}`), "msg_3")), 422, "invalid_email")
	w.wantProblem(w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":`), "msg_4")), 400, "malformed_json")
	w.wantProblem(w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `[`+
		strings.Repeat(`{"email":"x@gmail.com"},`, 500)+`{"email":"x@gmail.com"}]`), "msg_5")), 422, "too_many_items")
	r := sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"x@gmail.com"}`), "msg_6")
	r.Header.Set("Content-Type", "text/plain")
	w.wantProblem(w.do(r), 415, "unsupported_media_type")
}

func TestOnlyTheAddressCostsASignUpByWebhook(t *testing.T) {
	w := newWorld(t)
	tags := `["t"` + strings.Repeat(`,"t"`, 100) + `]`
	for i, fields := range []string{`"firstName":{"x":1}`, `"tags":` + tags, `"tags":["` + strings.Repeat("x", 501) +
		`"]`, `"metadata":{"note":"a\u0000b"}`,
		`"metadata":{"note":"` + strings.Repeat("x", 70_000) + `"}`, `"timestamp":""`, `"timestamp":7`, `"metadata":[1]`, `"firstName":"` +
			strings.Repeat("x", 600) + `"`,
		`"companyDomain":"not one"`} {
		body := fmt.Sprintf(`{"email":"p%d@gmail.com",%s}`, i, fields)
		rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, "\xef\xbb\xbf"+body), fmt.Sprint("msg_", i)))
		if one := answerOf[api.SignedUp](w, rec, 202); one.Status != "created" {
			t.Errorf("%.60s: %+v", fields, one)
		}
		w.wantProblem(w.call("POST", "/api/v1/subscribers", body), 422, "invalid_field")
	}
	w.wantProblem(w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":7}`), "msg_x")), 422, "invalid_email")
}

func TestSubscriberWebhookIsTakenInOnce(t *testing.T) {
	w := newWorld(t)
	first := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"ada@gmail.com"}`), "msg_1"))
	rows := w.rows()
	for range 3 {
		again := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"ada@gmail.com","firstName":"Eve"}`), "msg_1"))
		if again.Code != 202 || again.Body.String() != first.Body.String() {
			t.Errorf("again: %d %s, first %s", again.Code, again.Body, first.Body)
		}
	}
	if w.rows() != rows {
		t.Error("something was stored")
	}
	person, err := w.store.rows.Subscribers.ByEmail(context.Background(), "ada@gmail.com")
	w.must(err)
	if person.Summary.FirstName != "" {
		t.Error("a repeat changed the subscriber")
	}
}

func TestSubscriberWebhookNeedsItsSignature(t *testing.T) {
	w := newWorld(t)
	before := w.rows()
	body := `{"email":"ada@gmail.com"}`
	for name, change := range map[string]func(*http.Request){
		"unsigned": func(r *http.Request) { r.Header.Del("webhook-signature") },
		"no id":    func(r *http.Request) { r.Header.Del("webhook-id") },
		"other id": func(r *http.Request) { r.Header.Set("webhook-id", "msg_2") },
		"wrong": func(r *http.Request) {
			r.Header.Set("webhook-signature", "v1,MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
		},
		"the key instead": func(r *http.Request) {
			r.Header.Del("webhook-signature")
			r.Header.Set("Authorization", "Bearer "+apiKey)
		},
		"body": func(r *http.Request) { r.Body = request("POST", "/", `{"email":"eve@gmail.com"}`).Body },
		"late": func(*http.Request) { w.clock.advance(6 * time.Minute) },
	} {
		r := sign(w, request("POST", api.SubscriberWebhook.Path, body), "msg_1")
		change(r)
		if rec := w.do(r); rec.Code != 401 || !strings.Contains(rec.Body.String(), "signature_") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if w.rows() != before {
		t.Error("something was stored")
	}
	without := newWorld(t, func(c *Config) { c.SubscriberSecrets = []fullenrich.Secret{""} })
	without.wantProblem(without.do(sign(without, request("POST", api.SubscriberWebhook.Path, body), "msg_1")), 503, "secret_missing")
	c := without.server.cfg
	c.SubscriberSecrets = []fullenrich.Secret{"short"}
	if _, err := New(c); err == nil || strings.Contains(err.Error(), "short\"") ||
		!strings.Contains(err.Error(), "Try: SUBSCRIBER_WEBHOOK_SECRET") {
		t.Errorf("a bad secret: %v", err)
	}
}

func TestHooksAnswerTheSendersCheck(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/webhooks/subscribers", "/webhooks/fullenrich/x", "/webhooks/fullenrich/x/contact"} {
		for _, method := range []string{"GET", "HEAD"} {
			r := request(method, target, "")
			r.Header.Del("Authorization")
			r.Host = "public.example.com"
			if rec := w.do(r); rec.Code != 200 || rec.Body.Len() > 0 {
				t.Errorf("%s %s: %d %q", method, target, rec.Code, rec.Body)
			}
		}
	}
}

func TestFullEnrichWebhookIsAnsweredWhenItIsDurable(t *testing.T) {
	w := newWorld(t)
	body := `{"id":"0197c1e5-5a55-7a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[]}`
	deliver := func(path, body, signature string) *http.Request {
		r := request("POST", path, body)
		r.Header.Del("Authorization")
		r.Header.Set("Content-Type", "text/plain") // what it says of itself does not matter
		r.Header.Set(fullenrich.SignatureHeader, signature)
		return r
	}
	good := fullenrich.Sign(simulator.DefaultKey, []byte(body))
	before := w.rows()
	for name, signature := range map[string]string{"none": "", "wrong": strings.Repeat("0", 40), "short": good[:39],
		"of other bytes": fullenrich.Sign(simulator.DefaultKey, []byte(body+" "))} {
		if rec := w.do(deliver("/webhooks/fullenrich/t0ken", body, signature)); rec.Code != 401 {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
	if w.rows() != before {
		t.Error("a forged webhook left something")
	}
	w.wantProblem(w.do(deliver("/webhooks/fullenrich/t0ken/contact", body, good)), 404, "unknown_token")
	if w.rows() != before {
		t.Error("a contact's webhook of an unknown token left something")
	}
	w.wantProblem(w.do(deliver("/webhooks/fullenrich/t0ken", body, good)), 404, "unknown_token")
	kept, _, err := w.store.Deliveries.List(context.Background(), liwanag.DeliveryFilter{}, liwanag.Page{})
	w.must(err)
	if len(kept) != 1 || kept[0].State != liwanag.DeliveryUnmatched {
		t.Errorf("an authentic body of an unknown token: %+v", kept)
	}
	w.store.breakWith(liwanag.ErrDatabase)
	w.wantProblem(w.do(deliver("/webhooks/fullenrich/other", body, good)), 503, "database_unavailable")
}

func TestWithoutAKeyNoResultIsTaken(t *testing.T) {
	for _, keys := range [][]fullenrich.Secret{nil, {""}} {
		w := newWorldOf(t, keys)
		before := w.rows()
		for _, signature := range []string{"", fullenrich.Sign("", []byte("{}"))} {
			r := request("POST", "/webhooks/fullenrich/x", "{}")
			r.Header.Set(fullenrich.SignatureHeader, signature)
			w.wantProblem(w.do(r), 503, "secret_missing")
		}
		if w.rows() != before {
			t.Error("something was stored")
		}
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	w := newWorld(t)
	var doc map[string]any
	w.must(json.Unmarshal(w.server.OpenAPI(), &doc))
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", doc["openapi"])
	}
	for _, pattern := range w.server.Routes() {
		method, path, _ := strings.Cut(pattern, " ")
		if w.server.Pages()[pattern] || method == "GET" &&
			(strings.HasPrefix(path, "/webhooks") || w.server.Open()[pattern] && path != api.GetHealth.Path && path != api.GetReady.Path) {
			continue // pages, and what senders check
		}
		item, _ := doc["paths"].(map[string]any)[path].(map[string]any)
		if item[strings.ToLower(method)] == nil {
			t.Errorf("%s is not described", pattern)
			continue
		}
		for _, placeholder := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(path, -1) {
			if raw, _ := json.Marshal(item[strings.ToLower(method)]); !strings.Contains(string(raw), `"in":"path","name":"`+placeholder[1]+`"`) {
				t.Errorf("%s: the placeholder %s is not described, so it is not decoded: %s", pattern, placeholder[1], raw)
			}
		}
	}
}
