package console

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestPagesRenderAsTheyAlwaysDid(t *testing.T) {
	site := served(t, newAPI(t, answers()))
	for name, target := range map[string]string{"overview.html": "/", "run.html": "/runs/" + runID,
		"runs.html": "/runs?status=failed", "workflow.html": "/workflows/subscriber-enrichment", "sign-in.html": "/sign-in?failed=1"} {
		golden(t, name, visitPage(t, site, "GET", target, "").Body.String())
	}
}

func TestPagesHoldNothingInline(t *testing.T) {
	site := served(t, newAPI(t, answers()))
	for _, target := range everyPage {
		w := visitPage(t, site, "GET", target, "")
		if w.Code >= 500 || w.Code != 200 && target != "/nowhere" {
			t.Errorf("%s answers %d", target, w.Code)
		}
		if got := w.Header().Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", target, got)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", target)
		}
		for _, fault := range dangers(read(t, w.Body.String())) {
			t.Errorf("%s: %s", target, fault)
		}
	}
}

func TestThePolicyAllowsOurOwnFilesAndNothingInline(t *testing.T) {
	if want := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"; policy != want {
		t.Errorf("%s", policy)
	}
}

func TestAFilterOfSubscribersReachesTheAPITheFormAndTheFile(t *testing.T) {
	for _, p := range runapi.Parameters(reflect.TypeFor[api.SubscriberFilter]()) {
		if p.Type.Kind() != reflect.String {
			continue
		}
		value := strings.Split(firstOf(p.Tag.Get("enum"), "VP"), ",")[0]
		a := newAPI(t, answers())
		body := visitPage(t, served(t, a), "GET", "/subscribers?"+p.Name+"="+value, "").Body.String()
		if asked := strings.Join(a.sent, " "); !strings.Contains(asked, p.Name+"="+value) {
			t.Errorf("%s: the API was asked %s", p.Name, asked)
		}
		if !strings.Contains(body, `name="`+p.Name+`"`) || !strings.Contains(body, `value="`+value+`"`) {
			t.Errorf("%s: the form does not show it", p.Name)
		}
		if _, form, _ := strings.Cut(body, `action="/subscribers/export"`); !strings.Contains(form, `name="`+p.Name+`" value="`+value+`"`) {
			t.Errorf("%s: the file is not filtered", p.Name)
		}
	}
}

func TestFormsAreBounded(t *testing.T) {
	a := newAPI(t, answers())
	w := visitPage(t, served(t, a), "POST", "/runs/"+runID+"/cancel", "reason="+strings.Repeat("x", maxForm))
	if w.Code != http.StatusRequestEntityTooLarge || len(a.sent) != 0 {
		t.Errorf("%d %q", w.Code, a.sent)
	}
}

// dangers is what a page must not have: what the policy forbids, what runs, what
// leads elsewhere.
func dangers(root *html.Node) (faults []string) {
	for _, n := range elements(root) {
		switch n.Data {
		case "script":
			if !strings.HasPrefix(attribute(n, "src"), "/assets/") || n.FirstChild != nil {
				faults = append(faults, "a script of its own")
			}
		case "style", "iframe", "object", "embed", "base", "img", "video", "audio", "foreignobject", "animate", "set":
			faults = append(faults, "an element "+n.Data)
		}
		for _, a := range n.Attr {
			if fault := dangerous(n, a); fault != "" {
				faults = append(faults, fmt.Sprintf("<%s %s=%q> %s", n.Data, a.Key, a.Val, fault))
			}
		}
	}
	return faults
}

