package console

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// removals are the links that remove filters, by their names.
func removals(t *testing.T, page string) map[string]string {
	t.Helper()
	links := map[string]string{}
	for _, n := range elements(read(t, page)) {
		if name, ok := strings.CutPrefix(attribute(n, "aria-label"), "Remove filter "); ok && n.Data == "a" {
			links[name] = attribute(n, "href")
		}
	}
	return links
}

func TestEveryFilterIsAChipThatRemovesIt(t *testing.T) {
	for _, p := range runapi.Parameters(reflect.TypeFor[api.SubscriberFilter]()) {
		name, value := p.Name, strings.Split(firstOf(p.Tag.Get("enum"), "7"), ",")[0]
		if prefix, ok := p.Prefix(); ok {
			name = prefix + "plan"
		}
		if p.Type.String() == "time.Time" {
			value = "2026-01-31"
		}
		for _, path := range []string{"/subscribers", "/companies"} {
			a := newAPI(t, answers())
			page := visitPage(t, served(t, a), "GET", path+"?cursor=HERE&x=y&"+name+"="+value, "").Body.String()
			links := removals(t, page)
			if len(links) != 1 || first(links) != path {
				t.Errorf("%s on %s: the chips are %v", name, path, links)
			}
			if !strings.Contains(page, `href="`+path+`">Clear all`) {
				t.Errorf("%s on %s: nothing clears all", name, path)
			}
			if !strings.Contains(page, `name="`+name+`"`) {
				t.Errorf("%s on %s: the form loses it", name, path)
			}
		}
	}
	page := visitPage(t, served(t, newAPI(t, answers())), "GET", "/subscribers?q=&status=", "").Body.String()
	if links := removals(t, page); len(links) != 0 {
		t.Errorf("without a filter there are %v", links)
	}
}

func first(links map[string]string) (link string) {
	for _, link = range links {
		break
	}
	return link
}

func TestTheFiltersOfAViewAreChips(t *testing.T) {
	const since = "since=2026-03-14T11%3A00%3A00Z"
	want := map[string]string{
		"View VP":                              "/subscribers?country=France&tag=x",
		"Tag x":                                "/subscribers?country=France&view=VP",
		"Country France":                       "/subscribers?headcountMin=50&metadata.plan=pro&" + since + "&tag=x",
		"Company size from 50":                 "/subscribers?country=France&metadata.plan=pro&" + since + "&tag=x",
		"Added since 14 Mar 2026 11:00:00 UTC": "/subscribers?country=France&headcountMin=50&metadata.plan=pro&tag=x",
		"plan pro":                             "/subscribers?country=France&headcountMin=50&" + since + "&tag=x",
	}
	for _, named := range []string{"VP", "vie_1"} {
		site := served(t, newAPI(t, answers()))
		page := visitPage(t, site, "GET", "/subscribers?view="+named+"&country=France&tag=x", "").Body.String()
		for name, link := range removals(t, page) {
			if wanted := strings.ReplaceAll(want[name], "view=VP", "view="+named); wanted != link {
				t.Errorf("%s: %q leads to %s", named, name, link)
			}
		}
		if got := len(removals(t, page)); got != len(want) {
			t.Errorf("%s: %d chips", named, got)
		}
		if !strings.Contains(page, `<option value="VP" selected>`) {
			t.Errorf("%s: the form does not show the view", named)
		}
	}
}

