package demo

import (
	"context"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Progress counts a demo's lookups.
type Progress struct {
	Jobs      int64 // all
	Submitted int64 // sent, or over
	Final     int64 // over
	Held      int64 // waiting for an operator
}

// Resting says that nothing more happens by itself.
func (p Progress) Resting() bool { return p.Final+p.Held == p.Jobs }

// Progress counts the lookups.
func (d *Demo) Progress(ctx context.Context) (Progress, error) {
	counts, err := d.Store().Jobs.Count(ctx)
	if err != nil {
		return Progress{}, err
	}
	var p Progress
	for status, n := range counts {
		p.Jobs += n
		if !status.Open() {
			p.Final += n
		}
		if status != liwanag.JobPending {
			p.Submitted += n
		}
	}
	p.Held = counts[liwanag.JobHeld]
	return p, nil
}

// Person is a row of a demo's report.
type Person struct{ Name, Title, Company, Email string }

// Report is what a demo came to.
type Report struct {
	People                           []Person // the newest of those that were found
	SignUps                          int64
	Enriched, NotFound, Failed, Open int64
	Submissions                      int
	Credits                          int64 // as we know it

	// Accepted and Charged are what the simulator's ledger says it took from us:
	// contacts and credits. PaidTwice counts addresses it took more than once.
	Accepted  int
	Charged   int64
	PaidTwice int
}

// Report sums up, with up to people rows.
func (d *Demo) Report(ctx context.Context, people int) (Report, error) {
	var r Report
	counts, err := d.Store().Subscribers.Count(ctx)
	if err != nil {
		return r, err
	}
	for status, n := range counts {
		r.SignUps += n
		switch {
		case status == liwanag.JobEnriched:
			r.Enriched += n
		case status == liwanag.JobNotFound:
			r.NotFound += n
		case status.Open():
			r.Open += n
		case status != liwanag.NoJob:
			r.Failed += n
		}
	}
	found, _, err := d.Store().Subscribers.List(ctx, liwanag.SubscriberFilter{Status: liwanag.JobEnriched}, liwanag.Page{Limit: people})
	if err != nil {
		return r, err
	}
	for _, s := range found {
		r.People = append(r.People, Person{Name: s.Summary.FullName, Title: s.Summary.JobTitle, Company: s.Summary.CompanyName, Email: s.Email})
	}
	if err := d.sumSubmissions(ctx, &r); err != nil {
		return r, err
	}
	return r, d.sumLedger(ctx, &r)
}

func (d *Demo) sumSubmissions(ctx context.Context, r *Report) error {
	for page := (liwanag.Page{Limit: 500}); ; {
		subs, next, err := d.Store().Submissions.List(ctx, liwanag.SubmissionFilter{}, page)
		if err != nil {
			return err
		}
		for _, s := range subs {
			r.Credits += s.Credits
			if s.State != liwanag.SubmissionRefused {
				r.Submissions++
			}
		}
		if next == "" {
			return nil
		}
		page.Cursor = next
	}
}

func (d *Demo) sumLedger(ctx context.Context, r *Report) error {
	ledger, err := d.partner.Ledger(ctx)
	if err != nil {
		return fmt.Errorf("the simulator's ledger: %w", err)
	}
	r.Accepted, r.Charged = ledger.Totals.Records, ledger.Totals.Credits
	times := map[string]int{}
	for _, submission := range ledger.Submissions {
		for _, record := range submission.Records {
			if times[record.Email]++; times[record.Email] == 2 {
				r.PaidTwice++
			}
		}
	}
	return nil
}
