package datastoretest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var batchTests = map[string]func(*testing.T, *datastore.Store){
	"a batch keeps every field": func(t *testing.T, s *datastore.Store) {
		b := liwanag.Batch{RunID: newID(liwanag.RunKind), ClosesAt: noon, Size: 7, State: liwanag.BatchClosed,
			Started: true, EndedAt: noon.Add(time.Hour),
			Waiting: liwanag.WaitingBudget, WaitingUntil: noon.Add(time.Minute), CreatedAt: noon.Add(-time.Minute)}
		insertBatches(t, s, b)
		equal(t, get[liwanag.Batch](t)(s.Batches.Get(t.Context(), b.RunID)), b)
		want(t, s, b, func(tx *datastore.Tx) (liwanag.Batch, error) { return tx.Batches.Get(b.RunID) })
		_, err := s.Batches.Get(t.Context(), newID(liwanag.RunKind))
		notFound(t, err)
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error { return tx.Batches.Insert([]liwanag.Batch{b}) })
	},

	"the open batch is the newest that closes later": func(t *testing.T, s *datastore.Store) {
		open := func(found bool, expected liwanag.ID) {
			t.Helper()
			var ok bool
			want(t, s, expected, func(tx *datastore.Tx) (liwanag.ID, error) {
				b, isOpen, err := tx.Batches.Open(noon)
				ok = isOpen
				return b.RunID, err
			})
			equal(t, ok, found)
		}
		open(false, liwanag.ID{})
		first, second, closed, over := openBatch(2*time.Second), openBatch(time.Second), openBatch(time.Second), openBatch(0)
		closed.State = liwanag.BatchClosed
		insertBatches(t, s, first, second, closed, over)
		open(true, second.RunID)
		write(t, s, func(tx *datastore.Tx) error { return tx.Batches.Close(second.RunID) })
		open(true, first.RunID)
	},

	"a batch grows until it is full or closed": func(t *testing.T, s *datastore.Store) {
		b := openBatch(time.Second)
		insertBatches(t, s, b)
		grow := func(expected bool, n int) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Batches.Grow(b.RunID, n, 100) })
		}
		grow(true, 99)
		equal(t, get[liwanag.Batch](t)(s.Batches.Get(t.Context(), b.RunID)).State, liwanag.BatchOpen)
		grow(true, 1)
		grow(false, 1)
		got := get[liwanag.Batch](t)(s.Batches.Get(t.Context(), b.RunID))
		equal(t, got.State, liwanag.BatchClosed)
		equal(t, got.Size, 100)
	},

	"a batch takes no more than its size under concurrent sign-ups": func(t *testing.T, s *datastore.Store) {
		b := openBatch(time.Second)
		insertBatches(t, s, b)
		grown := make([]bool, 300)
		together(t, s, len(grown), nil, func(i int, tx *datastore.Tx) (err error) {
			grown[i], err = tx.Batches.Grow(b.RunID, 1, 100)
			return err
		})
		n := 0
		for _, g := range grown {
			if g {
				n++
			}
		}
		equal(t, n, 100)
		equal(t, get[liwanag.Batch](t)(s.Batches.Get(t.Context(), b.RunID)).Size, 100)
	},

	"unstarted batches are told until they are marked": func(t *testing.T, s *datastore.Store) {
		a, b := openBatch(time.Second), openBatch(time.Second)
		insertBatches(t, s, a, b)
		equal(t, get[[]liwanag.Batch](t)(s.Batches.Unstarted(t.Context(), 10)), []liwanag.Batch{a, b})
		equal(t, get[[]liwanag.Batch](t)(s.Batches.Unstarted(t.Context(), 1)), []liwanag.Batch{a})
		write(t, s, func(tx *datastore.Tx) error { return tx.Batches.MarkStarted([]liwanag.ID{a.RunID}) })
		equal(t, get[[]liwanag.Batch](t)(s.Batches.Unstarted(t.Context(), 10)), []liwanag.Batch{b})
	},

	"an ending and a wait are noted and taken back": func(t *testing.T, s *datastore.Store) {
		b := openBatch(time.Second)
		insertBatches(t, s, b)
		note := func(ended time.Time, w liwanag.Waiting, until time.Time) {
			t.Helper()
			write(t, s, func(tx *datastore.Tx) error {
				if err := tx.Batches.End(b.RunID, ended); err != nil {
					return err
				}
				return tx.Batches.Wait(b.RunID, w, until)
			})
			b.EndedAt, b.Waiting, b.WaitingUntil = ended, w, until
			equal(t, get[liwanag.Batch](t)(s.Batches.Get(t.Context(), b.RunID)), b)
		}
		note(noon, liwanag.WaitingCapacity, noon.Add(time.Minute))
		note(time.Time{}, liwanag.WaitingNothing, time.Time{})
	},

	"batches that wait are listed by what they wait for": func(t *testing.T, s *datastore.Store) {
		a, b, c, none := openBatch(time.Second), openBatch(time.Second), openBatch(time.Second), openBatch(time.Second)
		a.Waiting, b.Waiting, c.Waiting = liwanag.WaitingPaused, liwanag.WaitingCredits, liwanag.WaitingPaused
		insertBatches(t, s, a, b, c, none)
		listed := func(w liwanag.Waiting, after liwanag.ID, limit int, want ...liwanag.Batch) {
			t.Helper()
			equal(t, get[[]liwanag.Batch](t)(s.Batches.Waiting(t.Context(), w, after, limit)), want)
		}
		listed(liwanag.WaitingPaused, liwanag.ID{}, 10, a, c)
		listed(liwanag.WaitingPaused, liwanag.ID{}, 1, a)
		listed(liwanag.WaitingPaused, a.RunID, 10, c)
		listed(liwanag.WaitingCredits, liwanag.ID{}, 10, b)
		listed(liwanag.WaitingKey, liwanag.ID{}, 10)
		write(t, s, func(tx *datastore.Tx) error { return tx.Batches.Wait(a.RunID, liwanag.WaitingNothing, time.Time{}) })
		listed(liwanag.WaitingPaused, liwanag.ID{}, 10, c)
	},

	"a batch that is not there is not found": func(t *testing.T, s *datastore.Store) {
		none := newID(liwanag.RunKind)
		for name, fn := range map[string]func(tx *datastore.Tx) error{
			"get":   func(tx *datastore.Tx) error { _, err := tx.Batches.Get(none); return err },
			"close": func(tx *datastore.Tx) error { return tx.Batches.Close(none) },
			"end":   func(tx *datastore.Tx) error { return tx.Batches.End(none, noon) },
			"wait":  func(tx *datastore.Tx) error { return tx.Batches.Wait(none, liwanag.WaitingKey, noon) },
		} {
			t.Run(name, func(t *testing.T) { refused(t, s, liwanag.ErrNotFound, fn) })
		}
	},
}

func openBatch(window time.Duration) liwanag.Batch {
	return liwanag.Batch{RunID: newID(liwanag.RunKind), ClosesAt: noon.Add(window), State: liwanag.BatchOpen, CreatedAt: noon}
}

func insertBatches(t *testing.T, s *datastore.Store, all ...liwanag.Batch) {
	t.Helper()
	write(t, s, func(tx *datastore.Tx) error { return tx.Batches.Insert(all) })
}
