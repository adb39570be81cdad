package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Two nodes, each with a group commit of its own, use one database: whatever is
// read in a transaction still holds when it is written.

var errOver = errors.New("over the ceiling")

// nodes opens two on one empty database.
func nodes(t *testing.T) (a, b *datastore.Store) {
	t.Helper()
	url := emptied(t)
	_, a = open(t, url)
	_, b = open(t, url)
	return a, b
}

// onBoth calls fn n times at once, half of them on each node, each in a write of
// its own, and counts the nil errors; any error but the allowed one fails.
func onBoth(t *testing.T, n int, allowed error, fn func(i int, tx *datastore.Tx) error) (done int) {
	t.Helper()
	a, b := nodes(t)
	return onStores(t, []*datastore.Store{a, b}, n, allowed, fn)
}

func onStores(t *testing.T, stores []*datastore.Store, n int, allowed error, fn func(i int, tx *datastore.Tx) error) (done int) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = stores[i%len(stores)].Write(t.Context(), func(tx *datastore.Tx) error { return fn(i, tx) })
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case allowed == nil || !errors.Is(err, allowed):
			t.Fatal(err)
		}
	}
	return done
}

func TestTheCallsOfAMinuteHoldOverTwoNodes(t *testing.T) {
	const limit = 55
	done := onBoth(t, 400, errOver, func(_ int, tx *datastore.Tx) error {
		n, err := tx.Ledger.TakeCall(1)
		if err == nil && n > limit {
			return errOver
		}
		return err
	})
	if done != limit {
		t.Errorf("%d calls were taken, the limit is %d", done, limit)
	}
}

func TestTheCreditsOfADayHoldOverTwoNodes(t *testing.T) {
	const budget = 150
	done := onBoth(t, 400, errOver, func(_ int, tx *datastore.Tx) error {
		c, err := tx.Ledger.Credits(1)
		if err != nil {
			return err
		}
		if c.Reserved+c.Spent >= budget {
			return errOver
		}
		return tx.Ledger.AddCredits(liwanag.Credits{Day: 1, Reserved: 1})
	})
	if done != budget {
		t.Errorf("%d credits were reserved, the budget is %d", done, budget)
	}
}

