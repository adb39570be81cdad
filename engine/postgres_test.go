package engine_test

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runnertest"
)

// Most of a test in real time is waiting, which needs no processor.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m))
}

func TestTheEngineKeepsTheRulesOfEveryRunnerOnPostgreSQL(t *testing.T) {
	runnertest.Run(t, runnertest.Config{Second: 250 * time.Millisecond,
		New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
			url := pgtest.Schema(t)
			n := startNode(t, url, "", defs...)
			t.Cleanup(func() { n.stop() })
			st, err := postgres.Open(context.Background(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return runnertest.Harness{Runner: n, Elsewhere: onlySends(t, st), Restart: func() workflow.Runner {
				n.stop()
				n = startNode(t, url, "", defs...)
				return n
			}}
		}})
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
	e, err := engine.New(engine.Config{Store: st, Definitions: defs, Name: name, Lease: lease})
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
