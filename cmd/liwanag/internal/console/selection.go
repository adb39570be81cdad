package console

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerViews() {
	c.handle("POST /subscribers/views", c.saveView)
	c.handle("POST /subscribers/views/{view}/remove", c.removeView)
}

// filterField is a filter of people: in a form, and as a chip when it is in force.
type filterField struct {
	Name, Label string
	Choices     []choice // none: a text
}

var (
	firstFilters = []filterField{
		{"status", "Lookup", choices("Any", runapi.Enum[api.SubscriberFilter]("Status")...)},
		{"emailType", "Address", choices("Any", runapi.Enum[api.SubscriberFilter]("EmailType")...)},
		{"subscribed", "Standing", []choice{{"", "Any"}, {"true", "Subscribed"}, {"false", "Unsubscribed"}}},
		{"nameMatches", "Name matches", choices("Any", runapi.Enum[api.SubscriberFilter]("NameMatches")...)},
		{"signedUpSince", "Signed up", sinceChoices}, {"since", "Added", sinceChoices},
	}
	leadFilters = []filterField{
		{"jobTitle", "Job title", nil}, {"seniority", "Seniority", nil}, {"country", "Country", nil},
		{"industry", "Industry", nil}, {"companyDomain", "Company domain", nil}, {"headcountMin", "Company size from", nil},
		{"headcountMax", "Company size to", nil},
		{"hasLinkedin", "LinkedIn", []choice{{"", "Any"}, {"true", "Known"}, {"false", "Not known"}}},
		{"foundSince", "Found", sinceChoices}, {"tag", "Tag", nil}, {"source", "Source", nil},
	}
	// rareFilters are shown when they are used.
	rareFilters = []filterField{
		{"until", "Added before", nil}, {"runId", "Looked up by run", nil}, {"uploadId", "Looked up for upload", nil},
	}
)

// metadataPrefix begins the names of filters of what senders said besides.
const metadataPrefix = "metadata."

// selection is whom a page of people shows: all who match its address.
type selection struct {
	*visit
	Path  string // of the page
	Views []api.View
	View  *api.View  // the one that its address names
	said  url.Values // filters of the address
	all   url.Values // and of the view: those in force
	look  url.Values // how the address says that they are shown: order and columns
}

// selectionOf reads the filters of the address and, into filter, what they say to the API.
func (v *visit) selectionOf(path string, filter *api.SubscriberFilter) (selection, error) {
	if err := v.filter(filter); err != nil {
		return selection{}, err
	}
	list, err := api.ListViews.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return selection{}, err
	}
	s := selection{visit: v, Path: path, Views: list.Items, said: url.Values{}, all: url.Values{}, look: url.Values{}}
	for name, values := range v.URL.Query() {
		switch {
		case values[0] == "":
		case isFilter(name):
			s.said.Set(name, values[0])
		case slices.Contains(lookNames, name):
			s.look.Set(name, values[0])
		}
	}
	named := s.said.Get("view")
	if i := slices.IndexFunc(s.Views, func(w api.View) bool { return w.Name == named || w.ID == named }); i >= 0 {
		s.View, s.all = &s.Views[i], runapi.Values(s.Views[i].Filter)
	}
	maps.Copy(s.all, s.said)
	return s, nil
}

var filterNames = func() (names []string) {
	for _, p := range runapi.Parameters(reflect.TypeFor[api.SubscriberFilter]()) {
		names = append(names, p.Name)
	}
	return names
}()

func isFilter(name string) bool {
	return slices.Contains(filterNames, name) || strings.HasPrefix(name, metadataPrefix) && name != metadataPrefix
}

// fields are all filters there may be, in the order of the form.
func (s selection) fields() []filterField {
	top := []filterField{{"view", "View", s.viewChoices()}, {"q", "Search", nil}}
	all := slices.Concat(top, firstFilters, leadFilters, rareFilters)
	for _, name := range slices.Sorted(maps.Keys(s.all)) {
		if key, ok := strings.CutPrefix(name, metadataPrefix); ok {
			all = append(all, filterField{name, key, nil})
		}
	}
	return all
}

// rare are the fields of the form that its address alone brings.
func (s selection) rare() (fields []filterField) {
	for _, f := range s.fields() {
		if s.said.Get(f.Name) != "" && (strings.HasPrefix(f.Name, metadataPrefix) ||
			slices.ContainsFunc(rareFilters, func(r filterField) bool { return r.Name == f.Name })) {
			fields = append(fields, f)
		}
	}
	return fields
}

