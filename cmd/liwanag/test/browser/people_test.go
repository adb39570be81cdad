package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestOneSignsInWithTheKeyAloneAndOut(t *testing.T) {
	w := newWorld(t)
	p := w.open()
	p.goTo("/runs?status=failed")
	p.at("/sign-in")
	p.accessible("/sign-in")
	p.run(chromedp.SendKeys(chromedp.CSS(`input[name="key"]`), "a wrong key"), chromedp.Submit(chromedp.CSS(`input[name="key"]`)))
	p.see("That key is not right")
	p.run(chromedp.SendKeys(chromedp.CSS(`input[name="key"]`), apiKey), chromedp.Submit(chromedp.CSS(`input[name="key"]`)))
	p.at("/runs") // where one wanted to go
	if got := eval[string](p, `location.search`); got != "?status=failed" {
		t.Errorf("after signing in the address says %q", got)
	}
	if got := eval[string](p, `document.cookie`); strings.Contains(got, "liwanag=") {
		t.Errorf("scripts can read the session: %s", got)
	}
	p.click(`form[action="/sign-out"] button`)
	p.at("/sign-in")
	p.goTo("/")
	p.at("/sign-in")
}

func TestTheFirstStepsGoWhenTheyAreDone(t *testing.T) {
	w := newWorld(t)
	p := w.signedIn()
	p.see("First steps")
	p.accessible("an empty overview")
	steps := `[...document.querySelectorAll(".first h3")].map((h) => h.innerText.trim().replace(/\s+/g, " ")).join("; ")`
	want := "A FullEnrich key done; Reachable from outside done; The first people; An export, or webhooks out"
	if got := eval[string](p, steps); got != want {
		t.Errorf("the steps are %q", got)
	}
	p.click(`.first a[href="/uploads"]`)
	p.at("/uploads")
	w.add("first+found@gmail.com")
	p.goTo("/")
	p.until(steps + `.includes("The first people done")`)
	_, err := api.AddSink.Call(t.Context(), w.client, api.AddSinkRequest{Name: "CRM", URL: "http://127.0.0.1:9/hook"})
	w.must(err)
	p.goTo("/")
	p.see("Signed up")
	if eval[bool](p, `!!document.getElementById("onboarding")`) {
		t.Error("the first steps are shown still")
	}
}

func TestWhatNeedsAPersonIsDismissedUntilItHasAnotherCause(t *testing.T) {
	w := newWorld(t)
	up, err := w.client.Upload(t.Context(), apiclient.UploadFile{Name: "later.csv"}, strings.NewReader("email\nann+found@gmail.com\n"))
	w.must(err)
	p := w.signedIn()
	entry := `li:has(> .grow a[href="/uploads/` + up.ID + `"])`
	p.see("later.csv")
	p.click(entry + ` form button`)
	p.until(`!!document.querySelector("details.dismissed ` + strings.ReplaceAll(entry, `"`, `\"`) + `") && !document.getElementById("attention")`)
	_, err = api.MapUpload.Call(t.Context(), w.client, runapi.To(up.ID, api.MapUploadRequest{Mapping: map[string]string{"email": "ignore"}}))
	w.must(err)
	p.goTo("/")
	p.until(`!!document.getElementById("attention")`) // it needs a mapping now, which is another cause
	p.click(entry + ` a.button`)
	p.at("/uploads/" + up.ID)
	p.goTo("/")
	p.click(`section:has(#onboarding) form button`)
	p.until(`!!document.querySelector("details.dismissed") && !document.getElementById("onboarding")`)
	p.do(`document.querySelector("details.dismissed").open = true`)
	p.click(`details.dismissed form button`)
	p.until(`!!document.getElementById("onboarding")`)
}

