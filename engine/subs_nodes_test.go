package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// together counts what several nodes do of one map, and holds the first items until each of
// the nodes has some.
type together struct {
	mu    sync.Mutex
	nodes map[string]int
	items map[int]int
	all   chan struct{}
	once  sync.Once
}

// on is the definition as one of the nodes holds it.
func (s *together) on(name string, nodes, atMost int) *workflow.Workflow[import_] {
	return etl(func(ctx context.Context, _ string, _ file) (row, error) {
		s.mu.Lock()
		s.nodes[name]++
		s.items[workflow.InfoFrom(ctx).Index]++
		if len(s.nodes) == nodes {
			s.once.Do(func() { close(s.all) })
		}
		s.mu.Unlock()
		select {
		case <-s.all:
			return row{1}, nil
		case <-ctx.Done():
			return row{}, ctx.Err()
		}
	}, workflow.AtMost(atMost))
}

func TestTwoNodesEndOneMap(t *testing.T) {
	t.Parallel()
	const items, slots = 240, 8
	url, s := pgtest.Database(t), &together{nodes: map[string]int{}, items: map[int]int{}, all: make(chan struct{})}
	var first *postgres.Store
	var nodes []*node
	for _, name := range []string{"one", "two"} {
		st, err := postgres.Open(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		n := nodeOn(t, st, engine.Config{Definitions: []workflow.Definition{s.on(name, 2, 2*slots)}, Name: name, Concurrency: slots})
		defer n.stop()
		if nodes = append(nodes, n); first == nil {
			first = st
		}
	}
	// Each node has room for half of what is open at once.
	if err := s.on("", 0, 2*slots).Start(t.Context(), nodes[0], "r", import_{items}); err != nil {
		t.Fatal(err)
	}
	run := endOf(t, nodes[1], "r")
	if run.Status != workflow.StatusCompleted || string(run.Output) != fmt.Sprintf(`{"N":%d}`, items) || len(run.History) != 7 {
		t.Errorf("%s %s with %d items of history: %v", run.Status, run.Output, len(run.History), run.Failure)
	}
	if got := agree(t, first, "r", 0, "load"); got[store.Completed] != items || len(got) != 1 {
		t.Error(got)
	}
	if len(s.items) != items || s.nodes["one"]+s.nodes["two"] != items {
		t.Errorf("%d items were run, by %v", len(s.items), s.nodes)
	}
}
