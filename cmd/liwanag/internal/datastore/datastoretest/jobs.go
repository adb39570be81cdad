package datastoretest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var jobTests = map[string]func(*testing.T, *datastore.Store){
	"one open job a mailbox": func(t *testing.T, s *datastore.Store) {
		ids := people(t, s, "mara@gmail.com", "m.ara+x@googlemail.com", "mara@work.example")
		first, second, work := pendingJob(ids[0]), pendingJob(ids[1]), pendingJob(ids[2])
		want(t, s, []liwanag.Opened{{JobID: first.ID, Inserted: true}, {JobID: first.ID, Shared: true}, {JobID: work.ID, Inserted: true}},
			func(tx *datastore.Tx) ([]liwanag.Opened, error) {
				return tx.Jobs.Insert([]liwanag.Job{first, second, work})
			})
		second.Status, second.Failure.Code = liwanag.JobCanceled, liwanag.CodeSameMailbox
		insertJobs(t, s, second)
		none := func(tx *datastore.Tx) ([]liwanag.ID, error) {
			return tx.Jobs.Reopen([]liwanag.ID{second.ID}, liwanag.JobPending)
		}
		want(t, s, nil, none)
		equal(t, len(get[[]liwanag.Job](t)(s.Jobs.Freed(t.Context(), 10))), 0)
		want(t, s, []liwanag.ID{first.ID}, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			return tx.Jobs.Move(liwanag.JobMove{IDs: []liwanag.ID{first.ID}, From: []liwanag.JobStatus{liwanag.JobPending},
				To: liwanag.JobNotFound, At: noon})
		})
		equal(t, get[[]liwanag.Job](t)(s.Jobs.Freed(t.Context(), 10))[0].ID, second.ID)
		want(t, s, []liwanag.ID{second.ID}, none)
		open := get[map[string]bool](t)(s.Subscribers.LookedUp(t.Context(), []string{"mara@gmail.com", "ben@gmail.com"}, noon))
		equal(t, open, map[string]bool{"mara@gmail.com": true})
	},

	"a job keeps every field": func(t *testing.T, s *datastore.Store) {
		j := liwanag.Job{ID: newID(liwanag.JobKind), SubscriberID: person(t, s, "mara@gmail.com"), RunID: newID(liwanag.RunKind),
			UploadID: newID(liwanag.UploadKind), Status: liwanag.JobFailed, Failure: liwanag.JobFailure{Code: "c", Message: "m"},
			RetryAt: noon.Add(time.Minute), Retries: 3, Credits: 2, EnrichmentID: "enr", Late: true, CreatedAt: noon, EndedAt: noon.Add(time.Second),
			Email: "mara@gmail.com", EmailKey: "mara@gmail.com"}
		insertJobs(t, s, j)
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), j.ID)), j)
		want(t, s, []liwanag.Job{j}, func(tx *datastore.Tx) ([]liwanag.Job, error) {
			return tx.Jobs.Get([]liwanag.ID{newID(liwanag.JobKind), j.ID})
		})
		_, err := s.Jobs.Get(t.Context(), newID(liwanag.JobKind))
		notFound(t, err)
	},

	"one open job an address: a person keeps the one there is": func(t *testing.T, s *datastore.Store) {
		for _, status := range []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld} {
			first := pendingJob(person(t, s, string(status)+"@gmail.com"))
			first.Status, first.RunID = status, newID(liwanag.RunKind)
			second, reused := pendingJob(first.SubscriberID), pendingJob(first.SubscriberID)
			reused.Status, reused.EndedAt = liwanag.JobEnriched, noon
			want(t, s, []liwanag.Opened{
				{JobID: first.ID, RunID: first.RunID, Inserted: true},
				{JobID: first.ID, RunID: first.RunID},
				{JobID: reused.ID, Inserted: true},
			}, func(tx *datastore.Tx) ([]liwanag.Opened, error) {
				return tx.Jobs.Insert([]liwanag.Job{first, second, reused})
			})
			_, err := s.Jobs.Get(t.Context(), second.ID)
			notFound(t, err)
		}
	},

	"one open job an address under concurrent inserts": func(t *testing.T, s *datastore.Store) {
		ids := people(t, s, "a@gmail.com", "b@gmail.com", "c@gmail.com")
		inserted := make([]bool, 150)
		together(t, s, len(inserted), nil, func(i int, tx *datastore.Tx) error {
			opened, err := tx.Jobs.Insert([]liwanag.Job{pendingJob(ids[i%3])})
			if err == nil {
				inserted[i] = opened[0].Inserted
			}
			return err
		})
		equal(t, len(slices.DeleteFunc(inserted, func(b bool) bool { return !b })), 3)
		equal(t, get[map[liwanag.JobStatus]int64](t)(s.Jobs.Count(t.Context())), map[liwanag.JobStatus]int64{liwanag.JobPending: 3})
	},

	"one open job an address: no way back from a final state past another": func(t *testing.T, s *datastore.Store) {
		j := job(t, s, "mara@gmail.com")
		move(t, s, []liwanag.ID{j.ID},
			liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobFailed, At: noon})
		insertJobs(t, s, pendingJob(j.SubscriberID))
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error {
			_, err := tx.Jobs.Move(liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobFailed}, To: liwanag.JobPending})
			return err
		})
	},

	"hundreds of jobs are inserted in order": func(t *testing.T, s *datastore.Store) {
		run := newID(liwanag.RunKind)
		var jobs []liwanag.Job
		var ids []liwanag.ID
		for i := range 203 {
			j := pendingJob(person(t, s, fmt.Sprintf("p%d@gmail.com", i)))
			j.RunID = run
			jobs, ids = append(jobs, j), append(ids, j.ID)
		}
		insertJobs(t, s, jobs...)
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.OfRun(t.Context(), run))), ids)
		want(t, s, ids, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			all, err := tx.Jobs.OfRun(run)
			return jobIDs(all), err
		})
	},

	"a move changes those in a From state only": func(t *testing.T, s *datastore.Store) {
		a, b, c := job(t, s, "a@gmail.com"), job(t, s, "b@gmail.com"), job(t, s, "c@gmail.com")
		all := []liwanag.ID{a.ID, b.ID, c.ID}
		move(t, s, all[:1], liwanag.JobMove{IDs: all[:1], From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobSubmitted})
		m := liwanag.JobMove{IDs: all[:2], From: []liwanag.JobStatus{liwanag.JobPending, liwanag.JobHeld}, To: liwanag.JobFailed,
			Failure: liwanag.JobFailure{Code: "c", Message: "m"}, RetryAt: noon.Add(time.Hour), At: noon}
		move(t, s, []liwanag.ID{b.ID}, m)
		move(t, s, nil, m)
		b.Status, b.Failure, b.RetryAt, b.EndedAt = liwanag.JobFailed, m.Failure, m.RetryAt, noon
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), b.ID)), b)
		equal(t, jobStatus(t, s, a.ID), liwanag.JobSubmitted)
		equal(t, jobStatus(t, s, c.ID), liwanag.JobPending)
		// Back to an open state: the ending and its reason are gone.
		move(t, s, []liwanag.ID{b.ID}, liwanag.JobMove{IDs: all, From: []liwanag.JobStatus{liwanag.JobFailed}, To: liwanag.JobHeld, At: noon})
		b.Status, b.Failure, b.RetryAt, b.EndedAt = liwanag.JobHeld, liwanag.JobFailure{}, time.Time{}, time.Time{}
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), b.ID)), b)
	},

	"a retried run takes back its jobs, save those that must stay": func(t *testing.T, s *datastore.Store) {
		failed, canceled, held := job(t, s, "failed@gmail.com"), job(t, s, "canceled@gmail.com"), job(t, s, "held@gmail.com")
		enriched, gone, elsewhere := job(t, s, "enriched@gmail.com"), job(t, s, "gone@gmail.com"), job(t, s, "elsewhere@gmail.com")
		pending := []liwanag.JobStatus{liwanag.JobPending}
		end := func(j liwanag.Job, to liwanag.JobStatus, code string) {
			move(t, s, []liwanag.ID{j.ID}, liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: pending, To: to, At: noon, RetryAt: noon,
				Failure: liwanag.JobFailure{Code: code}})
		}
		end(failed, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		end(canceled, liwanag.JobCanceled, "")
		end(held, liwanag.JobHeld, "")
		end(enriched, liwanag.JobEnriched, "")
		end(gone, liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		end(elsewhere, liwanag.JobFailed, "")
		insertJobs(t, s, pendingJob(elsewhere.SubscriberID))
		// Two failed jobs of one person: only one may come back.
		twice := job(t, s, "twice@gmail.com")
		end(twice, liwanag.JobFailed, "")
		again := pendingJob(twice.SubscriberID)
		insertJobs(t, s, again)
		end(again, liwanag.JobFailed, "")

		want(t, s, []liwanag.ID{failed.ID, canceled.ID, held.ID, twice.ID}, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			ids, err := tx.Jobs.Reopen([]liwanag.ID{failed.ID, canceled.ID, held.ID, enriched.ID, gone.ID, elsewhere.ID,
				twice.ID, again.ID}, liwanag.JobPending)
			return sorted(ids), err
		})
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), failed.ID)), failed)
		equal(t, jobStatus(t, s, gone.ID), liwanag.JobCanceled)
	},

	"a result is written whatever the state and ends the retries": func(t *testing.T, s *datastore.Store) {
		j := job(t, s, "mara@gmail.com")
		move(t, s, []liwanag.ID{j.ID},
			liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobFailed,
				Failure: liwanag.JobFailure{Code: liwanag.CodeWebhookTimeout}, RetryAt: noon, At: noon})
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Jobs.Settle([]liwanag.JobResult{{ID: j.ID, Status: liwanag.JobEnriched, Credits: 2, EnrichmentID: "enr",
				Late: true, At: noon.Add(time.Hour)}})
		})
		j.Status, j.Credits, j.EnrichmentID, j.Late, j.EndedAt = liwanag.JobEnriched, 2, "enr", true, noon.Add(time.Hour)
		equal(t, get[liwanag.Job](t)(s.Jobs.Get(t.Context(), j.ID)), j)
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.RetryDue(t.Context(), noon.Add(time.Hour), 10))), nil)
	},

	"assigning takes pending jobs without a batch, and takes them out again": func(t *testing.T, s *datastore.Store) {
		a, b, c := job(t, s, "a@gmail.com"), job(t, s, "b@gmail.com"), job(t, s, "c@gmail.com")
		all := []liwanag.ID{a.ID, b.ID, c.ID}
		move(t, s, all[2:], liwanag.JobMove{IDs: all[2:], From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobSubmitted})
		run, other := newID(liwanag.RunKind), newID(liwanag.RunKind)
		assign := func(expected, ids []liwanag.ID, run liwanag.ID) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) ([]liwanag.ID, error) {
				changed, err := tx.Jobs.Assign(ids, run)
				return sorted(changed), err
			})
		}
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.Unbatched(t.Context(), 1))), all[:1])
		assign(all[:1], all[:1], run)
		assign(all[1:2], all, other)
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.Unbatched(t.Context(), 10))), nil)
		equal(t, get[[]liwanag.ID](t)(s.Jobs.RunsOfEmail(t.Context(), "b@gmail.com")), []liwanag.ID{other})
		assign(all[:2], all, liwanag.ID{})
		assign(nil, all, liwanag.ID{})
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.Unbatched(t.Context(), 10))), all[:2])
	},

	"due retries come earliest first and are cleared once": func(t *testing.T, s *datastore.Store) {
		var ids []liwanag.ID
		for i, key := range []string{"a@gmail.com", "b@gmail.com", "c@gmail.com"} {
			j := job(t, s, key)
			ids = append(ids, j.ID)
			move(t, s, []liwanag.ID{j.ID},
				liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobFailed,
					At: noon, RetryAt: noon.Add(time.Duration(2-i) * time.Minute)})
		}
		due := get[[]liwanag.Job](t)(s.Jobs.RetryDue(t.Context(), noon.Add(time.Minute), 10))
		equal(t, jobIDs(due), []liwanag.ID{ids[2], ids[1]})
		clear := func(tx *datastore.Tx) ([]liwanag.ID, error) {
			cleared, err := tx.Jobs.ClearRetry(ids[1:])
			return sorted(cleared), err
		}
		want(t, s, ids[1:], clear)
		want(t, s, nil, clear)
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.RetryDue(t.Context(), noon.Add(time.Hour), 10))), ids[:1])
	},

	"open runs are told once each, in order": func(t *testing.T, s *datastore.Store) {
		runs := []liwanag.ID{newID(liwanag.RunKind), newID(liwanag.RunKind), newID(liwanag.RunKind), newID(liwanag.RunKind)}
		for i, run := range runs {
			for n := range 2 {
				j := pendingJob(person(t, s, fmt.Sprintf("p%d-%d@gmail.com", i, n)))
				j.RunID = run
				switch i {
				case 1:
					j.Status, j.EndedAt = liwanag.JobEnriched, noon
				case 3:
					j.CreatedAt = noon.Add(time.Hour)
				}
				insertJobs(t, s, j)
			}
		}
		open := func(before time.Time, after liwanag.ID, limit int) []liwanag.ID {
			t.Helper()
			return get[[]liwanag.ID](t)(s.Jobs.OpenRuns(t.Context(), before, after, limit))
		}
		equal(t, open(noon.Add(time.Second), liwanag.ID{}, 10), []liwanag.ID{runs[0], runs[2]})
		equal(t, open(noon.Add(time.Second), runs[0], 10), []liwanag.ID{runs[2]})
		equal(t, open(noon.Add(2*time.Hour), runs[0], 1), []liwanag.ID{runs[2]})
		equal(t, open(noon, liwanag.ID{}, 10), nil)
	},

	"a person's jobs and runs come newest first": func(t *testing.T, s *datastore.Store) {
		mara := person(t, s, "mara@gmail.com")
		var ids, runs []liwanag.ID
		for range 3 {
			j := pendingJob(mara)
			j.Status, j.EndedAt, j.RunID = liwanag.JobFailed, noon, newID(liwanag.RunKind)
			insertJobs(t, s, j)
			ids, runs = append(ids, j.ID), append(runs, j.RunID)
		}
		open := pendingJob(mara)
		insertJobs(t, s, open)
		slices.Reverse(ids)
		slices.Reverse(runs)
		equal(t, jobIDs(get[[]liwanag.Job](t)(s.Jobs.OfSubscriber(t.Context(), mara))), append([]liwanag.ID{open.ID}, ids...))
		equal(t, get[[]liwanag.ID](t)(s.Jobs.RunsOfEmail(t.Context(), "mara@gmail.com")), runs)
		want(t, s, []liwanag.ID{open.ID}, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			all, err := tx.Jobs.OpenOf([]liwanag.ID{mara})
			return jobIDs(all), err
		})
	},

	"people in flight are those with a submission that may be paid for": func(t *testing.T, s *datastore.Store) {
		expected := map[liwanag.SubmissionState]bool{
			liwanag.SubmissionPrepared: false, liwanag.SubmissionSending: true, liwanag.SubmissionAccepted: true, liwanag.SubmissionAmbiguous: true,
			liwanag.SubmissionHeld: true, liwanag.SubmissionRefused: false, liwanag.SubmissionSuperseded: false, liwanag.SubmissionSettled: false,
		}
		var all, flying []liwanag.ID
		for state, flies := range expected {
			j := job(t, s, string(state)+"@gmail.com")
			b := preparedSubmission(newID(liwanag.RunKind), 1, 1)
			b.State = state
			insertSubmission(t, s, b, j.ID)
			// The job's own status does not count.
			move(t, s, []liwanag.ID{j.ID},
				liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobCanceled, At: noon})
			all = append(all, j.SubscriberID)
			if flies {
				flying = append(flying, j.SubscriberID)
			}
		}
		want(t, s, sorted(flying), func(tx *datastore.Tx) ([]liwanag.ID, error) {
			ids, err := tx.Jobs.InFlight(all)
			return sorted(ids), err
		})
	},

	"whom the latest lookup did not find lately are told": func(t *testing.T, s *datastore.Store) {
		var all []liwanag.ID
		for key, ends := range map[string][]liwanag.JobStatus{"a": {liwanag.JobNotFound}, "b": {liwanag.JobNotFound, liwanag.JobFailed},
			"c": {liwanag.JobFailed, liwanag.JobNotFound}, "d": {liwanag.JobEnriched}} {
			who := person(t, s, key+"@gmail.com")
			for _, status := range ends {
				j := pendingJob(who)
				j.Status, j.EndedAt = status, noon
				insertJobs(t, s, j)
			}
			if ends[len(ends)-1] == liwanag.JobNotFound {
				all = append(all, who)
			}
		}
		other := person(t, s, "e@gmail.com")
		since := func(at time.Time, want ...liwanag.ID) {
			t.Helper()
			write(t, s, func(tx *datastore.Tx) error {
				ids, err := tx.Jobs.NotFoundSince(append(all, other), at)
				equal(t, sorted(ids), sorted(want))
				return err
			})
		}
		since(noon, all...)
		since(noon.Add(time.Second))
	},

	"random writes do what a model does": jobsLikeTheModel,

	"a write with no jobs at all is no error": func(t *testing.T, s *datastore.Store) {
		write(t, s, func(tx *datastore.Tx) error {
			_, err1 := tx.Jobs.Insert(nil)
			_, err2 := tx.Jobs.Get(nil)
			_, err3 := tx.Jobs.Move(liwanag.JobMove{To: liwanag.JobFailed})
			_, err4 := tx.Subscribers.Upsert(nil)
			_, err5 := tx.Jobs.InFlight(nil)
			return errors.Join(err1, err2, err3, err4, err5, tx.Batches.Insert(nil), tx.Batches.MarkStarted(nil))
		})
	},
}

func jobIDs(jobs []liwanag.Job) []liwanag.ID {
	return identify(jobs, func(j liwanag.Job) liwanag.ID { return j.ID })
}

func move(t *testing.T, s *datastore.Store, expected []liwanag.ID, m liwanag.JobMove) {
	t.Helper()
	want(t, s, expected, func(tx *datastore.Tx) ([]liwanag.ID, error) {
		ids, err := tx.Jobs.Move(m)
		return sorted(ids), err
	})
}
