package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

type arrival struct {
	Results string `json:"results"`
}

type batch struct {
	JobIDs []string `json:"jobIds"`
}

type submission struct {
	EnrichmentID string   `json:"enrichmentId"`
	JobIDs       []string `json:"jobIds"`
}

var (
	completed = workflow.Event[arrival]{Name: "enrichment-complete"}
	jobIDs    = []string{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
	payload   = arrival{strings.Repeat("x", 2000)}
)

// definition is W1: four steps that do nothing, each outcome durable. submitted
// is told of each run that has reached the submit step.
func definition(submitted func(runID string)) *workflow.Workflow[struct{}] {
	wf := workflow.New[struct{}]("enrich")
	workflow.Step(wf, "batch-pending-jobs", func(context.Context, struct{}) (batch, error) { return batch{jobIDs}, nil })
	workflow.Step(wf, "submit-to-fullenrich", func(ctx context.Context, _ struct{}) (submission, error) {
		submitted(workflow.InfoFrom(ctx).RunID)
		return submission{jobIDs[0], jobIDs}, nil
	})
	got := workflow.WaitFor(wf, "wait-for-webhook", completed, 24*time.Hour)
	workflow.Step(wf, "process-results", func(ctx context.Context, _ struct{}) (int, error) {
		return len(got.Output(ctx).Results), nil
	})
	return wf
}

// rig is an engine with one definition, and a way to learn of runs.
type rig struct {
	store     store.Store
	engine    *engine.Engine
	wf        *workflow.Workflow[struct{}]
	submitted sync.Map // run id -> chan struct{}
	ended     sync.Map
	stop      func()
}

// RunEnded tells the client that waits for the run; the rig is the engine's
// observer.
func (r *rig) RunEnded(run workflow.RunRef, s workflow.Status, _ *workflow.Failure, _ time.Duration) {
	if s != workflow.StatusCompleted {
		panic("run " + run.ID + " is " + string(s))
	}
	if c, ok := r.ended.LoadAndDelete(run.ID); ok {
		close(c.(chan struct{}))
	}
}

func openStore(ctx context.Context, s settings, name string) (store.Store, func(), error) {
	if s.mem {
		st := memory.New()
		return st, func() { st.Close() }, nil
	}
	st, err := sqlite.Open(ctx, s.path(name))
	if err != nil {
		return nil, nil, err
	}
	return st, func() { st.Close() }, nil
}

func newRig(ctx context.Context, s settings, name string) (*rig, error) {
	st, closeStore, err := openStore(ctx, s, name)
	if err != nil {
		return nil, err
	}
	r := &rig{store: st}
	r.wf = definition(func(id string) {
		if c, ok := r.submitted.LoadAndDelete(id); ok {
			close(c.(chan struct{}))
		}
	})
	r.engine, err = engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{r.wf}, Observers: []workflow.Observer{r}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.engine.Run(ctx) }()
	r.stop = func() {
		cancel()
		<-done
		closeStore()
	}
	return r, nil
}

func newRunID() string { return "run_" + uuid.Must(uuid.NewV7()).String() }

