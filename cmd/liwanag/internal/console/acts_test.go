package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
)

func TestABulkActIsCountedFirstAndThenDoneToNoMore(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	page := visitPage(t, site, "GET", "/runs/cancel?status=waiting&since=1h", "").Body.String()
	if want := `POST /api/v1/runs/cancel {"status":"waiting","since":"2026-03-14T11:00:00Z","dryRun":true}`; !slices.Contains(a.sent, want) || len(a.sent) != 1 {
		t.Errorf("%q", a.sent)
	}
	for _, want := range []string{"<strong>7 runs</strong>", `name="expect" value="7"`, `name="since" value="2026-03-14T11:00:00Z"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	w := visitPage(t, site, "POST", "/runs/cancel", "status=waiting&since=2026-03-14T11:00:00Z&expect=7&reason=stop")
	if want := `POST /api/v1/runs/cancel {"status":"waiting","since":"2026-03-14T11:00:00Z","reason":"stop","expect":7}`; a.sent[len(a.sent)-1] != want {
		t.Errorf("%q", a.sent)
	}
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/runs?since=2026-03-14T11%3A00%3A00Z&status=waiting" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
	}
	if w := visitPage(t, site, "POST", "/runs/cancel", "status=waiting"); w.Code != http.StatusBadRequest {
		t.Errorf("without a count: %d", w.Code)
	}
	if w := visitPage(t, site, "GET", "/runs/cancel?since=soon", ""); w.Code != http.StatusBadRequest {
		t.Errorf("with a time that is none: %d", w.Code)
	}
	if page := visitPage(t, site, "GET", "/runs/retry", "").Body.String(); !strings.Contains(page,
		"600 lookups: 600 credits at most; 600 of today’s budget are left.") {
		t.Error("the page does not say what a retry costs")
	}
	w = visitPage(t, site, "POST", "/runs/retry", "expect=7")
	if !strings.Contains(w.Body.String(), "it runs again") {
		t.Error("the runs that could not be retried are not shown")
	}
}

func TestActsOnARunSayWhatBecameOfThem(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	for _, act := range []struct{ path, form, sent, flash string }{
		{"/cancel", "reason=wrong&force=true", `/cancel {"reason":"wrong","force":true}`, "Asked the run to end."},
		{"/retry", "from=submit", `/retry {"from":"submit"}`, "The run goes on."},
		{"/wake", "", `/wake`, "The run goes on now."},
		{"/events", "type=given-up&data=%7B%22a%22%3A1%7D&event=E9", `/events {"id":"E9","type":"given-up","data":{"a":1}}`, "The run has the event."},
	} {
		w := visitPage(t, site, "POST", "/runs/"+runID+act.path, act.form)
		if want := "POST /api/v1/runs/" + runID + act.sent; a.sent[len(a.sent)-1] != want {
			t.Errorf("sent %s", a.sent[len(a.sent)-1])
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/runs/"+runID {
			t.Errorf("%s: %d %s", act.path, w.Code, w.Header().Get("Location"))
		}
		if got := flashed(t, site, w); !strings.Contains(got, act.flash) {
			t.Errorf("%s: no %q", act.path, act.flash)
		}
	}
}

// flashed follows a redirect with its cookie.
func flashed(t *testing.T, site http.Handler, w interface{ Result() *http.Response }) string {
	t.Helper()
	res := w.Result()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", res.Header.Get("Location"), nil)
	for _, c := range res.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %s", c)
		}
		r.AddCookie(c)
	}
	page := &recorder{header: http.Header{}}
	site.ServeHTTP(page, r)
	if !strings.Contains(page.header.Get("Set-Cookie"), flashCookie+"=;") {
		t.Error("the message would be shown again")
	}
	return page.body.String()
}

type recorder struct {
	header http.Header
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestWhatTheAPIRefusesIsTypedInStill(t *testing.T) {
	routes := answers()
	routes["POST /api/v1/runs/{id}/events"] = &apiclient.Problem{Problem: api.Problem{Status: 422, Code: "invalid_event",
		Detail: "results is missing"}}
	site := served(t, newAPI(t, routes))
	for _, data := range []string{`{"mine":1}`, `{"broken`} {
		w := visitPage(t, site, "POST", "/runs/"+runID+"/events", "type=given-up&data="+url.QueryEscape(data))
		if w.Code != 422 || !strings.Contains(w.Body.String(), html.EscapeString(data)) || !strings.Contains(w.Body.String(), `role="alert"`) {
			t.Errorf("%s: %d", data, w.Code)
		}
	}
}

func TestSpendingIsPausedAndResumedFromTheOverview(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	w := visitPage(t, site, "POST", "/spending/pause", "reason=too+fast&back=%2F%3Frange%3D7d")
	if a.sent[0] != `POST /api/v1/submissions/pause {"reason":"too fast"}` || w.Header().Get("Location") != "/?range=7d" {
		t.Errorf("%q %s", a.sent, w.Header().Get("Location"))
	}
	routes := answers()
	now := overviewAnswer().Credits // which the overview, as it was counted, does not know yet
	now.Paused, now.PausedReason, now.PausedNote = true, "paused", "too fast"
	routes["GET /api/v1/credits"] = now
	page := visitPage(t, served(t, newAPI(t, routes)), "GET", "/", "").Body.String()
	if !strings.Contains(page, "Resume spending") || strings.Contains(page, `action="/spending/pause"`) ||
		!strings.Contains(page, "too fast") {
		t.Error("the overview does not offer to resume")
	}
}

func TestWhatNeedsAPersonIsDismissedAndShownAgain(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	page := visitPage(t, site, "GET", "/", "").Body.String()
	for _, want := range []string{"1 dismissed", `action="/attention/restore"`, "Paid call on hold", `href="/submissions/sbm_1"`, "First steps"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, act := range []string{"dismiss", "restore"} {
		w := visitPage(t, site, "POST", "/attention/"+act, "kind=sink_failing&id=snk_1&cause=c")
		if want := `POST /api/v1/attention/` + act + ` {"kind":"sink_failing","id":"snk_1","cause":"c"}`; a.sent[len(a.sent)-1] != want {
			t.Errorf("sent %s", a.sent[len(a.sent)-1])
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
			t.Errorf("%d %s", w.Code, w.Header().Get("Location"))
		}
	}
}

func TestASinkIsSentWhatItMissedAfterACount(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	path := "/sinks/" + sinkAnswer().ID
	page := visitPage(t, site, "GET", path, "").Body.String()
	if !strings.Contains(page, `name="expect" value="3"`) {
		t.Error("the page does not say how many are sent again")
	}
	visitPage(t, site, "POST", path+"/resend", "expect=3")
	if want := "POST /api/v1" + path + `/resend {"expect":3}`; a.sent[len(a.sent)-1] != want {
		t.Errorf("sent %s", a.sent[len(a.sent)-1])
	}
	page = visitPage(t, site, "POST", path+"/backfill", "seniority=VP").Body.String()
	if want := "POST /api/v1" + path + `/backfill {"where":{"seniority":"VP"},"dryRun":true}`; !slices.Contains(a.sent, want) {
		t.Errorf("sent %q", a.sent)
	}
	if !strings.Contains(page, "4 people were found and not told of (Seniority VP).") || !strings.Contains(page, "Send 4 messages") {
		t.Error("the page does not say of how many it would be told")
	}
	visitPage(t, site, "POST", path+"/backfill", "seniority=VP&expect=4")
	if want := "POST /api/v1" + path + `/backfill {"where":{"seniority":"VP"},"expect":4}`; a.sent[len(a.sent)-1] != want {
		t.Errorf("sent %s", a.sent[len(a.sent)-1])
	}
}

func TestActsOnMoneyAndSuppressionsReachTheAPI(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	for _, act := range []struct{ path, form, sent, to string }{
		{"/credits/budget", "credits=500&reason=less", `POST /api/v1/submissions/budget {"credits":500,"reason":"less"}`, "/credits"},
		{"/credits/budget", "credits=", `POST /api/v1/submissions/budget {}`, "/credits"},
		{"/credits/sources/resume", "source=Shop&back=/sources/src_1", `POST /api/v1/stopped-sources/resume {"source":"Shop"}`, "/sources/src_1"},
		{"/credits/sources/drop", "source=Shop&reason=bought&back=//evil.example",
			`POST /api/v1/stopped-sources/drop {"source":"Shop","reason":"bought"}`, "/"},
		{"/suppressions", "what=Spam.example&reason=spam", `POST /api/v1/suppressions {"domain":"Spam.example","reason":"spam"}`, "/suppressions"},
		{"/suppressions", "what=ann@gmail.com", `POST /api/v1/suppressions {"email":"ann@gmail.com"}`, "/suppressions"},
		{"/keys/key_1/revoke", "", `DELETE /api/v1/keys/key_1`, "/keys"},
		{"/suppressions/spr_1/remove", "", `DELETE /api/v1/suppressions/spr_1`, "/suppressions"},
		{"/subscribers/" + subscriberID + "/erase", "email=ann@gmail.com&suppress=on&reason=asked",
			"DELETE /api/v1/subscribers/" + subscriberID + "?reason=asked&suppress=true", "/subscribers"},
		{"/uploads/" + uploadAnswer("previewed").ID + "/confirm", "cap=3",
			"POST /api/v1/uploads/" + uploadAnswer("previewed").ID + "/confirm?cap=3", "/uploads/" + uploadAnswer("previewed").ID},
	} {
		w := visitPage(t, site, "POST", act.path, act.form)
		if got := a.sent[len(a.sent)-1]; got != act.sent {
			t.Errorf("%s %s: sent %s", act.path, act.form, got)
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != act.to {
			t.Errorf("%s: %d %s", act.path, w.Code, w.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/credits", "/sources/" + sourceAnswer().ID} {
		page := visitPage(t, site, "GET", path, "").Body.String()
		if shown := strings.Contains(page, "1.5 % of the last 200 people, and 42.0 % of the 500 before"); !shown {
			t.Errorf("%s does not tell the rates", path)
		}
	}
	if w := visitPage(t, site, "POST", "/credits/budget", "credits=many"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a budget that is no number: %d", w.Code)
	}
}

func TestAKeyIsShownOnceOnThePageThatMadeIt(t *testing.T) {
	a := newAPI(t, answers())
	site := served(t, a)
	page := visitPage(t, site, "POST", "/keys", "name=crm&scope=read&scope=export&expires=2026-12-24").Body.String()
	if want := `POST /api/v1/keys {"name":"crm","scopes":["read","export"],"expiresAt":"2026-12-24T00:00:00Z"}`; a.sent[0] != want {
		t.Errorf("sent %s", a.sent[0])
	}
	if !strings.Contains(page, "lwk_shown-once") || strings.Contains(visitPage(t, site, "GET", "/keys", "").Body.String(), "lwk_") {
		t.Error("the key is not shown once")
	}
}
