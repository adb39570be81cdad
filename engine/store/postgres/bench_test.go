package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// BenchmarkRows writes the rows of an enrichment run without an engine: created
// by its node, two outcomes of which the second parks it, an event of 2 KiB, a
// claim, and the wait's and the last step's outcomes with the ending. Clients
// work at once, so that their changes share commits; every commit is synced.
func BenchmarkRows(b *testing.B) {
	server, err := pgtest.Start("shared_buffers=1GB", "max_wal_size=4GB")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Remove()
	for i, clients := range []int{1, 16, 64, 256, 1024} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) {
			name := fmt.Sprintf("bench_%d_%d", i, b.N)
			server.Exec(b, "postgres", "CREATE DATABASE "+name)
			benchmarkRows(b, server, name, clients)
		})
	}
}

func benchmarkRows(b *testing.B, server *pgtest.Server, database string, clients int) {
	s, err := Open(context.Background(), server.URL(database))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	node, err := s.Heartbeat(b.Context(), "bench", time.Hour)
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
	own, others := processorTime(b, os.Getpid()), serverTime(b, server)
	b.ResetTimer()
	for n := range b.N {
		runs <- n
	}
	close(runs)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
	b.ReportMetric(float64(s.changes.Load())/float64(s.groups.Load()), "changes/group")
	b.ReportMetric(float64((processorTime(b, os.Getpid())-own).Microseconds())/float64(b.N), "own-cpu-µs/run")
	b.ReportMetric(float64((serverTime(b, server)-others).Microseconds())/float64(b.N), "server-cpu-µs/run")
}

// processorTime is what a process and the children that it waited for have used.
func processorTime(b *testing.B, pid int) time.Duration {
	fields := stat(pid)
	if fields == nil {
		b.Fatal("this benchmark reads /proc")
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// stat are the fields of /proc/PID/stat behind the name: state, parent, …
func stat(pid int) []string {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := strings.LastIndexByte(string(raw), ')')
	if i < 0 {
		return nil
	}
	return strings.Fields(string(raw[i+1:]))
}

// serverTime is what the server's processes have used.
func serverTime(b *testing.B, server *pgtest.Server) time.Duration {
	raw, err := os.ReadFile(filepath.Join(server.Dir, "data", "postmaster.pid"))
	if err != nil {
		b.Fatal(err)
	}
	parent := strings.SplitN(string(raw), "\n", 2)[0]
	pid, _ := strconv.Atoi(parent)
	total := processorTime(b, pid)
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		child, _ := strconv.Atoi(filepath.Base(dir))
		if fields := stat(child); fields != nil && fields[1] == parent {
			total += processorTime(b, child)
		}
	}
	return total
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
		claimed, _, err := d.s.Claim(context.Background(), d.node, []store.Definition{{Workflow: "subscriber-enrichment", Version: 1}}, 1024, time.Now())
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
	if _, err := d.s.Commit(ctx, lease, store.Progress{Append: []store.Entry{outcome("batch-pending-jobs", batchOutput)}, Now: now}); err != nil {
		return err
	}
	lease.Token++
	if _, err := d.s.Commit(ctx, lease, store.Progress{Append: []store.Entry{outcome("submit-to-fullenrich", submitOutput)}, Now: now,
		Park: &store.Park{Kind: store.ParkWait, Step: "wait-for-webhook", Events: []string{"enrichment-complete"}, Until: now.Add(24 * time.Hour), Since: now}}); err != nil {
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
	wait := store.Entry{Kind: store.EntryCompleted, Step: "wait-for-webhook", At: now, StartedAt: now, StartedSeq: c.Run.Park.Seq, Consumed: []string{"delivery-1"}}
	_, err := d.s.Commit(ctx, c.Lease, store.Progress{Decided: c.Run.InboxSeq, Append: []store.Entry{wait, outcome("process-results", json.RawMessage(`{"count":1}`))},
		End: &store.Ending{Status: store.Completed}, Now: now})
	return err
}
