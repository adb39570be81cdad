package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
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
	t.Parallel()
	// Each in a schema of its own, where search_path leads to tables of others with the
	// same names.
	url := pgtest.Database(t)
	pgtest.Shared(t).Exec(t, pgtest.Name(url), `
		CREATE SCHEMA others;
		CREATE TABLE others.wf_run (theirs integer); CREATE TABLE others.wf_history (theirs integer);
		CREATE TABLE others.wf_signal (theirs integer); CREATE TABLE others.wf_node (theirs integer);
		ALTER DATABASE `+pgtest.Name(url)+` SET search_path = others`)
	var schemas atomic.Int64
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Store { return openIn(t, url, fmt.Sprint(ours, schemas.Add(1))) },
		Close: func(t *testing.T, s store.Store) {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
		},
		Restart: func(t *testing.T, s store.Store) store.Store {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
			again := another(t, s)
			expire(t, again)
			return again
		},
		Another: func(t *testing.T, s store.Store) store.Store { return another(t, s) },
		// What no index takes, and what no text takes, fails the group it is in.
		Neighbors: map[string]func(context.Context, store.Store) error{
			"signal whose id is too long":   poison(noise(10_000)),
			"signal whose id is not a text": poison("a\x00b"),
		},
		FillDisk: fillDisk,
	})
}

// ours begins the name of a schema as nobody should name one.
const ours = `Runs "of" O'ur.s `

// another is a store of its own in the schema of one.
func another(t *testing.T, s store.Store) *Store {
	return openIn(t, urlOf(s), s.(*Store).schema.name)
}

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

var disks atomic.Int64

// fillDisk lets the server refuse rows as it does when it has no space for them.
func fillDisk(t *testing.T, s store.Store) (free func()) {
	full := fmt.Sprint("others.full_disk_", disks.Add(1))
	exec(t, s.(*Store), `
		CREATE FUNCTION `+full+`() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$`)
	for _, table := range []string{"wf_run", "wf_history"} {
		exec(t, s.(*Store), "CREATE TRIGGER full_disk BEFORE INSERT ON "+table+" FOR EACH ROW EXECUTE FUNCTION "+full+"()")
	}
	return func() { exec(t, s.(*Store), "DROP FUNCTION "+full+" CASCADE") }
}
