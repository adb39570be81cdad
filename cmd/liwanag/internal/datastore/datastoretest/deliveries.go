package datastoretest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var deliveryTests = map[string]func(*testing.T, *datastore.Store){
	"a delivery keeps every field": func(t *testing.T, s *datastore.Store) {
		d := liwanag.Delivery{Digest: digestOf(1), Source: liwanag.FromFetch, TokenHash: digestOf(2), SubmissionID: newID(liwanag.SubmissionKind),
			EnrichmentID: "enr", Raw: []byte{0, 'x'}, Size: 2, State: liwanag.DeliveryQuarantined, Note: "foreign", ReceivedAt: noon}
		insertDelivery(t, s, true, d)
		equal(t, get[liwanag.Delivery](t)(s.Deliveries.Get(t.Context(), d.Digest)), d)
		want(t, s, d, func(tx *datastore.Tx) (liwanag.Delivery, error) { return tx.Deliveries.Get(d.Digest) })
		_, err := s.Deliveries.Get(t.Context(), digestOf(9))
		notFound(t, err)
	},

	"a repeated delivery is stored once": func(t *testing.T, s *datastore.Store) {
		d := stored(1, noon)
		insertDelivery(t, s, true, d)
		repeat := d
		repeat.ReceivedAt, repeat.Raw = noon.Add(time.Hour), []byte("other")
		insertDelivery(t, s, false, repeat)
		equal(t, get[liwanag.Delivery](t)(s.Deliveries.Get(t.Context(), d.Digest)), d)
	},

	"a repeated delivery is stored once under concurrent receivers": func(t *testing.T, s *datastore.Store) {
		first := make([]bool, 100)
		together(t, s, len(first), nil, func(i int, tx *datastore.Tx) (err error) {
			first[i], err = tx.Deliveries.Insert(stored(1, noon))
			return err
		})
		n := 0
		for _, f := range first {
			if f {
				n++
			}
		}
		equal(t, n, 1)
	},

	"a move is a compare-and-set, and settling drops the body": func(t *testing.T, s *datastore.Store) {
		d := stored(1, noon)
		d.Note = "kept"
		insertDelivery(t, s, true, d)
		m := liwanag.DeliveryMove{Digest: d.Digest, From: []liwanag.DeliveryState{liwanag.DeliveryStored}, To: liwanag.DeliverySent,
			SubmissionID: newID(liwanag.SubmissionKind), EnrichmentID: "enr"}
		moveDelivery(t, s, true, m)
		moveDelivery(t, s, false, m)
		d.State, d.SubmissionID, d.EnrichmentID = liwanag.DeliverySent, m.SubmissionID, "enr"
		equal(t, get[liwanag.Delivery](t)(s.Deliveries.Get(t.Context(), d.Digest)), d)
		moveDelivery(t, s, true, liwanag.DeliveryMove{Digest: d.Digest,
			From: []liwanag.DeliveryState{liwanag.DeliveryStored, liwanag.DeliverySent}, To: liwanag.DeliverySettled, Note: "late"})
		d.State, d.Raw, d.Note = liwanag.DeliverySettled, nil, "late"
		equal(t, get[liwanag.Delivery](t)(s.Deliveries.Get(t.Context(), d.Digest)), d)
	},

	"what is left to do comes oldest first": func(t *testing.T, s *datastore.Store) {
		second, first, looked, unmatched, sent := stored(1, noon.Add(time.Second)), stored(2, noon), stored(3, noon),
			stored(4, noon.Add(-time.Second)), stored(5, noon)
		looked.State, looked.Note = liwanag.DeliveryUnmatched, "unknown_token"
		unmatched.State = liwanag.DeliveryUnmatched
		sent.State = liwanag.DeliverySent
		for _, d := range []liwanag.Delivery{second, first, looked, unmatched, sent} {
			insertDelivery(t, s, true, d)
		}
		equal(t, get[[]liwanag.Digest](t)(s.Deliveries.Stored(t.Context(), 10)), []liwanag.Digest{unmatched.Digest, first.Digest, second.Digest})
		equal(t, get[[]liwanag.Digest](t)(s.Deliveries.Stored(t.Context(), 1)), []liwanag.Digest{unmatched.Digest})
		equal(t, get[[]liwanag.Digest](t)(s.Deliveries.Unsettled(t.Context(), noon.Add(time.Microsecond), 10)), []liwanag.Digest{sent.Digest})
		equal(t, get[[]liwanag.Digest](t)(s.Deliveries.Unsettled(t.Context(), noon, 10)), nil)
	},

	"a backlog is pruned over a few calls, none of which holds the writer for long": func(t *testing.T, s *datastore.Store) {
		const backlog = 2500
		write(t, s, func(tx *datastore.Tx) error {
			for i := range backlog {
				d := stored(0, noon)
				d.Digest = liwanag.Digest{1, byte(i >> 8), byte(i)}
				d.State, d.Raw = liwanag.DeliverySettled, nil
				if _, err := tx.Deliveries.Insert(d); err != nil {
					return err
				}
			}
			return nil
		})
		left := func() (n int) {
			cursor := ""
			for {
				page, next, err := s.Deliveries.List(t.Context(), liwanag.DeliveryFilter{}, liwanag.Page{Limit: 500, Cursor: cursor})
				if err != nil {
					t.Fatal(err)
				}
				n += len(page)
				if cursor = next; next == "" {
					return n
				}
			}
		}
		more := false
		prune := func(tx *datastore.Tx) (err error) {
			more, err = tx.Deliveries.Prune(noon, noon.Add(time.Second), 0)
			return err
		}
		write(t, s, prune)
		if n := left(); n == 0 || n == backlog || !more {
			t.Fatalf("%d left after the first call, more: %t", n, more)
		}
		for more {
			write(t, s, prune)
		}
		equal(t, left(), 0)
	},

	"pruning keeps what is young, open, or among the newest": func(t *testing.T, s *datastore.Store) {
		var left []liwanag.Digest
		n := byte(0)
		put := func(state liwanag.DeliveryState, at time.Time, stays bool) {
			n++
			d := stored(n, at)
			d.State, d.Note = state, "x"
			insertDelivery(t, s, true, d)
			if stays {
				left = append([]liwanag.Digest{d.Digest}, left...)
			}
		}
		old, young := noon.Add(-time.Second), noon
		put(liwanag.DeliveryQuarantined, old, false)
		put(liwanag.DeliverySettled, old, true) // its own limit is an hour earlier
		put(liwanag.DeliverySettled, old.Add(-time.Hour), false)
		put(liwanag.DeliveryStored, old.Add(-time.Hour), true)
		put(liwanag.DeliverySent, old.Add(-time.Hour), true)
		put(liwanag.DeliveryUnmatched, old, false)
		put(liwanag.DeliveryUnmatched, young, false) // beyond the newest two
		put(liwanag.DeliveryUnmatched, young, true)
		put(liwanag.DeliveryUnmatched, young, true)
		put(liwanag.DeliveryQuarantined, young, true)
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Prune(noon, noon.Add(-time.Hour), 2) })
		for i := range n {
			d := digestOf(i + 1)
			_, err := s.Deliveries.Get(t.Context(), d)
			stays := false
			for _, l := range left {
				stays = stays || l == d
			}
			if stays != (err == nil) {
				t.Errorf("delivery %d: stays %v, got %v", i+1, stays, err)
			}
		}
	},
}

func stored(n byte, at time.Time) liwanag.Delivery {
	return liwanag.Delivery{Digest: digestOf(n), Source: liwanag.FromWebhook, TokenHash: digestOf(n), Raw: []byte(`{}`), Size: 2,
		State: liwanag.DeliveryStored, ReceivedAt: at}
}

func insertDelivery(t *testing.T, s *datastore.Store, expected bool, d liwanag.Delivery) {
	t.Helper()
	want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Insert(d) })
}

func moveDelivery(t *testing.T, s *datastore.Store, expected bool, m liwanag.DeliveryMove) {
	t.Helper()
	want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Move(m) })
}
