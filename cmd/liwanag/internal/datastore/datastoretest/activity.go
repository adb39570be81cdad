package datastoretest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var activityTests = map[string]func(*testing.T, *datastore.Store){
	"what happened is counted by hours and days": func(t *testing.T, s *datastore.Store) {
		hour := noon.Truncate(time.Hour)
		var jobs []liwanag.Job
		for i := range 4 {
			up := signUp(fmt.Sprint(i, "@gmail.com"))
			up.At = noon.Add(time.Duration(i/2) * time.Hour)
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert([]liwanag.SignUp{up}); return err })
			jobs = append(jobs, pendingJob(up.ID))
		}
		insertJobs(t, s, jobs...)
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Jobs.Settle([]liwanag.JobResult{{ID: jobs[0].ID, Status: liwanag.JobEnriched, At: noon},
				{ID: jobs[1].ID, Status: liwanag.JobEnriched, At: noon.Add(time.Hour)},
				{ID: jobs[2].ID, Status: liwanag.JobNotFound, At: noon}, {ID: jobs[3].ID, Status: liwanag.JobFailed, At: noon.Add(time.Hour)}})
		})
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Ledger.AddCredits(liwanag.Credits{Day: liwanag.DayOf(noon), Reserved: 3, Spent: 7})
		})
		equal(t, get[[]liwanag.Activity](t)(s.Activity(t.Context(), noon.Add(-time.Hour), noon.Add(2*time.Hour), time.Hour)), []liwanag.Activity{
			{From: hour.Add(-time.Hour)}, {From: hour, SignUps: 2, Enriched: 1, NotFound: 1},
			{From: hour.Add(time.Hour), SignUps: 2, Enriched: 1, Failed: 1}, {From: hour.Add(2 * time.Hour)}})
		day := noon.Truncate(24 * time.Hour)
		equal(t, get[[]liwanag.Activity](t)(s.Activity(t.Context(), noon.Add(-24*time.Hour), noon.Add(3*time.Hour),
			24*time.Hour)), []liwanag.Activity{
			{From: day.Add(-24 * time.Hour)}, {From: day, SignUps: 4, Enriched: 2, NotFound: 1, Failed: 1, Spent: 7}})
		equal(t, len(get[[]liwanag.Activity](t)(s.Activity(t.Context(), noon, noon.Add(-time.Hour), time.Hour))), 0)
	},

	"people who unsubscribe are marked, come back, and are deleted with their profile": func(t *testing.T, s *datastore.Store) {
		ids := people(t, s, "a@gmail.com", "b@gmail.com")
		one := []liwanag.ID{ids[0]}
		departure := liwanag.Departure{IDs: one, At: noon, By: "upl_1"}
		later := liwanag.Departure{IDs: one, At: noon.Add(time.Hour), By: liwanag.ByOperator}
		want(t, s, one, func(tx *datastore.Tx) ([]liwanag.ID, error) { return tx.Subscribers.Suppress(departure) })
		want(t, s, nil, func(tx *datastore.Tx) ([]liwanag.ID, error) { return tx.Subscribers.Suppress(later) })
		left := get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), ids[0]))
		equal(t, left.SuppressedAt, noon.Add(time.Hour)) // what a file says gives way
		equal(t, left.UnsubscribedBy, liwanag.ByOperator)
		want(t, s, nil, func(tx *datastore.Tx) ([]liwanag.ID, error) { return tx.Subscribers.Suppress(departure) })
		equal(t, get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), ids[0])), left)
		leftBy := func(by string, after liwanag.ID, expected ...liwanag.ID) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (ids []liwanag.ID, err error) {
				all, err := tx.Subscribers.LeftBy(by, after, 5)
				for _, p := range all {
					ids = append(ids, p.ID)
				}
				return ids, err
			})
			equal(t, get[int64](t)(s.Subscribers.CountLeftBy(t.Context(), by)) >= int64(len(expected)), true)
		}
		leftBy("upl_2", liwanag.ID{})
		leftBy(liwanag.ByOperator, liwanag.ID{}, one...)
		leftBy(liwanag.ByOperator, ids[0])
		for standing, expected := range map[liwanag.Standing][]liwanag.ID{liwanag.StandingLeft: one, liwanag.StandingIn: {ids[1]},
			liwanag.StandingAny: {ids[1], ids[0]}, "": {ids[1], ids[0]}} {
			page, _, err := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{Standing: standing}, liwanag.Page{})
			if err != nil {
				t.Fatal(err)
			}
			var got []liwanag.ID
			for _, person := range page {
				got = append(got, person.ID)
			}
			equal(t, got, expected)
			equal(t, get[int64](t)(s.Subscribers.CountLeft(t.Context(), liwanag.SubscriberFilter{Standing: standing, Query: "a@"})), int64(1))
		}
		equal(t, get[int64](t)(s.Subscribers.CountLeft(t.Context(), liwanag.SubscriberFilter{Query: "b@"})), int64(0))
		jobs := insertJobs(t, s, pendingJob(ids[0]), pendingJob(ids[1]))
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), jobs[0])).Suppressed, true)
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), jobs[1])).Suppressed, false)
		want(t, s, one, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			return tx.Subscribers.Suppress(liwanag.Departure{IDs: ids})
		})
		equal(t, get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), ids[0])).SuppressedAt, time.Time{})
		leftBy(liwanag.ByOperator, liwanag.ID{})
		equal(t, get[int64](t)(s.Subscribers.CountLeftBy(t.Context(), liwanag.ByOperator)), int64(0))
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: ids[0], Profile: []byte(`{}`), ResultAt: noon, At: noon}})
			return err
		})
		write(t, s, func(tx *datastore.Tx) error { return tx.Subscribers.Delete(one) })
		_, err := s.Subscribers.Get(t.Context(), ids[0])
		notFound(t, err)
		_, err = s.Subscribers.Profile(t.Context(), ids[0])
		notFound(t, err)
		rest := get[[]liwanag.Job](t)(s.Jobs.OfSubscriber(t.Context(), ids[0]))
		if len(rest) != 1 || rest[0].EmailKey != "" || rest[0].Suppressed {
			t.Fatalf("%+v", rest)
		}
		if err := s.Scrub(t.Context()); err != nil {
			t.Fatal(err)
		}
	},

	"what was dismissed is noted with its cause, the latest of each thing": func(t *testing.T, s *datastore.Store) {
		first := liwanag.Dismissal{Kind: "sink_failing", Thing: "snk_1", Cause: "a", At: noon}
		other := liwanag.Dismissal{Kind: "credits_low", Cause: "b", At: noon.Add(time.Second)}
		again := liwanag.Dismissal{Kind: "sink_failing", Thing: "snk_1", Cause: "c", At: noon.Add(time.Minute)}
		write(t, s, func(tx *datastore.Tx) error {
			return errors.Join(tx.Dismissals.Put(first), tx.Dismissals.Put(other), tx.Dismissals.Put(again))
		})
		equal(t, get[[]liwanag.Dismissal](t)(s.Dismissals.List(t.Context())), []liwanag.Dismissal{again, other})
		want(t, s, int64(1), func(tx *datastore.Tx) (int64, error) { return tx.Dismissals.Prune(again.At) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Dismissals.Delete("sink_failing", "snk_1") })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Dismissals.Delete("sink_failing", "snk_1") })
		equal(t, len(get[[]liwanag.Dismissal](t)(s.Dismissals.List(t.Context()))), 0)
	},

	"uploads that wait for somebody are listed, newest first": func(t *testing.T, s *datastore.Store) {
		var ids []liwanag.ID
		for i, status := range []liwanag.UploadStatus{liwanag.UploadPreviewed, liwanag.UploadImporting, liwanag.UploadNeedsMapping} {
			ids = append(ids, newID(liwanag.UploadKind))
			write(t, s, func(tx *datastore.Tx) error {
				return tx.Uploads.Insert(liwanag.Upload{ID: ids[i], FileName: "a.csv", Status: status, CreatedAt: noon})
			})
		}
		var got []liwanag.ID
		for _, up := range get[[]liwanag.Upload](t)(s.Uploads.Waiting(t.Context(), 5)) {
			got = append(got, up.ID)
		}
		equal(t, got, []liwanag.ID{ids[2], ids[0]})
	},

	"a raw body is rewritten until it is settled": func(t *testing.T, s *datastore.Store) {
		d := liwanag.Delivery{Digest: digestOf(1), Source: liwanag.FromWebhook, Raw: []byte("ada"), Size: 3,
			State: liwanag.DeliveryStored, ReceivedAt: noon}
		write(t, s, func(tx *datastore.Tx) error { _, err := tx.Deliveries.Insert(d); return err })
		want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Rewrite(d.Digest, []byte("-")) })
		equal(t, string(get[liwanag.Delivery](t)(s.Deliveries.Get(t.Context(), d.Digest)).Raw), "-")
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest,
				From: []liwanag.DeliveryState{liwanag.DeliveryStored}, To: liwanag.DeliverySettled})
			return err
		})
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Rewrite(d.Digest, []byte("ada")) })
	},
}
