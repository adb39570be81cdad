package console

import (
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
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

var navigation = []struct {
	Title   string
	Entries []navEntry
}{
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