// one starts a run, sends its event as soon as it has reached the submit step,
// and waits for its end.
func (r *rig) one(ctx context.Context) error {
	id := newRunID()
	submitted, ended := make(chan struct{}), make(chan struct{})
	r.submitted.Store(id, submitted)
	r.ended.Store(id, ended)
	if err := r.wf.Start(ctx, r.engine, id, struct{}{}); err != nil {
		return err
	}
	select {
	case <-submitted:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := completed.Send(ctx, r.engine, id, "webhook", payload); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loop makes n calls of one from conc clients and returns the rate.
func loop(n, conc int, one func() error) (perSecond, cpuPerRun float64, err error) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	var failure atomic.Value
	begun, cpu := time.Now(), cpuTime()
	for range conc {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := one(); err != nil {
					failure.Store(err)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	if err, ok := failure.Load().(error); ok {
		return 0, 0, err
	}
	return float64(n) / took.Seconds(), float64((cpuTime() - cpu).Microseconds()) / float64(n), nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s settings) concs() []int {
	if s.conc > 0 {
		return []int{s.conc}
	}
	return []int{16, 64, 256, 1024}
}

// profile writes a processor profile until the function it returns is called.
func (s settings) profile() (stop func(), err error) {
	if s.prof == "" {
		return func() {}, nil
	}
	f, err := os.Create(s.prof)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

func w1(ctx context.Context, s settings) error {
	n := s.n
	if n == 0 {
		n = 20_000
	}
	stopProfile, err := s.profile()
	if err != nil {
		return err
	}
	defer stopProfile()
	fmt.Printf("W1: %d runs a row; engine: with the engine; rows: the store's own rows without it\n", n)
	fmt.Printf("%8s %14s %14s %14s %8s\n", "clients", "engine runs/s", "CPU µs/run", "rows runs/s", "ratio")
	for i, conc := range s.concs() {
		r, err := newRig(ctx, s, fmt.Sprintf("w1-%d.db", i))
		if err != nil {
			return err
		}
		rate, cpu, err := loop(n, conc, func() error { return r.one(ctx) })
		r.stop()
		if err != nil {
			return err
		}
		rows, err := storeRows(ctx, s, n, conc, fmt.Sprintf("rows-%d.db", i))
		if err != nil {
			return err
		}
		fmt.Printf("%8d %14.0f %14.0f %14.0f %7.0f%%\n", conc, rate, cpu, rows, 100*rate/rows)
	}
	return nil
}

// storeRows writes, through the store alone, the rows that W1 needs: create, two
// outcomes of which the second parks, the event, a claim, and the wait's and the
// last step's outcome with the ending. Claims are shared, as an engine's are.
func storeRows(ctx context.Context, s settings, n, conc int, name string) (float64, error) {
	st, closeStore, err := openStore(ctx, s, name)
	if err != nil {
		return 0, err
	}
	defer closeStore()
	node, err := st.Heartbeat(ctx, "bench", 15*time.Second)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	due, claimed := make(chan struct{}, 1), make(chan store.Claimed, conc)
	go claimRows(ctx, st, node, due, claimed)
	rate, _, err := loop(n, conc, func() error { return rowsOfOne(ctx, st, node, due, claimed) })
	return rate, err
}

func claimRows(ctx context.Context, st store.Store, node store.Node, due <-chan struct{}, out chan<- store.Claimed) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
		}
		claimed, _, err := st.Claim(ctx, node, []store.Definition{{Workflow: "enrich", Version: 1}}, 1024, now())
		if err != nil {
			panic(err)
		}
		for _, c := range claimed {
			out <- c
		}
	}
}

var (
	out1, _  = json.Marshal(batch{jobIDs})
	out2, _  = json.Marshal(submission{jobIDs[0], jobIDs})
	event, _ = json.Marshal(payload)
)

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func rowsOfOne(ctx context.Context, st store.Store, node store.Node, due chan<- struct{}, claimed <-chan store.Claimed) error {
	id, at := newRunID(), now()
	outcome := func(step string, output json.RawMessage) store.Entry {
		return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: at, StartedAt: at, Output: output}
	}
	if err := st.Create(ctx, store.Run{ID: id, Workflow: "enrich", Version: 1, Input: json.RawMessage("{}"), CreatedAt: at,
		StartedAt: at, Status: store.Open, Seq: 1, Owner: node.Epoch}); err != nil {
		return err
	}
	lease := store.Lease{RunID: id, Epoch: node.Epoch, Token: 1}
	if _, err := st.Commit(ctx, lease, store.Progress{Now: at, Append: []store.Entry{outcome("batch-pending-jobs", out1)}}); err != nil {
		return err
	}
	lease.Token++ // as every commit that is written
	if _, err := st.Commit(ctx, lease, store.Progress{Now: at, Append: []store.Entry{outcome("submit-to-fullenrich", out2)},
		Park: &store.Park{Kind: store.ParkWait, Step: "wait-for-webhook", Events: []string{completed.Name}, Since: at, Until: at.Add(24 * time.Hour)}}); err != nil {
		return err
	}
	if _, err := st.Deliver(ctx, id, workflow.Signal{ID: "webhook", Event: completed.Name, Payload: event}, at); err != nil {
		return err
	}
	select {
	case due <- struct{}{}:
	default:
	}
	c := <-claimed // some run's: each client delivers to one and ends one
	_, err := st.Commit(ctx, c.Lease, store.Progress{Now: at, Decided: c.Run.InboxSeq, Append: []store.Entry{
		{Kind: store.EntryCompleted, Step: "wait-for-webhook", At: at, StartedAt: at, StartedSeq: c.Run.Park.Seq, Consumed: []string{"webhook"}},
		outcome("process-results", json.RawMessage("1"))},
		End: &store.Ending{Status: store.Completed}})
	return err
}