// more says whether people are selected by what is not shown at once.
func (s selection) more() bool {
	return slices.ContainsFunc(leadFilters, func(f filterField) bool { return s.said.Get(f.Name) != "" })
}

func (s selection) viewChoices() []choice {
	options := []choice{{"", "None"}}
	for _, v := range s.Views {
		options = append(options, choice{v.Name, v.Name})
	}
	return options
}

// viewNamed is the name of the view in force; as the address has it when there is none such.
func (s selection) viewNamed() string {
	if s.View != nil {
		return s.View.Name
	}
	return s.said.Get("view")
}

// chip is a filter in force. Without is the address of the page without it.
type chip struct{ Label, Value, Without string }

func (s selection) chips() (chips []chip) {
	for _, f := range s.fields() {
		if text := s.all.Get(f.Name); text != "" {
			chips = append(chips, chip{f.Label, s.valueOf(f, text), s.without(f.Name)})
		}
	}
	return chips
}

// valueOf is what a filter says, for people.
func (s selection) valueOf(f filterField, text string) string {
	if f.Name == "view" {
		return s.viewNamed()
	}
	if i := slices.IndexFunc(f.Choices, func(c choice) bool { return c.Value == text }); i >= 0 {
		return f.Choices[i].Text
	}
	if f.Name != "until" && !strings.HasSuffix(strings.ToLower(f.Name), "since") {
		return text
	}
	at, err := s.timeOf(text)
	if err != nil {
		return text
	}
	return map[bool]string{false: "since "}[f.Name == "until"] + full(at)
}

// without is the page's address without a filter. One that the view selects by leaves
// the others of the view in the view's place.
func (s selection) without(name string) string {
	left := maps.Clone(s.said)
	if s.View != nil && name != "view" && runapi.Values(s.View.Filter).Has(name) {
		left = maps.Clone(s.all)
		left.Del("view")
	}
	left.Del(name)
	return s.address(s.Path, left)
}

// lookNames are the parameters that say how people are shown.
var lookNames = []string{"sort", "order", "columns"}

// address is that of a page for people, who are shown as they are here.
func (s selection) address(path string, said url.Values) string {
	if path == "/companies" {
		return address(path, said)
	}
	q := maps.Clone(s.look)
	maps.Copy(q, said)
	return address(path, q)
}

// at is the address of another page for the same people.
func (s selection) at(path string) string { return s.address(path, s.said) }

// with is the address of the list of those of them who match one filter more.
func (s selection) with(name, value string) string {
	q := maps.Clone(s.said)
	q.Set(name, value)
	return s.address("/subscribers", q)
}

// pagerOf is visit.pagerOf for a page that an action may show, too.
func (s selection) pagerOf(next string) pager {
	var p pager
	if s.param("cursor") != "" {
		p.First = s.at(s.Path)
	}
	if next != "" {
		p.Next = s.page("cursor", next, 0)
	}
	return p
}

// page is the address of a page behind or before a cursor; from counts its first row, 0: it is not said.
func (s selection) page(name, cursor string, from int64) string {
	q := maps.Clone(s.said)
	q.Set(name, cursor)
	if from > 0 {
		q.Set("from", number0(from))
	}
	return s.address(s.Path, q)
}

// saveView keeps the filters of the address under a name.
func (c *Console) saveView(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	var filter api.SubscriberFilter
	if err := v.filter(&filter); err != nil {
		return err
	}
	saved, err := api.SaveView.Call(v.Context(), v.api, api.SaveViewRequest{Name: v.PostForm.Get("name"), Filter: filter,
		Sort: v.param("sort"), Order: v.param("order"), Columns: listed(v.param("columns")), Replace: v.PostForm.Has("replace")})
	if err != nil {
		return c.subscribers(v, err)
	}
	return v.goTo(address("/subscribers", query("view", saved.Name)),
		"The view is saved. Its address shows it to others, too.")
}

func (c *Console) removeView(v *visit) error {
	if _, err := api.RemoveView.Call(v.Context(), v.api, runapi.ID(v.PathValue("view"))); err != nil {
		return c.subscribers(v, err)
	}
	q := v.URL.Query()
	q.Del("view")
	return v.goTo(address("/subscribers", q), "The view is removed. The people whom it selected stay.")
}
