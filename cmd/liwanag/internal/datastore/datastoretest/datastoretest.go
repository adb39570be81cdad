// Package datastoretest is the suite that every [*datastore.Store] passes. A
// named test stands for each guard that must hold whatever a caller does.
package datastoretest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Harness makes the stores of a suite.
type Harness struct {
	// Open gives an empty store that lives until the test ends.
	Open func(t *testing.T) *datastore.Store
	// OpenClosed gives a store whose database was closed under it.
	OpenClosed func(t *testing.T) *datastore.Store
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	for _, part := range []struct {
		name  string
		tests map[string]func(t *testing.T, s *datastore.Store)
	}{
		{"transaction", transactionTests},
		{"subscribers", subscriberTests},
		{"listing", listingTests},
		{"search", searchTests}, {"filters", filterTests},
		{"views", viewTests},
		{"jobs", jobTests},
		{"batches", batchTests},
		{"submissions", submissionTests},
		{"deliveries", deliveryTests},
		{"ledger", ledgerTests},
		{"webhooks", webhookTests},
		{"uploads", uploadTests},
		{"sources", sourceTests},
		{"sinks", sinkTests},
		{"access", accessTests},
		{"activity and erasure", activityTests}, {"counted acts", countedTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			for name, test := range part.tests {
				t.Run(name, func(t *testing.T) { test(t, h.Open(t)) })
			}
		})
	}
	t.Run("closed database", func(t *testing.T) { closedDatabase(t, h.OpenClosed(t)) })
}

// noon is an instant that every database keeps exactly.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 123_456_000, time.UTC)

func newID(kind liwanag.Kind) liwanag.ID { return liwanag.NewID(kind) }

func write(t *testing.T, s *datastore.Store, fn func(tx *datastore.Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

// get is for reads that must work.
func get[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// want is for writes of one operation: it runs op and compares its answer.
func want[T any](t *testing.T, s *datastore.Store, expected T, op func(tx *datastore.Tx) (T, error)) {
	t.Helper()
	var got T
	write(t, s, func(tx *datastore.Tx) (err error) {
		got, err = op(tx)
		return err
	})
	equal(t, got, expected)
}

// refused is for writes that must fail with an error.
func refused(t *testing.T, s *datastore.Store, expected error, fn func(tx *datastore.Tx) error) {
	t.Helper()
	if err := s.Write(t.Context(), fn); !errors.Is(err, expected) {
		t.Fatalf("Write returned %v, want %v", err, expected)
	}
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b liwanag.ID) bool { return a == b })); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

func notFound(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, liwanag.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
}

// sorted puts answers that come in no order into one.
func sorted(ids []liwanag.ID) []liwanag.ID {
	slices.SortFunc(ids, liwanag.ID.Compare)
	return ids
}

func digestOf(b byte) liwanag.Digest { return liwanag.Digest{0: b, 31: 1} }

// person stores a subscriber.
func person(t *testing.T, s *datastore.Store, key string) liwanag.ID {
	t.Helper()
	var got []liwanag.SignedUp
	write(t, s, func(tx *datastore.Tx) (err error) {
		got, err = tx.Subscribers.Upsert([]liwanag.SignUp{signUp(key)})
		return err
	})
	return got[0].ID
}

func signUp(key string) liwanag.SignUp {
	return liwanag.SignUp{ID: newID(liwanag.SubscriberKind), EmailKey: key, Email: key, EmailType: liwanag.Personal, At: noon}
}

func people(t *testing.T, s *datastore.Store, keys ...string) []liwanag.ID {
	t.Helper()
	var ids []liwanag.ID
	for _, key := range keys {
		ids = append(ids, person(t, s, key))
	}
	return ids
}

func pendingJob(subscriber liwanag.ID) liwanag.Job {
	return liwanag.Job{ID: newID(liwanag.JobKind), SubscriberID: subscriber, Status: liwanag.JobPending, CreatedAt: noon}
}

// insertJobs stores jobs that must all be new.
func insertJobs(t *testing.T, s *datastore.Store, jobs ...liwanag.Job) []liwanag.ID {
	t.Helper()
	var ids []liwanag.ID
	write(t, s, func(tx *datastore.Tx) error {
		opened, err := tx.Jobs.Insert(jobs)
		for _, o := range opened {
			if !o.Inserted {
				return errors.New("the person has an open job")
			}
		}
		return err
	})
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// job stores a person with a pending job.
func job(t *testing.T, s *datastore.Store, key string) liwanag.Job {
	t.Helper()
	j := pendingJob(person(t, s, key))
	j.Email, j.EmailKey = key, key
	insertJobs(t, s, j)
	return j
}

func jobStatus(t *testing.T, s *datastore.Store, id liwanag.ID) liwanag.JobStatus {
	t.Helper()
	return get[liwanag.Job](t)(s.Jobs.Get(t.Context(), id)).Status
}

func preparedSubmission(run liwanag.ID, n int, jobs int) liwanag.Submission {
	id := newID(liwanag.SubmissionKind)
	return liwanag.Submission{ID: id, RunID: run, N: n, State: liwanag.SubmissionPrepared, Name: "liwanag-" + id.String(), Jobs: jobs,
		PreparedAt: noon, CreditDay: liwanag.DayOf(noon), Reserved: int64(jobs)}
}

func insertSubmission(t *testing.T, s *datastore.Store, b liwanag.Submission, jobs ...liwanag.ID) liwanag.Submission {
	t.Helper()
	write(t, s, func(tx *datastore.Tx) error { return tx.Submissions.Insert(b, jobs) })
	return b
}

// together calls fn n times at once, each in a write of its own, and counts the
// nil errors; any other error than the expected one fails the test.
func together(t *testing.T, s *datastore.Store, n int, expected error, fn func(i int, tx *datastore.Tx) error) (done int) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = s.Write(context.Background(), func(tx *datastore.Tx) error { return fn(i, tx) })
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case expected == nil || !errors.Is(err, expected):
			t.Fatalf("Write: %v", err)
		}
	}
	return done
}