func TestTheFiltersInForceAreSavedAsAView(t *testing.T) {
	a := newAPI(t, answers())
	filters := "?country=Germany&headcountMin=50&cursor=HERE"
	w := visitPage(t, served(t, a), "POST", "/subscribers/views"+filters, "name=Sales&replace=on")
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/subscribers?view=VP" {
		t.Errorf("%d %s", w.Code, got)
	}
	want := `{"name":"Sales","filter":{"country":"Germany","headcountMin":50},"replace":true}`
	if !slices.ContainsFunc(a.sent, func(s string) bool { return strings.HasSuffix(s, want) }) {
		t.Errorf("the API was asked %q", a.sent)
	}
	w = visitPage(t, served(t, a), "POST", "/subscribers/views/vie_1/remove?view=VP&tag=x", "")
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/subscribers?tag=x" {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestAViewThatCannotBeSavedLeavesTheFiltersAndTheName(t *testing.T) {
	routes := answers()
	taken := api.Problem{Status: 409, Code: "view_exists", Detail: "it is there already"}
	routes["POST /api/v1/views"] = &apiclient.Problem{Problem: taken}
	w := visitPage(t, served(t, newAPI(t, routes)), "POST", "/subscribers/views?country=Germany", "name=Sales")
	page := w.Body.String()
	for _, want := range []string{"It is there already", `value="Sales"`, `data-here="/subscribers?country=Germany"`,
		`action="/subscribers/views?country=Germany"`, `href="/subscribers?country=Germany&amp;cursor=NEXT&amp;from=2"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if w.Code != http.StatusConflict {
		t.Errorf("answers %d", w.Code)
	}
}

func TestCompaniesLinkToTheirPeople(t *testing.T) {
	a := newAPI(t, answers())
	page := visitPage(t, served(t, a), "GET", "/companies?country=Germany", "").Body.String()
	for _, want := range []string{
		`href="/subscribers?companyDomain=acme.example&amp;country=Germany"`, "1,200", "2 Founder, 1 VP",
		`href="/subscribers?country=Germany">Show the people`, `href="/companies?country=Germany&amp;cursor=NEXT"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if asked := strings.Join(a.sent, " "); !strings.Contains(asked, "/companies?country=Germany") {
		t.Errorf("the API was asked %s", asked)
	}
}

func TestAViewSaysWhoIsLeftOutOfItsFile(t *testing.T) {
	for subscribed, told := range map[string]bool{"": true, "true": true, "false": false, "any": false} {
		routes := answers()
		view := api.View{ID: "vie_1", Name: "VP", Filter: api.SubscriberFilter{Subscribed: subscribed}}
		routes["GET /api/v1/views"] = listOf(view)
		page := visitPage(t, served(t, newAPI(t, routes)), "GET", "/subscribers?view=VP", "").Body.String()
		if got := strings.Contains(page, "left out."); got != told {
			t.Errorf("a view with subscribed=%s: said %v", subscribed, got)
		}
	}
}

func TestPagesSayWhereTheyStandAndLeadBothWays(t *testing.T) {
	routes := answers()
	page := func(query string, list api.SubscriberList) string {
		list.List = listOf(personAnswer().Subscriber)
		routes["GET /api/v1/subscribers"] = list
		return visitPage(t, served(t, newAPI(t, routes)), "GET", "/subscribers"+query, "").Body.String()
	}
	for query, c := range map[string]struct {
		list api.SubscriberList
		want []string
	}{
		"": {api.SubscriberList{Total: pointer(int64(3412))}, []string{"1–1 of 3,412", `href="/subscribers?cursor=NEXT&amp;from=2"`, "All 3,412 that match"}},
		"?tag=x&sort=company&cursor=C&from=51": {api.SubscriberList{Total: pointer(int64(10000)), TotalIsMore: true, PrevCursor: "PREV"},
			[]string{"51–51 of over 10,000", `rel="prev" href="/subscribers?before=PREV&amp;from=1&amp;sort=company&amp;tag=x"`,
				`href="/subscribers?cursor=NEXT&amp;from=52&amp;sort=company&amp;tag=x"`, `href="/subscribers?sort=company&amp;tag=x">First page`,
				`aria-sort="ascending">Company`}},
		"?before=B&from=-5": {api.SubscriberList{Total: pointer(int64(70))}, []string{"1–1 of 70"}},
		"?cursor=C":         {api.SubscriberList{Total: pointer(int64(70)), PrevCursor: "PREV"}, []string{"1 person on this page"}},
	} {
		got := page(query, c.list)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s is missing", query, want)
			}
		}
	}
}

