package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

func TestAStoreSharesTheDatabaseOfItsCaller(t *testing.T) {
	t.Parallel()
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := Open(opened.With(t.Context(), db), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || db.Closed() {
		t.Errorf("Close closed what was open before: %v", err)
	}
	if _, err := s.Get(t.Context(), "r"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Get of a closed store in an open database: %v", err)
	}
	if _, err := Open(opened.With(t.Context(), db), ""); err != nil {
		t.Errorf("another store in it: %v", err)
	}
}

func TestADatabaseOfAnotherReleaseIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url)
	exec(t, s, "INSERT INTO wf_migrations (version_id, is_applied) VALUES (99, true)")
	if _, err := Open(t.Context(), url); !errors.Is(err, pgdb.ErrSchemaNewer) {
		t.Errorf("Open of a newer one: %v", err)
	}
	exec(t, s, "DELETE FROM wf_migrations")
	exec(t, s, "INSERT INTO wf_migrations (version_id, is_applied) VALUES (0, true)")
	exec(t, s, "DROP TABLE wf_run, wf_history, wf_signal, wf_node, wf_upgrade, wf_definition, wf_subs, "+
		"wf_post, wf_attribute, wf_schedule, wf_firing")
	if err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if err := open(t, url).Create(t.Context(), newRun("r", 0)); err != nil {
		t.Error(err)
	}
}

// notifications listens beside the stores of a database until stop is called, and
// counts what they tell.
func notifications(t *testing.T, url string, wait time.Duration) (heard func() int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "LISTEN "+channel); err != nil {
		t.Fatal(err)
	}
	return func() (n int) {
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 3*wait)
			_, err := conn.WaitForNotification(ctx)
			cancel()
			if err != nil {
				return n
			}
			n++
		}
	}
}

func TestANodeTellsOthersOnlyOfWhatItDoesNotTakeItself(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url)
	node := register(t, s)
	s.announce.wait = time.Second // a head start that a busy machine gives, too
	heard := notifications(t, url, s.announce.wait)
	ctx := t.Context()
	claim := func(n, want int) {
		t.Helper()
		if claimed, _, err := s.Claim(ctx, node, store.Want(n, defs...), began); err != nil || len(claimed) != want {
			t.Errorf("claimed %d, %v", len(claimed), err)
		}
	}
	create := func(id string, owner int64) {
		t.Helper()
		if err := s.Create(ctx, newRun(id, owner)); err != nil {
			t.Fatal(err)
		}
	}
	create("owned", node.Epoch)
	lease := store.Lease{RunID: "owned", Epoch: node.Epoch, Token: 1}
	if _, err := s.Commit(ctx, lease, store.Progress{Park: &atWait, Now: began}); err != nil {
		t.Fatal(err)
	}
	if n := heard(); n != 0 {
		t.Errorf("others were told %d times of a run that waits", n)
	}
	if _, err := s.Deliver(ctx, "owned", workflow.Signal{ID: "s", Event: "e"}, began); err != nil {
		t.Fatal(err)
	}
	if n := heard(); n != 1 {
		t.Errorf("others were told %d times of a run that an event made due", n)
	}
	claim(10, 1)
	create("taken", 0)
	claim(10, 1)
	if n := heard(); n != 0 {
		t.Errorf("others were told %d times of a run that this node took", n)
	}
	for _, id := range []string{"a", "b", "c"} {
		create(id, 0)
	}
	claim(2, 2)
	if n := heard(); n < 1 || n > 2 {
		t.Errorf("others were told %d times of what this node had no room for", n)
	}
	claim(10, 1)
	if n := heard(); n != 0 {
		t.Errorf("others were told %d times of nothing", n)
	}
}

func TestANodeIsWokenByOthersAndNotByItself(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s, other := open(t, url), open(t, url)
	s.sweeps = time.Hour
	<-s.Wake() // it has begun to listen, and may have missed something
	s.notify(t.Context(), 0)
	select {
	case <-s.wake:
		t.Error("a node wakes itself")
	case <-time.After(10 * headStart):
	}
	other.notify(t.Context(), 0)
	<-s.wake
	other.sweeps = time.Millisecond
	<-other.Wake()
	<-other.wake // it looks by itself
	<-other.wake
}

func TestAnErrorTellsWhatWasTriedAndOnWhichRun(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	exec(t, s, "DROP TABLE wf_signal CASCADE")
	if err := s.Create(t.Context(), newRun("r", 0)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Deliver(t.Context(), "r", workflow.Signal{ID: "s", Event: "e"}, began)
	if err == nil || !strings.Contains(err.Error(), "deliver to run r") {
		t.Errorf("%v", err)
	}
}

func TestEveryClaimAsksWhetherTheLeaseHolds(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	node := register(t, s)
	expire(t, s)
	if _, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("one that only looks, since nothing is due: %v", err)
	}
	if err := s.Create(t.Context(), newRun("r", 0)); err != nil {
		t.Fatal(err)
	}
	s.looked = time.Now()
	s.announce.mark(0)
	if _, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("one that does not look: %v", err)
	}
	if c, err := s.Get(t.Context(), "r"); err != nil || c.Run.Owner != 0 {
		t.Errorf("%+v, %v", c.Run, err)
	}
}

// What a silent server was asked last may be committed or not; nobody waits for it.
func TestAStoreIsClosedAlthoughItsServerIsSilent(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, pgtest.Shared(t), pgtest.Name(pgtest.Database(t)))
	s, err := Open(t.Context(), proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Wake()
	register(t, s)
	proxy.Silence(true)
	const runs = 8
	told := make(chan error, runs)
	for i := range runs {
		go func() { told <- s.Create(context.Background(), newRun(fmt.Sprint("r", i), 0)) }()
	}
	closed := make(chan struct{})
	go func() { defer close(closed); _ = s.Close() }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("Close does not return")
	}
	for range runs {
		if err := <-told; err == nil {
			t.Error("a run is told as created of which nothing is known")
		}
	}
}
