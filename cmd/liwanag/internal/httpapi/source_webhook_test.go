package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const longSecret = "a secret of more than sixteen characters"

// addSource makes a source as a client does.
func (w *world) addSource(kind, settings, secret string) api.Source {
	w.t.Helper()
	s, err := api.AddSource.Call(context.Background(), w.client(),
		api.AddSourceRequest{Name: "Blog", Kind: kind, Settings: json.RawMessage(settings), Secret: secret})
	w.must(err)
	if !strings.HasPrefix(s.URL, publicURL+"/webhooks/"+kind+"/") {
		w.t.Fatalf("url %q", s.URL)
	}
	return s
}

// payload is a body as a sender sends it.
func (w *world) payload(file string) string {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "intake", "sources", "testdata", file))
	w.must(err)
	return string(raw)
}

// deliver sends a body to a source's URL with the given headers.
func (w *world) deliver(s api.Source, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	at, err := url.Parse(s.URL)
	w.must(err)
	r := request("POST", at.Path, body)
	r.Header.Del("Authorization")
	r.Host = "news.example"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

func macOf(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// byGhost and its neighbors are the headers that senders put on a body.
func (w *world) byGhost(s api.Source, body string) []string {
	millis := fmt.Sprint(w.clock.now().UnixMilli())
	return []string{"X-Ghost-Signature", "sha256=" + macOf(s.Secret, body+millis) + ", t=" + millis}
}

func (w *world) byKit(secret, body string) []string {
	seconds := fmt.Sprint(w.clock.now().Unix())
	return []string{"X-Kit-Signature", "t=" + seconds + ",v1=" + macOf(secret, seconds+"."+body)}
}

func byMailchimp() []string {
	return []string{"Content-Type", "application/x-www-form-urlencoded"}
}

type told struct {
	DeliveryID, State                      string
	Created, Updated, Unsubscribed, Failed int
}

// person is somebody by address; the zero value when nobody has it.
func (w *world) person(email string) liwanag.Subscriber {
	w.t.Helper()
	p, err := w.store.rows.Subscribers.ByEmail(context.Background(), email)
	if liwanag.ClassOf(err) == liwanag.NotFound {
		return liwanag.Subscriber{}
	}
	w.must(err)
	return p
}

func (w *world) jobsOf(email string) []liwanag.Job {
	w.t.Helper()
	jobs, err := w.store.Jobs.OfSubscriber(context.Background(), w.person(email).ID)
	w.must(err)
	return jobs
}

func (w *world) receipts(filter api.DeliveryFilter) []api.Delivery {
	w.t.Helper()
	page, err := api.ListDeliveries.Call(context.Background(), w.client(),
		api.DeliveryQuery{DeliveryFilter: filter, Paging: runapi.Paging{Limit: 500}})
	w.must(err)
	return page.Items
}

// sends are one sign-up of each sender.
func (w *world) sends() map[string]func() (s api.Source, body, email string, headers []string) {
	return map[string]func() (api.Source, string, string, []string){
		"ghost": func() (api.Source, string, string, []string) {
			s, body := w.addSource("ghost", "", ""), w.payload("ghost-added.json")
			return s, body, "ada.lovelace@gmail.com", w.byGhost(s, body)
		},
		"kit": func() (api.Source, string, string, []string) {
			s, body := w.addSource("kit", "", longSecret), w.payload("kit-created.json")
			return s, body, "grace.hopper@gmail.com", w.byKit(longSecret, body)
		},
		"mailchimp": func() (api.Source, string, string, []string) {
			return w.addSource("mailchimp", "", ""), w.payload("mailchimp-subscribe.form"), "alan.turing@gmail.com", byMailchimp()
		},
		"generic": func() (api.Source, string, string, []string) {
			s := w.addSource("generic", `{"proof":"bearer","items":"/data","fields":{"email":"/mail","firstName":["/first","/name/first"]},"keep":["/plan"]}`, "")
			return s, `{"data":{"mail":"katherine.johnson@gmail.com","name":{"first":"Katherine"},"plan":"gold"}}`, "katherine.johnson@gmail.com",
				[]string{"Authorization", "Bearer " + s.Secret}
		},
	}
}

func TestTheWebhookOfEachSenderBecomesALookup(t *testing.T) {
	for kind := range newWorld(t).sends() {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				stop := w.run()
				defer stop()
				s, body, email, headers := w.sends()[kind]()
				first := w.deliver(s, body, headers...)
				answer := answerOf[told](w, first, http.StatusAccepted)
				if answer.State != "accepted" || answer.Created == 0 || answer.Failed != 0 {
					t.Errorf("%+v", answer)
				}
				job := w.jobsOf(email)
				if len(job) != 1 || job[0].Status != liwanag.JobPending {
					t.Fatalf("%+v", job)
				}
				rows := w.rows()
				if again := w.deliver(s, body, headers...); again.Code != first.Code || again.Body.String() != first.Body.String() || w.rows() != rows {
					t.Errorf("the same again: %d %s, first %s", again.Code, again.Body, first.Body)
				}
				for r, err := range w.client().WatchRun(t.Context(), job[0].RunID.String(), time.Second) {
					w.must(err)
					if r.Ended() && r.Status != "completed" {
						t.Errorf("%+v", r)
					}
				}
				if p := w.person(email); p.EnrichmentStatus != liwanag.JobEnriched || !strings.HasPrefix(p.Source, "Blog") {
					t.Errorf("%+v", p)
				}
				if got := w.receipts(api.DeliveryFilter{Source: s.ID}); len(got) != 1 || got[0].ID != answer.DeliveryID || got[0].Source != kind ||
					got[0].Created != answer.Created || !got[0].Replayable || got[0].Size != len(body) || got[0].Body != "" {
					t.Errorf("%+v", got)
				}
				if d, err := api.GetDelivery.Call(t.Context(), w.client(), runapi.ID(answer.DeliveryID)); err != nil || d.Body != body {
					t.Errorf("%+v, %v", d, err)
				}
				token := s.URL[strings.LastIndexByte(s.URL, '/')+1:]
				if log := w.log.String(); strings.Contains(log, token) || strings.Contains(log, email) ||
					!strings.Contains(log, `route="POST /webhooks/{source}/{endpointId}"`) {
					t.Errorf("the log tells the address of a source or a person:\n%s", log)
				}
			})
		})
	}
}

