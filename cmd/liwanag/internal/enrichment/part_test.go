package enrichment_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// golden are people as the release before kept them, and what they are afterwards.
// The result of all who have one is profileOfMara.
var golden = []struct {
	email    string
	enriched bool
	flat     map[string]any
	metadata string
	want     liwanag.Subscriber
}{
	{email: "said@gmail.com", flat: map[string]any{"first_name": "Ann", "full_name": "Ann Lee", "company_name": "n/a", "source": "blog"},
		metadata: `{"tags":["vip","x"],"timestamp":"2025-01-02T03:04:05Z","plan":"pro"}`,
		want: liwanag.Subscriber{Source: "blog", Sources: []string{"blog"}, Tags: liwanag.TagLists{"blog": {"vip", "x"}},
			SignedUpAt: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Metadata: json.RawMessage(`{"plan":"pro"}`),
			Stated: liwanag.Statement{FirstName: "Ann", FullName: "Ann Lee"}}},
	{email: "found@gmail.com", enriched: true, flat: map[string]any{"first_name": "Mara", "last_name": "Ilagan", "full_name": "Mara Ilagan",
		"company_name": "Bayan", "company_domain": "bayan.example", "job_title": "Poet", "headcount": 12},
		want: liwanag.Subscriber{Found: foundOfMara}},
	{email: "freelance@gmail.com", enriched: true, flat: map[string]any{"full_name": "Mara Ilagan", "company_name": "Freelance"},
		want: liwanag.Subscriber{Found: foundOfMara, Stated: liwanag.Statement{CompanyName: "Freelance"}}},
	{email: "dash@gmail.com", enriched: true, flat: map[string]any{"full_name": "-", "company_name": "n/a", "company_domain": "bayan.example"},
		want: liwanag.Subscriber{Found: foundOfMara}},
	{email: "kept@gmail.com", enriched: true, flat: map[string]any{"full_name": "Mara Ilagan", "linkedin_url": "https://linkedin.com/in/m"},
		metadata: `{"stated":{"fullName":"M. I.","linkedinUrl":"https://linkedin.com/in/m"}}`,
		want: liwanag.Subscriber{Found: foundOfMara,
			Stated: liwanag.Statement{FullName: "M. I.", LinkedinURL: "https://linkedin.com/in/m"}}},
	{email: "word@gmail.com", metadata: `{"stated":"yes","tags":"none"}`,
		want: liwanag.Subscriber{Metadata: json.RawMessage(`{"stated":"yes","tags":"none"}`)}},
}

const profileOfMara = `{"input":{"email":"x"},"profile":{"id":"1","first_name":"Mara","last_name":"Ilagan","full_name":"Mara Ilagan",
	"location":{"country":"Philippines","city":"Cebu"},
	"employment":{"current":{"title":"Poet","company":{"name":"Bayan","domain":"bayan.example","headcount":12}}}}}`

var foundOfMara = liwanag.Finding{FirstName: "Mara", LastName: "Ilagan", FullName: "Mara Ilagan", CompanyName: "Bayan",
	CompanyDomain: "bayan.example", JobTitle: "Poet", Headcount: 12, Location: "Cebu, Philippines", Country: "Philippines"}

// before are the migrations up to a version.
func before(t *testing.T, folder string, last int) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for n := 1; n <= last; n++ {
		found, err := filepath.Glob(fmt.Sprintf("%s/%05d_*.sql", folder, n))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		data, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(found[0])] = &fstest.MapFile{Data: data}
	}
	return files
}