func TestPeopleWhoSignUpOnTwoNodesShareBatchesOfTheirSize(t *testing.T) {
	const people, full = 250, 100
	a, b := nodes(t)
	var mu sync.Mutex
	ups := make([]liwanag.SignUp, people)
	for i := range ups {
		ups[i] = signUp(fmt.Sprintf("person-%d@gmail.com", i))
	}
	onStores(t, []*datastore.Store{a, b}, people, nil, func(i int, tx *datastore.Tx) error {
		_, err := tx.Subscribers.Upsert(ups[i : i+1])
		if err != nil {
			return err
		}
		batch, ok, err := tx.Batches.Open(noon)
		if err != nil {
			return err
		}
		if ok {
			ok, err = tx.Batches.Grow(batch.RunID, 1, full)
		}
		if err == nil && !ok {
			batch = liwanag.Batch{RunID: liwanag.NewID(liwanag.RunKind), ClosesAt: noon.Add(time.Hour), Size: 1,
				State: liwanag.BatchOpen, CreatedAt: noon}
			err = tx.Batches.Insert([]liwanag.Batch{batch})
		}
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = tx.Jobs.Insert([]liwanag.Job{{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: ups[i].ID, RunID: batch.RunID,
			Status: liwanag.JobPending, CreatedAt: noon}})
		return err
	})
	batches, err := a.Batches.Unstarted(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, batch := range batches {
		jobs, err := b.Jobs.OfRun(t.Context(), batch.RunID)
		if err != nil || len(jobs) != batch.Size {
			t.Errorf("a batch of %d has %d jobs, %v", batch.Size, len(jobs), err)
		}
		sizes = append(sizes, batch.Size)
	}
	if fmt.Sprint(sizes) != "[100 100 50]" {
		t.Errorf("batches of %v, want one open at a time, each filled up to %d", sizes, full)
	}
}

func TestAPersonWhoSignsUpOnTwoNodesHasOneOpenJob(t *testing.T) {
	created := make([]bool, 200)
	inserted := make([]bool, len(created))
	onBoth(t, len(created), nil, func(i int, tx *datastore.Tx) error {
		got, err := tx.Subscribers.Upsert([]liwanag.SignUp{signUp("mara@gmail.com")})
		if err != nil {
			return err
		}
		opened, err := tx.Jobs.Insert([]liwanag.Job{{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: got[0].ID,
			Status: liwanag.JobPending, CreatedAt: noon}})
		if err == nil {
			created[i], inserted[i] = got[0].Created, opened[0].Inserted
		}
		return err
	})
	if n, m := count(created), count(inserted); n != 1 || m != 1 {
		t.Errorf("%d subscribers and %d jobs were created for one person", n, m)
	}
}

func TestAMailboxThatSignsUpOnTwoNodesHasOneOpenJob(t *testing.T) {
	keys := []string{"mara@gmail.com", "ma.ra@gmail.com", "mara+news@gmail.com", "m.a.r.a@googlemail.com"}
	inserted := make([]bool, 100)
	onBoth(t, len(inserted), nil, func(i int, tx *datastore.Tx) error {
		got, err := tx.Subscribers.Upsert([]liwanag.SignUp{signUp(keys[i%len(keys)])})
		if err != nil {
			return err
		}
		opened, err := tx.Jobs.Insert([]liwanag.Job{{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: got[0].ID,
			Status: liwanag.JobPending, CreatedAt: noon}})
		if err == nil {
			inserted[i] = opened[0].Inserted
		}
		return err
	})
	if n := count(inserted); n != 1 {
		t.Errorf("%d jobs were created for one mailbox", n)
	}
}

func TestAPaidCallHasOneSenderOverTwoNodes(t *testing.T) {
	a, b := nodes(t)
	s := liwanag.Submission{ID: liwanag.NewID(liwanag.SubmissionKind), RunID: liwanag.NewID(liwanag.RunKind), N: 1,
		State: liwanag.SubmissionPrepared, Name: "x", PreparedAt: noon}
	if err := a.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Submissions.Insert(s, nil) }); err != nil {
		t.Fatal(err)
	}
	won := make([]bool, 200)
	onStores(t, []*datastore.Store{a, b}, len(won), nil, func(i int, tx *datastore.Tx) (err error) {
		won[i], err = tx.Submissions.Move(liwanag.SubmissionMove{ID: s.ID,
			From: []liwanag.SubmissionState{liwanag.SubmissionPrepared}, To: liwanag.SubmissionSending,
			Sending: &liwanag.Sending{Sender: fmt.Sprint(i), TokenHash: liwanag.Digest{byte(i), 1}, At: noon}})
		return err
	})
	got, err := b.Submissions.Get(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if count(won) != 1 {
		t.Fatalf("%d senders", count(won))
	}
	for i, w := range won {
		if w && got.Sender != fmt.Sprint(i) {
			t.Errorf("%d won, the row says %s", i, got.Sender)
		}
	}
}

func TestAFiringAndAnUploadAreOneNodes(t *testing.T) {
	a, b := nodes(t)
	stores := []*datastore.Store{a, b}
	fired := make([]bool, 100)
	onStores(t, stores, len(fired), nil, func(i int, tx *datastore.Tx) (err error) {
		fired[i], err = tx.Ledger.TakeFiring("hourly", noon)
		return err
	})
	u := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadImporting, CreatedAt: noon}
	if err := a.Write(t.Context(), func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) }); err != nil {
		t.Fatal(err)
	}
	claimed := make([]bool, 100)
	onStores(t, stores, len(claimed), nil, func(i int, tx *datastore.Tx) (err error) {
		claimed[i], err = tx.Uploads.Claim(liwanag.UploadClaim{ID: u.ID, Owner: fmt.Sprint("node-", i), Now: noon, Until: noon.Add(time.Minute)})
		return err
	})
	if n, m := count(fired), count(claimed); n != 1 || m != 1 {
		t.Errorf("a firing was taken %d times, an upload claimed %d times", n, m)
	}
}

func count(all []bool) (n int) {
	for _, one := range all {
		if one {
			n++
		}
	}
	return n
}
