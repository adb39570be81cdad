package postgres

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// nth is an id of the rows that the database was filled with.
func nth(kind liwanag.Kind, n int64) liwanag.ID {
	kinds := map[liwanag.Kind]int{liwanag.SubscriberKind: 1, liwanag.JobKind: 2, liwanag.RunKind: 3, liwanag.SubmissionKind: 4, liwanag.UploadKind: 5,
		liwanag.SourceIDKind: 6, liwanag.ReceiptKind: 7, liwanag.SinkKind: 8, liwanag.MessageKind: 9}
	b, err := hex.DecodeString(fmt.Sprintf("%012x7000800000000000%04x", n, kinds[kind]))
	if err != nil {
		panic(err)
	}
	id, err := liwanag.IDFromBytes(kind, b)
	if err != nil {
		panic(err)
	}
	return id
}

func readEverything(t *testing.T, s *Store) {
	ctx := t.Context()
	run, person, digest := nth(liwanag.RunKind, 150), nth(liwanag.SubscriberKind, 9000), sha256.Sum256([]byte("7"))
	now := time.UnixMicro(15_000)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("%x@gmail.com", md5.Sum([]byte(fmt.Sprint(i))))
	}
	_, _ = s.Subscribers().Get(ctx, person)
	_, _ = s.Subscribers().ByEmail(ctx, "a")
	_, _ = s.Subscribers().Known(ctx, keys)
	_, _ = s.Subscribers().Profile(ctx, person)
	_, _ = s.Subscribers().Count(ctx)
	for _, cursor := range []string{"", listing.Cursor(subscriberListing, person.Bytes())} {
		for _, f := range []liwanag.SubscriberFilter{{}, {Status: liwanag.JobPending}, {Status: liwanag.NoJob}, {EmailType: liwanag.Personal},
			{Source: "a"}, {Query: "a"}, {CreatedAfter: now, CreatedBefore: now}, {Status: liwanag.JobFailed, Query: "a", Source: "b"}} {
			_, _, _ = s.Subscribers().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Jobs().Get(ctx, nth(liwanag.JobKind, 7))
	_, _ = s.Jobs().OfSubscriber(ctx, person)
	_, _ = s.Jobs().OfRun(ctx, run)
	_, _ = s.Jobs().OfSubmission(ctx, nth(liwanag.SubmissionKind, 7))
	_, _ = s.Jobs().RunsOfEmail(ctx, "a")
	_, _ = s.Jobs().Unbatched(ctx, 1)
	_, _ = s.Jobs().RetryDue(ctx, now, 1)
	_, _ = s.Jobs().OpenRuns(ctx, now, run, 1)
	_, _ = s.Jobs().Count(ctx)
	_, _ = s.Batches().Get(ctx, run)
	_, _ = s.Batches().Unstarted(ctx, 1)
	_, _ = s.Submissions().Get(ctx, nth(liwanag.SubmissionKind, 7))
	_, _ = s.Submissions().ByToken(ctx, digest)
	_, _ = s.Submissions().ByEnrichment(ctx, "a")
	_, _ = s.Submissions().OfRun(ctx, run)
	_, _ = s.Submissions().Due(ctx, now, 1)
	_, _ = s.Submissions().Count(ctx)
	for _, cursor := range []string{"", listing.Cursor(submissionListing, run.Bytes())} {
		for _, f := range []liwanag.SubmissionFilter{{}, {States: []liwanag.SubmissionState{"held", "sending"}}} {
			_, _, _ = s.Submissions().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Deliveries().Get(ctx, digest)
	_, _ = s.Deliveries().Stored(ctx, 1)
	_, _ = s.Deliveries().Unsettled(ctx, now, 1)
	for _, cursor := range []string{"", listed{Delivery: liwanag.Delivery{ReceivedAt: now}}.cursor()} {
		for _, f := range []liwanag.DeliveryFilter{{}, {States: []liwanag.DeliveryState{"stored", "sent"}}, {SubmissionID: nth(liwanag.SubmissionKind, 7)}} {
			_, _, _ = s.Deliveries().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	upload := nth(liwanag.UploadKind, 100)
	_, _ = s.Uploads().Get(ctx, upload)
	_, _ = s.Uploads().Progress(ctx, upload)
	_, _ = s.Uploads().Chunk(ctx, upload, 0)
	_, _ = s.Uploads().Errors(ctx, upload, 0, 1)
	_, _ = s.Uploads().Active(ctx)
	_, _, _ = s.Uploads().List(ctx, liwanag.Page{Cursor: listing.Cursor(uploadListing, upload.Bytes())})
	_, _ = s.Ledger().Spending(ctx)
	_, _ = s.Ledger().Credits(ctx, 1)
	_, _ = s.Ledger().Balance(ctx)
	_, _ = s.Ledger().Calls(ctx, 1)
	_, _ = s.Ledger().Evidence(ctx, "a")
	readConsole(t, s, now)
}

func useEverything(t tx) error {
	now := time.UnixMicro(15_000)
	var ups []liwanag.SignUp
	var jobs, people []liwanag.ID
	var insert []liwanag.Job
	var results []liwanag.JobResult
	var enriched []liwanag.Enriched
	for n := range int64(100) {
		id := liwanag.NewID(liwanag.SubscriberKind)
		ups = append(ups, liwanag.SignUp{ID: id, EmailKey: fmt.Sprintf("new-%d@gmail.com", n/2), EmailType: liwanag.Personal, At: now})
		people, jobs = append(people, nth(liwanag.SubscriberKind, 9000+n)), append(jobs, nth(liwanag.JobKind, 15_000+n))
		insert = append(insert, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: people[n], Status: liwanag.JobPending, CreatedAt: now})
		results = append(results, liwanag.JobResult{ID: jobs[n], Status: liwanag.JobEnriched, At: now})
		enriched = append(enriched, liwanag.Enriched{SubscriberID: people[n], Profile: []byte("{}"), ResultAt: now, At: now})
	}
	if _, err := t.Subscribers().Upsert(ups); err != nil {
		return err
	}
	_, _ = t.Subscribers().Get(people)
	_, _ = t.Subscribers().Enrich(enriched)
	if _, err := t.Jobs().Insert(append(insert, insert[0])); err != nil {
		return err
	}
	run := liwanag.NewID(liwanag.RunKind)
	_, _ = t.Jobs().Get(jobs)
	_, _ = t.Jobs().OfRun(nth(liwanag.RunKind, 150))
	_, _ = t.Jobs().OpenOf(people)
	_, _ = t.Jobs().InFlight(people)
	_, _ = t.Jobs().Assign(jobs, run)
	_, _ = t.Jobs().ClearRetry(jobs)
	_ = t.Batches().Insert([]liwanag.Batch{{RunID: run, ClosesAt: now, State: liwanag.BatchOpen, CreatedAt: now}})
	_, _, _ = t.Batches().Open(now)
	_, _ = t.Batches().Get(run)
	_, _ = t.Batches().Grow(run, 1, 100)
	_ = t.Batches().MarkStarted([]liwanag.ID{run})
	_ = t.Batches().End(run, now)
	_ = t.Batches().Wait(run, liwanag.WaitingKey, now)
	_ = t.Batches().Close(run)
	b := liwanag.Submission{ID: liwanag.NewID(liwanag.SubmissionKind), RunID: run, N: 1, State: liwanag.SubmissionPrepared, PreparedAt: now}
	if err := t.Submissions().Insert(b, jobs); err != nil {
		return err
	}
	_, _ = t.Submissions().Get(b.ID)
	_, _ = t.Submissions().PreparedBefore(b.ID)
	_, _ = t.Submissions().OfRun(run)
	_, _ = t.Submissions().OfJob(jobs[0])
	_, _ = t.Submissions().Send(liwanag.Sending{ID: b.ID, TokenHash: liwanag.Digest{1}, At: now})
	_, _ = t.Submissions().Learn(b.ID, "a")
	_, _ = t.Submissions().Move(liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{"sending"}, To: "accepted"})
	_ = t.Submissions().Cost(liwanag.SubmissionCost{ID: b.ID})
	_ = t.Submissions().Follow(b.ID, now)
	_, _ = t.Submissions().Detach(run, true)
	_, _ = t.Submissions().InFlight()
	_, _ = t.Jobs().OfSubmission(b.ID)
	_, _ = t.Jobs().Move(liwanag.JobMove{IDs: jobs, From: []liwanag.JobStatus{"enriched"}, To: "failed", At: now})
	_, _ = t.Jobs().Reopen(jobs, liwanag.JobPending)
	return errors.Join(t.Jobs().Settle(results), useTheRest(t, now))
}

func useTheRest(t tx, now time.Time) error {
	d := liwanag.Delivery{Digest: liwanag.Digest{1}, State: liwanag.DeliveryStored, ReceivedAt: now}
	_, _ = t.Deliveries().Insert(d)
	_, _ = t.Deliveries().Get(d.Digest)
	_, _ = t.Deliveries().Move(liwanag.DeliveryMove{Digest: d.Digest, To: liwanag.DeliverySent})
	_ = t.Deliveries().Prune(now, now, 1)
	_, _ = t.Ledger().TakeCall(1)
	_, _ = t.Ledger().Spending()
	_ = t.Ledger().SetSpending(liwanag.Spending{})
	_, _ = t.Ledger().Credits(1)
	_ = t.Ledger().AddCredits(1, 1, 1)
	_ = t.Ledger().SetBalance(liwanag.Balance{})
	_ = t.Ledger().Prove("a", now)
	_ = t.Ledger().Reached("a", now, time.Minute)
	_, _ = t.Ledger().TakeFiring("a", now)
	_ = t.Ledger().Prune(time.UnixMicro(100))
	_, _, _ = t.Webhooks().Remember("a", "b", nil, now)
	_, _, _ = t.Webhooks().Remember("a", "b", nil, now)
	_ = t.Webhooks().Forget(time.UnixMicro(100))
	u := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), CreatedAt: now}
	_ = t.Uploads().Insert(u)
	_, _ = t.Uploads().Get(u.ID)
	_ = t.Uploads().PutChunk(u.ID, 0, []byte("a"))
	_, _ = t.Uploads().DropChunks(u.ID, 1)
	_, _ = t.Uploads().DropErrors(u.ID, 1)
	_ = t.Uploads().Preview(u)
	_, _ = t.Uploads().Move(liwanag.UploadMove{ID: u.ID})
	_, _ = t.Uploads().Claim(liwanag.UploadClaim{ID: u.ID, Owner: "a", Now: now, Until: now})
	_, _ = t.Uploads().Advance(liwanag.UploadAdvance{ID: u.ID})
	if err := useConsole(t, now); err != nil {
		return err
	}
	return t.Uploads().AddErrors(u.ID, []liwanag.UploadRowError{{Row: 1}})
}
