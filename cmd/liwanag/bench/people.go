package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// What answers about people may take at the 95th of a hundred: what an index serves, a search, and
// what looks at each of those that are left.
const (
	indexedGoal    = 20 * time.Millisecond
	millionSearch  = 50 * time.Millisecond
	unindexedGoal  = 150 * time.Millisecond
	peopleAtOnce   = 1000
	peopleOfABench = 100_000
)

// people fills a database with people of whom three in four were found, starts the
// program on it and measures searches, filters and orders, with and without a total.
func people(ctx context.Context, s settings) (err error) {
	n := cmp.Or(s.n, peopleOfABench)
	p, err := s.place(ctx, "people")
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := fillPeople(ctx, p, n); err != nil {
		return err
	}
	fmt.Printf("%d people, written in %s\n", n, time.Since(begun).Round(time.Second))
	served, err := s.serve(ctx, p, "http://127.0.0.1:1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, served.stop()) }()
	client := &http.Client{Timeout: 5 * time.Minute}
	searchGoal := indexedGoal
	if n > peopleOfABench {
		searchGoal = millionSearch
	}
	late := 0
	for _, group := range []struct {
		goal    time.Duration
		queries []string
	}{
		{searchGoal, []string{"q=mara", "q=ilagan+77", "q=mara+vp", "q=company+4999", "q=nobody+at+all", "q=person.77%40gmail.com",
			"q=acme&sort=company", "q=founder&country=japan", "q=mara&sort=headcount", "q=4"}},
		{indexedGoal, []string{"source=blog", "source=first", "source=webinar", "source=nowhere", "companyDomain=acme77.example",
			"foundSince=2026-01-01T00:00:00Z", "foundSince=2099-01-01T00:00:00Z", "subscribed=false", "subscribed=true", "country=germany",
			"country=nowhere", "country=nowhere,atlantis", "seniority=vp", "seniority=vp,founder&country=germany",
			"seniority=nobody,vp&source=nowhere", "source=blog&sort=company", "companyDomain=acme77.example&sort=headcount",
			"country=germany&source=first&order=asc"}},
		{unindexedGoal, []string{"jobTitle=engineer", "jobTitle=nothing", "industry=games", "industry=nothing", "headcountMin=50&headcountMax=500",
			"headcountMin=1000000", "tag=crm", "tag=nothing", "hasLinkedin=true", "hasLinkedin=false", "nameMatches=no", "metadata.utm=a",
			"metadata.utm=b", "metadata.n=7", "signedUpSince=2099-01-01T00:00:00Z", "emailType=corporate", "status=enriched", "status=none",
			"status=enriched&tag=nothing", "sort=company", "sort=headcount", "sort=found", "sort=company&tag=nothing", "total=true",
			"seniority=vp&total=true", "source=blog&total=true", "subscribed=true&total=true",
			"country=germany&seniority=vp,founder&headcountMin=50&headcountMax=500&total=true", "q=mara&total=true"}},
	} {
		for _, query := range group.queries {
			p95, err := look95(ctx, client, served.base, "/api/v1/subscribers?"+query)
			if err != nil {
				return err
			}
			if p95 > group.goal {
				late++
				fmt.Printf("  slower than %s\n", group.goal)
			}
		}
	}
	for _, path := range []string{"/api/v1/companies", "/api/v1/companies?country=germany", "/api/v1/companies/acme77.example"} {
		if _, err := look95(ctx, client, served.base, path); err != nil {
			return err
		}
	}
	fmt.Printf("%d queries took longer than they may\n", late)
	return nil
}

// fillPeople writes people in large pieces.
func fillPeople(ctx context.Context, p place, n int) (err error) {
	t, err := p.openTables(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	first := now().Add(-time.Duration(n) * time.Second)
	oldest := n / 5 // came in one list
	for at := 0; at < n; at += peopleAtOnce {
		var some crowd
		for i := at; i < min(at+peopleAtOnce, n); i++ {
			some.add(i, first.Add(time.Duration(i)*time.Second), i < oldest)
		}
		if err := t.app.Write(ctx, some.write); err != nil {
			return err
		}
	}
	for more := true; more; { // else the server does, and a search reads who is not in the index yet
		if err := t.app.Write(ctx, func(tx *datastore.Tx) error {
			n, err := tx.Subscribers.Index(peopleAtOnce)
			more = n == peopleAtOnce
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// crowd is people who come in one transaction.
type crowd struct {
	signUps []liwanag.SignUp
	found   []liwanag.Enriched
	jobs    []liwanag.Job
	left    []liwanag.ID
}

func (c *crowd) add(i int, when time.Time, oldest bool) {
	email := fmt.Sprintf("person.%d@gmail.com", i)
	s := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: email, Email: email, EmailType: liwanag.Personal,
		Source: []string{"blog", "launch", "fair"}[i%3], At: when, Metadata: json.RawMessage(fmt.Sprintf(`{"utm":"b","n":%d}`, i)),
		Stated: liwanag.Statement{FullName: fmt.Sprint("Mara Ilagan ", i)}}
	if oldest {
		s.Source = "first"
	}
	if i%10 == 0 {
		s.Tags = []string{"crm", "vip"}
	}
	if i%1000 == 7 {
		s.Sources = []string{"webinar"}
	}
	if i%50 == 9 {
		c.left = append(c.left, s.ID)
	}
	c.signUps = append(c.signUps, s)
	if i%4 != 3 {
		c.found = append(c.found, liwanag.Enriched{SubscriberID: s.ID, ResultAt: when, At: when, Profile: json.RawMessage(`{}`),
			Found: findingOf(i)})
		c.jobs = append(c.jobs, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: s.ID, Status: liwanag.JobEnriched,
			Credits: 1, CreatedAt: when, EndedAt: when})
	}
}

func (c *crowd) write(tx *datastore.Tx) error {
	_, err := tx.Subscribers.Upsert(c.signUps)
	if err == nil {
		_, err = tx.Subscribers.Enrich(c.found)
	}
	if err == nil {
		_, err = tx.Subscribers.Suppress(liwanag.Departure{IDs: c.left, At: now(), By: liwanag.ByOperator})
	}
	if err == nil {
		_, err = tx.Jobs.Insert(c.jobs)
	}
	return err
}

func findingOf(i int) liwanag.Finding {
	company := i % 5000
	return liwanag.Finding{FirstName: "Mara", LastName: fmt.Sprint("Ilagan ", i), FullName: fmt.Sprint("Mara Ilagan ", i),
		JobTitle:  []string{"VP Sales", "Founder", "Engineer", "Designer", "Engineer", "Analyst", "Clerk"}[i%7],
		Seniority: []string{"VP", "Founder", "Senior", "Entry", "Senior", "Manager", "Entry"}[i%7],
		Country:   []string{"Germany", "France", "Philippines", "United States", "Japan"}[i%5], Location: "Berlin, Germany",
		CompanyName: fmt.Sprint("Company ", company), CompanyDomain: fmt.Sprintf("acme%d.example", company), Headcount: int64(company%2000 + 1),
		Industry: []string{"Software Development", "Games", "Hospitals"}[i%3], LinkedinURL: fmt.Sprint("https://www.linkedin.com/in/mara-", i)}
}

// look95 asks for an answer a few times, and says and prints what all but the slowest took.
func look95(ctx context.Context, client *http.Client, base, path string) (time.Duration, error) {
	took := make([]time.Duration, looks)
	for i := range took {
		begun := time.Now()
		if _, err := read(ctx, client, base+path); err != nil {
			return 0, err
		}
		took[i] = time.Since(begun)
	}
	p95 := quantile(took, 0.95)
	fmt.Printf("%-100s p50 %s  p95 %s\n", path, quantile(took, 0.5), p95)
	return p95, nil
}
