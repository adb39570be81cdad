package console

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// peopleAct is what can be done to many people: those whose ids are chosen, or all who match.
type peopleAct struct {
	Name, Title, Button, Class string
	Scope                      string // that it needs
	About                      string
	Done                       string                     // what was done, after their number
	do                         func(*visit, chosen) error // fills in what came of it
}

var peopleActs = []peopleAct{
	{"export", "Export people", "Export", "", api.ExportSubscribers.Scope, "", "exported", countPeople},
	{"enrich", "Look people up", "Look up", "primary", api.EnrichSubscribers.Scope,
		"FullEnrich is asked about each of them. Whoever unsubscribed, is suppressed, or has a young result is left out.", "looked up", enrichPeople},
	{"tag", "Tag people", "Tag", "primary", api.TagSubscribers.Scope, "Tags can be filtered by, and tell a list for sales from the next one.", "tagged", tagPeople},
	{"unsubscribe", "Unsubscribe people", "Unsubscribe", "danger", api.UnsubscribeSubscribers.Scope,
		"Nothing is looked up for them any more, and exports leave them out. Webhooks out are told.", "unsubscribed",
		actOn(api.UnsubscribeSubscribers)},
	{"suppress", "Suppress people", "Suppress", "danger", api.SuppressSubscribers.Scope,
		"They stay, as unsubscribed. No file, webhook or call brings their addresses in again.", "suppressed", actOn(api.SuppressSubscribers)},
	{"erase", "Erase people", "Erase", "stop", api.EraseSubscribers.Scope,
		"They are deleted, with their profiles and what sources received of them. Jobs and paid calls stay for the books, and name nobody. It cannot be undone.",
		"erased", erasePeople},
}

// acts are those that the visitor may do.
func (v *visit) acts() []peopleAct {
	return slices.DeleteFunc(slices.Clone(peopleActs), func(a peopleAct) bool { return !v.may(a.Scope) })
}

// chosen is whom an act is for, and what came of it, or would.
type chosen struct {
	IDs     []string
	Filter  *api.SubscriberFilter
	DryRun  bool
	Expect  *int64
	Outcome *outcome
}

type outcome struct {
	Count, Rows, Changed int64
	Cost                 string
	LeftOut              map[string]int64
	Backups              []string
}

func (w chosen) many(v *visit) api.ActMany {
	return api.ActMany{IDs: w.IDs, Filter: w.Filter, DryRun: w.DryRun, Expect: w.Expect, Reason: v.PostFormValue("reason")}
}

func (w chosen) came(a api.ActedMany, err error) error {
	w.Outcome.Count, w.Outcome.Rows, w.Outcome.Changed = a.Count, a.Rows, a.Changed
	w.Outcome.Backups = a.Backups
	return err
}

func actOn(route runapi.Route[api.ActMany, api.ActedMany]) func(*visit, chosen) error {
	return func(v *visit, w chosen) error { return w.came(route.Call(v.Context(), v.api, w.many(v))) }
}

func erasePeople(v *visit, w chosen) error {
	if !w.DryRun && strings.TrimSpace(v.PostFormValue("typed")) != number0(*w.Expect) {
		return notConfirmed("nobody was erased: what was typed is not their number\n  Try: type it as it stands on the page")
	}
	in := api.EraseMany{ActMany: w.many(v), Suppress: v.PostFormValue("suppress") != ""}
	return w.came(api.EraseSubscribers.Call(v.Context(), v.api, in))
}

func enrichPeople(v *visit, w chosen) error {
	in := api.EnrichMany{IDs: w.IDs, Filter: w.Filter, DryRun: w.DryRun, Expect: w.Expect, Again: v.PostFormValue("again") != ""}
	result, err := api.EnrichSubscribers.Call(v.Context(), v.api, in)
	if err != nil {
		return err
	}
	n := result.Count
	*w.Outcome = outcome{Count: n, Rows: n, Changed: n, LeftOut: result.LeftOut, Cost: costWords(api.RetriedRuns{Lookups: &n,
		Credits: &result.Credits, Balance: result.Balance, BalanceAt: result.BalanceAt, BudgetLeft: result.BudgetLeft})}
	return nil
}

func tagPeople(v *visit, w chosen) error {
	if w.DryRun { // the tags come later
		return countPeople(v, w)
	}
	in := api.TagMany{IDs: w.IDs, Filter: w.Filter, Expect: w.Expect, Add: nonEmpty(v.PostFormValue("add")),
		Remove: nonEmpty(v.PostFormValue("remove"))}
	result, err := api.TagSubscribers.Call(v.Context(), v.api, in)
	w.Outcome.Count, w.Outcome.Changed = result.Count, result.Changed
	return err
}

// countPeople only counts, as each act that is not priced does.
func countPeople(v *visit, w chosen) error {
	w.DryRun = true
	return actOn(api.UnsubscribeSubscribers)(v, w)
}

func nonEmpty(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return []string{text}
}

func notConfirmed(detail string) error {
	return &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity, Code: "not_confirmed", Detail: detail}}
}

// peopleActView is what is asked before an act on many people.
type peopleActView struct {
	selection
	Act     peopleAct
	IDs     []string // none: all who match
	Fixed   url.Values
	Counted outcome
}

// count is how many people it is for, in words.
func (v peopleActView) count() string {
	if v.Act.Name == "enrich" {
		return plural(v.Counted.Count, "lookup", "lookups")
	}
	return plural(v.Counted.Count, "person", "people")
}

