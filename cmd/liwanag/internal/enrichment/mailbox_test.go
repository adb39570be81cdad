package enrichment_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// jobs are somebody's, newest first.
func (w *world) jobs(email string) []liwanag.Job {
	w.t.Helper()
	jobs, err := w.life.store.Jobs.OfSubscriber(context.Background(), w.subscriber(email).ID)
	w.must(err)
	return jobs
}

func TestAMailboxIsLookedUpOnceAndAllItsAddressesHaveTheResult(t *testing.T) {
	const first, tagged, other = "ana@gmail.com", "an.a+news@gmail.com", "ana@googlemail.com"
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		runs := w.signUp(first, tagged)
		if runs[0] != runs[1] {
			t.Errorf("the second address names the run %s, not %s", runs[1], runs[0])
		}
		w.wantJob(tagged, liwanag.JobCanceled, liwanag.CodeSameMailbox)
		w.sleep(time.Hour)
		w.signUp(other) // when all is over
		w.wantAccepted(1, first)
		w.wantAccepted(0, tagged, other)
		want := w.subscriber(first).Found
		for _, email := range []string{tagged, other} {
			got := w.subscriber(email)
			if got.Found.At = want.At; got.Found != want || got.EnrichmentStatus != liwanag.JobEnriched {
				t.Errorf("%s: %+v, %s", email, got.Found, got.EnrichmentStatus)
			}
			if jobs := w.jobs(email); len(jobs) != 1 || jobs[0].Credits != 0 || jobs[0].Failure.Code != liwanag.CodeSameMailbox {
				t.Errorf("%s has the jobs %+v", email, jobs)
			}
			if _, err := w.life.store.Subscribers.Profile(context.Background(), got.ID); err != nil {
				t.Errorf("%s: %v", email, err)
			}
		}
	})
}

func TestThatNobodyWasFoundIsNoResultOfAnotherAddress(t *testing.T) {
	const nobody, asked = "ana+notfound@gmail.com", "ana@gmail.com"
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.signUp(nobody, asked)
		w.sleep(time.Hour)
		w.wantAccepted(1, nobody, asked)
		w.wantJob(asked, liwanag.JobEnriched, "")
		// Found by another address, it is a result of the first one, too.
		w.wantJob(nobody, liwanag.JobEnriched, liwanag.CodeSameMailbox)
		if n := len(w.jobs(asked)); n != 1 {
			t.Errorf("the second address has %d jobs", n)
		}
	})
}

func TestALateResultIsSharedToo(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 25 * time.Hour})
		w.signUp("ana@gmail.com")
		w.sleep(2 * time.Minute)
		w.signUp("ana+x@gmail.com")
		w.sleep(24*time.Hour + 30*time.Minute)
		w.wantJob("ana@gmail.com", liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.wantJob("ana+x@gmail.com", liwanag.JobCanceled, liwanag.CodeSameMailbox)
		w.sleep(48 * time.Hour)
		w.wantAccepted(1, "ana@gmail.com")
		w.wantJob("ana@gmail.com", liwanag.JobEnriched, "")
		if got := w.subscriber("ana+x@gmail.com"); got.EnrichmentStatus != liwanag.JobEnriched {
			t.Errorf("the other address: %s", got.EnrichmentStatus)
		}
	})
}

func TestWhatAnUploadMarkedIsTakenBackButForWhoIsSuppressed(t *testing.T) {
	ctx := context.Background()
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.must(w.life.svc.Pause(ctx, "test"))
		w.signUp("ana@gmail.com", "ben@gmx.de")
		up := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), Status: liwanag.UploadDone, CreatedAt: time.Now()}
		left := []liwanag.ID{w.subscriber("ana@gmail.com").ID, w.subscriber("ben@gmx.de").ID}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			_, err := enrichment.Suppress(tx, liwanag.Departure{IDs: left, At: time.Now(), By: up.ID.String()})
			return errors.Join(err, tx.Uploads.Insert(up))
		}))
		_, _, err := w.life.svc.AddSuppression(ctx, nil, "gmx.de", "asked for it")
		w.must(err)
		rows, err := w.life.svc.ResubscribeUpload(ctx, up.ID)
		if w.must(err); rows != 1 || !w.subscriber("ana@gmail.com").SuppressedAt.IsZero() || w.subscriber("ben@gmx.de").SuppressedAt.IsZero() {
			t.Errorf("%d rows came back", rows)
		}
	})
}

func TestLeavingAndErasureAreOfTheMailbox(t *testing.T) {
	ctx := context.Background()
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.must(w.life.svc.Pause(ctx, "test"))
		w.signUp("ana@gmail.com", "a.na@gmail.com", "ben@gmail.com")
		rows, err := w.life.svc.Unsubscribe(ctx, w.subscriber("a.na@gmail.com").ID)
		if w.must(err); rows != 2 || w.subscriber("ana@gmail.com").SuppressedAt.IsZero() {
			t.Errorf("%d rows left", rows)
		}
		w.wantJob("ana@gmail.com", liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		w.wantJob("a.na@gmail.com", liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		w.signUp("ana+later@gmail.com") // by a file: nothing in it says that they came back
		if got := w.subscriber("ana+later@gmail.com"); got.SuppressedAt.IsZero() || got.UnsubscribedBy != liwanag.ByOperator {
			t.Errorf("an address of who left is in: %+v", got)
		}
		if rows, err = w.life.svc.Resubscribe(ctx, w.subscriber("ana@gmail.com").ID); err != nil || rows != 3 {
			t.Errorf("%d rows came back: %v", rows, err)
		}
		if rows, err = w.life.svc.Erase(ctx, w.subscriber("a.na@gmail.com").ID); err != nil || rows != 3 {
			t.Errorf("%d rows were erased: %v", rows, err)
		}
		people, err := w.life.store.Subscribers.OfMailbox(ctx, "ana@gmail.com")
		if w.must(err); len(people) != 0 {
			t.Errorf("%d are left", len(people))
		}
		email, err := liwanag.ParseEmail("b.e.n@gmail.com")
		w.must(err)
		if _, rows, err = w.life.svc.AddSuppression(ctx, &email, "", ""); err != nil || rows != 1 {
			t.Errorf("%d rows were marked by a suppression: %v", rows, err)
		}
	})
}