func dangerous(n *html.Node, a html.Attribute) string {
	switch {
	case a.Key == "style", strings.HasPrefix(a.Key, "on"), a.Key == "srcdoc", a.Key == "data-hx-on", strings.HasPrefix(a.Key, "data-hx-on:"),
		a.Key == "data-hx-vals":
		return "runs or is inline"
	case slices.Contains([]string{"href", "src", "action", "formaction", "xlink:href", "data-hx-get", "data-hx-post"}, a.Key):
		u, err := url.Parse(a.Val)
		switch {
		case err != nil:
			return "is no address"
		case u.Scheme == "" && u.Host == "" &&
			(strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "?")):
		case u.Scheme == "https" && n.Data == "a" && strings.Contains(attribute(n, "rel"), "noopener") &&
			strings.Contains(attribute(n, "rel"), "nofollow"):
		default:
			return "leads elsewhere"
		}
	}
	return ""
}

// payloads are texts that want to run.
var payloads = []string{
	`<script>alert(1)</script>`, `"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `<img src=x onerror=alert(1)>`,
	`<svg onload=alert(1)>`, `"><svg/onload=alert(1)>`, `</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`,
	`</pre></code><script>alert(1)</script>`, `javascript:alert(1)`, `JaVaScRiPt:alert(1)`, ` javascript:alert(1)`, "java\nscript:alert(1)",
	`data:text/html,<script>alert(1)</script>`, `vbscript:msgbox(1)`, `" onmouseover="alert(1)`, `' onfocus='alert(1)' autofocus='`,
	`" style="background:url(javascript:alert(1))`, `<style>*{background:url(//evil)}</style>`, `<iframe src=javascript:alert(1)>`,
	`<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`, `<a href="javascript:alert(1)">x</a>`,
	`{{constructor.constructor('alert(1)')()}}`,
	`${alert(1)}`, `<!--><script>alert(1)</script>-->`, `<base href=//evil>`, `" data-hx-get="//evil" data-hx-trigger="load`,
	`&lt;script&gt;alert(1)&lt;/script&gt;`,
	`//evil.example/x`, `https://user:secret@evil.example/`, "\u202e<script>alert(1)</script>", `]]><script>alert(1)</script>`,
	`'-alert(1)-'`, `\"><script>alert(1)</script>`,
}

func TestHostileTextsAreOnlyTexts(t *testing.T) {
	if len(payloads) < 30 {
		t.Fatalf("only %d payloads", len(payloads))
	}
	for _, text := range payloads {
		routes := map[string]any{}
		for route, answer := range answers() {
			routes[route] = poisoned(answer, text)
		}
		site := served(t, newAPI(t, routes))
		for _, target := range everyPage {
			page := visitPage(t, site, "GET", target, "").Body.String()
			for _, fault := range dangers(read(t, page)) {
				t.Errorf("%q on %s: %s", text, target, fault)
			}
			if strings.HasPrefix(target, "/runs/"+runID) && !strings.Contains(page, html.EscapeString(text)) {
				t.Errorf("%q is not shown on %s: it is not tested", text, target)
			}
		}
	}
}

func TestHostileAddressesAreOnlyTexts(t *testing.T) {
	site := served(t, newAPI(t, answers()))
	for _, text := range payloads {
		for _, target := range []string{"/?range=", "/sign-in?link=", "/sign-in?next=", "/runs?q=", "/runs?workflow=",
			"/runs?until=", "/runs?cursor=", "/runs/cancel?q=", "/nowhere?x="} {
			w := visitPage(t, site, "GET", target+url.QueryEscape(text), "")
			for _, fault := range dangers(read(t, w.Body.String())) {
				t.Errorf("%s with %q: %s", target, text, fault)
			}
		}
	}
}

