package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// BenchmarkRows writes the rows of an enrichment run without an engine: created
// by its node, two outcomes of which the second parks it, an event of 2 KiB, a
// claim, and the wait's and the last step's outcomes with the ending. Clients
// work at once, so that their changes share commits; every commit is synced.
func BenchmarkRows(b *testing.B) {
	for _, clients := range []int{16, 64, 256, 1024} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) { benchmarkRows(b, clients) })
	}
}

func benchmarkRows(b *testing.B, clients int) {
	s, err := Open(context.Background(), filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	node, err := s.Heartbeat(b.Context(), "bench", 0)
	if err != nil {
		b.Fatal(err)
	}
	d := newDispatcher(s, node)
	defer d.stop()
	runs := make(chan int)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range runs {
				if err := d.enrich(b.Context()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ResetTimer()
	for n := range b.N {
		runs <- n
	}
	close(runs)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	stats := s.db.Stats()
	b.ReportMetric(float64(stats.Changes)/float64(stats.Groups), "changes/group")
}

// dispatcher claims for all clients, as an engine does.
type dispatcher struct {
	s    *Store
	node store.Node
	due  chan struct{}
	done chan struct{}

	mu      sync.Mutex
	waiting map[string]chan store.Claimed
}

func newDispatcher(s *Store, node store.Node) *dispatcher {
	d := &dispatcher{s: s, node: node, due: make(chan struct{}, 1), done: make(chan struct{}), waiting: map[string]chan store.Claimed{}}
	go d.loop()
	return d
}

func (d *dispatcher) stop() {
	close(d.due)
	<-d.done
}

func (d *dispatcher) loop() {
	defer close(d.done)
	for range d.due {
		claimed, _, err := d.s.Claim(context.Background(), d.node,
			store.Want(1024, store.Definition{Workflow: "subscriber-enrichment", Version: 1}), time.Now())
		if err != nil {
			panic(err)
		}
		d.mu.Lock()
		for _, c := range claimed {
			d.waiting[c.Run.ID] <- c
			delete(d.waiting, c.Run.ID)
		}
		d.mu.Unlock()
	}
}

var (
	batchOutput  = json.RawMessage(fmt.Sprintf(`{"jobs":[%0200d]}`, 1))
	submitOutput = json.RawMessage(`{"enrichmentId":"0190163d-8694-739b-aea5-966c26f8ad91","jobIds":["job_0190163d-8694-739b-aea5-966c26f8ad91"]}`)
	payload      = json.RawMessage(fmt.Sprintf(`{"results":"%02000d"}`, 1))
)

func (d *dispatcher) enrich(ctx context.Context) error {
	id := "run_" + uuid.Must(uuid.NewV7()).String()
	now := time.Now()
	if err := d.s.Create(ctx, store.Run{ID: id, Workflow: "subscriber-enrichment", Version: 1, Input: json.RawMessage(`{}`),
		CreatedAt: now, StartedAt: now, Owner: d.node.Epoch, Status: store.Open, Seq: 1}); err != nil {
		return err
	}
	lease := store.Lease{RunID: id, Epoch: d.node.Epoch, Token: 1}
	outcome := func(step string, output json.RawMessage) store.Entry {
		return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: now, StartedAt: now, Output: output}
	}
	if _, err := d.s.Commit(ctx, lease,
		store.Progress{Append: []store.Entry{outcome("batch-pending-jobs", batchOutput)}, Now: now}); err != nil {
		return err
	}
	lease.Token++
	if _, err := d.s.Commit(ctx, lease, store.Progress{Append: []store.Entry{outcome("submit-to-fullenrich", submitOutput)}, Now: now,
		Park: &store.Park{Kind: store.ParkWait, Step: "wait-for-webhook", Events: []string{"enrichment-complete"},
			Until: now.Add(24 * time.Hour), Since: now}}); err != nil {
		return err
	}
	woken := make(chan store.Claimed, 1)
	d.mu.Lock()
	d.waiting[id] = woken
	d.mu.Unlock()
	if _, err := d.s.Deliver(ctx, id, workflow.Signal{ID: "delivery-1", Event: "enrichment-complete", Payload: payload}, now); err != nil {
		return err
	}
	select {
	case d.due <- struct{}{}:
	default:
	}
	c := <-woken
	wait := store.Entry{Kind: store.EntryCompleted, Step: "wait-for-webhook", At: now, StartedAt: now,
		StartedSeq: c.Run.Park.Seq, Consumed: []string{"delivery-1"}}
	_, err := d.s.Commit(ctx, c.Lease,
		store.Progress{Decided: c.Run.InboxSeq, Append: []store.Entry{wait, outcome("process-results", json.RawMessage(`{"count":1}`))},
			End: &store.Ending{Status: store.Completed}, Now: now})
	return err
}