func TestManyLookupsOfAMailboxAreCountedAsOne(t *testing.T) {
	ctx := context.Background()
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.must(w.life.svc.Pause(ctx, "test"))
		var people []liwanag.ID
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			for _, key := range []string{"ana@gmail.com", "a.na@gmail.com", "ana@work.example"} {
				id := liwanag.NewID(liwanag.SubscriberKind)
				people = append(people, id)
				if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{{ID: id, EmailKey: key, Email: key, EmailType: liwanag.Personal,
					At: time.Now()}}); err != nil {
					return err
				}
			}
			return nil
		}))
		want := []enrichment.EnrichResult{enrichment.EnrichStarted, enrichment.EnrichSameMailbox, enrichment.EnrichStarted}
		for _, dry := range []bool{true, false} {
			enrich := w.life.svc.Enrich
			if dry {
				enrich = w.life.svc.WouldEnrich
			}
			got, err := enrich(ctx, people, false)
			w.must(err)
			for i := range want {
				if got[i].Result != want[i] {
					t.Errorf("%d: %s, not %s", i, got[i].Result, want[i])
				}
			}
		}
		w.must(w.life.svc.Resume(ctx))
		w.sleep(time.Hour)
		w.wantAccepted(1, "ana@gmail.com", "ana@work.example")
		w.wantAccepted(0, "a.na@gmail.com")
		if got := w.subscriber("a.na@gmail.com"); got.EnrichmentStatus != liwanag.JobEnriched {
			t.Errorf("the other address: %s", got.EnrichmentStatus)
		}
	})
}

// olderBoxes are people of a release that knew no mailboxes: 2,100 with one address, and of ana, who has
// left, of ben, whose second lookup was sent, and of cy, who waits twice, several.
func olderBoxes(exec func(query string, args ...any) error) error {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	add := func(email, status string, left any) error {
		id := liwanag.NewID(liwanag.SubscriberKind).Bytes()
		err := exec(`INSERT INTO subscriber (id, email_key, email, email_type, created_at, updated_at, suppressed_at, parted)
			VALUES ($1, $2, $2, 'personal', $3, $3, $4, true)`, id, email, at, left)
		if err != nil || status == "" {
			return err
		}
		return exec(`INSERT INTO job (id, subscriber_id, status, created_at, retries, credits, late, latest) VALUES ($1, $2, $3, $4, 0, 0, $5, $6)`,
			liwanag.NewID(liwanag.JobKind).Bytes(), id, status, at, false, true)
	}
	all := []error{add("ana@gmail.com", "pending", nil), add("ana+1@gmail.com", "", at+1), add("ben@gmail.com", "pending", nil)}
	for i := range 2100 {
		all = append(all, add(fmt.Sprintf("p%d@gmail.com", i), "", nil))
	}
	return errors.Join(append(all, add("b.en@gmail.com", "submitted", nil), add("c.y@googlemail.com", "pending", nil),
		add("cy@gmail.com", "pending", nil), add("cy@work.example", "pending", nil))...)
}

func TestPeopleOfTheReleaseBeforeShareTheirMailboxes(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *datastore.Store{
		"sqlite":   func(t *testing.T) *datastore.Store { return olderSQLite(t, 11, olderBoxes) },
		"postgres": func(t *testing.T) *datastore.Store { return olderPostgreSQL(t, 10, olderBoxes) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, store, quiet := t.Context(), open(t), slog.New(slog.DiscardHandler)
			stop, pieces := errors.New("stopped"), 0
			broken := datastoretest.Watch(store, func() error {
				if pieces++; pieces > 1 {
					return stop
				}
				return nil
			}, nil)
			if err := enrichment.Box(ctx, broken, quiet); !errors.Is(err, stop) {
				t.Fatalf("%v", err)
			}
			for range 2 {
				if err := enrichment.Box(ctx, store, quiet); err != nil {
					t.Fatal(err)
				}
			}
			for email, want := range map[string]struct {
				status liwanag.JobStatus
				left   bool
			}{"ana@gmail.com": {liwanag.JobCanceled, true}, "ana+1@gmail.com": {"", true}, "ben@gmail.com": {liwanag.JobCanceled, false},
				"b.en@gmail.com": {liwanag.JobSubmitted, false}, "c.y@googlemail.com": {liwanag.JobPending, false},
				"cy@gmail.com": {liwanag.JobCanceled, false}, "cy@work.example": {liwanag.JobPending, false}} {
				got, err := store.Subscribers.ByEmail(ctx, email)
				if err != nil || got.EnrichmentStatus != want.status || got.SuppressedAt.IsZero() == want.left {
					t.Errorf("%s: %s, left %v (%v)", email, got.EnrichmentStatus, got.SuppressedAt, err)
				}
			}
			people, err := store.Subscribers.OfMailbox(ctx, "c.y@gmail.com")
			if err != nil || len(people) != 2 {
				t.Errorf("%d people have cy's mailbox: %v", len(people), err)
			}
		})
	}
}
