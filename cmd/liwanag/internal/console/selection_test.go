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
		`action="/subscribers/views?country=Germany"`, `href="/subscribers?country=Germany&amp;cursor=NEXT"`} {
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
