package engine_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runnertest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// To connect costs more than most scenarios, so all of them share one database that is
// open twice: the others look at it from elsewhere.
func TestTheEngineKeepsTheRulesOfEveryRunnerOnPostgreSQL(t *testing.T) {
	t.Parallel()
	here, elsewhere := connected(t), connected(t)
	var schemas emptySchemas
	runnertest.Run(t, runnertest.Config{Second: 250 * time.Millisecond, Slack: 20 * time.Second,
		New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
			schema := schemas.take(t, here)
			n := nodeOn(t, inSchema(t, here, schema), engine.Config{Definitions: defs})
			t.Cleanup(func() { n.stop() })
			st := inSchema(t, elsewhere, schema)
			t.Cleanup(func() { _ = st.Close() })
			return runnertest.Harness{Runner: n, Elsewhere: onlySends(t, st), Restart: func() workflow.Runner {
				n.stop()
				n = nodeOn(t, inSchema(t, here, schema), engine.Config{Definitions: defs})
				return n
			}}
		}})
}

// emptySchemas are those that no test has now. Servers know their tables already.
type emptySchemas struct {
	mu   sync.Mutex
	made int
	free []string
}

// take is a schema without runs until the end of a test.
func (e *emptySchemas) take(t *testing.T, db *pgdb.DB) (name string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.free); n > 0 {
		name, e.free = e.free[n-1], e.free[:n-1]
	} else {
		e.made++
		name = fmt.Sprint("runs_", e.made)
	}
	t.Cleanup(func() {
		if _, err := db.Pool().Exec(context.Background(), `
			DO $$ DECLARE name text; BEGIN
				FOR name IN SELECT tablename FROM pg_tables
					WHERE schemaname = '`+name+`' AND tablename NOT IN ('wf_upgrade', 'wf_migrations') LOOP
					EXECUTE 'DELETE FROM `+name+`.' || name;
				END LOOP;
			END $$`); err != nil {
			t.Error(err)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.free = append(e.free, name)
	})
	return name
}

// connected is an open database of the cluster of these tests.
func connected(t *testing.T) *pgdb.DB {
	t.Helper()
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Shared(t).URL("postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// inSchema is a store in a schema of an open database.
func inSchema(t *testing.T, db *pgdb.DB, schema string) *postgres.Store {
	t.Helper()
	st, err := postgres.Config{Schema: schema}.Open(opened.With(context.Background(), db))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// node is an engine with a store of its own.
type node struct {
	*engine.Engine
	stop func()
}

// startNode starts an engine over a database; stop stops it as a deployment does.
func startNode(t *testing.T, url, name string, defs ...workflow.Definition) *node {
	t.Helper()
	return startLeased(t, url, name, 0, defs...)
}

func startLeased(t *testing.T, url, name string, lease time.Duration, defs ...workflow.Definition) *node {
	t.Helper()
	st, err := postgres.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	return nodeOn(t, st, engine.Config{Definitions: defs, Name: name, Lease: lease})
}

// nodeOn starts an engine over a store, and closes the store when it has stopped.
func nodeOn(t *testing.T, st *postgres.Store, c engine.Config) *node {
	t.Helper()
	c.Store = st
	e, err := engine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return &node{Engine: e, stop: func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}}
}
