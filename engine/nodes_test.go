package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// tally counts how often each step of each run was executed.
type tally struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *tally) note(ctx context.Context) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := workflow.InfoFrom(ctx)
	key := info.RunID + " " + info.Step
	c.runs[key]++
	return c.runs[key]
}

// threeSteps is a workflow of a step, a wait, and two steps.
func (c *tally) threeSteps() *workflow.Workflow[string] {
	wf := workflow.New[string]("three-steps")
	step := func(ctx context.Context, _ string) (int, error) {
		n := c.note(ctx)
		time.Sleep(time.Millisecond)
		return n, nil
	}
	workflow.Step(wf, "a", step)
	workflow.WaitFor(wf, "wait", done, time.Hour)
	workflow.Step(wf, "b", step)
	workflow.Sleep(wf, "nap", 50*time.Millisecond)
	workflow.Step(wf, "c", step)
	return wf
}

// completes waits until a run is completed, as this node sees it.
func completes(t *testing.T, n *node, id string) workflow.Run {
	t.Helper()
	var run workflow.Run
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if run, err = n.Describe(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if run.Status == workflow.StatusCompleted {
			return run
		}
	}
	t.Fatalf("run %s is not completed: %s, waiting for %+v, owned by %q", id, run.Status, run.WaitingFor, run.Node)
	return run
}

func TestARollingRestartOfTwoNodesLosesNothingAndRunsNoStepTwice(t *testing.T) {
	t.Parallel()
	const runs = 120
	url, count := pgtest.Database(t), &tally{runs: map[string]int{}}
	wf := count.threeSteps()
	var mu sync.RWMutex
	nodes := []*node{startNode(t, url, "one", wf), startNode(t, url, "two", wf)}
	defer func() {
		for _, n := range nodes {
			n.stop()
		}
	}()
	call := func(i int, do func(n *node) error) {
		mu.RLock()
		defer mu.RUnlock()
		if err := do(nodes[i%2]); err != nil {
			t.Error(err)
		}
	}
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := c; i < runs; i += 6 {
				id := fmt.Sprint("r", i)
				call(i, func(n *node) error { return wf.Start(t.Context(), n, id, "") })
				call(i/2, func(n *node) error { _, err := done.Send(t.Context(), n, id, "s", "x"); return err })
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for round := range 4 {
		time.Sleep(50 * time.Millisecond)
		next := startNode(t, url, fmt.Sprint("next-", round), wf)
		mu.Lock()
		old := nodes[round%2]
		nodes[round%2] = next
		mu.Unlock()
		old.stop()
	}
	clients.Wait()
	for i := range runs {
		run := completes(t, nodes[0], fmt.Sprint("r", i))
		for n, item := range run.History {
			if item.Seq != int64(n+1) {
				t.Errorf("run %s: history item %d has number %d", run.ID, n+1, item.Seq)
			}
		}
	}
	for step, n := range count.runs {
		if n != 1 {
			t.Errorf("%s was executed %d times", step, n)
		}
	}
	if len(count.runs) != 3*runs {
		t.Errorf("%d steps were executed, want %d", len(count.runs), 3*runs)
	}
}

func TestTheRunsOfANodeThatIsCutOffGoOnElsewhereAndItWritesNothingMore(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	url := pgtest.Database(t)
	proxy := pgtest.NewProxy(t, server, pgtest.Name(url))
	var mu sync.Mutex
	attempts := 0
	began, leave := make(chan struct{}, 2), make(chan struct{})
	wf := workflow.New[string]("w")
	workflow.Step(wf, "a", func(context.Context, string) (int, error) {
		mu.Lock()
		attempts++
		n := attempts
		mu.Unlock()
		began <- struct{}{}
		if n == 1 { // on the node that is cut off
			<-leave
		}
		return n, nil
	})
	const lease = 10 * time.Second // far more than a busy machine holds a heartbeat up
	one, two := startLeased(t, proxy.URL, "one", lease, wf), startLeased(t, url, "two", lease, wf)
	defer two.stop()
	defer one.stop()
	for one.Ready(t.Context()) != nil || two.Ready(t.Context()) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	if err := wf.Start(t.Context(), one, "r", ""); err != nil {
		t.Fatal(err)
	}
	<-began
	if run, err := two.Describe(t.Context(), "r"); err != nil || run.Node != "one" {
		t.Errorf("the other node sees it on %q, %v", run.Node, err)
	}
	proxy.Refuse(true)
	select {
	case <-began:
	case <-time.After(lease + time.Minute):
		close(leave)
		t.Fatalf("no takeover with a lease of %s", lease)
	}
	run := completes(t, two, "r")
	if string(run.Output) != "2" || run.Steps[0].Attempts[0].N != 2 {
		t.Errorf("%+v", run)
	}
	proxy.Refuse(false)
	close(leave) // it ends now where it was lost
	for one.Ready(t.Context()) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	if err := wf.Start(t.Context(), one, "after", ""); err != nil {
		t.Fatal(err)
	}
	completes(t, one, "after")
	if again := completes(t, two, "r"); len(again.History) != len(run.History) || string(again.Output) != "2" {
		t.Errorf("the node that was cut off wrote:\n%+v\n%+v", run.History, again.History)
	}
}

// A run that the new definition does not fit is for the node that holds the old one,
// whichever of them its event comes to.
func TestTwoNodesWithTwoDefinitionsEachTakeTheRunsThatFit(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	build := func(step string) *workflow.Workflow[int] {
		wf := workflow.New[int]("story")
		workflow.Step(wf, step, func(context.Context, int) (int, error) { return 1, nil })
		workflow.WaitFor(wf, "wait", ping, time.Hour)
		workflow.Step(wf, "b", func(context.Context, int) (int, error) { return 1, nil })
		return wf
	}
	old := startNode(t, url, "old", build("a"))
	defer func() { old.stop() }()
	for i := range 5 {
		old.start(t, fmt.Sprint("old-", i))
		old.await(t, fmt.Sprint("old-", i), workflow.StatusWaiting)
	}
	old.stop() // else it may begin what is started on the other
	renamed := startNode(t, url, "new", build("a2"))
	defer func() { renamed.stop() }()
	for i := range 5 {
		renamed.start(t, fmt.Sprint("new-", i))
		renamed.await(t, fmt.Sprint("new-", i), workflow.StatusWaiting)
	}
	old = startNode(t, url, "old", build("a"))
	for i := range 5 {
		for _, id := range []string{fmt.Sprint("new-", i), fmt.Sprint("old-", i)} {
			if _, err := ping.Send(t.Context(), renamed, id, "s", 7); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 5 {
		for id, first := range map[string]string{fmt.Sprint("old-", i): "a", fmt.Sprint("new-", i): "a2"} {
			if run := old.await(t, id, workflow.StatusCompleted); run.History[1].Step != first {
				t.Errorf("run %s began with %q", id, run.History[1].Step)
			}
		}
	}
}

// start starts a run of "story" on a node.
func (n *node) start(t *testing.T, id string) {
	t.Helper()
	if err := n.Start(t.Context(), workflow.StartRequest{Workflow: "story", RunID: id, Input: []byte("1")}); err != nil {
		t.Fatal(err)
	}
}

// await waits until a run has a status.
func (n *node) await(t *testing.T, id string, want workflow.Status) workflow.Run {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		run, err := n.Describe(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if run.Status == want || time.Now().After(deadline) {
			if run.Status != want {
				t.Fatalf("run %s is %s (%s), want %s", id, run.Status, run.NoDefinition, want)
			}
			return run
		}
	}
}
