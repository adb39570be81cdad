package console

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSubscribers() {
	c.handle("GET /subscribers", func(v *visit) error { return c.subscribers(v, nil) })
	c.handle("POST /subscribers", c.addSubscriber)
	c.handle("GET /subscribers/export", c.exportPeople)
	c.handle("GET /subscribers/act", func(v *visit) error { return c.confirmPeople(v, nil) })
	c.handle("POST /subscribers/act", c.actOnPeople)
	c.handle("GET /subscribers/{id}", func(v *visit) error { return c.subscriber(v, nil) })
	c.handle("POST /subscribers/{id}/enrich", c.enrichSubscriber)
	c.handle("POST /subscribers/{id}/erase", c.eraseSubscriber)
	c.handle("POST /subscribers/{id}/unsubscribe", c.stand(api.UnsubscribeSubscriber,
		"The person is unsubscribed: nothing is looked up for them."))
	c.handle("POST /subscribers/{id}/resubscribe", c.stand(api.ResubscribeSubscriber, "The person is subscribed again. Nobody was looked up."))
}

// subscribersView is what the list of subscribers shows.
type subscribersView struct {
	selection
	Query api.SubscriberQuery
	List  api.SubscriberList
	From  int64              // counts its first row, from 1
	Left  api.SubscriberList // counts those of them who unsubscribed
}

func (c *Console) subscribers(v *visit, fault error) (err error) {
	if v.Method == http.MethodGet && v.URL.Query().Has("choose") {
		return v.goTo(address("/subscribers", chosenColumns(v.URL.Query())), "")
	}
	view := subscribersView{Query: api.SubscriberQuery{Paging: v.page(), Before: v.param("before"), Total: true}}
	if view.selection, err = v.selectionOf("/subscribers", &view.Query.SubscriberFilter); err != nil {
		return err
	}
	view.Query.Sort, view.Query.Order = view.look.Get("sort"), view.look.Get("order")
	if view.List, err = api.ListSubscribers.Call(v.Context(), v.api, view.Query); err != nil {
		return err
	}
	if view.From = 1; view.List.PrevCursor != "" {
		from, err := strconv.ParseInt(v.param("from"), 10, 64)
		if view.From = max(from, 2); err != nil {
			view.From = 0 // an address that does not say
		}
	}
	left := api.SubscriberQuery{SubscriberFilter: view.Query.SubscriberFilter, Paging: runapi.Paging{Limit: 1}, Total: true}
	left.Subscribed = "false"
	if standing := view.all.Get("subscribed"); standing == "" || standing == "true" {
		if view.Left, err = api.ListSubscribers.Call(v.Context(), v.api, left); err != nil {
			return err
		}
	}
	return v.showOr(fault, frame{Title: "Subscribers", Nav: "/subscribers", Here: view.at("/subscribers")}, subscribersPage(view))
}

// total is how many match, in words.
func (v subscribersView) total() string { return totalWords(v.List.Total, v.List.TotalIsMore) }

func totalWords(total *int64, more bool) string {
	switch {
	case total == nil:
		return ""
	case more:
		return "over " + number(*total)
	}
	return number(*total)
}

// position says which of how many the page shows.
func (v subscribersView) position() string {
	n := int64(len(v.List.Items))
	total := v.total()
	switch {
	case n == 0:
		return ""
	case v.From == 0 || total == "":
		return plural(n, "person", "people") + " on this page"
	}
	return number(v.From) + "–" + number(v.From+n-1) + " of " + total
}

func (v subscribersView) pages() pager {
	p := v.pagerOf("")
	if v.List.PrevCursor != "" {
		p.First, p.Prev = v.at(v.Path), v.page("before", v.List.PrevCursor, max(v.From-pageSize, 0))
	}
	if v.List.NextCursor != "" {
		from := v.From + int64(len(v.List.Items))
		if v.From == 0 {
			from = 0
		}
		p.Next = v.page("cursor", v.List.NextCursor, from)
	}
	return p
}

// leftOut says who is not in an exported file; empty when everybody who matches is.
func (v subscribersView) leftOut() string {
	n := v.Left.Total
	switch {
	case v.all.Get("subscribed") == "false" || v.all.Get("subscribed") == "any" || n == nil || *n == 0:
		return ""
	case v.Left.TotalIsMore:
		return "Over " + number(*n) + " people who unsubscribed are left out."
	}
	return plural(*n, "person who unsubscribed is left out.", "people who unsubscribed are left out.")
}