func TestAnEventThatComesInTwoDeliveriesCountsOnce(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("kit", "", longSecret)
	body := w.payload("kit-created.json")
	answerOf[told](w, w.deliver(s, body, w.byKit(longSecret, body)...), http.StatusAccepted)
	rows := w.rows()
	other := strings.Replace(body, `"delivery_id":9007199254740993`, `"delivery_id":9007199254740994`, 1)
	if again := answerOf[told](w, w.deliver(s, other, w.byKit(longSecret, other)...), http.StatusAccepted); again.State != "ignored" ||
		again.Updated != 0 || w.rows() != rows {
		t.Errorf("%+v", again)
	}
	if got := w.receipts(api.DeliveryFilter{State: "ignored"}); len(got) != 1 || got[0].Code != "repeated" {
		t.Errorf("%+v", got)
	}
}

func TestAnUpdateFromASenderTriggersNothing(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("mailchimp", "", "")
	profile := w.payload("mailchimp-profile.form")
	if a := answerOf[told](w, w.deliver(s, profile, byMailchimp()...), http.StatusAccepted); a.Created != 1 {
		t.Errorf("%+v", a)
	}
	if p := w.person("alan.turing@gmail.com"); p.Summary.LastName != "Mathison" || len(w.jobsOf("alan.turing@gmail.com")) != 0 {
		t.Errorf("%+v", p)
	}
	// Signing up is what triggers, also of somebody of whom something was known.
	answerOf[told](w, w.deliver(s, w.payload("mailchimp-subscribe.form"), byMailchimp()...), http.StatusAccepted)
	if jobs := w.jobsOf("alan.turing@gmail.com"); len(jobs) != 1 {
		t.Errorf("%+v", jobs)
	}
}