func TestColumnsAreChosenAndKeptByAView(t *testing.T) {
	a := newAPI(t, answers())
	w := visitPage(t, served(t, a), "GET", "/subscribers?choose=1&column=tags&column=country&keys=plan,+x&tag=a&columns=old", "")
	const shown = "/subscribers?columns=tags%2Ccountry%2Cmetadata.plan%2Cmetadata.x&tag=a"
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != shown {
		t.Errorf("%d %s", w.Code, got)
	}
	visitPage(t, served(t, a), "POST", "/subscribers/views?tag=a&columns=tags,country&sort=found&order=asc", "name=Mine")
	if last := a.sent[len(a.sent)-1]; !strings.Contains(last, `"columns":["tags","country"]`) || !strings.Contains(last, `"sort":"found","order":"asc"`) {
		t.Errorf("saved %s", last)
	}
	routes := answers()
	routes["GET /api/v1/views"] = listOf(api.View{ID: "vie_1", Name: "VP", Sort: "headcount", Order: "asc",
		Columns: []string{"email", "headcount", "metadata.plan"}})
	page := visitPage(t, served(t, newAPI(t, routes)), "GET", "/subscribers?view=VP", "").Body.String()
	for _, want := range []string{`aria-sort="ascending">Company size</th>`, `<th scope="col">plan</th>`, `value="email,fullName,headcount,metadata.plan"`, "As the view"} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(page, `<th scope="col">Source</th>`) {
		t.Error("a column that the view does not show")
	}
}

func TestAFileHasTheColumnsAndThePeopleOfItsForm(t *testing.T) {
	for query, want := range map[string]string{
		"what=all&format=csv&tag=a&shown=email":       "format=csv&tag=a",
		"what=shown&format=jsonl&shown=email,country": "columns=email%2Ccountry&format=jsonl",
		"what=all&column=email&keys=plan&ids=a&ids=b": "columns=email%2Cmetadata.plan&ids=a%2Cb",
		"what=all&subscribed=any":                     "subscribed=any",
	} {
		w := visitPage(t, served(t, newAPI(t, answers())), "GET", "/subscribers/export?"+query, "")
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/api/v1/subscribers/export?"+want {
			t.Errorf("%s: %d %s", query, w.Code, got)
		}
	}
}

func TestActsOnManyPeopleAreCountedConfirmedAndDone(t *testing.T) {
	site := served(t, newAPI(t, answers()))
	page := visitPage(t, site, "GET", "/subscribers/act?act=enrich&all=1&since=24h", "").Body.String()
	for _, want := range []string{"12 lookups", "12 credits at most", "FullEnrich had 998", "3 reused", `name="since" value="2026-03-13T12:00:00Z"`, `name="expect" value="12"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if w := visitPage(t, site, "GET", "/subscribers/act?act=erase", ""); w.Code != http.StatusUnprocessableEntity ||
		!strings.Contains(w.Body.String(), "Nobody is selected") {
		t.Errorf("nobody: %d", w.Code)
	}
	for body, want := range map[string]string{
		"act=tag&all=1&country=Germany&expect=12&add=crm": `POST /api/v1/subscribers/tag {"filter":{"country":"Germany"},"add":["crm"],"expect":12}`,
		"act=unsubscribe&id=a&id=b&expect=12&reason=left": `POST /api/v1/subscribers/unsubscribe {"ids":["a","b"],"expect":12,"reason":"left"}`,
		"act=erase&all=1&expect=12&typed=12&suppress=on":  `POST /api/v1/subscribers/erase {"filter":{},"expect":12,"suppress":true}`,
		"act=enrich&all=1&tag=x&expect=12&again=on":       `POST /api/v1/subscribers/enrich {"filter":{"tag":"x"},"expect":12,"again":true}`,
	} {
		a := newAPI(t, answers())
		w := visitPage(t, served(t, a), "POST", "/subscribers/act", body)
		if w.Code != http.StatusSeeOther || a.sent[len(a.sent)-1] != want {
			t.Errorf("%s: %d %q", body, w.Code, a.sent)
		}
	}
	a := newAPI(t, answers())
	w := visitPage(t, served(t, a), "POST", "/subscribers/act", "act=erase&all=1&expect=12&typed=11")
	if sent := strings.Join(a.sent, " "); w.Code != http.StatusUnprocessableEntity || !strings.Contains(sent, `"dryRun":true`) ||
		strings.Contains(sent, "expect") {
		t.Errorf("not confirmed: %d %s", w.Code, sent)
	}
}
