package datastore

import (
	"cmp"
	"context"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const companyListing = 'o'

// companyPart is what those people of a company say who have one seniority.
type companyPart struct {
	of        liwanag.Company
	seniority string
	foundName string
}

// Companies gives a page of the companies of those who match, with the most people
// first, and the next page's cursor. ErrInvalidCursor.
func (s Subscribers) Companies(ctx context.Context, f liwanag.SubscriberFilter, p liwanag.Page) ([]liwanag.Company, string, error) {
	after, err := listing.KeyFrom(companyListing, 8, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	f.Sort = ""
	found, err := s.seek(ctx, f)
	if err != nil {
		return nil, "", err
	}
	from, _, w := subscriberWhere(s.r, found)
	w.and(`s.company_domain IS NOT NULL`)
	having := ``
	if after != nil {
		n, domain := w.bind(numberOf(after)), w.bind(string(after[8:]))
		having = ` HAVING count(*) < ` + n + ` OR (count(*) = ` + n + ` AND lower(s.company_domain) > ` + domain + `)`
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), func(r Row) (c liwanag.Company, err error) { return c, r.Scan(&c.Domain, &c.People) },
		`SELECT lower(s.company_domain), count(*) FROM `+from+w.String()+` GROUP BY lower(s.company_domain)`+having+
			` ORDER BY count(*) DESC, lower(s.company_domain) LIMIT `+w.bind(limit+1), w.args...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(c liwanag.Company) string {
		return listing.Cursor(companyListing, append(numberKey(c.People), c.Domain...))
	})
	return all, next, s.describe(ctx, found, all)
}

// describe fills companies in with what their people say.
func (s Subscribers) describe(ctx context.Context, f sought, all []liwanag.Company) error {
	if len(all) == 0 {
		return nil
	}
	var domains []string
	for _, c := range all {
		domains = append(domains, c.Domain)
	}
	from, _, w := subscriberWhere(s.r, f)
	w.and(`s.company_domain IS NOT NULL`)
	w.and(`lower(s.company_domain) = ANY($?::text[])`, wordsOf(s.in(ctx), domains))
	parts, err := list(s.in(ctx), func(r Row) (p companyPart, err error) {
		return p, r.Scan(&p.of.Domain, textTo(&p.seniority), &p.of.People, textTo(&p.foundName), textTo(&p.of.Name),
			textTo(&p.of.LinkedinURL), numberColumn{&p.of.Headcount}, textTo(&p.of.Industry), timeColumn{&p.of.NewestAt})
	}, `SELECT lower(s.company_domain), s.seniority, count(*), max(CASE WHEN s.enriched_at IS NOT NULL THEN s.company_name END),
		max(s.company_name), max(s.company_linkedin_url), max(s.headcount), max(s.industry), max(s.created_at) FROM `+from+w.String()+` GROUP BY lower(s.company_domain), s.seniority`, w.args...)
	if err != nil {
		return err
	}
	found := map[string]string{}
	for _, p := range parts {
		i := slices.Index(domains, p.of.Domain)
		if i < 0 {
			continue
		}
		c := &all[i]
		if c.Seniorities == nil {
			c.Seniorities = map[string]int64{}
		}
		if p.seniority != "" {
			c.Seniorities[p.seniority] = p.of.People
		}
		found[c.Domain] = max(found[c.Domain], p.foundName)
		c.Name, c.Industry = max(c.Name, p.of.Name), max(c.Industry, p.of.Industry)
		c.LinkedinURL = max(c.LinkedinURL, p.of.LinkedinURL)
		c.Headcount = max(c.Headcount, p.of.Headcount)
		if p.of.NewestAt.After(c.NewestAt) {
			c.NewestAt = p.of.NewestAt
		}
	}
	for i := range all {
		all[i].Name = cmp.Or(found[all[i].Domain], all[i].Name)
	}
	return nil
}