// showOr shows a page, or the same page with the fault of an action on top.
func (v *visit) showOr(fault error, f frame, body templ.Component) error {
	status := http.StatusOK
	if fault != nil {
		f.Fault = faultOf(fault)
		status = f.Fault.Status
	}
	return v.show(status, f, body)
}

// stand changes a person's standing by hand.
func (c *Console) stand(route runapi.Route[runapi.Addressed[*api.StandingRequest], api.Standing], done string) func(*visit) error {
	return func(v *visit) error {
		if err := v.form(); err != nil {
			return err
		}
		id := v.PathValue("id")
		now, err := route.Call(v.Context(), v.api, runapi.To(id, &api.StandingRequest{Reason: v.PostForm.Get("reason")}))
		if err != nil {
			return c.subscriber(v, err)
		}
		message := done
		if now.Rows > 1 {
			message += " " + number(int64(now.Rows)) + " addresses of one mailbox changed."
		}
		return v.goTo(under("/subscribers", id), message)
	}
}

// leftBy says who said that the person left.
func leftBy(by string) string {
	return map[string]string{"operator": "by hand", "webhook": "as a sign-up's webhook said"}[by]
}

func (c *Console) addSubscriber(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	added, err := api.AddSubscriber.Call(v.Context(), v.api,
		api.SignUp{Email: v.PostForm.Get("email"), FullName: v.PostForm.Get("fullName"), Source: v.PostForm.Get("source")})
	if err != nil {
		return c.subscribers(v, err)
	}
	if added.Status == "suppressed" {
		return v.goTo("/subscribers", "The address is suppressed: nothing was stored.")
	}
	message := "The subscriber is added."
	if added.Status == "updated" {
		message = "The subscriber was known already, and is updated."
	}
	return v.goTo(under("/subscribers", added.SubscriberID), message)
}

// subscriberView is what the page of a person shows.
type subscriberView struct {
	*visit
	Person  api.SubscriberDetail
	Profile *fullenrich.Profile // nil without one
	Why     api.Why
}

func (c *Console) subscriber(v *visit, fault error) error {
	id := v.PathValue("id")
	person, err := api.GetSubscriber.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return err
	}
	view := subscriberView{visit: v, Person: person, Profile: profileOf(person.Profile)}
	if view.Why, err = whyOf(v, api.WhySubscriber, id); err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: firstOf(person.FullName, person.Email), Nav: "/subscribers", Here: under("/subscribers", id),
		Crumbs: []crumb{{"Subscribers", "/subscribers"}}}, subscriberPage(view))
}

// profileOf reads all that FullEnrich said of a person; nil for nothing.
func profileOf(record json.RawMessage) *fullenrich.Profile {
	if len(record) == 0 {
		return nil
	}
	whole, err := json.Marshal(map[string]any{"id": "one", "status": fullenrich.StatusFinished, "data": []json.RawMessage{record}})
	if err != nil {
		return nil
	}
	result, err := fullenrich.ParseResult(whole)
	if err != nil || len(result.Data) != 1 || !result.Data[0].Profile.Found() {
		return nil
	}
	return result.Data[0].Profile
}

func (c *Console) enrichSubscriber(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	done, err := api.EnrichSubscriber.Call(v.Context(), v.api, runapi.To(id, &api.EnrichSubscriberRequest{Again: v.PostForm.Has("again")}))
	if err != nil {
		return c.subscriber(v, err)
	}
	message := map[string]string{
		"started": "A lookup was ordered.", "open": "There is an open lookup already.",
		"same_mailbox": "Another address of the mailbox is looked up, or was: its result counts for this one, too, at no cost.",
		"reused":       "The result is young enough: it was used again, at no cost.",
		"in_flight":    "An earlier lookup is paid for, and its result still expected.", "suppressed": "The address is suppressed: nothing is looked up for it.",
		"unsubscribed":       "The person unsubscribed: nothing is looked up for them.",
		"recently_not_found": "FullEnrich did not find them lately: nothing was ordered.",
	}[done.Result]
	return v.goTo(under("/subscribers", id), firstOf(message, words(done.Result)))
}