func TestWhatIsNotProvenIsRefusedAndNoted(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("ghost", "", "")
	body := w.payload("ghost-added.json")
	before := w.rows()
	good := w.byGhost(s, body)
	for _, c := range []struct {
		headers func() []string
		code    string
	}{
		{func() []string { return nil }, "signature_missing"},
		{func() []string { return []string{good[0], strings.Replace(good[1], "sha256=", "sha256=00", 1)} }, "signature_wrong"},
		{func() []string { return w.byGhost(api.Source{Secret: longSecret}, body) }, "signature_wrong"},
		{func() []string { return w.byGhost(s, body+" ") }, "signature_wrong"},
	} {
		w.clock.advance(time.Second)
		w.wantProblem(w.deliver(s, body, c.headers()...), 401, c.code)
	}
	w.clock.advance(10 * time.Minute)
	w.wantProblem(w.deliver(s, body, good...), 401, "signature_stale")
	if w.rows() != before {
		t.Error("something was stored")
	}
	refused := w.receipts(api.DeliveryFilter{Source: s.ID, State: "refused"})
	if len(refused) != 5 || refused[0].Code != "signature_stale" || refused[0].Replayable || refused[0].Size != len(body) {
		t.Errorf("%+v", refused)
	}
	_, err := api.ReplayDelivery.Call(t.Context(), w.client(), runapi.ID(refused[0].ID))
	wantCode(t, err, 409, "not_replayable")
}

func TestRefusedWebhooksAreStoredAtMostAFewASecondAndAHundredInAll(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("ghost", "", "")
	from := func(i int) *http.Request {
		r := request("POST", strings.TrimPrefix(s.URL, publicURL), "{}")
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", i%250)
		return r
	}
	for i := range 50 {
		w.do(from(i))
	}
	if got := len(w.receipts(api.DeliveryFilter{State: "refused"})); got > 4 {
		t.Errorf("%d of a burst of 50 are stored", got)
	}
	for i := range 300 {
		w.clock.advance(time.Second)
		w.do(from(i))
	}
	if got := len(w.receipts(api.DeliveryFilter{State: "refused"})); got < 100 || got > 110 {
		t.Errorf("%d are kept of 300", got)
	}
}

func TestASourceThatIsNotThereIsNotFound(t *testing.T) {
	w := newWorld(t)
	ctx, c := t.Context(), w.client()
	ghost, other := w.addSource("ghost", "", ""), w.addSource("mailchimp", "", "")
	body := w.payload("mailchimp-subscribe.form")
	before := w.rows()
	elsewhere := func(url string) api.Source { return api.Source{URL: url} }
	w.wantProblem(w.deliver(elsewhere(other.URL+"x"), body, byMailchimp()...), 404, "unknown_source")
	w.wantProblem(w.deliver(elsewhere(publicURL+"/webhooks/mailchimp/"+other.ID), body, byMailchimp()...), 404, "unknown_source")
	w.wantProblem(w.deliver(elsewhere(strings.Replace(ghost.URL, "/ghost/", "/mailchimp/", 1)), body, byMailchimp()...), 404, "unknown_source")
	w.wantProblem(w.deliver(elsewhere(strings.Replace(other.URL, "/mailchimp/", "/substack/", 1)), body,
		byMailchimp()...), 404, "unknown_source")
	off := true
	_, err := api.ChangeSource.Call(ctx, c, runapi.To(other.ID, api.ChangeSourceRequest{Disabled: &off}))
	w.must(err)
	w.wantProblem(w.deliver(other, body, byMailchimp()...), 404, "unknown_source")
	if w.rows() != before || len(w.receipts(api.DeliveryFilter{})) != 0 {
		t.Error("something was stored")
	}
	off = false
	_, err = api.ChangeSource.Call(ctx, c, runapi.To(other.ID, api.ChangeSourceRequest{Disabled: &off}))
	w.must(err)
	answerOf[told](w, w.deliver(other, body, byMailchimp()...), http.StatusAccepted)
	for i := range 150 { // more than are dropped at once
		answerOf[told](w, w.deliver(other, fmt.Sprintf("type=campaign&data[id]=%d", i), byMailchimp()...), http.StatusAccepted)
	}
	last := w.receipts(api.DeliveryFilter{})[0]
	_, err = api.DeleteSource.Call(ctx, c, runapi.ID(other.ID))
	w.must(err)
	w.wantProblem(w.deliver(other, body, byMailchimp()...), 404, "unknown_source")
	if got := w.receipts(api.DeliveryFilter{}); len(got) != 0 || w.person("alan.turing@gmail.com").Email == "" {
		t.Errorf("deliveries go with their source, people stay: %d are left", len(got))
	}
	_, err = api.GetDelivery.Call(ctx, c, runapi.ID(last.ID))
	wantCode(t, err, 404, "not_found")
}