func TestAFileIsUploadedAndWatchedToTheEnd(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "sign-ups.csv")
	var rows strings.Builder
	rows.WriteString("Mail,Who\n")
	for i := range 25 {
		fmt.Fprintf(&rows, "person%d+found@gmail.com,Person %d\n", i, i)
	}
	rows.WriteString("nobody,Nobody\n")
	w.must(os.WriteFile(file, []byte(rows.String()), 0o600))
	p := w.signedIn()
	p.goTo("/uploads")
	p.typeInto("#source", "conference")
	p.run(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.click("form[data-upload] button")
	p.at("/uploads/upl_")
	p.see("25 credits at most")
	if rows := eval[int](p, `document.querySelectorAll("[aria-label='The first rows'] tbody tr").length`); rows != 20 {
		t.Errorf("the preview has %d rows", rows)
	}
	// The column of names was not known; now it is.
	p.do(`document.querySelector("#column-1").value = "fullName"`)
	p.do(`document.querySelector("form[action$='/mapping'] button").click()`)
	p.see("The file was read as you said")
	p.answer("confirm")
	p.see("Every lookup has its answer") // live: the page was not asked for again by the test
	p.see("25 enriched")
	if link := eval[string](p, `[...document.querySelectorAll("a[download]")].map((a) => a.getAttribute("href")).join()`); !strings.HasSuffix(link, "/errors.csv") {
		t.Errorf("the invalid rows are at %q", link)
	}
	if text := eval[string](p, `(() => { const r = new XMLHttpRequest(); r.open("GET", document.querySelector("a[download]").href, false); r.send(); return r.responseText; })()`); !strings.Contains(text, `"26","27","invalid_email"`) {
		t.Errorf("errors.csv: %s", text)
	}
	p.goTo("/subscribers?q=person7")
	p.see("person7+found@gmail.com")
}

func TestWhatAFileSaysOfWhoLeftIsShownSwitchedOffAndUndone(t *testing.T) {
	w := newWorld(t)
	w.add("ann+found@gmail.com")
	up, err := w.client.Upload(t.Context(), apiclient.UploadFile{Name: "left.csv"}, strings.NewReader(
		"email,company,Status,joined at\nann+found@gmail.com,Acme,cleaned,2026-01-02\nbob+found@gmail.com,,subscribed,soon\ncy@gmial.com,,,\n"))
	w.must(err)
	p := w.signedIn()
	p.goTo("/uploads/" + up.ID)
	p.see("1 known person changes: 1 with new stated values")
	p.see("Status says in 1 row that the person left")
	p.see("joined at is no time in 1 row, from row 2 on")
	p.see("1 address is at gmial.com. Is gmail.com meant?")
	p.accessible("a preview with notes")
	apply := `document.querySelector("form[action$='/mapping'] button").click()`
	p.do(`document.querySelector("#standing").value = "ignore"`)
	p.do(apply)
	p.see("which is not believed")
	p.do(`document.querySelector("#standing").value = "believe"`)
	p.do(apply)
	p.see("they are stored as unsubscribed")
	p.answer("confirm")
	p.see("Every lookup has its answer")
	p.goTo("/subscribers?subscribed=false")
	p.see("ann+found@gmail.com")
	p.goTo("/uploads/" + up.ID)
	p.answer("resubscribe", "input", "the column meant something else")
	p.see("1 person is subscribed again")
	p.goTo("/subscribers?subscribed=true")
	p.see("ann+found@gmail.com")
}

func TestARunIsCanceledRetriedAndGivenAnEvent(t *testing.T) {
	w := newWorld(t)
	subscriber, run := w.paused()
	p := w.signedIn()
	p.goTo("/runs")
	p.click("#row-" + run)
	p.at("/runs/" + run)
	p.answer("cancel", `input[name="reason"]`, "wrong list")
	w.wantRun(run, "canceled")
	p.see("canceled")
	p.see("wrong list")
	_, err := api.ResumeSubmissions.Call(t.Context(), w.client, runapi.NoInput{})
	w.must(err)
	if _, err := w.control.AddFault(t.Context(), simulator.Fault{Action: simulator.ActionWebhookNever}); err != nil {
		t.Fatal(err)
	}
	p.answer("retry")
	p.see("wait-for-webhook")
	w.eventually("the run waits for its webhook", func(ctx context.Context) bool {
		r, err := runapi.GetRun.Call(ctx, w.client, runapi.ID(run))
		return err == nil && r.WaitingFor != nil && r.WaitingFor.Step == "wait-for-webhook"
	})
	result := `{"results":[{"input":{"email":"waits+found@gmail.com"},"profile":{"full_name":"Wanda Waits","employment":{"current":{"title":"Pilot","company":{"name":"Air"}}}}}]}`
	p.goTo("/runs/" + run)
	p.do(`document.querySelector("details:has(form[action$='/events'])")?.setAttribute("open", "")`)
	p.typeInto(`form[action$="/events"] textarea`, result)
	p.click(`form[action$="/events"] button:not([type=button])`)
	w.wantRun(run, "completed")
	p.see("completed")
	p.goTo("/subscribers/" + subscriber)
	p.see("Wanda Waits")
}

