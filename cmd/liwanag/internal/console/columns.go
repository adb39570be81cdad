package console

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// peopleColumn is a column of people: of the list, and of files under the same name.
type peopleColumn struct {
	Name, Label string
	Shown       bool // unless columns are chosen
	OfFiles     bool // the list shows it otherwise
}

// peopleColumns are those that can be chosen, in the order of the list.
var peopleColumns = []peopleColumn{
	{"email", "E-mail address", false, true}, {"fullName", "Full name", false, true}, {"firstName", "First name", false, true},
	{"lastName", "Last name", false, true},
	{"enrichmentStatus", "Lookup", true, false}, {"jobTitle", "Job", true, false}, {"seniority", "Seniority", false, false},
	{"companyName", "Company", true, false}, {"companyDomain", "Company domain", false, false}, {"headcount", "Company size", false, false},
	{"industry", "Industry", false, false}, {"country", "Country", false, false}, {"location", "Location", false, false},
	{"linkedinUrl", "LinkedIn", false, false}, {"nameMatches", "Name matches", false, false}, {"emailType", "Address", false, false},
	{"source", "Source", true, false}, {"tags", "Tags", false, false}, {"signedUpAt", "Signed up", false, false},
	{"enrichedAt", "Found", false, false}, {"createdAt", "Added", true, false},
}

// listed are the parts of a text that commas separate.
func listed(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(all, part) {
			all = append(all, part)
		}
	}
	return all
}

// chosenColumns is an address without the fields of the form that chooses columns, and with what they say.
func chosenColumns(q url.Values) url.Values {
	chosen := q["column"]
	for _, key := range listed(q.Get("keys")) {
		chosen = append(chosen, metadataPrefix+strings.TrimPrefix(key, metadataPrefix))
	}
	for _, name := range []string{"choose", "column", "keys", "columns"} {
		q.Del(name)
	}
	if len(chosen) > 0 {
		q.Set("columns", strings.Join(chosen, ","))
	}
	for name := range q {
		if q.Get(name) == "" {
			q.Del(name)
		}
	}
	return q
}

// named are the columns that the address names, else its view; none: the usual ones.
func (s selection) named() []string {
	if names := listed(s.look.Get("columns")); len(names) > 0 || s.View == nil {
		return names
	}
	return s.View.Columns
}

// columns are those that the list shows, beside the person.
func (s selection) columns() (all []peopleColumn) {
	names := s.named()
	for _, c := range peopleColumns {
		if len(names) == 0 && c.Shown {
			all = append(all, c)
		}
	}
	for _, name := range names {
		at := slices.IndexFunc(peopleColumns, func(c peopleColumn) bool { return c.Name == name && !c.OfFiles })
		if key, member := strings.CutPrefix(name, metadataPrefix); member {
			all = append(all, peopleColumn{Name: name, Label: key})
		} else if at >= 0 {
			all = append(all, peopleColumns[at])
		}
	}
	return all
}

// shows says whether the list shows a column.
func (s selection) shows(name string) bool {
	return slices.ContainsFunc(s.columns(), func(c peopleColumn) bool { return c.Name == name })
}

// keys are the members of the metadata that the list shows.
func (s selection) keys() string {
	var keys []string
	for _, c := range s.columns() {
		if key, member := strings.CutPrefix(c.Name, metadataPrefix); member {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ", ")
}

// sortChoices are the orders; the first one is that of the view, if it has one.
func (s selection) sortChoices() []choice {
	all := []choice{{"", "Added"}, {"found", "Found"}, {"company", "Company"}, {"headcount", "Company size"}}
	if s.View != nil && s.View.Sort != "" && s.View.Sort != "added" {
		all[0].Text = "As the view"
		all = append(all, choice{"added", "Added"})
	}
	return all
}

var orderChoices = []choice{{"", "Usual"}, {"asc", "Ascending"}, {"desc", "Descending"}}

// sorted says for a table's head which way a column is sorted; empty when it is not.
func (s selection) sorted(column string) string {
	by, order := s.look.Get("sort"), s.look.Get("order")
	if s.View != nil && by == "" {
		by = s.View.Sort
		order = firstOf(order, s.View.Order)
	}
	by = firstOf(by, "added")
	if by != map[string]string{"createdAt": "added", "enrichedAt": "found", "companyName": "company", "headcount": "headcount"}[column] {
		return ""
	}
	if order == "asc" || order == "" && by == "company" {
		return "ascending"
	}
	return "descending"
}

// cellText is what a column that is plain text has for a person.
func cellText(p api.Subscriber, column string) string {
	if key, member := strings.CutPrefix(column, metadataPrefix); member {
		return memberText(p.Metadata, key)
	}
	switch column {
	case "jobTitle":
		return firstOf(p.JobTitle, p.Headline)
	case "headcount":
		if p.Headcount == 0 {
			return ""
		}
		return number(p.Headcount)
	case "tags":
		return strings.Join(p.Tags, ", ")
	case "emailType":
		return firstOf(optionWords[p.EmailType], p.EmailType)
	}
	return map[string]string{"seniority": p.Seniority, "companyName": p.CompanyName, "companyDomain": p.CompanyDomain, "industry": p.Industry,
		"country": p.Country, "location": p.Location, "nameMatches": p.NameMatches, "source": p.Source}[column]
}

// memberText is a member of a JSON object as text: what is no text, as JSON.
func memberText(object json.RawMessage, key string) string {
	var members map[string]json.RawMessage
	if len(object) == 0 || json.Unmarshal(object, &members) != nil || string(members[key]) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(members[key], &text) == nil {
		return text
	}
	return string(members[key])
}