func TestASourceWithoutItsSecretAsksTheSenderToComeBack(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("kit", "", "")
	if s.Secret != "" || s.Secrets != 0 {
		t.Errorf("%+v", s)
	}
	body := w.payload("kit-created.json")
	if rec := w.deliver(s, body, w.byKit(longSecret, body)...); rec.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	} else {
		w.wantProblem(rec, 503, "secret_missing")
	}
	if shown, err := api.GetSource.Call(t.Context(), w.client(), runapi.IDPath{ID: s.ID}); err != nil || !shown.SecretMissing {
		t.Errorf("the source says nothing of its secret: %+v, %v", shown, err)
	}
	after, err := api.RotateSource.Call(t.Context(), w.client(), runapi.To(s.ID, api.RotateSourceRequest{Secret: longSecret}))
	if after.SecretMissing {
		t.Error("the source still lacks its secret")
	}
	w.must(err)
	answerOf[told](w, w.deliver(s, body, w.byKit(longSecret, body)...), http.StatusAccepted)
}

func TestABodyAboveItsLimitIsNotRead(t *testing.T) {
	w := newWorld(t)
	ghost, generic := w.addSource("ghost", "", ""), w.addSource("generic", `{"proof":"path"}`, "")
	large := `{"email":"` + strings.Repeat("x", 1<<20) + `"}`
	w.wantProblem(w.deliver(ghost, large), 413, "too_large")
	w.wantProblem(w.deliver(generic, large), 422, "invalid_email")
	w.wantProblem(w.deliver(generic, `{"email":"`+strings.Repeat("x", 5<<20)+`"}`), 413, "too_large")
}

func TestASenderMayCheckTheAddressOfASource(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("mailchimp", "", "")
	for _, target := range []string{strings.TrimPrefix(s.URL, publicURL), "/webhooks/mailchimp/nothing?x=1"} {
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

func TestAnAuthenticBodyThatCannotBeReadIsKept(t *testing.T) {
	w := newWorld(t)
	for kind, code := range map[string]string{"ghost": "unreadable_body", "kit": "unreadable_body",
		"mailchimp": "unreadable_body", "generic": "unreadable_body"} {
		s := w.addSource(kind, map[string]string{"generic": `{"proof":"path"}`}[kind], map[string]string{"kit": longSecret}[kind])
		body := "{"
		headers := map[string][]string{"ghost": w.byGhost(s, body), "kit": w.byKit(longSecret, body)}[kind]
		w.wantProblem(w.deliver(s, body, headers...), 422, code)
		got := w.receipts(api.DeliveryFilter{Source: s.ID})
		if len(got) != 1 || got[0].State != "rejected" || got[0].Code != code || !got[0].Replayable {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}

func TestWhatSendersBringIsAnsweredInTimeWhenTheDatabaseFails(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("mailchimp", "", "")
	w.store.breakWith(liwanag.ErrDatabase)
	w.wantProblem(w.deliver(s, w.payload("mailchimp-subscribe.form"), byMailchimp()...), 503, "database_unavailable")
	w.store.breakWith(nil)
	answerOf[told](w, w.deliver(s, w.payload("mailchimp-subscribe.form"), byMailchimp()...), http.StatusAccepted)
}

// both signs two people up in one batch and returns how the first leaves.
func (w *world) both(s api.Source) (leave func() told) {
	w.t.Helper()
	for _, name := range []string{"stays", "leaves"} {
		body := "type=subscribe&fired_at=2026-11-22+12:00:00&data[id]=" + name + "&data[email]=" + name + "@gmail.com&data[list_id]=1"
		answerOf[told](w, w.deliver(s, body, byMailchimp()...), http.StatusAccepted)
	}
	if a, b := w.jobsOf("stays@gmail.com")[0], w.jobsOf("leaves@gmail.com")[0]; a.RunID != b.RunID {
		w.t.Fatal("the two are not in one batch")
	}
	return func() told {
		body := "type=unsubscribe&fired_at=2026-11-22+12:10:00&data[id]=leaves&data[email]=Leaves@gmail.com&data[list_id]=1"
		return answerOf[told](w, w.deliver(s, body, byMailchimp()...), http.StatusAccepted)
	}
}

func TestWhoLeavesIsNotLookedUpAndTheOthersAre(t *testing.T) {
	for _, when := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted} {
		t.Run(string(when), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				stop := w.run()
				defer stop()
				s := w.addSource("mailchimp", "", "")
				leave := w.both(s)
				for w.jobsOf("leaves@gmail.com")[0].Status != when {
					time.Sleep(100 * time.Millisecond)
				}
				if a := leave(); a.Unsubscribed != 1 || a.State != "accepted" {
					t.Errorf("%+v", a)
				}
				for _, err := range w.client().WatchRun(t.Context(), w.jobsOf("stays@gmail.com")[0].RunID.String(), time.Second) {
					w.must(err)
				}
				if p := w.person("stays@gmail.com"); p.EnrichmentStatus != liwanag.JobEnriched {
					t.Errorf("who stayed: %+v", p)
				}
				p, jobs := w.person("leaves@gmail.com"), w.jobsOf("leaves@gmail.com")
				if p.SuppressedAt.IsZero() || p.Summary.FullName != "" || len(jobs) != 1 || jobs[0].Status.Open() ||
					jobs[0].Failure.Code != liwanag.CodeUnsubscribed {
					t.Errorf("who left: %+v, %+v", p, jobs)
				}
				// Who comes back is looked up after all.
				back := "type=subscribe&fired_at=2026-11-22+13:00:00&data[id]=leaves&data[email]=leaves@gmail.com&data[list_id]=1"
				answerOf[told](w, w.deliver(s, back, byMailchimp()...), http.StatusAccepted)
				if p, jobs := w.person("leaves@gmail.com"), w.jobsOf("leaves@gmail.com"); !p.SuppressedAt.IsZero() || len(jobs) != 2 ||
					!jobs[0].Status.Open() {
					t.Errorf("who came back: %+v, %+v", p, jobs)
				}
			})
		})
	}
}

