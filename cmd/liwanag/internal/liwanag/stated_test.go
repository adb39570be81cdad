package liwanag_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func merge(t *testing.T, p *liwanag.Subscriber, all ...liwanag.SignUp) {
	t.Helper()
	for _, s := range all {
		if err := p.Merge(s); err != nil {
			t.Fatal(err)
		}
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s:\n%s", what, d)
	}
}

func TestWhatWasSaidAndWhatWasFoundStandApart(t *testing.T) {
	var p liwanag.Subscriber
	merge(t, &p, liwanag.SignUp{Stated: liwanag.Statement{FirstName: "ada", LastName: "l", CompanyName: "Freelance"}, At: noon})
	same(t, "shown", liwanag.Summary{FirstName: "ada", LastName: "l", FullName: "ada l", CompanyName: "Freelance"}, p.Summary)
	found := liwanag.Finding{FirstName: "Ada", LastName: "Lovelace", FullName: "Ada Lovelace", CompanyName: "Analytical", Headcount: 12,
		JobTitle: "Poet"}
	if !p.Apply(liwanag.Enriched{Found: found, ResultAt: noon, At: noon.Add(time.Hour)}) {
		t.Error("the result was not applied")
	}
	merge(t, &p, liwanag.SignUp{Stated: liwanag.Statement{CompanyName: "Acme", LinkedinURL: "https://linkedin.com/in/a"},
		At: noon.Add(2 * time.Hour)})
	if p.Apply(liwanag.Enriched{Found: liwanag.Finding{FullName: "Older"}, ResultAt: noon.Add(-time.Second), At: noon.Add(3 * time.Hour)}) {
		t.Error("an older result was applied")
	}
	same(t, "stated", liwanag.Statement{FirstName: "ada", LastName: "l", CompanyName: "Acme", LinkedinURL: "https://linkedin.com/in/a",
		At: noon.Add(2 * time.Hour)}, p.Stated)
	found.At = noon.Add(time.Hour)
	same(t, "found", found, p.Found)
	same(t, "shown", liwanag.Summary{FirstName: "Ada", LastName: "Lovelace", FullName: "Ada Lovelace",
		CompanyName: "Analytical", Headcount: 12,
		JobTitle: "Poet", LinkedinURL: "https://linkedin.com/in/a"}, p.Summary)
}

func TestNamesAndCompanyAreEachFromOneSide(t *testing.T) {
	type side = liwanag.Side
	const none, stated, found = side(""), liwanag.SideStated, liwanag.SideFound
	said := liwanag.Statement{FirstName: "Ann", CompanyName: "Acme", CompanyDomain: "acme.example"}
	for name, c := range map[string]struct {
		stated        liwanag.Statement
		found         liwanag.Finding
		names, firm   side
		full, company string
	}{
		"nothing":          {liwanag.Statement{}, liwanag.Finding{}, none, none, "", ""},
		"said only":        {said, liwanag.Finding{}, stated, stated, "Ann", "Acme"},
		"a name was found": {said, liwanag.Finding{LastName: "Lee"}, found, stated, "Lee", "Acme"},
		"a domain":         {said, liwanag.Finding{CompanyDomain: "lee.example"}, stated, found, "Ann", ""},
		"only how large":   {said, liwanag.Finding{Headcount: 7}, stated, stated, "Ann", "Acme"},
		"nothing else":     {liwanag.Statement{}, liwanag.Finding{Industry: "Tea"}, none, found, "", ""},
	} {
		p := liwanag.Subscriber{Stated: c.stated, Found: c.found}
		p.Settle()
		if p.NameFrom() != c.names || p.CompanyFrom() != c.firm || p.Summary.FullName != c.full || p.Summary.CompanyName != c.company {
			t.Errorf("%s: names from %q, company from %q: %+v", name, p.NameFrom(), p.CompanyFrom(), p.Summary)
		}
		if p.CompanyFrom() == stated && p.Summary.Headcount != 0 {
			t.Errorf("%s: a stated company has the size of another", name)
		}
	}
}

