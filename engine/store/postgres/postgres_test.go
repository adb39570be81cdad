package postgres

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/storetest"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t testing.TB, url string) *Store { return openIn(t, url, "") }

func openIn(t testing.TB, url, schema string) *Store {
	t.Helper()
	s, err := Config{URL: url, Schema: schema}.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// exec runs a statement beside the store.
func exec(t testing.TB, s *Store, query string, args ...any) {
	t.Helper()
	if _, err := s.db.Pool().Exec(context.Background(), s.schema.qualify(query), args...); err != nil {
		t.Fatal(err)
	}
}

// expire ends the lease of every node, as time does.
func expire(t testing.TB, s *Store) {
	t.Helper()
	exec(t, s, "UPDATE wf_node SET expires = clock_timestamp()")
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		// In a schema of its own, where search_path leads to tables of others with
		// the same names.
		Open: func(t *testing.T) store.Store {
			url := pgtest.Database(t)
			pgtest.Shared(t).Exec(t, pgtest.Name(url), `
				CREATE SCHEMA others;
				CREATE TABLE others.wf_run (theirs integer); CREATE TABLE others.wf_history (theirs integer);
				CREATE TABLE others.wf_signal (theirs integer); CREATE TABLE others.wf_node (theirs integer);
				ALTER DATABASE `+pgtest.Name(url)+` SET search_path = others`)
			return openIn(t, url, ours)
		},
		Close: func(t *testing.T, s store.Store) {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
		},
		Restart: func(t *testing.T, s store.Store) store.Store {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
			again := openIn(t, urlOf(s), ours)
			expire(t, again)
			return again
		},
		Another: func(t *testing.T, s store.Store) store.Store { return openIn(t, urlOf(s), ours) },
		// What no index takes, and what no text takes, fails the group it is in.
		Neighbors: map[string]func(context.Context, store.Store) error{
			"signal whose id is too long":   poison(noise(10_000)),
			"signal whose id is not a text": poison("a\x00b"),
		},
		FillDisk: fillDisk,
	})
}

// ours is a schema as nobody should name one.
const ours = `Runs "of" O'ur.s`

// noise is a text that does not compress.
func noise(length int) string {
	var b strings.Builder
	for b.Len() < length {
		b.WriteString(rand.Text())
	}
	return b.String()
}

func urlOf(s store.Store) string { return s.(*Store).db.Pool().Config().ConnString() }

func poison(signalID string) func(context.Context, store.Store) error {
	return func(ctx context.Context, s store.Store) error {
		id := "poisoned-" + rand.Text()
		if err := s.Create(ctx, store.Run{ID: id, Workflow: "w", Version: 1, Seq: 1}); err != nil {
			return nil
		}
		_, err := s.Deliver(ctx, id, workflow.Signal{ID: signalID, Event: "e"}, time.Now())
		return err
	}
}

// fillDisk lets the server refuse rows as it does when it has no space for them.
func fillDisk(t *testing.T, s store.Store) (free func()) {
	exec(t, s.(*Store), `
		CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$`)
	for _, table := range []string{"wf_run", "wf_history"} {
		exec(t, s.(*Store), "CREATE TRIGGER full_disk BEFORE INSERT ON "+table+" FOR EACH ROW EXECUTE FUNCTION full_disk()")
	}
	return func() { exec(t, s.(*Store), "DROP FUNCTION full_disk CASCADE") }
}
