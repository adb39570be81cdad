package enrichment_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// olderWords are people of a release that knew no words.
func olderWords(insert func(string, ...any) error) error {
	for i := range 1100 {
		id, address := liwanag.NewID(liwanag.SubscriberKind), fmt.Sprintf("p%d@gmail.com", i)
		if err := insert(`INSERT INTO subscriber (id, email_key, email, email_type, created_at, updated_at, mailbox, parted, full_name, job_title, company_name)
			VALUES ($1, $2, $2, 'personal', 1, 1, $2, '1', 'Mara Ilagan', 'Head of Growth', 'Élan')`, id.Bytes(), address); err != nil {
			return err
		}
	}
	return nil
}

func TestPeopleOfTheReleaseBeforeAreFoundByTheirWords(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *datastore.Store{
		"sqlite":   func(t *testing.T) *datastore.Store { return olderSQLite(t, 14, olderWords) },
		"postgres": func(t *testing.T) *datastore.Store { return olderPostgreSQL(t, 13, olderWords) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, store, quiet := t.Context(), open(t), slog.New(slog.DiscardHandler)
			total := func(query string) int64 {
				n, err := store.Subscribers.Total(ctx, liwanag.SubscriberFilter{Query: query}, 5000)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			stop, pieces := errors.New("stopped"), 0
			broken := datastoretest.Watch(store, func() error {
				if pieces++; pieces > 1 {
					return stop
				}
				return nil
			}, nil)
			if err := enrichment.Word(ctx, broken, quiet); !errors.Is(err, stop) {
				t.Fatalf("%v", err)
			}
			if n := total("ilagan growth elan"); n != 1000 {
				t.Errorf("%d people are found after the first piece", n)
			}
			for range 2 {
				if err := enrichment.Word(ctx, store, quiet); err != nil {
					t.Fatal(err)
				}
			}
			for query, want := range map[string]int64{"ilagan growth elan": 1100, "p1099 gmail": 1, "lagan": 0} {
				if n := total(query); n != want {
					t.Errorf("%q finds %d people, want %d", query, n, want)
				}
			}
		})
	}
}