func TestKeysLeadEverywhere(t *testing.T) {
	w := newWorld(t)
	first, _ := w.add("first+found@gmail.com")
	second, _ := w.add("second+found@gmail.com")
	p := w.signedIn()
	for keys, path := range map[string]string{"gr": "/runs", "gw": "/workflows", "gu": "/uploads", "gc": "/credits", "gs": "/subscribers"} {
		p.lead(path, strings.Split(keys, "")...)
	}
	p.goTo("/subscribers")
	p.keys("j", "j")
	p.until(`document.activeElement.id === "row-` + first + `"`)
	p.keys("k")
	p.until(`document.activeElement.id === "row-` + second + `"`)
	p.keys(kb.Enter)
	p.at("/subscribers/" + second)
	p.goTo("/subscribers")
	p.keys("/")
	p.until(`document.activeElement.matches("[data-search]")`)
	p.typeInto("[data-search]", "first")
	p.until(`document.querySelectorAll("#list tbody tr").length === 1 && location.search.includes("q=first")`)
	p.keys(kb.Escape)
	p.keys("?")
	p.until(`document.getElementById("help").matches(":popover-open")`)
	p.accessible("the help")
	p.keys(kb.Escape)
	p.until(`!document.getElementById("help").matches(":popover-open")`)
}

func TestListsFollowWhatHappens(t *testing.T) {
	w := newWorld(t)
	p := w.signedIn()
	p.goTo("/runs")
	p.see("No run yet")
	p.until(`document.querySelector("[data-live-state]").dataset.liveState === "on"`)
	p.do(`window.notReloaded = true`)
	_, run := w.add("live+found@gmail.com")
	p.until(`!!document.getElementById("row-` + run + `")`)
	p.see("completed")
	if !eval[bool](p, `window.notReloaded === true`) {
		t.Error("the page was loaded again")
	}
}

func TestASourceIsMadeMendedAndItsDeliveryReplayed(t *testing.T) {
	w := newWorld(t)
	p := w.signedIn()
	p.goTo("/sources")
	p.answer("make", "#name", "Shop")
	p.see("Shown this once")
	ids := eval[[]string](p, `[...document.querySelectorAll(".once code")].map((c) => c.textContent)`)
	id := strings.TrimPrefix(eval[string](p, `document.querySelector("form[action$='/settings']").getAttribute("action")`), "/sources/")
	id = strings.TrimSuffix(id, "/settings")
	if len(ids) < 1 || !strings.Contains(ids[0], "/webhooks/generic/") {
		t.Fatalf("shown once: %v", ids)
	}
	// Whoever sends has no signatures, and a form of their own.
	p.goTo("/sources/" + id)
	p.typeInto("#settings", `{"proof":"path"}`)
	p.do(`[...document.querySelectorAll("button.primary")].find((b) => b.textContent.includes("Save")).click()`)
	p.see("The source is changed")
	if status := w.post(ids[0], `{"data":{"mail":"shopper+found@gmail.com"}}`); status != http.StatusUnprocessableEntity {
		t.Errorf("a body without an address was answered %d", status)
	}
	p.see("rejected") // live
	p.typeInto("#settings", `{"proof":"path","fields":{"email":"/data/mail"}}`)
	p.do(`document.querySelector("details:has(#body)").open = true`)
	p.typeInto("#body", `{"data":{"mail":"tried@gmail.com"}}`)
	p.click(`button[formaction$="/try"]`)
	p.see("tried@gmail.com")
	p.do(`[...document.querySelectorAll("button.primary")].find((b) => b.textContent.includes("Save")).click()`)
	p.see("The source is changed")
	p.click(`#list a[data-row]`)
	p.at("/deliveries/")
	p.click(`form[action$="/replay"] button`)
	p.see("Replayed: it is accepted now")
	p.goTo("/subscribers?q=shopper")
	p.see("shopper+found@gmail.com")
}

func TestASinkHearsATest(t *testing.T) {
	w := newWorld(t)
	var heard atomic.Value
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard.Store(r.Header.Get("webhook-id")) }))
	defer receiver.Close()
	p := w.signedIn()
	p.goTo("/sinks")
	p.answer("make", "#name", "CRM", "#url", receiver.URL)
	p.see("Shown this once")
	p.click(`form[action$="/test"] button`)
	p.at("/messages/msg_")
	p.see("delivered") // live
	if id := eval[string](p, `location.pathname`); heard.Load() != strings.TrimPrefix(id, "/messages/") {
		t.Errorf("the receiver heard of %v, the page is %s", heard.Load(), id)
	}
}