func TestWhoComesBackBeforeTheirResultIsNotPaidForTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		defer stop()
		s := w.addSource("mailchimp", "", "")
		leave := w.both(s)
		for w.jobsOf("leaves@gmail.com")[0].Status != liwanag.JobSubmitted {
			time.Sleep(100 * time.Millisecond)
		}
		leave()
		back := "type=subscribe&fired_at=2026-11-22+13:00:00&data[id]=leaves&data[email]=leaves@gmail.com&data[list_id]=1"
		answerOf[told](w, w.deliver(s, back, byMailchimp()...), http.StatusAccepted)
		for _, err := range w.client().WatchRun(t.Context(), w.jobsOf("stays@gmail.com")[0].RunID.String(), time.Second) {
			w.must(err)
		}
		p, jobs := w.person("leaves@gmail.com"), w.jobsOf("leaves@gmail.com")
		if !p.SuppressedAt.IsZero() || len(jobs) != 1 || jobs[0].Status != liwanag.JobEnriched || jobs[0].Credits != 1 {
			t.Errorf("%+v, %+v", p, jobs)
		}
	})
}

func TestASignedDeliveryIsKnownByTheIDThatIsSigned(t *testing.T) {
	w := newWorld(t)
	s := w.addSource("generic", `{"proof":"svix"}`, hookSecret)
	hook, err := standardwebhooks.NewWebhook(hookSecret)
	w.must(err)
	send := func(id, body string) *httptest.ResponseRecorder {
		at := w.clock.now()
		signature, err := hook.Sign(id, at, []byte(body))
		w.must(err)
		return w.deliver(s, body, "svix-id", id, "svix-timestamp", fmt.Sprint(at.Unix()), "svix-signature", signature)
	}
	first := send("msg_1", `{"email":"ann@gmail.com"}`)
	answerOf[told](w, first, http.StatusAccepted)
	w.clock.advance(time.Minute) // a repeat is signed anew
	if again := send("msg_1", `{"email":"ann@gmail.com"}`); again.Code != first.Code || again.Body.String() != first.Body.String() {
		t.Errorf("again: %d %s", again.Code, again.Body)
	}
	if other := answerOf[told](w, send("msg_2", `{"email":"ann@gmail.com"}`), http.StatusAccepted); other.Updated != 1 {
		t.Errorf("another delivery of the same bytes: %+v", other)
	}
}
