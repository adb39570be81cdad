package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// life drives a run through a whole life as an engine does: what fails is repeated,
// the same, until it lands.
func life(ctx context.Context, s *Store, node store.Node, id string, claimed <-chan store.Claimed, due chan<- struct{}) error {
	again := func(do func() error) error {
		for {
			err := do()
			switch {
			case err == nil, errors.Is(err, store.ErrLeaseLost), errors.Is(err, store.ErrNotFound), ctx.Err() != nil:
				return err
			case errors.Is(err, store.ErrExists): // it landed unheard
				return nil
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	commit := func(l store.Lease, p store.Progress) error {
		p.Now = began
		return again(func() error { _, err := s.Commit(ctx, l, p); return err })
	}
	if err := again(func() error { return s.Create(ctx, newRun(id, node.Epoch)) }); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	lease := store.Lease{RunID: id, Epoch: node.Epoch, Token: 1}
	if err := commit(lease, store.Progress{Append: []store.Entry{outcome("a")}}); err != nil {
		return fmt.Errorf("first commit: %w", err)
	}
	lease.Token++
	if err := commit(lease, store.Progress{Append: []store.Entry{outcome("b")}, Park: &atWait}); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	if err := again(func() error { _, err := s.Deliver(ctx, id, workflow.Signal{ID: "s", Event: "e"}, began); return err }); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	select {
	case due <- struct{}{}:
	default:
	}
	var c store.Claimed
	select {
	case c = <-claimed:
	case <-ctx.Done():
		return ctx.Err()
	}
	wait := store.Entry{Kind: store.EntryCompleted, Step: "wait", At: began, StartedAt: began,
		StartedSeq: c.Run.Park.Seq, Consumed: []string{"s"}}
	if err := commit(c.Lease, store.Progress{Decided: 1, Append: []store.Entry{wait},
		End: &store.Ending{Status: store.Completed}}); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// lives drives many runs from several clients while do breaks things, until it
// returns, and checks that each run is whole.
func lives(t *testing.T, s *Store, do func()) {
	node := register(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	due, claimed := make(chan struct{}, 1), make(chan store.Claimed, 100)
	var claims, clients sync.WaitGroup
	claims.Go(func() {
		for range due {
			for {
				all, _, err := s.Claim(ctx, node, store.Want(100, defs...), began)
				for _, c := range all {
					claimed <- c
				}
				if err == nil || ctx.Err() != nil {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	})
	var n atomic.Int64
	var over atomic.Bool
	for range 8 {
		clients.Go(func() {
			for !over.Load() && !t.Failed() {
				id := fmt.Sprint("r", n.Add(1))
				if err := life(ctx, s, node, id, claimed, due); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	do()
	over.Store(true)
	clients.Wait()
	close(due)
	claims.Wait()
	runs, _, err := s.List(t.Context(), store.Query{})
	if err != nil || int64(len(runs)) != n.Load() {
		t.Errorf("%d runs of %d are there, %v", len(runs), n.Load(), err)
	}
	for _, r := range runs {
		c, err := s.Get(t.Context(), r.ID)
		if err != nil || c.Run.Status != store.Completed || len(c.History) != 3 || len(c.Signals) != 1 || c.Run.Seq != 8 {
			t.Errorf("%s: %s with %d entries, %d signals, %d numbers, %v", r.ID, r.Status, len(c.History), len(c.Signals), c.Run.Seq, err)
		}
	}
	t.Logf("%d runs", len(runs))
}

func TestAThousandKilledConnectionsLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	kills := 1000
	if testing.Short() {
		kills = 100
	}
	killer, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Shared(t).URL("postgres")})
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close()
	lives(t, open(t, url), func() {
		for killed := 0; killed < kills; time.Sleep(2 * time.Millisecond) {
			var n int
			err := killer.Pool().QueryRow(t.Context(), `
				SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
				WHERE datname = $1 AND state <> 'idle'`, pgtest.Name(url)).Scan(&n)
			if err != nil {
				t.Error(err)
				return
			}
			killed += n
		}
	})
}

func TestAHundredLostAnswersToCommitsLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	s, _, p := proxied(t, pgdb.Config{})
	lives(t, s, func() {
		for p.Lost() < 100 {
			p.LoseCommits(1)
			time.Sleep(time.Millisecond)
		}
	})
}

func TestAServerThatRestartsLosesNothing(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	server.Exec(t, "postgres", "CREATE DATABASE runs")
	lives(t, open(t, server.URL("runs")), func() {
		for range 3 {
			time.Sleep(200 * time.Millisecond)
			server.Stop()
			if err := server.Start(); err != nil {
				t.Error(err)
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
	})
}
