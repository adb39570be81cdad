package schedule_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/schedule"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// nodes are schedules on one store.
type nodes struct {
	store *datastore.Store
	mu    sync.Mutex
	fired []string // firing times, by which node
}

// onNodes runs a test in virtual time, which begins at midnight UTC.
func onNodes(t *testing.T, test func(t *testing.T, n *nodes)) {
	path := filepath.Join(t.TempDir(), "liwanag.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path, Synchronous: sqlitedb.Normal})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		store, err := sqlite.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		test(t, &nodes{store: store})
	})
}

// start runs a node until stop, or for as long as the test says.
func (n *nodes) start(t *testing.T, name, spec string, work func(at time.Time) error) (stop func()) {
	t.Helper()
	s, err := schedule.New(schedule.Config{Turns: datastore.Alone{Store: n.store},
		Entries: []schedule.Entry{{Name: "test", Spec: spec, Run: func(_ context.Context, at time.Time) error {
			n.mu.Lock()
			n.fired = append(n.fired, at.Format("15:04:05"))
			n.mu.Unlock()
			return work(at)
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = s.Run(ctx) })
	return func() { cancel(); ended.Wait() }
}

func (n *nodes) want(t *testing.T, times ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if diff := cmp.Diff(times, n.fired); diff != "" {
		t.Errorf("fired (-want +got):\n%s", diff)
	}
}

func done(time.Time) error { return nil }

func TestTwoNodesFireAScheduleOnce(t *testing.T) {
	onNodes(t, func(t *testing.T, n *nodes) {
		defer n.start(t, "a", "*/5 * * * *", done)()
		time.Sleep(7 * time.Minute)
		defer n.start(t, "b", "*/5 * * * *", done)()
		time.Sleep(14 * time.Minute)
		n.want(t, "00:05:00", "00:10:00", "00:15:00", "00:20:00")
	})
}

func TestNodesThatStartAtDifferentTimesAgreeOnAnInterval(t *testing.T) {
	onNodes(t, func(t *testing.T, n *nodes) {
		defer n.start(t, "a", "@every 6m", done)()
		time.Sleep(100 * time.Second)
		defer n.start(t, "b", "@every 6m", done)()
		time.Sleep(18 * time.Minute)
		n.want(t, "00:06:00", "00:12:00", "00:18:00")
	})
}

func TestWhatANodeMissedDuringALongCallIsNotFiredAfterAnotherDidIt(t *testing.T) {
	onNodes(t, func(t *testing.T, n *nodes) {
		defer n.start(t, "a", "*/5 * * * *", func(at time.Time) error {
			if at.Minute() == 5 {
				time.Sleep(12 * time.Minute) // until 00:17
			}
			return nil
		})()
		time.Sleep(6 * time.Minute)
		defer n.start(t, "b", "*/5 * * * *", done)()
		time.Sleep(15 * time.Minute)
		n.want(t, "00:05:00", "00:10:00", "00:15:00", "00:20:00")
	})
}

// A firing is claimed before it is done: one that fails, or dies with its node, is
// repeated by the next firing and not by another node.
func TestAFiringThatFailedIsRepeatedByTheNextOne(t *testing.T) {
	onNodes(t, func(t *testing.T, n *nodes) {
		fail := func(time.Time) error { return errors.New("killed in the middle") }
		defer n.start(t, "a", "*/5 * * * *", fail)()
		defer n.start(t, "b", "*/5 * * * *", fail)()
		time.Sleep(11 * time.Minute)
		n.want(t, "00:05:00", "00:10:00")
	})
}

func TestTheOtherNodesGoOnWhenOneHasStopped(t *testing.T) {
	onNodes(t, func(t *testing.T, n *nodes) {
		stop := n.start(t, "a", "*/5 * * * *", done)
		defer n.start(t, "b", "*/5 * * * *", done)()
		time.Sleep(6 * time.Minute)
		stop()
		time.Sleep(5 * time.Minute)
		n.want(t, "00:05:00", "00:10:00")
	})
}