func TestSomebodyLeavesComesBackAndIsNeverBroughtInAgain(t *testing.T) {
	w := newWorld(t)
	id, run := w.add("leaves+found@gmail.com")
	w.wantRun(run, "completed")
	p := w.signedIn()
	p.goTo("/subscribers/" + id)
	p.answer("unsubscribe", "#unsubscribe-reason", "asked by letter")
	p.see("by hand")
	p.goTo("/subscribers?subscribed=true")
	p.see("Nobody matches")
	p.goTo("/subscribers?subscribed=false")
	p.click("#row-" + id)
	p.at("/subscribers/" + id)
	p.answer("resubscribe")
	p.see("subscribed again")
	p.click(`button[popovertarget="erase"]:not([popovertargetaction])`)
	p.typeInto("#erase-email", "leaves+found@gmail.com")
	p.click(`#erase input[name="suppress"]`)
	p.click("#erase .actions button:not([type=button])")
	p.see("erased and suppressed")
	p.answer("add", "#email", "leaves+found@gmail.com")
	p.see("The address is suppressed")
	p.goTo("/suppressions")
	p.see("an erased person")
	p.accessible("/suppressions")
	p.answer("add", "#what", "spam.example", "#suppress-reason", "a trap")
	p.see("with its subdomains")
	p.click(`#list tbody tr:first-child button[popovertarget]:not([popovertargetaction])`)
	p.click(`#list tbody tr:first-child [popover] .actions button:not([type=button])`)
	p.see("The suppression is removed")
	p.goTo("/audit")
	p.see("suppression.remove")
}

func TestAPersonIsErasedOnlyByTypingTheirAddress(t *testing.T) {
	w := newWorld(t)
	id, run := w.add("gone+found@gmail.com")
	w.wantRun(run, "completed")
	p := w.signedIn()
	p.goTo("/subscribers/" + id)
	p.may = []string{"422"}
	p.answer("erase", "#erase-email", "another@gmail.com")
	p.see("nothing was erased")
	p.answer("erase", "#erase-email", "gone+found@gmail.com", "#erase-reason", "asked for it")
	p.see("The person is erased")
	var problem *apiclient.Problem
	if _, err := api.GetSubscriber.Call(t.Context(), w.client, runapi.ID(id)); !errors.As(err, &problem) ||
		problem.Status != http.StatusNotFound {
		t.Errorf("the person is still there: %v", err)
	}
	p.goTo("/audit")
	p.see("asked for it")
}

func TestManyRunsAreCanceledAfterACount(t *testing.T) {
	w := newWorld(t)
	_, run := w.paused()
	p := w.signedIn()
	p.goTo("/runs?status=waiting")
	p.click(`a[href^="/runs/cancel"]`)
	p.see("1 run will be canceled")
	p.do(`document.querySelector("main form button.danger, main form button.stop").click()`)
	p.see("1 run canceled")
	w.wantRun(run, "canceled")
}

// payloads are texts that want to run, or to break what shows them.
var payloads = []string{
	`<script>window.hacked=1</script>`, `"><script>window.hacked=1</script>`, `'><img src=x onerror=window.hacked=1>`,
	`<img src=x onerror="alert(1)">`,
	`<svg onload=window.hacked=1>`, `"><svg/onload=alert(1)>`, `</title><script>window.hacked=1</script>`,
	`</textarea><script>window.hacked=1</script>`,
	`</pre><script>window.hacked=1</script>`, `javascript:window.hacked=1`, `JaVaScRiPt:alert(1)`, ` javascript:alert(1)`,
	"java\nscript:alert(1)",
	`data:text/html,<script>window.hacked=1</script>`, `vbscript:msgbox(1)`, `" onmouseover="window.hacked=1`,
	`' onfocus='window.hacked=1' autofocus='`,
	`{{constructor.constructor('window.hacked=1')()}}`, `${window.hacked=1}`, `<iframe srcdoc="<script>parent.hacked=1</script>">`,
	`<a href="javascript:window.hacked=1">x</a>`,
	`<math><mtext><table><mglyph><style><img src=x onerror=window.hacked=1>`, `<template><script>window.hacked=1</script></template>`,
	`<!--><script>window.hacked=1</script>-->`,
	`=HYPERLINK("http://evil.example","x")`, `+cmd|' /C calc'!A0`, "\u202egnp.exe", "a\u0000b\u0007c",
	`<div data-hx-get="/sign-out" data-hx-trigger="load">`, `<button popovertarget=pause autofocus>x`,
	`%3Cscript%3Ewindow.hacked=1%3C/script%3E`, `<link rel=stylesheet href=//evil.example/x.css>`, strings.Repeat("W", 400),
}

