package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// frame is what a page says about itself.
type frame struct {
	Title  string
	Nav    string  // the entry of the navigation it belongs to: its path
	Crumbs []crumb // the way to it, without itself
	Charts bool    // it draws charts
	Bare   bool    // without navigation
	// Here is the page's own address when an action shows it, to be asked for again.
	Here string
	// Fault is of an action that did not work, shown above the page.
	Fault *apiclient.Problem

	visit *visit
	flash string
}

// crumb is a page above the present one.
type crumb struct{ Text, Path string }

// navEntry is a page of the navigation. Key is what goes there after g.
type navEntry struct{ Path, Text, Icon, Key string }

var navigation = []navGroup{
	{"", []navEntry{{"/", "Overview", "overview", "o"}}},
	{"People", []navEntry{{"/subscribers", "Subscribers", "people", "s"}, {"/uploads", "Uploads", "upload", "u"}, {"/sources", "Sources", "in", "i"},
		{"/suppressions", "Suppressions", "stop", "n"}}},
	{"Work", []navEntry{{"/runs", "Runs", "run", "r"}, {"/workflows", "Workflows", "graph", "w"}, {"/sinks", "Webhooks out", "out", "x"}}},
	{"Money", []navEntry{{"/submissions", "Paid calls", "send", "p"}, {"/credits", "Credits", "coin", "c"}}},
	{"", []navEntry{{"/audit", "Audit", "book", "a"}, {"/keys", "API keys", "key", "k"}, {"/settings", "Settings", "doc", "e"}}},
}

// shortcuts are the keys beside those of the navigation.
var shortcuts = [][2]string{
	{"/", "search"}, {"j", "next in the list"}, {"k", "previous in the list"}, {"Enter", "open what is marked"},
	{"Esc", "close, leave the search"}, {"?", "this help"},
}

// pageScopes are those of pages that need more than to read, by the first part of their address.
var pageScopes = map[string]string{"sinks": api.ListSinks.Scope, "deliveries": api.ListDeliveries.Scope,
	"audit": api.ListActs.Scope, "keys": api.ListKeys.Scope}

// opens says whether the visitor is shown the page at path.
func (v *visit) opens(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	first, _, _ = strings.Cut(first, "?")
	return path != "" && v.may(cmp.Or(pageScopes[first], runapi.ScopeRead))
}

// navGroup are pages of the navigation that belong together.
type navGroup struct {
	Title   string
	Entries []navEntry
}

// navigation leads to the pages that the visitor is shown.
func (v *visit) navigation() (groups []navGroup) {
	for _, g := range navigation {
		shown := slices.DeleteFunc(slices.Clone(g.Entries), func(e navEntry) bool { return !v.opens(e.Path) })
		if len(shown) > 0 {
			groups = append(groups, navGroup{g.Title, shown})
		}
	}
	return groups
}

// crumbs are the pages above this one that the visitor is shown.
func (f frame) crumbs() []crumb {
	return slices.DeleteFunc(slices.Clone(f.Crumbs), func(c crumb) bool { return !f.visit.opens(c.Path) })
}

// pageTitle is the title of the browser's window.
func (f frame) pageTitle() string {
	parts := []string{f.Title}
	for i := len(f.Crumbs) - 1; i >= 0; i-- {
		parts = append(parts, f.Crumbs[i].Text)
	}
	return strings.Join(append(parts, "Liwanag"), " · ")
}

func (f frame) signedIn() bool { return f.visit.console.cfg.SignIn && !f.Bare }

// here tells the script what to ask for again, where that is not the address of the
// window.
func (f frame) here() templ.Attributes {
	if f.visit.Method == http.MethodGet {
		return nil
	}
	return templ.Attributes{"data-here": f.Here}
}
