package liwanag_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func TestWhatWasSaidAndWhatWasFoundDoNotEraseEachOther(t *testing.T) {
	found := liwanag.Summary{FirstName: "Ada", LastName: "Lovelace", FullName: "Ada Lovelace", CompanyName: "Analytical",
		CompanyDomain: "analytical.example", Headcount: 12}
	p := liwanag.Subscriber{Summary: liwanag.Summary{FullName: "ada l", CompanyName: "Freelance",
		CompanyDomain: "old.example"}, Metadata: json.RawMessage(`{"plan":"free"}`)}
	apply := func(s liwanag.Summary, at time.Time) bool {
		t.Helper()
		ok, err := p.Apply(liwanag.Enriched{Summary: s, ResultAt: at, At: at})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	merge := func(s liwanag.SignUp) {
		t.Helper()
		if err := p.Merge(s); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(summary liwanag.Summary, metadata string) {
		t.Helper()
		if p.Summary != summary || string(p.Metadata) != metadata {
			t.Errorf("shown is %+v with %s,\nwant %+v with %s", p.Summary, p.Metadata, summary, metadata)
		}
	}
	apply(found, noon)
	shows(found, `{"plan":"free","stated":{"fullName":"ada l","companyName":"Freelance","companyDomain":"old.example"}}`)

	merge(liwanag.SignUp{Summary: liwanag.Summary{FirstName: "A.", CompanyName: "Acme",
		LinkedinURL: "https://linkedin.com/in/a"}, At: noon.Add(time.Hour)})
	found.LinkedinURL = "https://linkedin.com/in/a" // the result names none
	shows(found, `{"plan":"free","stated":{"companyDomain":"old.example","companyName":"Acme","firstName":"A.","fullName":"ada l","linkedinUrl":"https://linkedin.com/in/a"}}`)

	if apply(liwanag.Summary{FullName: "Older"}, noon.Add(-time.Second)) {
		t.Error("an older result was applied")
	}
	moved := liwanag.Summary{FullName: "Ada King", CompanyName: "Engine"}
	apply(moved, noon.Add(time.Hour))
	moved.LinkedinURL = found.LinkedinURL
	shows(moved, `{"plan":"free","stated":{"companyDomain":"old.example","companyName":"Acme","firstName":"A.","fullName":"ada l","linkedinUrl":"https://linkedin.com/in/a"}}`)
}

func TestAnExportThatComesBackStatesNothingThatWasFound(t *testing.T) {
	p := liwanag.Subscriber{Summary: liwanag.Summary{FullName: "Ada Lovelace"}, EnrichedAt: noon,
		Metadata: json.RawMessage(`{"stated":{"firstName":"A."}}`)}
	if err := p.Merge(liwanag.SignUp{Summary: p.Summary, Found: true, Metadata: json.RawMessage(`{"stated":{"lastName":"L."}}`)}); err != nil {
		t.Fatal(err)
	}
	if got := string(p.Metadata); got != `{"stated":{"firstName":"A.","lastName":"L."}}` {
		t.Errorf("metadata is %s", got)
	}
	// Into an empty database, and looked up anew there.
	p.EnrichedAt = time.Time{}
	if _, err := p.Apply(liwanag.Enriched{Summary: liwanag.Summary{FullName: "Ada King"}, ResultAt: noon, At: noon}); err != nil {
		t.Fatal(err)
	}
	if got := string(p.Metadata); got != `{"stated":{"firstName":"A.","lastName":"L."}}` {
		t.Errorf("metadata is %s", got)
	}
}

func TestASenderWhoUsesTheNameStatedLosesNoPerson(t *testing.T) {
	p := liwanag.Subscriber{EnrichedAt: noon, Summary: liwanag.Summary{FirstName: "Ada"}}
	if err := p.Merge(liwanag.SignUp{Summary: liwanag.Summary{FirstName: "A."}, Metadata: json.RawMessage(`{"stated":"yes"}`)}); err != nil {
		t.Fatal(err)
	}
	if got := string(p.Metadata); got != `{"stated":{"firstName":"A."}}` || p.Summary.FirstName != "Ada" {
		t.Errorf("metadata is %s, shown %s", got, p.Summary.FirstName)
	}
}
