package engine_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
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

// forest makes random trees of sub-runs, decides which steps fail, and notes what ran.
type forest struct {
	seed  uint64
	rate  uint64 // one step in so many fails; 0: none
	fixed atomic.Bool
	mu    sync.Mutex
	ran   map[string]int // successes by idempotency key
}

func (f *forest) step(ctx context.Context, out int) (int, error) {
	key := workflow.InfoFrom(ctx).IdempotencyKey
	h := fnv.New64a()
	fmt.Fprint(h, f.seed, key)
	if f.rate > 0 && !f.fixed.Load() && h.Sum64()%f.rate == 0 {
		return 0, errors.New("broken")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ran[key]++
	return out, nil
}

// part is a node: what it yields, and what it should.
type part struct {
	get  func(ctx context.Context) int
	want func(in int) int
}

const modulus = 1_000_003

// body fills a body with nodes; the end of each adds up what they yield.
func (f *forest) body(b *workflow.Workflow[int], r *rand.Rand, depth int) (*workflow.Result[int], func(in int) int) {
	var parts []part
	for i := range 1 + r.IntN(3) {
		name, kind := "n"+strconv.Itoa(i), r.IntN(8)
		if depth == 0 {
			kind = r.IntN(2)
		}
		switch kind {
		case 0:
			h := workflow.Step(b, name, func(ctx context.Context, in int) (int, error) { return f.step(ctx, in+1) })
			parts = append(parts, part{h.Output, func(in int) int { return in + 1 }})
		case 1:
			workflow.Sleep(b, name, time.Duration(r.IntN(2000))*time.Microsecond+1)
		case 2, 3, 4:
			parts = append(parts, f.mapped(b, r, depth, name))
		case 5, 6:
			parts = append(parts, f.forked(b, r, depth, name, kind == 6)...)
		case 7:
			parts = append(parts, f.repeated(b, r, depth, name))
		}
	}
	sum := func(in int, of func(part) int) int {
		for _, p := range parts {
			in += of(p)
		}
		return in % modulus
	}
	end := workflow.Step(b, "end", func(ctx context.Context, in int) (int, error) {
		return f.step(ctx, sum(in, func(p part) int { return p.get(ctx) }))
	})
	return end, func(in int) int { return sum(in, func(p part) int { return p.want(in) }) }
}

func (f *forest) mapped(b *workflow.Workflow[int], r *rand.Rand, depth int, name string) part {
	k := r.IntN(12)
	n := workflow.Step(b, name+"/k", func(context.Context, int) (int, error) { return k, nil })
	var want func(int) int
	list := func(n int) (l []int) {
		for i := range n {
			l = append(l, i)
		}
		return l
	}
	m := workflow.Map(b, name, workflow.EachOf(n, list), func(b *workflow.Workflow[int]) (h *workflow.Result[int]) {
		h, want = f.body(b, r, depth-1)
		return h
	}, workflow.AtMost(1+r.IntN(6)), workflow.Tolerate(r.IntN(3)))
	return part{func(ctx context.Context) (sum int) {
		for it, err := range m.All(ctx) {
			if err != nil {
				panic(err)
			}
			sum += it.Output
		}
		return sum
	}, func(int) (sum int) {
		for i := range k {
			sum += want(i)
		}
		return sum
	}}
}

// forked is a parallel, or a race of one branch, whose winner is known.
func (f *forest) forked(b *workflow.Workflow[int], r *rand.Rand, depth int, name string, race bool) (parts []part) {
	branches, make := 1+r.IntN(3), workflow.Parallel[int]
	if race {
		branches, make = 1, workflow.Race[int]
	}
	fork := make(b, name)
	for j := range branches {
		var want func(int) int
		h := workflow.Branch(fork, "b"+strconv.Itoa(j), func(b *workflow.Workflow[int]) (h *workflow.Result[int]) {
			h, want = f.body(b, r, depth-1)
			return h
		})
		parts = append(parts, part{h.Output, func(in int) int { return want(in) }})
	}
	return parts
}

func (f *forest) repeated(b *workflow.Workflow[int], r *rand.Rand, depth int, name string) part {
	rounds := 1 + r.IntN(4)
	var want func(int) int
	h := workflow.Repeat(b, name, rounds, nil, func(b *workflow.Workflow[int]) (h *workflow.Result[int]) {
		h, want = f.body(b, r, depth-1)
		return h
	}, func(int) bool { return false })
	return part{h.Output, func(int) (s int) {
		for range rounds {
			s = want(s)
		}
		return s
	}}
}

// unheard is a store of which one commit in seven lands and is not answered.
type unheard struct {
	store.Store
	n atomic.Int64
}

func (u *unheard) Commit(ctx context.Context, l store.Lease, p store.Progress) (store.News, error) {
	news, err := u.Store.Commit(ctx, l, p)
	if n := u.n.Add(1); err == nil && n%7 == 0 {
		return store.News{}, errors.New("the answer is lost")
	}
	return news, err
}

// Resign gives the lease up, where there is one: the next engine is another node.
func (u *unheard) Resign(ctx context.Context, node store.Node) error {
	if r, ok := u.Store.(store.Resigner); ok {
		return r.Resign(ctx, node)
	}
	return nil
}

// Random trees with failures, tolerance, cancels and retries, on engines that are
// abandoned in the middle, and on stores whose answers are lost: nothing hangs, nothing
// is left open, no effect happens more often than engines were lost, sums are right.
func TestRandomTreesOfSubRuns(t *testing.T) {
	sq, err := sqlite.Open(t.Context(), t.TempDir()+"/trees.db")
	if err != nil {
		t.Fatal(err)
	}
	pg, err := postgres.Open(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(sq.Close(), pg.Close()) })
	trees := map[string]struct {
		n  int
		on func() store.Store
	}{
		"memory":   {treesOf(14), func() store.Store { return memory.New() }},
		"sqlite":   {treesOf(5), func() store.Store { return sq }},
		"postgres": {treesOf(4), func() store.Store { return pg }},
	}
	for name, on := range trees {
		t.Run(name, func(t *testing.T) {
			for seed := range on.n {
				growTree(t, uint64(seed), on.on())
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// treesOf is how many trees grow: TREES times as many as usual.
func treesOf(n int) int {
	if more, err := strconv.Atoi(os.Getenv("TREES")); err == nil {
		return n * more
	}
	return n
}

// tree is one of the trees on its way.
type tree struct {
	t        *testing.T
	r        *rand.Rand
	st       store.Store
	wf       *workflow.Workflow[int]
	id       string
	e        *engine.Engine
	stop     func()
	restarts int
	abandons bool
	cancels  bool
}

func growTree(t *testing.T, seed uint64, st store.Store) {
	r := rand.New(rand.NewPCG(seed, 7))
	f := &forest{seed: seed, ran: map[string]int{}, rate: []uint64{0, 15, 40, 100}[r.IntN(4)]}
	g := &tree{t: t, r: r, st: st, wf: workflow.New[int](fmt.Sprintf("tree-%d", seed)), id: fmt.Sprintf("t%d", seed)}
	_, want := f.body(g.wf, r, 1+r.IntN(3))
	if r.IntN(3) == 0 {
		g.st = &unheard{Store: st}
	}
	g.abandons, g.cancels = r.IntN(2) == 0, r.IntN(4) == 0
	g.start()
	defer func() { g.stop() }()
	if err := g.wf.Start(t.Context(), g.e, g.id, 1); err != nil {
		t.Fatal(err)
	}
	run := g.ends()
	if f.rate == 0 && run.Status == workflow.StatusCompleted && string(run.Output) != fmt.Sprint(want(1)) {
		t.Errorf("output %s, want %d", run.Output, want(1))
	}
	for try := 0; run.Status != workflow.StatusCompleted; try++ {
		if f.fixed.Store(try > 2 || r.IntN(2) == 0); try > 3 {
			g.cancels = false
		}
		if err := g.e.Retry(t.Context(), g.id, ""); err != nil || try > 8 {
			t.Fatalf("after %d retries: %s %v %v", try, run.Status, run.Failure, err)
		}
		run = g.ends()
	}
	for key, n := range f.ran {
		if n > 1+g.restarts && key != g.id+"/end" { // a canceled run repeats its last step when it is retried
			t.Errorf("%s succeeded %d times with %d restarts", key, n, g.restarts)
		}
	}
}

func (g *tree) start() {
	g.e, g.stop = serving(g.t, engine.Config{Store: g.st, Definitions: []workflow.Definition{g.wf}, Concurrency: 1 + g.r.IntN(8),
		StopTimeout: time.Nanosecond})
}

// ends waits for the end of the tree, and disturbs it meanwhile.
func (g *tree) ends() (run workflow.Run) {
	restarts := 0
	await(g.t, "the end of "+g.id, func() bool {
		if g.abandons && restarts < 6 && g.r.IntN(4) == 0 {
			g.stop()
			g.start()
			g.restarts++
			restarts++
		}
		if g.cancels && g.r.IntN(6) == 0 {
			_ = g.e.Cancel(g.t.Context(), g.id, "for a test")
			g.cancels = false
		}
		var err error
		if run, err = g.e.Describe(context.Background(), g.id); err != nil {
			g.t.Fatal(err)
		}
		return run.Status.Ended()
	})
	g.check(g.id, g.wf.Plan())
	return run
}

// check looks whether anything is open below an ended run, or counted wrongly.
func (g *tree) check(id string, plan *workflow.Plan) {
	for _, n := range plan.Nodes {
		if n.Sub == nil {
			continue
		}
		agree(g.t, g.st, id, 0, n.Name)
		subs, err := g.st.Subs(context.Background(), store.SubQuery{Parent: id, Step: n.Name, Rows: true})
		if err != nil {
			g.t.Fatal(err)
		}
		for i, s := range subs {
			g.check(s.Run.ID, n.Body(i))
		}
	}
}