// hostile is a record of FullEnrich's with a text in every field of the profile.
func hostile(email, text string) map[string]any {
	place := map[string]any{"city": text, "region": text, "country": text, "country_code": text, "line1": text, "line2": text}
	network := map[string]any{"professional_network": map[string]any{"url": text, "handle": text}}
	company := map[string]any{"id": text, "name": text, "domain": text, "website": text, "description": text,
		"headcount_range": text, "company_type": text, "specialties": []string{text},
		"locations": map[string]any{"headquarters": place, "offices": []any{place}}, "industry": map[string]any{"main_industry": text},
		"social_profiles": network, "logo_url": text}
	position := map[string]any{"title": text, "seniority": text, "description": text, "start_at": text, "end_at": text, "company": company,
		"job_functions": []any{map[string]any{"function": text, "sub_function": text}}}
	return map[string]any{"input": map[string]any{"email": email},
		"profile": map[string]any{"id": text, "full_name": text, "first_name": text, "last_name": text, "headline": text,
			"description": text, "location": place, "social_profiles": network, "skills": []string{text}, "languages": []any{map[string]any{"language": text, "proficiency": text}},
			"educations": []any{map[string]any{"school_name": text, "degree": text, "start_at": text, "end_at": text}},
			"employment": map[string]any{"current": position, "all": []any{position}}}}
}

func TestNothingThatAProfileSaysEverRuns(t *testing.T) {
	w := newWorld(t)
	if _, err := w.control.AddFault(t.Context(), simulator.Fault{Action: simulator.ActionWebhookNever, Times: 50}); err != nil {
		t.Fatal(err)
	}
	byRun, ids := map[string][]map[string]any{}, []string{}
	for i, payload := range payloads {
		email := fmt.Sprintf("hostile%d+found@gmail.com", i)
		added, err := api.AddSubscriber.Call(t.Context(), w.client,
			api.SignUp{Email: email, Source: clip(payload), Metadata: map[string]any{"note": clip(payload)}})
		w.must(err)
		byRun[added.RunID] = append(byRun[added.RunID], hostile(email, payload))
		ids = append(ids, added.SubscriberID)
	}
	for run, records := range byRun {
		w.eventually("the run waits", func(ctx context.Context) bool {
			r, err := runapi.GetRun.Call(ctx, w.client, runapi.ID(run))
			return err == nil && r.WaitingFor != nil && r.WaitingFor.Step == "wait-for-webhook"
		})
		data, err := json.Marshal(map[string]any{"results": records})
		w.must(err)
		_, err = runapi.SendEvent.Call(t.Context(), w.client, runapi.To(run, runapi.SendEventRequest{Type: "enrichment-complete", Data: data}))
		w.must(err)
		w.wantRun(run, "completed")
	}
	p := w.signedIn()
	look := func(path string) {
		t.Helper()
		p.goTo(path)
		p.until(`document.readyState === "complete"`)
		if eval[bool](p, `window.hacked !== undefined`) {
			t.Errorf("%s: a text ran", path)
		}
		if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			t.Errorf("%s: a text breaks the page's width by %d", path, over)
		}
		if links := eval[[]string](p, `[...document.querySelectorAll("main a")].map((a) => a.protocol).filter((x) => x !== "https:" && x !== "http:")`); len(links) > 0 {
			t.Errorf("%s: links of %v", path, links)
		}
		if n := eval[int](p, `document.querySelectorAll("main :is(script, iframe, img, style, link, object)").length`); n > 0 {
			t.Errorf("%s: %d elements that a text brought", path, n)
		}
		p.quiet()
	}
	for i, id := range ids {
		look("/subscribers/" + id)
		look("/subscribers?q=" + url.QueryEscape(clip(payloads[i])))
	}
	look("/subscribers")
	look("/audit")
}

// clip keeps a text within what a source may have.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	return text[:min(len(text), 80)]
}
