package liwanag

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Statement is what a person said of themselves, or a list of them. Empty means
// unknown.
type Statement struct {
	FirstName     string    `json:"firstName,omitempty"`
	LastName      string    `json:"lastName,omitempty"`
	FullName      string    `json:"fullName,omitempty"`
	CompanyName   string    `json:"companyName,omitempty"`
	CompanyDomain string    `json:"companyDomain,omitempty"`
	LinkedinURL   string    `json:"linkedinUrl,omitempty"`
	At            time.Time `json:"at,omitzero"` // the last time that something was said
}

// Finding is what a lookup found of a person. Empty and zero mean unknown.
type Finding struct {
	FirstName          string    `json:"firstName,omitempty"`
	LastName           string    `json:"lastName,omitempty"`
	FullName           string    `json:"fullName,omitempty"`
	CompanyName        string    `json:"companyName,omitempty"`
	CompanyDomain      string    `json:"companyDomain,omitempty"`
	LinkedinURL        string    `json:"linkedinUrl,omitempty"`
	JobTitle           string    `json:"jobTitle,omitempty"`
	Seniority          string    `json:"seniority,omitempty"`
	Headline           string    `json:"headline,omitempty"`
	Location           string    `json:"location,omitempty"`
	Country            string    `json:"country,omitempty"`
	CompanyLinkedinURL string    `json:"companyLinkedinUrl,omitempty"`
	Headcount          int64     `json:"headcount,omitempty"`
	Industry           string    `json:"industry,omitempty"`
	At                 time.Time `json:"at,omitzero"` // when it was applied
}

// Summary is what a listing shows of a person. Empty and zero mean unknown.
type Summary struct {
	FirstName, LastName, FullName string
	Headline, JobTitle, Seniority string
	LinkedinURL, Location         string
	Country                       string
	CompanyName, CompanyDomain    string
	CompanyLinkedinURL            string
	Headcount                     int64
	Industry                      string
}

// Side says where something shown is from.
type Side string

// The sides; none where nothing is known.
const (
	SideStated Side = "stated"
	SideFound  Side = "found"
)

// NameFrom is the side whose names are shown: what was found, else what was said.
func (p *Subscriber) NameFrom() Side {
	switch f, s := p.Found, p.Stated; {
	case f.FirstName+f.LastName+f.FullName != "":
		return SideFound
	case s.FirstName+s.LastName+s.FullName != "":
		return SideStated
	}
	return ""
}

// workDomain is what a work address says of the company.
func (p *Subscriber) workDomain() string {
	if p.EmailType != Corporate {
		return ""
	}
	return p.EmailKey[strings.LastIndexByte(p.EmailKey, '@')+1:]
}

// CompanyFrom is the side whose company is shown: the found one when it can be told
// which it is, else the stated one, of which a work address is a part.
func (p *Subscriber) CompanyFrom() Side {
	switch f, s := p.Found, p.Stated; {
	case f.CompanyName+f.CompanyDomain+f.CompanyLinkedinURL != "":
		return SideFound
	case s.CompanyName+s.CompanyDomain+p.workDomain() != "":
		return SideStated
	case f.Headcount != 0 || f.Industry != "":
		return SideFound
	}
	return ""
}

// Settle makes what is shown follow from what was said and found: all names are from
// one side, and so is all of the company. Half of each would be nobody's.
func (p *Subscriber) Settle() {
	f, s := p.Found, p.Stated
	p.Summary = Summary{Headline: f.Headline, JobTitle: f.JobTitle, Seniority: f.Seniority, Location: f.Location, Country: f.Country,
		LinkedinURL: cmp.Or(f.LinkedinURL, s.LinkedinURL)}
	shown := &p.Summary
	if p.NameFrom() == SideFound {
		shown.FirstName, shown.LastName, shown.FullName = f.FirstName, f.LastName, f.FullName
	} else {
		shown.FirstName, shown.LastName, shown.FullName = s.FirstName, s.LastName, s.FullName
	}
	shown.FullName = cmp.Or(shown.FullName, joinNames(shown.FirstName, shown.LastName))
	if p.CompanyFrom() == SideFound {
		shown.CompanyName, shown.CompanyDomain, shown.CompanyLinkedinURL = f.CompanyName, f.CompanyDomain, f.CompanyLinkedinURL
		shown.Headcount, shown.Industry = f.Headcount, f.Industry
	} else {
		shown.CompanyName, shown.CompanyDomain = s.CompanyName, cmp.Or(s.CompanyDomain, p.workDomain())
	}
	p.NameMatches = MatchNames(Names{s.FirstName, s.LastName, s.FullName}, Names{f.FirstName, f.LastName, f.FullName})
}

