package liwanag

import (
	"bytes"
	"cmp"
	"encoding/json"
)

// StatedKey is the member of a person's metadata that keeps what sign-ups said of
// somebody who has a result: an object with the JSON names of the fields.
const StatedKey = "stated"

// Merge takes a later sign-up in. Without a result a non-empty field replaces. With
// one it is only stated, and shown where the result says nothing: names are taken
// from one side, and so is what is known of the company. Metadata is merged by its
// top-level keys. An error of class Invalid when metadata is no JSON object.
func (p *Subscriber) Merge(s SignUp) error {
	stated, err := MergeMetadata(p.stated(), statedIn(s.Metadata))
	if err != nil {
		return err
	}
	if p.Metadata, err = MergeMetadata(p.Metadata, s.Metadata); err != nil {
		return err
	}
	p.Source, p.UpdatedAt = cmp.Or(s.Source, p.Source), s.At
	known := !p.EnrichedAt.IsZero()
	if (known || stated != nil) && !s.Found {
		if stated, err = MergeMetadata(stated, statementsOf(s.Summary)); err != nil {
			return err
		}
	}
	if known {
		p.Summary = oneSided(p.Summary, s.Summary)
	} else {
		p.Summary = fieldwise(s.Summary, p.Summary)
	}
	return p.state(stated)
}

// Apply takes a result in, unless a newer one is there. What had been said of the
// person until the first result stays as stated.
func (p *Subscriber) Apply(r Enriched) (applied bool, err error) {
	if !p.ResultAt.IsZero() && (r.ResultAt.IsZero() || r.ResultAt.Before(p.ResultAt)) {
		return false, nil
	}
	if p.EnrichedAt.IsZero() && p.stated() == nil {
		if err := p.state(statementsOf(p.Summary)); err != nil {
			return false, err
		}
	}
	p.Summary = oneSided(r.Summary, p.Summary)
	p.UpdatedAt, p.EnrichedAt, p.ResultAt = r.At, r.At, r.ResultAt
	return true, nil
}

func (p *Subscriber) stated() json.RawMessage { return statedIn(p.Metadata) }

// statedIn is nil when the metadata has no such object.
func statedIn(metadata json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if len(metadata) == 0 || json.Unmarshal(metadata, &members) != nil || !bytes.HasPrefix(members[StatedKey], []byte("{")) {
		return nil
	}
	return members[StatedKey]
}

func (p *Subscriber) state(stated json.RawMessage) (err error) {
	if stated == nil {
		return nil
	}
	member, err := json.Marshal(map[string]json.RawMessage{StatedKey: stated})
	if err == nil {
		p.Metadata, err = MergeMetadata(p.Metadata, member)
	}
	return err
}

// statementsOf are the fields that a person can state, nil without any.
func statementsOf(s Summary) json.RawMessage {
	fields := struct {
		FirstName     string `json:"firstName,omitempty"`
		LastName      string `json:"lastName,omitempty"`
		FullName      string `json:"fullName,omitempty"`
		CompanyName   string `json:"companyName,omitempty"`
		CompanyDomain string `json:"companyDomain,omitempty"`
		LinkedinURL   string `json:"linkedinUrl,omitempty"`
	}{s.FirstName, s.LastName, s.FullName, s.CompanyName, s.CompanyDomain, s.LinkedinURL}
	raw, err := json.Marshal(fields)
	if err != nil || string(raw) == "{}" {
		return nil
	}
	return raw
}

// fieldwise takes each field from the first that has it.
func fieldwise(a, b Summary) Summary {
	return Summary{
		FirstName: cmp.Or(a.FirstName, b.FirstName), LastName: cmp.Or(a.LastName, b.LastName), FullName: cmp.Or(a.FullName, b.FullName),
		Headline: cmp.Or(a.Headline, b.Headline), JobTitle: cmp.Or(a.JobTitle, b.JobTitle), Seniority: cmp.Or(a.Seniority, b.Seniority),
		LinkedinURL: cmp.Or(a.LinkedinURL, b.LinkedinURL), Location: cmp.Or(a.Location, b.Location),
		CompanyName: cmp.Or(a.CompanyName, b.CompanyName), CompanyDomain: cmp.Or(a.CompanyDomain, b.CompanyDomain),
		CompanyLinkedinURL: cmp.Or(a.CompanyLinkedinURL, b.CompanyLinkedinURL),
		Headcount:          cmp.Or(a.Headcount, b.Headcount), Industry: cmp.Or(a.Industry, b.Industry),
	}
}

// oneSided is fieldwise, but for the names and for the company: of these, all fields
// are from the first that has any. Half of each would be nobody's.
func oneSided(a, b Summary) Summary {
	if a.FirstName+a.LastName+a.FullName != "" {
		b.FirstName, b.LastName, b.FullName = "", "", ""
	}
	if a.CompanyName+a.CompanyDomain+a.CompanyLinkedinURL+a.Industry != "" || a.Headcount != 0 {
		b.CompanyName, b.CompanyDomain, b.CompanyLinkedinURL, b.Industry, b.Headcount = "", "", "", "", 0
	}
	return fieldwise(a, b)
}