func TestOnlyHTTPSAddressesOfOthersBecomeLinks(t *testing.T) {
	for address, want := range map[string]bool{
		"https://www.linkedin.com/in/ana": true, "http://www.linkedin.com/in/ana": false, "javascript:alert(1)": false, "//linkedin.com/in/ana": false,
		"linkedin.com/in/ana": false, "https://": false, "https://user:pass@x.example": false, "data:text/html,x": false, "": false, "/runs": false, "ftp://x.example/": false,
	} {
		if _, got := outside(address); got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
}

func TestProblemsOfTheAPIAreShownWithWhatToTry(t *testing.T) {
	routes := answers()
	routes["GET /api/v1/runs"] = &apiclient.Problem{Problem: api.Problem{Status: 503, Code: "database_unavailable",
		Detail: "the database does not answer\n  Try: start it", Errors: []api.FieldFault{{Field: "q", Message: "is odd"}}}, RequestID: "REQ7"}
	w := visitPage(t, served(t, newAPI(t, routes)), "GET", "/runs", "")
	if w.Code != 503 {
		t.Errorf("answers %d", w.Code)
	}
	for _, want := range []string{"The database does not answer", "<b>Try:</b> start it", "REQ7", "database_unavailable", "is odd"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestWithoutASessionOneIsSentToTheSignIn(t *testing.T) {
	routes := answers()
	routes["GET /api/v1/runs"] = &apiclient.Problem{Problem: api.Problem{Status: 401, Code: "unauthorized"}}
	w := visitPage(t, served(t, newAPI(t, routes)), "GET", "/runs?status=failed", "")
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/sign-in?next=%2Fruns%3Fstatus%3Dfailed" {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestTheSignInLeadsBackOnlyIntoTheConsole(t *testing.T) {
	for next, want := range map[string]string{"/runs?q=1": "/runs?q=1", "//evil.example": "/", "///evil.example": "/",
		"https://evil.example/": "/", `/\evil.example`: "/", "": "/", "runs": "/", "/a\nb": "/"} {
		if got := own(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestAnUploadThatNeedsAMappingAsksForItFirst(t *testing.T) {
	all := answers()
	up := uploadAnswer("needs_mapping")
	up.Failure = &api.JobFailure{Code: "no_valid_rows", Message: "no row can be imported"}
	all["GET /api/v1/uploads/{id}"] = up
	page := visitPage(t, served(t, newAPI(t, all)), "GET", "/uploads/"+up.ID, "").Body.String()
	form, state := strings.Index(page, "Apply mapping"), strings.Index(page, `id="upload"`)
	if !strings.Contains(page, "GB18030: 王伟") {
		t.Error("the page does not show how the file reads in its encoding")
	}
	if !strings.Contains(page, "No row can be imported") || strings.Contains(page, "Import this file?") || form < 0 || form > state {
		t.Errorf("the mapping is at %d, the state at %d", form, state)
	}
}

func TestColumnsReadInAnotherEncodingAreNotMapped(t *testing.T) {
	for form, want := range map[string]string{
		"readAs=UTF-8&encoding=UTF-8&column=correo&field=email":   `{"mapping":{"correo":"email"},"encoding":"UTF-8"}`,
		"readAs=UTF-8&encoding=GB18030&column=correo&field=email": `{"encoding":"GB18030"}`,
	} {
		a := newAPI(t, answers())
		visitPage(t, served(t, a), "POST", "/uploads/"+uploadAnswer("previewed").ID+"/mapping", form)
		if !slices.ContainsFunc(a.sent, func(s string) bool { return strings.HasSuffix(s, "/mapping "+want) }) {
			t.Errorf("%s: the API was asked %q", form, a.sent)
		}
	}
}

func TestWebhooksOutDoNotDrownTheRuns(t *testing.T) {
	routes := answers()
	routes["GET /api/v1/workflows"] = listOf(storyAnswer(), workflow.Description{Name: "webhook-out", Version: 1})
	site := served(t, newAPI(t, routes))
	page := visitPage(t, site, "GET", "/runs", "").Body.String()
	for _, want := range []string{`href="/runs?workflow=any"`, `href="/runs?workflow=webhook-out"`, `href="/runs/cancel?workflow=subscriber-enrichment"`,
		`name="workflow" value="subscriber-enrichment"`, `aria-current="true">Lookups`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if page := visitPage(t, site, "GET", "/runs?q=ann@gmail.com", "").Body.String(); strings.Contains(page, `name="workflow"`) {
		t.Error("a search is restricted to a workflow")
	}
}

func TestAnUploadTellsHowLongItTakesAndWhatItCost(t *testing.T) {
	all := answers()
	up := uploadAnswer("enriching")
	all["GET /api/v1/uploads/{id}"] = up
	all["GET /api/v1/audit"] = listOf(api.Act{At: ago(8 * time.Minute), Act: "upload.confirm", Subject: up.ID})
	page := visitPage(t, served(t, newAPI(t, all)), "GET", "/uploads/"+up.ID, "").Body.String()
	if !strings.Contains(page, "About 2 min left") { // 4 of 5 took 8 minutes
		t.Error("the page does not say how long it takes")
	}
	up = uploadAnswer("done")
	up.Credits = pointer(int64(2))
	all["GET /api/v1/uploads/{id}"] = up
	page = visitPage(t, served(t, newAPI(t, all)), "GET", "/uploads/"+up.ID, "").Body.String()
	for _, want := range []string{"<span>4 of 4</span>", "<span>10 of 10</span>", `<p class="value">2</p><p class="note">spent</p>`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestAPersonIsShownFromBothSides(t *testing.T) {
	page := visitPage(t, served(t, newAPI(t, answers())), "GET", "/subscribers/"+subscriberID, "").Body.String()
	for _, want := range []string{"Anna Sample", "The names do not match", `href="/subscribers?tag=early"`, `href="/subscribers?source=Shop"`,
		`href="/uploads/upl_1"`, "Tagalog, native", "Jun 2001 to Mar 2005", `name="suppress"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestDatesPlacesAndLanguagesAreWrittenForPeople(t *testing.T) {
	for text, want := range map[string]string{"2018-03-01T00:00:00Z": "Mar 2018", "2018-03": "Mar 2018", "2018": "2018", "": "",
		"0000-00-00": "", "20120-13-41T99:00:00Z": "", "2024-1-0T00:00:00.000Z": "Jan 2024", "soon": ""} {
		if got := monthWords(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := level("NATIVE_OR_BILINGUAL"); got != "native or bilingual" {
		t.Errorf("%q", got)
	}
	address := fullenrich.Address{Line1: "12 Harbor Road", City: "Manila", Region: "Manila", Country: "Philippines"}
	if got := place(address); got != "Manila, Philippines" {
		t.Errorf("%q", got)
	}
}

func TestAnEmptyServerTellsHowToBringPeopleIn(t *testing.T) {
	routes := answers()
	routes["GET /api/v1/overview"] = api.Overview{Range: "24h", Onboarding: api.Onboarding{Steps: []api.OnboardingStep{{Name: "people"}}}}
	routes["GET /api/v1/runs"] = runapi.List[runapi.RunDetail]{}
	site := served(t, newAPI(t, routes))
	for target, want := range map[string]string{"/": "Upload a CSV", "/runs": "No run yet", "/runs?q=x": "No run matches"} {
		if !strings.Contains(visitPage(t, site, "GET", target, "").Body.String(), want) {
			t.Errorf("%s: no %q", target, want)
		}
	}
}

func TestThePagesOfAListingAreLinks(t *testing.T) {
	page := visitPage(t, served(t, newAPI(t, answers())), "GET", "/runs?status=failed&cursor=HERE", "").Body.String()
	for _, want := range []string{`href="/runs?cursor=NEXT&amp;status=failed"`, `href="/runs?status=failed">First page`,
		`href="/runs/cancel?status=failed"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestDurationsReadLikePeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 s", 3 * time.Microsecond: "3 µs", 12 * time.Millisecond: "12 ms",
		2 * time.Second: "2 s", 2500 * time.Millisecond: "2.5 s",
		75 * time.Second: "1 min 15 s", 2 * time.Hour: "2 h", 26 * time.Hour: "1 d 2 h", -time.Minute: "1 min"} {
		if got := length(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "now", 30 * time.Second: "30 s ago", -90 * time.Minute: "in 1 h",
		47 * time.Hour: "47 h ago", 72 * time.Hour: "3 d ago"} {
		if got := relative(ago(d), noon); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1500: "−1,500"} {
		if got := number(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