func joinNames(first, last string) string {
	if first == "" || last == "" {
		return first + last
	}
	return first + " " + last
}

// Merge takes a sign-up in. What it says replaces what was said before, field by
// field; of what was found it touches nothing. The first source and the earliest
// time of signing up stay. Metadata is merged by its top-level keys. An error of
// class Invalid when metadata is no JSON object.
func (p *Subscriber) Merge(s SignUp) (err error) {
	if p.Metadata, err = MergeMetadata(p.Metadata, s.Metadata); err != nil {
		return err
	}
	for _, source := range append([]string{s.Source}, s.Sources...) {
		if source != "" && !slices.Contains(p.Sources, source) && len(p.Sources) < maxSources {
			p.Sources = append(p.Sources, source)
		}
	}
	if len(p.Sources) > 0 {
		p.Source = p.Sources[0]
	}
	if s.Tags != nil {
		p.Tags = p.Tags.with(cmp.Or(s.TagsOf, s.Source), s.Tags, s.AddsTags)
	}
	if at := s.SignedUpAt; !at.IsZero() && (p.SignedUpAt.IsZero() || at.Before(p.SignedUpAt)) {
		p.SignedUpAt = at
	}
	was := p.Stated
	p.Stated.Add(s.Stated)
	if p.Stated != was || s.Stated != (Statement{}) {
		p.Stated.At = s.At
	}
	p.UpdatedAt = s.At
	p.Settle()
	return nil
}

// Add takes over what is said, field by field; of what is not said nothing changes.
func (s *Statement) Add(said Statement) {
	s.FirstName, s.LastName = cmp.Or(said.FirstName, s.FirstName), cmp.Or(said.LastName, s.LastName)
	s.FullName, s.LinkedinURL = cmp.Or(said.FullName, s.FullName), cmp.Or(said.LinkedinURL, s.LinkedinURL)
	s.CompanyName, s.CompanyDomain = cmp.Or(said.CompanyName, s.CompanyName), cmp.Or(said.CompanyDomain, s.CompanyDomain)
}

// Apply takes a result in, unless a newer one is there. What was said stays.
func (p *Subscriber) Apply(r Enriched) (applied bool) {
	if !p.ResultAt.IsZero() && (r.ResultAt.IsZero() || r.ResultAt.Before(p.ResultAt)) {
		return false
	}
	p.Found = r.Found
	p.Found.At = r.At
	p.UpdatedAt, p.EnrichedAt, p.ResultAt = r.At, r.At, r.ResultAt
	p.Settle()
	return true
}

// Bounds of what grows with every sender.
const (
	maxSources  = 100
	maxTagLists = 100
	maxTagsOf   = 1000
)

// TagLists are the tags of a person, a list for each sender that keeps one.
type TagLists map[string][]string

// All are the tags that people see: those of any sender, in alphabetical order.
func (t TagLists) All() []string {
	var all []string
	for _, list := range t {
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ByHand is a copy to whose operator's list tags are added, and from which others are
// taken away, whoever gave them; and whether it differs.
func (t TagLists) ByHand(add, remove []string) (TagLists, bool) {
	changed := t
	for sender, list := range t {
		if kept := slices.DeleteFunc(slices.Clone(list), func(tag string) bool { return slices.Contains(remove, tag) }); len(kept) < len(list) {
			changed = changed.with(sender, kept, false)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(add), func(tag string) bool { return slices.Contains(changed.All(), tag) })
	if len(missing) > 0 {
		changed = changed.with(ByOperator, missing, true)
	}
	return changed, !slices.Equal(changed.All(), t.All())
}

// with is a copy in which a sender's list is replaced, or has more.
func (t TagLists) with(sender string, tags []string, more bool) TagLists {
	changed := maps.Clone(t)
	if changed == nil {
		changed = TagLists{}
	}
	list := []string{}
	if more {
		list = slices.Clone(t[sender])
	}
	for _, tag := range tags {
		if !slices.Contains(list, tag) && len(list) < maxTagsOf {
			list = append(list, tag)
		}
	}
	if _, known := t[sender]; len(list) > 0 && (known || len(t) < maxTagLists) {
		changed[sender] = list
	} else {
		delete(changed, sender)
	}
	if len(changed) == 0 {
		return nil
	}
	return changed
}
