package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

func TestSubIDsComeBackAndAreRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	roots := []string{"r", "import-1", "run_01890a5d-ac96-774b-bcce-b302099a8057", "exactly-15-byte", "sixteen-bytes-id", "a/b",
		"x[1]y", "a/b[01]"}
	steps := []string{"load", "l", "both", "a-long-name-of-a-step", "route/small/load", "100%[x]~2"}
	indices := []int{0, 1, 255, 256, 257, 1 << 20, 65793}
	seen := map[string]string{}
	for range 20000 {
		id := roots[r.IntN(len(roots))]
		for range r.IntN(5) {
			parent, step, generation, index := id, steps[r.IntN(len(steps))], r.IntN(3), indices[r.IntN(len(indices))]
			id = workflow.SubRunID(parent, step, generation, index)
			p, s, g, i, ok := workflow.SplitRunID(id)
			if !ok || p != parent || s != step || g != generation || i != index {
				t.Fatalf("%s is split into %q %q %d %d %v", id, p, s, g, i, ok)
			}
		}
		packed := PackID(id)
		if got := UnpackID(packed); got != id {
			t.Fatalf("%s becomes %s (%x)", id, got, packed)
		}
		if was, ok := seen[string(packed)]; ok && was != id {
			t.Fatalf("%s and %s are one", was, id)
		}
		seen[string(packed)] = id
	}
}

func TestARangeHoldsTheSubRunsOfAStepInOrder(t *testing.T) {
	for _, root := range []string{"r", "run_01890a5d-ac96-774b-bcce-b302099a8057", workflow.SubRunID("r", "page", 0, 7)} {
		all := [][]byte{PackID("r"), PackID("rr"), PackID("r0")}
		for i := range 300 {
			id := workflow.SubRunID(root, "load", 0, i)
			all = append(all, PackID(id), PackID(workflow.SubRunID(id, "x", 0, 3)), PackID(workflow.SubRunID(root, "load", 1, i)),
				PackID(workflow.SubRunID(root, "loads", 0, i)))
		}
		slices.SortFunc(all, bytes.Compare)
		from, to := SubRange(root, "load", 0, 20)
		n, below := 20, 0
		for _, b := range all {
			if bytes.Compare(b, from) >= 0 && bytes.Compare(b, to) < 0 {
				if want := fmt.Sprintf("%s/load[%d]", root, n); UnpackID(b) != want {
					t.Fatalf("%s at %d", UnpackID(b), n)
				}
				n++
			}
			for _, r := range Below(root) {
				if bytes.Compare(b, r[0]) >= 0 && bytes.Compare(b, r[1]) < 0 {
					below++
				}
			}
		}
		if n != 300 || below != 1200 {
			t.Errorf("%s: up to %d in the range, %d below", root, n, below)
		}
	}
}