// people are those the button names.
func (v peopleActView) people() string { return plural(v.Counted.Count, "person", "people") }

// will says what becomes of them.
func (v peopleActView) will() string {
	if v.Act.Name == "enrich" {
		return "will be ordered"
	}
	return "will be " + v.Act.Done
}

func (v peopleActView) wouldBe() string { return "who is selected can be " + v.Act.Done }

// namesOf are the names of parameters, in order.
func namesOf(q url.Values) []string { return slices.Sorted(maps.Keys(q)) }

// leftOut says who is not looked up, and why.
func (v peopleActView) leftOut() string {
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(v.Counted.LeftOut)) {
		parts = append(parts, number(v.Counted.LeftOut[why])+" "+words(why))
	}
	return strings.Join(parts, ", ")
}

// whom reads whom the address chooses.
func (v *visit) whom() (act peopleAct, view peopleActView, w chosen, err error) {
	at := slices.IndexFunc(peopleActs, func(a peopleAct) bool { return a.Name == v.param("act") })
	if at < 0 {
		return act, view, w, &apiclient.Problem{Problem: api.Problem{Status: http.StatusNotFound, Code: "not_found"}}
	}
	act = peopleActs[at]
	var filter api.SubscriberFilter
	if view.selection, err = v.selectionOf("/subscribers", &filter); err != nil {
		return act, view, w, err
	}
	w.Outcome = &outcome{}
	if view.Act, view.Fixed = act, runapi.Values(filter); v.param("all") != "" {
		w.Filter = &filter
	} else {
		w.IDs = v.URL.Query()["id"]
		view.IDs = w.IDs
	}
	if w.Filter == nil && len(w.IDs) == 0 {
		err = notConfirmed("nobody is selected\n  Try: tick people of the list, or all that match")
	}
	return act, view, w, err
}

// confirmPeople counts, and asks. Times of the filter are fixed by it, so that what is done is what was counted.
func (c *Console) confirmPeople(v *visit, fault error) error {
	act, view, w, err := v.whom()
	if err != nil && w.Outcome != nil {
		return c.subscribers(v, err)
	}
	if err != nil {
		return err
	}
	w.DryRun = true
	if err := act.do(v, w); err != nil {
		return err
	}
	view.Counted = *w.Outcome
	return v.showOr(fault, frame{Title: act.Title, Nav: "/subscribers", Crumbs: []crumb{{"Subscribers", view.at("/subscribers")}}},
		peopleActPage(view))
}

// actOnPeople does it, if those who were counted are those who are there.
func (c *Console) actOnPeople(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	// What the form says of people takes the place of the address, for the page that follows.
	q := url.Values{}
	for name, values := range v.PostForm {
		if name == "id" || name == "all" || name == "act" || isFilter(name) || slices.Contains(lookNames, name) {
			q[name] = values
		}
	}
	v.URL.RawQuery = q.Encode()
	act, view, w, err := v.whom()
	if err != nil {
		return err
	}
	expect, err := strconv.ParseInt(v.PostForm.Get("expect"), 10, 64)
	if err != nil {
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusBadRequest, Code: "malformed",
			Detail: "the form does not say how many people were counted"}}
	}
	w.Expect = &expect
	if err := act.do(v, w); err != nil {
		return c.confirmPeople(v, err)
	}
	done := plural(w.Outcome.Count, "person is", "people are")
	message := fmt.Sprintf("%s %s.", done, act.Done)
	if act.Name != "enrich" && w.Outcome.Changed != w.Outcome.Count {
		message += fmt.Sprintf(" %s changed.", plural(w.Outcome.Changed, "row", "rows"))
	}
	return v.goTo(view.at("/subscribers"), message+heldBy(w.Outcome.Backups))
}

// exportPeople leads to the file that the form of an export asks for.
func (c *Console) exportPeople(v *visit) error {
	q := v.URL.Query()
	switch what := q.Get("what"); {
	case len(q["column"]) > 0 || q.Get("keys") != "":
		q = chosenColumns(q)
	case what == "shown":
		q.Set("columns", q.Get("shown"))
	case what == "all":
		q.Set("columns", "")
	}
	if ids := q["ids"]; len(ids) > 0 {
		q.Set("ids", strings.Join(ids, ","))
	}
	for _, name := range []string{"what", "shown", "keys", "column"} {
		q.Del(name)
	}
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	http.Redirect(v.w, v.Request, address(api.ExportSubscribers.Path, q), http.StatusSeeOther)
	return nil
}

// spelled are the filters in force without a view, whose columns would be those of a file, and the order.
func (s selection) spelled(said url.Values) url.Values {
	q := url.Values{}
	if s.View != nil {
		q = runapi.Values(s.View.Filter)
		q.Set("sort", s.View.Sort)
		q.Set("order", s.View.Order)
	}
	maps.Copy(q, said)
	if s.View != nil {
		q.Del("view")
	}
	if s.look.Has("sort") {
		q.Del("order")
	}
	maps.Copy(q, s.look)
	q.Del("columns")
	return q
}

// shownColumns are those of a file that has what the list shows.
func (s selection) shownColumns() string {
	names := []string{"email", "fullName"}
	for _, c := range s.columns() {
		names = append(names, c.Name)
	}
	return strings.Join(names, ",")
}