func TestTheFirstSourceAndTheEarliestTimeStay(t *testing.T) {
	var p liwanag.Subscriber
	merge(t, &p, liwanag.SignUp{At: noon}, liwanag.SignUp{Source: "blog", SignedUpAt: noon, At: noon},
		liwanag.SignUp{Source: "webinar", SignedUpAt: noon.Add(-time.Hour), At: noon},
		liwanag.SignUp{Source: "blog", SignedUpAt: noon.Add(time.Hour)})
	if p.Source != "blog" || !p.SignedUpAt.Equal(noon.Add(-time.Hour)) {
		t.Errorf("source %q, signed up at %v", p.Source, p.SignedUpAt)
	}
	same(t, "sources", []string{"blog", "webinar"}, p.Sources)
}

func TestASenderReplacesItsTagsAndAFileAdds(t *testing.T) {
	var p liwanag.Subscriber
	merge(t, &p, liwanag.SignUp{Source: "ghost", Tags: []string{"vip", "weekly"}},
		liwanag.SignUp{Source: "file", Tags: []string{"vip"}, AddsTags: true},
		liwanag.SignUp{Source: "file", Tags: []string{"cold", "vip"}, AddsTags: true}, liwanag.SignUp{Source: "ghost"})
	same(t, "tags", []string{"cold", "vip", "weekly"}, p.Tags.All())
	merge(t, &p, liwanag.SignUp{Source: "ghost", Tags: []string{"monthly"}})
	same(t, "tags", []string{"cold", "monthly", "vip"}, p.Tags.All())
	merge(t, &p, liwanag.SignUp{Source: "ghost", Tags: []string{}}, liwanag.SignUp{TagsOf: "src_1", Source: "file", Tags: []string{"x"}})
	same(t, "tags", liwanag.TagLists{"file": {"vip", "cold"}, "src_1": {"x"}}, p.Tags)
}

func TestMetadataIsMerged(t *testing.T) {
	p := liwanag.Subscriber{Metadata: json.RawMessage(`{"a":1,"b":1}`)}
	merge(t, &p, liwanag.SignUp{Metadata: json.RawMessage(`{"b":2,"c":3}`)})
	if string(p.Metadata) != `{"a":1,"b":2,"c":3}` {
		t.Errorf("%s", p.Metadata)
	}
	if err := p.Merge(liwanag.SignUp{Metadata: json.RawMessage(`[]`)}); liwanag.ClassOf(err) != liwanag.Invalid {
		t.Errorf("a list as metadata: %v", err)
	}
}

func TestAWorkAddressSaysWhichCompanyItIs(t *testing.T) {
	work := func(s liwanag.Statement, f liwanag.Finding) liwanag.Subscriber {
		return liwanag.Subscriber{EmailKey: "m@acme.example", EmailType: liwanag.Corporate, Stated: s, Found: f}
	}
	for name, c := range map[string]struct {
		p      liwanag.Subscriber
		domain string
		from   liwanag.Side
	}{
		"nothing else is known": {work(liwanag.Statement{}, liwanag.Finding{}), "acme.example", liwanag.SideStated},
		"a name was said":       {work(liwanag.Statement{CompanyName: "Acme"}, liwanag.Finding{}), "acme.example", liwanag.SideStated},
		"a domain was said":     {work(liwanag.Statement{CompanyDomain: "b.example"}, liwanag.Finding{}), "b.example", liwanag.SideStated},
		"a company was found":   {work(liwanag.Statement{}, liwanag.Finding{CompanyName: "Bayan"}), "", liwanag.SideFound},
		"a personal address":    {liwanag.Subscriber{EmailKey: "m@gmail.com", EmailType: liwanag.Personal}, "", ""},
		"a relay":               {liwanag.Subscriber{EmailKey: "m@relay.example", EmailType: liwanag.Relay}, "", ""},
	} {
		c.p.Settle()
		if c.p.Summary.CompanyDomain != c.domain || c.p.CompanyFrom() != c.from {
			t.Errorf("%s: %q from %q", name, c.p.Summary.CompanyDomain, c.p.CompanyFrom())
		}
	}
}
