package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// Newcomers that nobody holds are passed by a claim that is full of runs that go on.
func TestDueRunsThatNobodyHoldsArePassedByAFullClaim(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	node, err := s.Heartbeat(t.Context(), "n", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 8 {
		r := store.Run{ID: fmt.Sprint("r", i), Workflow: "w", Version: 1, Status: store.Open, Seq: 1, CreatedAt: now, StartedAt: now}
		if i < 4 {
			r.Workflow, r.StartedAt = "another", time.Time{}
		}
		r.Park.Until = now
		if err := s.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	w := store.Want(2, store.Definition{Workflow: "w", Version: 1})
	later := now.Add(time.Minute)
	if claimed, _, err := s.Claim(t.Context(), node, w, later); err != nil || len(claimed) != 2 {
		t.Fatalf("%d claimed, %v", len(claimed), err)
	}
	owned := store.Run{ID: "owned", Workflow: "w", Version: 1, Status: store.Open, Seq: 1, CreatedAt: later, StartedAt: later,
		Owner: node.Epoch}
	if err := s.Create(t.Context(), owned); err != nil { // makes nothing due
		t.Fatal(err)
	}
	from := s.passed.Begin(w.Definitions)
	s.passed.Failed(from)
	if from.Old != micros(now) || from.New != micros(later) {
		t.Errorf("claims go on at %d and %d, want %d and %d", from.Old, from.New, micros(now), micros(later))
	}
}
