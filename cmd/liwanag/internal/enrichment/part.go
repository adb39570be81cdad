package enrichment

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// BringUp does what the migrations of a database cannot: it goes on where it stopped, and has to be
// done before anything else is written.
func BringUp(ctx context.Context, store *datastore.Store, log *slog.Logger) error {
	if err := Part(ctx, store, log); err != nil {
		return err
	}
	if err := Box(ctx, store, log); err != nil {
		return err
	}
	return Word(ctx, store, log)
}

// partPiece is how many people are parted in one transaction.
const partPiece = 1000

// Part sets apart what was said of people and what was found, where an earlier
// release kept both in one place. It goes on where it stopped, and has to be done
// before anything else is written. Nobody is left when it returns nil.
func Part(ctx context.Context, store *datastore.Store, log *slog.Logger) error {
	for parted := 0; ; {
		n := 0
		err := store.Write(ctx, func(tx *datastore.Tx) error {
			rows, err := tx.Subscribers.Unparted(partPiece)
			if n = len(rows); err != nil || n == 0 {
				return err
			}
			people := make([]liwanag.Subscriber, n)
			for i, row := range rows {
				people[i] = parting(row)
			}
			return tx.Subscribers.Part(people)
		})
		if err != nil {
			return fmt.Errorf("enrichment: what was said of people is set apart from what was found, which goes on where it stopped: %w", err)
		}
		if n == 0 {
			if parted > 0 {
				log.InfoContext(ctx, "what was said of people stands apart from what was found", "people", parted)
			}
			return nil
		}
		parted += n
	}
}

// parting reads one person. What was found is what the profile says; what the
// columns say otherwise was said, if it says anything, as was what their metadata
// kept as stated.
func parting(row datastore.Unparted) liwanag.Subscriber {
	p := row.Person
	if profile := profileOf(row.Profile); profile != nil {
		p.Found = findingOf(profile)
	} else if !p.EnrichedAt.IsZero() { // paid for, though its profile cannot be read
		p.Found = shownOf(p.Summary)
	}
	if p.Found != (liwanag.Finding{}) {
		p.Found.At = p.EnrichedAt
	}
	p.Stated = saidOtherwise(p.Summary, p.Found)
	p.Metadata = movedOut(p.Metadata, &p)
	if p.Stated != (liwanag.Statement{}) {
		p.Stated.At = p.CreatedAt
	}
	p.Settle()
	return p
}

// profileOf reads a record as it was kept; nil when it says nothing.
func profileOf(record []byte) *fullenrich.Profile {
	if len(record) == 0 {
		return nil
	}
	whole, err := json.Marshal(map[string]any{"id": "kept", "status": fullenrich.StatusFinished, "data": []json.RawMessage{record}})
	if err != nil {
		return nil
	}
	result, err := fullenrich.ParseResult(whole)
	if err != nil || len(result.Data) != 1 || result.Data[0].Err != nil || !result.Data[0].Profile.Found() {
		return nil
	}
	return result.Data[0].Profile
}

func shownOf(s liwanag.Summary) liwanag.Finding {
	return liwanag.Finding{FirstName: s.FirstName, LastName: s.LastName, FullName: s.FullName, CompanyName: s.CompanyName,
		CompanyDomain: s.CompanyDomain, LinkedinURL: s.LinkedinURL, JobTitle: s.JobTitle, Seniority: s.Seniority, Headline: s.Headline,
		Location: s.Location, CompanyLinkedinURL: s.CompanyLinkedinURL, Headcount: s.Headcount, Industry: s.Industry}
}

// saidOtherwise is what the columns say and the result does not.
func saidOtherwise(s liwanag.Summary, f liwanag.Finding) liwanag.Statement {
	otherwise := func(shown, found string) string {
		if shown == found || liwanag.IsNoName(shown) {
			return ""
		}
		return shown
	}
	return liwanag.Statement{FirstName: otherwise(s.FirstName, f.FirstName), LastName: otherwise(s.LastName, f.LastName),
		FullName: otherwise(s.FullName, f.FullName), CompanyName: otherwise(s.CompanyName, f.CompanyName),
		CompanyDomain: otherwise(s.CompanyDomain, f.CompanyDomain), LinkedinURL: otherwise(s.LinkedinURL, f.LinkedinURL)}
}

// movedOut takes out of the metadata what has a place of its own by now.
func movedOut(metadata json.RawMessage, p *liwanag.Subscriber) json.RawMessage {
	var members map[string]json.RawMessage
	if len(metadata) == 0 || json.Unmarshal(metadata, &members) != nil {
		return metadata
	}
	before := len(members)
	move := func(name string, into any, take func()) {
		if raw, there := members[name]; there && json.Unmarshal(raw, into) == nil {
			take()
			delete(members, name)
		}
	}
	var said liwanag.Statement
	move("stated", &said, func() { p.Stated.Add(said) })
	var tags []string
	move("tags", &tags, func() {
		if len(tags) > 0 {
			p.Tags = liwanag.TagLists{p.Source: tags}
		}
	})
	var at *time.Time
	move("timestamp", &at, func() {
		if at != nil {
			p.SignedUpAt = at.UTC()
		}
	})
	switch len(members) {
	case before:
		return metadata
	case 0:
		return nil
	}
	kept, err := json.Marshal(members)
	if err != nil {
		return metadata
	}
	return kept
}