// olderRows are golden, and many that only have a name, so that a piece does not do.
func olderRows(exec func(query string, args ...any) error) error {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	insert := func(email, metadata string, enriched bool, flat map[string]any) error {
		id := liwanag.NewID(liwanag.SubscriberKind).Bytes()
		columns, places := "id, email_key, email, email_type, created_at, updated_at", "$1, $2, $2, 'personal', $3, $3"
		args := []any{id, email, at.UnixMicro()}
		add := func(column string, value any) {
			args = append(args, value)
			columns, places = columns+", "+column, places+fmt.Sprintf(", $%d", len(args))
		}
		for column, value := range flat {
			add(column, value)
		}
		if metadata != "" {
			add("metadata", metadata)
		}
		if enriched {
			add("enriched_at", at.UnixMicro())
		}
		if err := exec(`INSERT INTO subscriber (`+columns+`) VALUES (`+places+`)`, args...); err != nil || !enriched {
			return err
		}
		return exec(`INSERT INTO profile VALUES ($1, $2)`, id, []byte(profileOfMara))
	}
	for i := range 2100 {
		if err := insert(fmt.Sprintf("p%d@gmail.com", i), "", false, map[string]any{"first_name": "Ann"}); err != nil {
			return err
		}
	}
	for _, g := range golden {
		if err := insert(g.email, g.metadata, g.enriched, g.flat); err != nil {
			return err
		}
	}
	return nil
}

func TestPeopleOfTheReleaseBeforeAreParted(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *datastore.Store{
		"sqlite":   func(t *testing.T) *datastore.Store { return olderSQLite(t, 5, olderRows) },
		"postgres": func(t *testing.T) *datastore.Store { return olderPostgreSQL(t, 4, olderRows) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, store, quiet := t.Context(), open(t), slog.New(slog.DiscardHandler)
			// It stops behind the first piece, and goes on.
			stop, pieces := errors.New("stopped"), 0
			broken := datastoretest.Watch(store, func() error {
				if pieces++; pieces > 1 {
					return stop
				}
				return nil
			}, nil)
			if err := enrichment.Part(ctx, broken, quiet); !errors.Is(err, stop) {
				t.Fatalf("%v", err)
			}
			if n := unparted(t, store); n != 2100+len(golden)-1000 {
				t.Errorf("%d are left after a piece", n)
			}
			for range 2 {
				if err := enrichment.Part(ctx, store, quiet); err != nil || unparted(t, store) != 0 {
					t.Fatal(err, unparted(t, store))
				}
			}
			for _, g := range golden {
				got, err := store.Subscribers.ByEmail(ctx, g.email)
				if err != nil {
					t.Fatal(err)
				}
				want := g.want
				want.Settle()
				if g.enriched {
					want.Found.At = got.EnrichedAt
				}
				if want.Stated != (liwanag.Statement{}) {
					want.Stated.At = got.CreatedAt
				}
				got = liwanag.Subscriber{Source: got.Source, Sources: got.Sources, Tags: got.Tags, SignedUpAt: got.SignedUpAt,
					Metadata: got.Metadata, Stated: got.Stated, Found: got.Found, Summary: got.Summary, NameMatches: got.NameMatches}
				if d := cmp.Diff(want, got, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); d != "" {
					t.Errorf("%s: %s", g.email, d)
				}
			}
		})
	}
}

func unparted(t *testing.T, store *datastore.Store) (n int) {
	t.Helper()
	if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
		left, err := tx.Subscribers.Unparted(5000)
		n = len(left)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// fill fills a database of an older version.
type fill func(exec func(query string, args ...any) error) error

func olderSQLite(t *testing.T, version int, rows fill) *datastore.Store {
	ctx := t.Context()
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(ctx, before(t, "../datastore/sqlite/migrations", version), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, func(tx *sqlitedb.Tx) error {
		return rows(func(query string, args ...any) error {
			_, err := tx.Exec(query, args...)
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.New(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func olderPostgreSQL(t *testing.T, version int, rows fill) *datastore.Store {
	ctx := t.Context()
	db, err := pgdb.Open(ctx, pgdb.Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Migrate(ctx, before(t, "../datastore/postgres/migrations", version), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := rows(func(query string, args ...any) error {
		_, err := db.Pool().Exec(context.Background(), query, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.New(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	return store
}