func (c *Console) eraseSubscriber(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	person, err := api.GetSubscriber.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(v.PostForm.Get("email")), person.Email) {
		return c.subscriber(v, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity, Code: "not_confirmed",
			Detail: "nothing was erased: what was typed is not the person's address\n  Try: type it as it stands on the page"}})
	}
	still := " Which backups still hold them could not be found out: GET /api/v1/backups lists them all."
	if backups, err := api.ListBackups.Call(v.Context(), v.api, runapi.NoInput{}); err == nil { // else they are erased all the same
		still = heldBy(api.Holding(backups.Items, person.Since()))
	}
	if _, err := api.EraseSubscriber.Call(v.Context(), v.api,
		api.EraseRequest{IDPath: runapi.ID(id), Reason: v.PostForm.Get("reason"), Suppress: v.PostForm.Has("suppress")}); err != nil {
		return c.subscriber(v, err)
	}
	if v.PostForm.Has("suppress") {
		return v.goTo("/subscribers", "The person is erased and suppressed: nothing here names them any more, "+
			"and nobody brings them in again."+still)
	}
	return v.goTo("/subscribers", "The person is erased: nothing here names them any more."+still)
}

// heldBy names the backups that people who were erased are still in.
func heldBy(backups []string) string {
	if len(backups) == 0 {
		return ""
	}
	return " Backups that still hold them: " + strings.Join(backups, ", ") + "."
}

// spanWords are a time from one text to another, as a profile has them.
func spanWords(from, to string, current bool) string {
	from, to = monthWords(from), monthWords(to)
	switch {
	case from == "" && to == "":
		return ""
	case to == "" && current:
		return from + " to now"
	case to == "" || from == "":
		return firstOf(from, to)
	}
	return from + " to " + to
}

var yearMonth = regexp.MustCompile(`^(\d{4})(?:-(\d{1,2}))?(?:\D.*)?$`)

// monthWords make a month of a date as FullEnrich writes it, or a year; what is no date
// is nothing.
func monthWords(text string) string {
	m := yearMonth.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || m[1] < "1900" || m[1] > "2100" {
		return ""
	}
	if month, err := strconv.Atoi(m[2]); err == nil && month >= 1 && month <= 12 {
		return time.Month(month).String()[:3] + " " + m[1]
	}
	return m[1]
}

// level makes words of a constant such as NATIVE_OR_BILINGUAL.
func level(name string) string {
	if strings.ToUpper(name) == name {
		name = strings.ToLower(name)
	}
	return words(name)
}

// place names a place once, from the street to the country.
func place(p fullenrich.Address) string {
	var parts []string
	for _, part := range []string{p.City, p.Region, p.Country} {
		if part != "" && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return joined(", ", p.Line1, p.Line2)
	}
	return strings.Join(parts, ", ")
}

// side is what is known of something from both sides. Shown is the one that lists show.
type side struct{ Name, Stated, Found, Shown string }

// sides are those of which there is something.
func (v subscriberView) sides() (all []side) {
	var said api.Stated
	var found api.Found
	if v.Person.Stated != nil {
		said = *v.Person.Stated
	}
	if v.Person.Found != nil {
		found = *v.Person.Found
	}
	for _, s := range []side{
		{"Name", firstOf(said.FullName, joined(" ", said.FirstName, said.LastName)),
			firstOf(found.FullName, joined(" ", found.FirstName, found.LastName)), v.Person.NameFrom},
		{"Company", said.CompanyName, found.CompanyName, v.Person.CompanyFrom},
		{"Company’s domain", said.CompanyDomain, found.CompanyDomain, v.Person.CompanyFrom},
		{"LinkedIn", said.LinkedinURL, found.LinkedinURL, map[bool]string{true: "found", false: "stated"}[found.LinkedinURL != ""]},
	} {
		if s.Stated != "" || s.Found != "" {
			all = append(all, s)
		}
	}
	return all
}

// bothNamed says whether there are two names to compare.
func (v subscriberView) bothNamed() bool {
	all := v.sides()
	return len(all) > 0 && all[0].Name == "Name" && all[0].Stated != "" && all[0].Found != ""
}

// emailTypeWords say what an address is.
var emailTypeWords = map[string]string{"personal": "personal", "corporate": "work", "relay": "relay: it hides another one",
	"disposable": "disposable"}

// matchWords say whether both names are one person's.
var matchWords = map[string]string{"yes": "The names match.", "no": "The names do not match: it may be somebody else.",
	"unknown": "Whether the names match cannot be told."}

// joined puts what is there beside each other.
func joined(separator string, texts ...string) string {
	var there []string
	for _, t := range texts {
		if t != "" {
			there = append(there, t)
		}
	}
	return strings.Join(there, separator)
}
