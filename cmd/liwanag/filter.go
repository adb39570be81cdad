package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// subscriberFilter selects subscribers.
type subscriberFilter struct {
	View       string        `name:"view" placeholder:"NAME" help:"A saved view; the other flags come before what it says."`
	Status     string        `name:"status" enum:",none,pending,submitted,enriched,not_found,failed,canceled,held" default:"" help:"Of the latest lookup: none, pending, submitted, enriched, not_found, failed, canceled or held."`
	EmailType  string        `name:"email-type" enum:",personal,corporate,relay,disposable" default:"" help:"personal, corporate (work), relay or disposable."`
	Source     string        `name:"source" help:"Where they signed up."`
	Seniority  string        `name:"seniority" help:"As a lookup found it, such as Senior or VP; a comma separates alternatives."`
	Subscribed string        `name:"subscribed" enum:",true,false,any" default:"" help:"Whether they are still subscribed: true, false or any. Default: any, and true in an export."`
	JobTitle   string        `name:"job-title" help:"Part of the job title; a comma separates alternatives, such as founder,ceo."`
	Industry   string        `name:"industry" help:"Industry of the company, whole."`
	HeadMin    int64         `name:"headcount-min" help:"People at the company, at least."`
	HeadMax    int64         `name:"headcount-max" help:"People at the company, at most."`
	Country    string        `name:"country" help:"Country, as a lookup found it; a comma separates alternatives."`
	Domain     string        `name:"company-domain" help:"Domain of the company; a comma separates alternatives."`
	Linkedin   string        `name:"has-linkedin" enum:",true,false" default:"" help:"Whether a LinkedIn address is known: true or false."`
	Found      time.Duration `name:"found-since" help:"A result came within this time, such as 24h."`
	Metadata   []string      `name:"metadata" help:"KEY=TEXT that their metadata have. May be repeated." placeholder:"KEY=TEXT"`
	Tag        string        `name:"tag" help:"A tag of any sender."`
	Names      string        `name:"name-matches" enum:",yes,no,unknown" default:"" help:"Whether the found name is the stated one: yes, no or unknown."`
	SignedUp   time.Duration `name:"signed-up-since" help:"Signed up within this time, as the sender said, such as 720h."`
	Query      string        `name:"query" short:"q" help:"Words that begin words of address, name, title, company or industry."`
	Run        string        `name:"run" id:"run" help:"Looked up by this run."`
	Upload     string        `name:"upload" id:"upload" help:"Looked up for this upload."`
	Since      time.Duration `name:"since" help:"Signed up within this time, such as 24h."`
}

func (f *subscriberFilter) filter() api.SubscriberFilter {
	filter := api.SubscriberFilter{View: f.View, Status: f.Status, EmailType: f.EmailType, Source: f.Source, Seniority: f.Seniority,
		Subscribed: f.Subscribed, Q: f.Query, Tag: f.Tag, NameMatches: f.Names, JobTitle: f.JobTitle, Industry: f.Industry,
		HeadcountMin: f.HeadMin, HeadcountMax: f.HeadMax, Country: f.Country, CompanyDomain: f.Domain, HasLinkedin: f.Linkedin,
		RunID: f.Run, UploadID: f.Upload}
	for _, pair := range f.Metadata {
		if key, text, ok := strings.Cut(pair, "="); ok && key != "" {
			if filter.Metadata == nil {
				filter.Metadata = map[string]string{}
			}
			filter.Metadata[key] = text
		}
	}
	if f.Found > 0 {
		filter.FoundSince = time.Now().Add(-f.Found)
	}
	if f.SignedUp > 0 {
		filter.SignedUpSince = time.Now().Add(-f.SignedUp)
	}
	if f.Since > 0 {
		filter.Since = time.Now().Add(-f.Since)
	}
	return filter
}

// Validate refuses what is no pair: it would select everybody.
func (f *subscriberFilter) Validate() error {
	for _, pair := range f.Metadata {
		if key, text, ok := strings.Cut(pair, "="); !ok || key == "" || text == "" {
			return fmt.Errorf("--metadata %q is not of the form KEY=TEXT", pair)
		}
	}
	return nil
}

// subscriberOrder is the order of a listing.
type subscriberOrder struct {
	Sort  string `name:"sort" enum:",added,found,company,headcount" default:"" help:"In the order of: added, found, company or headcount. Default: added."`
	Order string `name:"order" enum:",asc,desc" default:"" help:"asc or desc. Default: desc, and asc for company."`
}

func (o subscriberOrder) order() api.SubscriberOrder {
	return api.SubscriberOrder{Sort: o.Sort, Order: o.Order}
}

func totalText(n int64, more bool) string {
	if more {
		return fmt.Sprintf("over %d match", n)
	}
	return fmt.Sprintf("%d match", n)
}
