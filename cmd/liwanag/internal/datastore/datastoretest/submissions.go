package datastoretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var submissionTests = map[string]func(*testing.T, *datastore.Store){
	"a submission keeps every field": func(t *testing.T, s *datastore.Store) {
		b := preparedSubmission(newID(liwanag.RunKind), 2, 3)
		b.State, b.Sender, b.TokenHash, b.RequestDigest = liwanag.SubmissionAccepted, "node-1/7", digestOf(1), digestOf(2)
		b.EnrichmentID, b.Supersedes, b.Cause = "enr", newID(liwanag.SubmissionKind), "timeout"
		b.SendingAt, b.OutcomeAt, b.GraceUntil, b.FollowAt = noon.Add(1e9), noon.Add(2e9), noon.Add(3e9), noon.Add(4e9)
		b.Detached, b.Late, b.Credits, b.Duplicates = true, true, 4, 5
		insertSubmission(t, s, b)
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
		equal(t, get[liwanag.Submission](t)(s.Submissions.ByToken(t.Context(), b.TokenHash)), b)
		equal(t, get[liwanag.Submission](t)(s.Submissions.ByEnrichment(t.Context(), "enr")), b)
		want(t, s, b, func(tx *datastore.Tx) (liwanag.Submission, error) { return tx.Submissions.Get(b.ID) })
		_, err := s.Submissions.ByToken(t.Context(), digestOf(9))
		notFound(t, err)
		_, err = s.Submissions.ByEnrichment(t.Context(), "other")
		notFound(t, err)
	},

	"one open submission a job: a second is refused and leaves nothing": func(t *testing.T, s *datastore.Store) {
		for _, state := range []liwanag.SubmissionState{liwanag.SubmissionPrepared, liwanag.SubmissionSending, liwanag.SubmissionAccepted,
			liwanag.SubmissionAmbiguous, liwanag.SubmissionHeld} {
			j, free := job(t, s, string(state)+"@gmail.com"), job(t, s, "free."+string(state)+"@gmail.com")
			first := preparedSubmission(newID(liwanag.RunKind), 1, 1)
			first.State = state
			insertSubmission(t, s, first, j.ID)
			second := preparedSubmission(newID(liwanag.RunKind), 1, 2)
			// The caller goes on after the error: nothing of the insert may stay.
			write(t, s, func(tx *datastore.Tx) error {
				if err := tx.Submissions.Insert(second, []liwanag.ID{free.ID, j.ID}); !errors.Is(err, liwanag.ErrState) {
					return fmt.Errorf("%s: got %w, want ErrState", state, err)
				}
				return nil
			})
			_, err := s.Submissions.Get(t.Context(), second.ID)
			notFound(t, err)
			insertSubmission(t, s, second, free.ID)
			want(t, s, first.ID, func(tx *datastore.Tx) (liwanag.ID, error) {
				b, err := tx.Submissions.OfJob(j.ID)
				return b.ID, err
			})
		}
	},

	"one open submission a job: a final state frees it": func(t *testing.T, s *datastore.Store) {
		for _, state := range []liwanag.SubmissionState{liwanag.SubmissionRefused, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled} {
			j := job(t, s, string(state)+"@gmail.com")
			first := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 1), j.ID)
			moveSubmission(t, s, true, liwanag.SubmissionMove{ID: first.ID,
				From: []liwanag.SubmissionState{liwanag.SubmissionPrepared}, To: state, At: noon})
			second := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 1), j.ID)
			want(t, s, second.ID, func(tx *datastore.Tx) (liwanag.ID, error) {
				b, err := tx.Submissions.OfJob(j.ID)
				return b.ID, err
			})
			// No way back while the other is open, and the refusal leaves nothing.
			write(t, s, func(tx *datastore.Tx) error {
				_, err := tx.Submissions.Move(liwanag.SubmissionMove{ID: first.ID, From: []liwanag.SubmissionState{state},
					To: liwanag.SubmissionAccepted})
				if !errors.Is(err, liwanag.ErrState) {
					return fmt.Errorf("got %w, want ErrState", err)
				}
				return nil
			})
			equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), first.ID)).State, state)
		}
	},

	"one open submission a job under concurrent prepares": func(t *testing.T, s *datastore.Store) {
		j := job(t, s, "mara@gmail.com")
		equal(t, together(t, s, 50, liwanag.ErrState, func(i int, tx *datastore.Tx) error {
			return tx.Submissions.Insert(preparedSubmission(newID(liwanag.RunKind), 1, 1), []liwanag.ID{j.ID})
		}), 1)
	},

	"a run's nth submission exists once": func(t *testing.T, s *datastore.Store) {
		run := newID(liwanag.RunKind)
		second := preparedSubmission(run, 2, 0)
		insertSubmission(t, s, second)
		first := insertSubmission(t, s, preparedSubmission(run, 1, 0))
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error { return tx.Submissions.Insert(preparedSubmission(run, 2, 0), nil) })
		equal(t, get[[]liwanag.Submission](t)(s.Submissions.OfRun(t.Context(), run)), []liwanag.Submission{first, second})
		want(t, s, []liwanag.Submission{first, second}, func(tx *datastore.Tx) ([]liwanag.Submission, error) { return tx.Submissions.OfRun(run) })
	},

	"sending is a fence: one sender, whose name stays": func(t *testing.T, s *datastore.Store) {
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		first := liwanag.Sending{Sender: "one", TokenHash: digestOf(1), RequestDigest: digestOf(2), At: noon,
			GraceUntil: noon.Add(time.Hour), CreditDay: 42}
		want(t, s, true, sending(b.ID, first))
		want(t, s, false, sending(b.ID, liwanag.Sending{Sender: "two", TokenHash: digestOf(3), At: noon}))
		want(t, s, false, sending(newID(liwanag.SubmissionKind), liwanag.Sending{Sender: "three", TokenHash: digestOf(4), At: noon}))
		b.State, b.Sender, b.TokenHash, b.RequestDigest = liwanag.SubmissionSending, "one", digestOf(1), digestOf(2)
		b.SendingAt, b.GraceUntil, b.CreditDay = noon, noon.Add(time.Hour), 42
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
		for _, state := range []liwanag.SubmissionState{liwanag.SubmissionAccepted, liwanag.SubmissionRefused, liwanag.SubmissionAmbiguous,
			liwanag.SubmissionHeld, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled} {
			other := preparedSubmission(newID(liwanag.RunKind), 1, 0)
			other.State = state
			insertSubmission(t, s, other)
			want(t, s, false, sending(other.ID, liwanag.Sending{Sender: "two", TokenHash: digestOf(5), At: noon}))
		}
	},

	"sending is a fence under concurrent senders": func(t *testing.T, s *datastore.Store) {
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		won := make([]bool, 100)
		together(t, s, len(won), nil, func(i int, tx *datastore.Tx) (err error) {
			won[i], err = sending(b.ID, liwanag.Sending{Sender: fmt.Sprint(i), TokenHash: digestOf(byte(i)), At: noon})(tx)
			return err
		})
		var winners []string
		for i, w := range won {
			if w {
				winners = append(winners, fmt.Sprint(i))
			}
		}
		equal(t, winners, []string{get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)).Sender})
	},

	"a token names one submission": func(t *testing.T, s *datastore.Store) {
		a := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		want(t, s, true, sending(a.ID, liwanag.Sending{Sender: "one", TokenHash: digestOf(1), At: noon}))
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error {
			_, err := sending(b.ID, liwanag.Sending{Sender: "two", TokenHash: digestOf(1), At: noon})(tx)
			return err
		})
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)).State, liwanag.SubmissionPrepared)
	},

	"an enrichment belongs to one submission": func(t *testing.T, s *datastore.Store) {
		a := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		learn := func(id liwanag.ID, enrichment string) func(*datastore.Tx) (bool, error) {
			return func(tx *datastore.Tx) (bool, error) { return tx.Submissions.Learn(id, enrichment) }
		}
		want(t, s, true, learn(a.ID, "enr"))
		want(t, s, false, learn(a.ID, "enr"))
		want(t, s, false, learn(a.ID, "other"))
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), a.ID)).EnrichmentID, "enr")
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error { _, err := learn(b.ID, "enr")(tx); return err })
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error {
			_, err := tx.Submissions.Move(liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{liwanag.SubmissionPrepared},
				To: liwanag.SubmissionAccepted, EnrichmentID: "enr"})
			return err
		})
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
	},

	"an enrichment is learnt once under concurrent beacons": func(t *testing.T, s *datastore.Store) {
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
		learnt := make([]bool, 100)
		together(t, s, len(learnt), nil, func(i int, tx *datastore.Tx) (err error) {
			learnt[i], err = tx.Submissions.Learn(b.ID, fmt.Sprint("enr-", i))
			return err
		})
		n := 0
		for _, l := range learnt {
			if l {
				n++
			}
		}
		equal(t, n, 1)
	},

	"a move is a compare-and-set and leaves what it does not name": func(t *testing.T, s *datastore.Store) {
		b := preparedSubmission(newID(liwanag.RunKind), 1, 0)
		b.State, b.Cause, b.FollowAt = liwanag.SubmissionSending, "before", noon
		insertSubmission(t, s, b)
		m := liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{liwanag.SubmissionPrepared, liwanag.SubmissionSending},
			To: liwanag.SubmissionAccepted, EnrichmentID: "enr", At: noon.Add(time.Second)}
		moveSubmission(t, s, true, m)
		moveSubmission(t, s, false, m)
		b.State, b.Cause, b.EnrichmentID, b.OutcomeAt, b.FollowAt = liwanag.SubmissionAccepted, "", "enr", noon.Add(time.Second), time.Time{}
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
		moveSubmission(t, s, true, liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{liwanag.SubmissionAccepted},
			To: liwanag.SubmissionHeld, Cause: "why"})
		b.State, b.Cause = liwanag.SubmissionHeld, "why"
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
		equal(t, get[map[liwanag.SubmissionState]int64](t)(s.Submissions.Count(t.Context())),
			map[liwanag.SubmissionState]int64{liwanag.SubmissionHeld: 1})
	},

	"costs and follow-ups are written": func(t *testing.T, s *datastore.Store) {
		b := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 3))
		write(t, s, func(tx *datastore.Tx) error {
			if err := tx.Submissions.Cost(liwanag.SubmissionCost{ID: b.ID, Reserved: 0, Credits: 2, Duplicates: 1, Late: true}); err != nil {
				return err
			}
			return tx.Submissions.Follow(b.ID, noon)
		})
		b.Reserved, b.Credits, b.Duplicates, b.Late, b.FollowAt = 0, 2, 1, true, noon
		equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)), b)
		equal(t, get[[]liwanag.Submission](t)(s.Submissions.Due(t.Context(), noon, 10)), []liwanag.Submission{b})
		equal(t, get[[]liwanag.Submission](t)(s.Submissions.Due(t.Context(), noon.Add(-time.Microsecond), 10)), nil)
		write(t, s, func(tx *datastore.Tx) error { return tx.Submissions.Follow(b.ID, time.Time{}) })
		equal(t, get[[]liwanag.Submission](t)(s.Submissions.Due(t.Context(), noon, 10)), nil)
		for _, fn := range []func(tx *datastore.Tx) error{
			func(tx *datastore.Tx) error { return tx.Submissions.Follow(newID(liwanag.SubmissionKind), noon) },
			func(tx *datastore.Tx) error {
				return tx.Submissions.Cost(liwanag.SubmissionCost{ID: newID(liwanag.SubmissionKind)})
			},
			func(tx *datastore.Tx) error { _, err := tx.Submissions.OfJob(newID(liwanag.JobKind)); return err },
		} {
			refused(t, s, liwanag.ErrNotFound, fn)
		}
	},

	"what is not sent yet can be looked at sooner": func(t *testing.T, s *datastore.Store) {
		run, n := newID(liwanag.RunKind), 0
		for state, at := range map[liwanag.SubmissionState]time.Time{liwanag.SubmissionPrepared: noon, liwanag.SubmissionRefused: noon,
			liwanag.SubmissionAccepted: noon.Add(time.Hour), liwanag.SubmissionAmbiguous: noon.Add(time.Hour)} {
			n++
			b := preparedSubmission(run, n, 1)
			b.State, b.FollowAt = state, noon.Add(time.Hour)
			insertSubmission(t, s, b)
			n++
			never := preparedSubmission(run, n, 1)
			never.State = state
			insertSubmission(t, s, never)
			write(t, s, func(tx *datastore.Tx) error { return tx.Submissions.FollowUnsent(noon) })
			equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), b.ID)).FollowAt, at)
			equal(t, get[liwanag.Submission](t)(s.Submissions.Get(t.Context(), never.ID)).FollowAt, time.Time{})
		}
		write(t, s, func(tx *datastore.Tx) error { return tx.Submissions.FollowUnsent(noon.Add(time.Minute)) })
		equal(t, len(get[[]liwanag.Submission](t)(s.Submissions.Due(t.Context(), noon, 10))), 2)
	},

	"contacts in flight are counted until the run ends": func(t *testing.T, s *datastore.Store) {
		run := newID(liwanag.RunKind)
		n := 0
		for state, jobs := range map[liwanag.SubmissionState]int{liwanag.SubmissionPrepared: 1000, liwanag.SubmissionSending: 1,
			liwanag.SubmissionAccepted: 10, liwanag.SubmissionAmbiguous: 100, liwanag.SubmissionHeld: 1000, liwanag.SubmissionRefused: 1000,
			liwanag.SubmissionSuperseded: 1000, liwanag.SubmissionSettled: 1000} {
			n++
			b := preparedSubmission(run, n, jobs)
			b.State = state
			insertSubmission(t, s, b)
		}
		inFlight := func(expected int) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (int, error) { return tx.Submissions.InFlight() })
		}
		detach := func(detached bool) {
			t.Helper()
			want(t, s, 5, func(tx *datastore.Tx) (int, error) {
				open, err := tx.Submissions.Detach(run, detached)
				for _, b := range open {
					if b.Detached != detached {
						t.Errorf("%s: detached %v", b.State, b.Detached)
					}
				}
				return len(open), err
			})
		}
		all, _, err := s.Submissions.List(t.Context(), liwanag.SubmissionFilter{}, liwanag.Page{})
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for _, b := range slices.Backward(all) { // oldest first
			want(t, s, before, func(tx *datastore.Tx) (int, error) { return tx.Submissions.PreparedBefore(b.ID) })
			if b.State == liwanag.SubmissionPrepared {
				before++
			}
		}
		if before == 0 {
			t.Error("nothing is prepared")
		}
		inFlight(111)
		detach(true)
		inFlight(0)
		detach(false)
		inFlight(111)
	},

	"the jobs of a submission come oldest first, without the address of one that is gone": func(t *testing.T, s *datastore.Store) {
		a, b := job(t, s, "a@gmail.com"), job(t, s, "b@gmail.com")
		gone := pendingJob(newID(liwanag.SubscriberKind)) // nobody's
		insertJobs(t, s, gone)
		x := insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 3), gone.ID, b.ID, a.ID)
		want(t, s, []liwanag.Job{a, b, gone}, func(tx *datastore.Tx) ([]liwanag.Job, error) { return tx.Jobs.OfSubmission(x.ID) })
		equal(t, get[[]liwanag.Job](t)(s.Jobs.OfSubmission(t.Context(), x.ID)), []liwanag.Job{a, b, gone})
	},

	"the paid call's two transactions hold under concurrent executions": func(t *testing.T, s *datastore.Store) {
		// Fifty executions of one step prepare and send: one POST goes out.
		j := job(t, s, "mara@gmail.com")
		run := newID(liwanag.RunKind)
		sent := make(chan string, 50)
		together(t, s, 50, liwanag.ErrState, func(i int, tx *datastore.Tx) error {
			return tx.Submissions.Insert(preparedSubmission(run, 1, 1), []liwanag.ID{j.ID})
		})
		b := get[[]liwanag.Submission](t)(s.Submissions.OfRun(context.Background(), run))[0]
		together(t, s, 50, nil, func(i int, tx *datastore.Tx) error {
			ok, err := sending(b.ID, liwanag.Sending{Sender: fmt.Sprint(i), TokenHash: digestOf(byte(i + 1)), At: noon})(tx)
			if ok && err == nil {
				sent <- fmt.Sprint(i)
			}
			return err
		})
		equal(t, len(sent), 1)
	},
}

func moveSubmission(t *testing.T, s *datastore.Store, expected bool, m liwanag.SubmissionMove) {
	t.Helper()
	want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Submissions.Move(m) })
}

// sending is the fence of the paid call.
func sending(id liwanag.ID, s liwanag.Sending) func(*datastore.Tx) (bool, error) {
	return func(tx *datastore.Tx) (bool, error) {
		return tx.Submissions.Move(liwanag.SubmissionMove{ID: id, From: []liwanag.SubmissionState{liwanag.SubmissionPrepared},
			To: liwanag.SubmissionSending, Sending: &s})
	}
}
