package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// keys notes the idempotency key of every attempt, by run.
type keys struct {
	mu   sync.Mutex
	seen map[string][]string
}

// sending has a step that succeeds in its second attempt.
func (k *keys) sending() *workflow.Workflow[string] {
	wf := workflow.New[string]("sending")
	workflow.Step(wf, "send/mail", func(ctx context.Context, _ string) (string, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		info := workflow.InfoFrom(ctx)
		k.seen[info.RunID] = append(k.seen[info.RunID], info.IdempotencyKey)
		if info.Attempt == 1 {
			return "", errors.New("no answer")
		}
		return info.IdempotencyKey, nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Millisecond})
	return wf
}

// ends executes what a store holds, and a new run of each id, until these have ended.
func (k *keys) ends(t *testing.T, st store.Store, namespace string, old []string, started ...string) {
	t.Helper()
	k.seen = map[string][]string{}
	wf := k.sending()
	e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, id := range started {
		if err := wf.Start(ctx, e, id, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range append(old, started...) {
		for !describe(t, e, id).Status.Ended() {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (k *keys) are(t *testing.T, id string, want ...string) {
	t.Helper()
	if !slices.Equal(k.seen[id], want) {
		t.Errorf("the attempts of run %s have the keys %q, want %q", id, k.seen[id], want)
	}
}

// tried is a run whose first attempt failed under the release before.
const tried = `
INSERT INTO run (id, workflow, version, status, owner, token, due_at, seq, attempt, created_at, started_at, park_kind, park_step, park_since, input)
VALUES ('', 'sending', 1, 'open', 0, 2, 1795988533000000, 2, 1, 1795988532900000, 1795988532900000, 'retry', 'send/mail', 1795988532900000, '');
INSERT INTO history (run_id, seq, kind, step, attempt, at, started_at, started_seq, begins, next_at, reconciled, label, signals, failure)
VALUES ('', 2, 'retrying', 'send/mail', 1, 1795988532900000, 1795988532900000, 0, false, 1795988533000000, false, '', '[]',
	'{"step":"send/mail","reason":"error","message":"no answer","attempts":1}');`

// triedAs is tried with an id and an input as a database writes bytes.
func triedAs(id, input string) string {
	return strings.NewReplacer("('',", "("+id+",", ", '')", ", "+input+")").Replace(tried)
}

func TestAStepKeepsItsKeyWhenTheProgramIsUpgradedBetweenTwoAttempts(t *testing.T) {
	t.Parallel()
	upgraded := func(t *testing.T, st store.Store) {
		t.Helper()
		var k keys
		k.ends(t, st, "prod", []string{"a/b%"}, "c/d%", "e")
		k.are(t, "a/b%", "a/b%/send/mail") // its second attempt
		k.are(t, "c/d%", "/prod/c%2Fd%25/send%2Fmail", "/prod/c%2Fd%25/send%2Fmail")
		k.are(t, "e", "/prod/e/send%2Fmail", "/prod/e/send%2Fmail")
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := beforeOnSQLite(t, triedAs("X'00612f6225'", "X'227822'"))
		if pending, err := sqlite.Pending(t.Context(), path); err != nil || !strings.Contains(pending, "CREATE TABLE wf_upgrade") {
			t.Errorf("pending: %s, %v", pending, err)
		}
		st, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		upgraded(t, st)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := beforeOnPostgreSQL(t, triedAs(`'\x00612f6225'`, `'\x227822'`))
		if pending, err := (postgres.Config{URL: url}).Pending(t.Context()); err != nil || !strings.Contains(pending, "CREATE TABLE wf_upgrade") {
			t.Errorf("pending: %s, %v", pending, err)
		}
		if err := postgres.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		st, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		upgraded(t, st)
	})
}

func TestNoTwoDatabasesWithNamespacesHaveAKeyInCommon(t *testing.T) {
	t.Parallel()
	url, schemas := "", 0
	stores := map[string]func(t *testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return memory.New() },
		"sqlite": func(t *testing.T) store.Store {
			st, err := sqlite.Open(t.Context(), t.TempDir()+"/runs.db")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
			return st
		},
		"postgres": func(t *testing.T) store.Store {
			if schemas++; url == "" {
				url = pgtest.Database(t)
			}
			st, err := postgres.Config{URL: url, Schema: fmt.Sprint("jobs_", schemas)}.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
			return st
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			for namespace, want := range map[string]string{
				"": "a/send%2Fmail", "eu": "/eu/a/send%2Fmail", "eu/a": "/eu%2Fa/a/send%2Fmail",
			} {
				var k keys
				k.ends(t, open(t), namespace, nil, "a")
				k.are(t, "a", want, want)
			}
		})
	}
}

func TestARetryOfTheRunKeepsTheKeysOfItsSteps(t *testing.T) {
	var seen []string
	wf := workflow.New[string]("charging")
	workflow.Step(wf, "charge", func(ctx context.Context, _ string) (string, error) {
		if seen = append(seen, workflow.InfoFrom(ctx).IdempotencyKey); len(seen) == 1 {
			return "", workflow.Permanent(errors.New("declined"))
		}
		return "", nil
	})
	e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}, Namespace: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	until := func(want workflow.Status) {
		for describe(t, e, "a").Status != want {
			time.Sleep(time.Millisecond)
		}
	}
	if err := wf.Start(ctx, e, "a", "x"); err != nil {
		t.Fatal(err)
	}
	until(workflow.StatusFailed)
	if err := e.Retry(ctx, "a", ""); err != nil {
		t.Fatal(err)
	}
	until(workflow.StatusCompleted)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if want := []string{"/eu/a/charge", "/eu/a/charge"}; !slices.Equal(seen, want) {
		t.Errorf("the keys are %q, want %q", seen, want)
	}
}

func TestNamesThatNotEveryDatabaseKeepsAreFaultsOfTheConfiguration(t *testing.T) {
	wf := (&keys{}).sending()
	for _, name := range []string{"a\x00", "line\nline", "\x7f", "\xff", strings.Repeat("n", 201)} {
		for what, c := range map[string]engine.Config{"name": {Name: name}, "namespace": {Namespace: name}} {
			c.Store, c.Definitions = memory.New(), []workflow.Definition{wf}
			if _, err := engine.New(c); err == nil || !strings.Contains(err.Error(), "the "+what+" ") {
				t.Errorf("%s %.20q: %v", what, name, err)
			}
		}
	}
	if _, err := engine.New(engine.Config{Store: memory.New(), Name: strings.Repeat("ü", 100), Namespace: "eu/1"}); err != nil {
		t.Error(err)
	}
}
