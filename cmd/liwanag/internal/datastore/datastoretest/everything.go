package datastoretest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// nth is the id of a row of a database that was filled for plans.
func nth(kind liwanag.Kind, n int64) liwanag.ID {
	kinds := map[liwanag.Kind]int{liwanag.SubscriberKind: 1, liwanag.JobKind: 2, liwanag.RunKind: 3,
		liwanag.SubmissionKind: 4, liwanag.UploadKind: 5,
		liwanag.SourceIDKind: 6, liwanag.ReceiptKind: 7, liwanag.SinkKind: 8, liwanag.MessageKind: 9}
	b, _ := hex.DecodeString(fmt.Sprintf("%012x7000800000000000%04x", n, kinds[kind])) // it is hexadecimal
	id, _ := liwanag.IDFromBytes(kind, b)                                              // of 16 bytes
	return id
}

// ReadEverything calls every read of a store with arguments that plans depend on.
func ReadEverything(ctx context.Context, s *datastore.Store) {
	now := time.UnixMicro(15_000)
	readPeople(ctx, s, now)
	readListings(ctx, s, now)
	readLookups(ctx, s, now)
	readUploads(ctx, s)
	readConsole(ctx, s, now)
	readInstance(ctx, s)
}

func readPeople(ctx context.Context, s *datastore.Store, now time.Time) {
	person := nth(liwanag.SubscriberKind, 9000)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("%x@gmail.com", sha256.Sum256([]byte(fmt.Sprint(i))))
	}
	_, _ = s.Subscribers.Get(ctx, person)
	_, _ = s.Subscribers.ByEmail(ctx, "a")
	_, _ = s.Subscribers.Known(ctx, keys)
	_, _ = s.Subscribers.CountLeftBy(ctx, liwanag.ByOperator)
	_, _ = s.Subscribers.OfMailbox(ctx, keys[0])
	_, _ = s.Subscribers.LookedUp(ctx, keys, now)
	_, _ = s.Jobs.Freed(ctx, 1)
	_, _, _ = s.Suppressions.List(ctx, liwanag.Page{})
	_, _, _ = s.Suppressions.List(ctx, liwanag.Page{Cursor: listing.Cursor('x', person.Bytes())})
	_, _ = s.Subscribers.Profile(ctx, person)
	_, _ = s.Subscribers.Count(ctx)
	_, _ = s.Views.List(ctx)
	_, _ = s.Views.OfSink(ctx, nth(liwanag.SinkKind, 1))
}

func readListings(ctx context.Context, s *datastore.Store, now time.Time) {
	run, person := nth(liwanag.RunKind, 150), nth(liwanag.SubscriberKind, 9000)
	for _, cursor := range []string{"", listing.Cursor('s', person.Bytes())} {
		for _, f := range []liwanag.SubscriberFilter{{}, {Status: liwanag.JobPending}, {Status: liwanag.NoJob}, {EmailType: liwanag.Personal},
			{Source: "a"}, {Source: "csv"}, {Source: "csv", Status: liwanag.NoJob},
			{Country: "germany", EmailType: liwanag.Personal}, {Seniority: "vp"}, {Query: "a"}, {Query: "a b"},
			{Query: "mara"}, {Query: "-"}, {CreatedAfter: now, CreatedBefore: now},
			{Tag: "a"}, {NameMatches: liwanag.NamesDiffer}, {SignedUpAfter: now},
			{Status: liwanag.JobFailed, Query: "a", Source: "b"}, {Standing: liwanag.StandingIn},
			{MailDomain: "a"}, {Standing: liwanag.StandingLeft}, {JobTitle: "a,b"}, {Country: "a"}, {Country: "a,b"}, {Industry: "a"},
			{CompanyDomain: "a"}, {HeadcountMin: 1, HeadcountMax: 2}, {HasLinkedin: new(bool)}, {FoundAfter: now},
			{Metadata: map[string]string{"a": "b"}}, {RunID: run}, {UploadID: nth(liwanag.UploadKind, 100)}} {
			_, _ = s.Subscribers.CountLeft(ctx, f)
			_, _ = s.Subscribers.Total(ctx, f, 10)
			_, _, _ = s.Subscribers.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	for _, sort := range []liwanag.SubscriberSort{liwanag.SortAdded, liwanag.SortFound, liwanag.SortCompany, liwanag.SortHeadcount} {
		for _, ascending := range []bool{true, false} {
			f := liwanag.SubscriberFilter{Sort: sort, Ascending: ascending}
			_, next, _ := s.Subscribers.List(ctx, f, liwanag.Page{Limit: 1})
			_, _, _ = s.Subscribers.List(ctx, f, liwanag.Page{Limit: 1, Cursor: next})
			f.FoundAfter, f.Status = now, liwanag.JobEnriched
			_, _, _ = s.Subscribers.List(ctx, f, liwanag.Page{})
			f = liwanag.SubscriberFilter{Sort: sort, Ascending: ascending, Source: "csv", Country: "germany"}
			_, _, _ = s.Subscribers.List(ctx, f, liwanag.Page{})
		}
	}
	_, _, _ = s.Subscribers.Companies(ctx, liwanag.SubscriberFilter{}, liwanag.Page{})
	_, _, _ = s.Subscribers.Companies(ctx, liwanag.SubscriberFilter{CompanyDomain: "a"}, liwanag.Page{})
}

func readLookups(ctx context.Context, s *datastore.Store, now time.Time) {
	run, person, digest := nth(liwanag.RunKind, 150), nth(liwanag.SubscriberKind, 9000), sha256.Sum256([]byte("7"))
	_, _ = s.Batches.OfRuns(ctx, []liwanag.ID{run})
	_, _ = s.Jobs.Get(ctx, nth(liwanag.JobKind, 7))
	_, _ = s.Jobs.OfSubscriber(ctx, person)
	_, _ = s.Jobs.OfRun(ctx, run)
	_, _ = s.Jobs.OfSubmission(ctx, nth(liwanag.SubmissionKind, 7))
	_, _ = s.Jobs.RunsOfEmail(ctx, "a")
	_, _ = s.Jobs.Unbatched(ctx, 1)
	_, _ = s.Jobs.RetryDue(ctx, now, 1)
	_, _ = s.Jobs.OpenRuns(ctx, now, run, 1)
	_, _ = s.Jobs.Count(ctx)
	_, _ = s.Batches.Get(ctx, run)
	_, _ = s.Batches.Unstarted(ctx, 1)
	_, _ = s.Batches.Waiting(ctx, liwanag.WaitingKey, liwanag.ID{}, 1)
	_, _ = s.Submissions.Get(ctx, nth(liwanag.SubmissionKind, 7))
	_, _ = s.Submissions.ByToken(ctx, digest)
	_, _ = s.Submissions.ByEnrichment(ctx, "a")
	_, _ = s.Submissions.OfRun(ctx, run)
	_, _ = s.Submissions.Due(ctx, now, 1)
	_, _ = s.Submissions.Count(ctx)
	for _, cursor := range []string{"", listing.Cursor('b', run.Bytes())} {
		for _, f := range []liwanag.SubmissionFilter{{}, {States: []liwanag.SubmissionState{"held", "sending"}}} {
			_, _, _ = s.Submissions.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Deliveries.Get(ctx, digest)
	_, _ = s.Deliveries.Stored(ctx, 1)
	_, _ = s.Deliveries.Unsettled(ctx, now, 1)
	for _, cursor := range []string{"", listing.Cursor('d', make([]byte, 16))} {
		for _, f := range []liwanag.DeliveryFilter{{}, {States: []liwanag.DeliveryState{"stored", "sent"}},
			{SubmissionID: nth(liwanag.SubmissionKind, 7)}} {
			_, _, _ = s.Deliveries.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
}

func readUploads(ctx context.Context, s *datastore.Store) {
	upload := nth(liwanag.UploadKind, 100)
	_, _ = s.Uploads.Get(ctx, upload)
	_, _ = s.Uploads.Progress(ctx, upload)
	_, _ = s.Uploads.Cost(ctx, upload)
	_, _ = s.Uploads.Chunk(ctx, upload, 0)
	_, _ = s.Uploads.Errors(ctx, upload, 0, 1)
	_, _ = s.Uploads.Active(ctx)
	_, _ = s.Uploads.Waiting(ctx, 1)
	_, _ = s.Dismissals.List(ctx)
	_, _, _ = s.Uploads.List(ctx, liwanag.Page{Cursor: listing.Cursor('u', upload.Bytes())})
	_, _ = s.Ledger.Spending(ctx)
	_, _ = s.Ledger.Credits(ctx, 1)
	_, _ = s.Ledger.Balance(ctx)
	_, _ = s.Ledger.Calls(ctx, 1)
	_, _ = s.Ledger.Budget(ctx)
	_, _ = s.Ledger.StoppedSources(ctx)
	_, _ = s.Ledger.Evidence(ctx, "a")
}

// UseEverything calls every operation of a transaction.
func UseEverything(t *datastore.Tx) error {
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
		insert = append(insert, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: people[n],
			Status: liwanag.JobPending, CreatedAt: now})
		results = append(results, liwanag.JobResult{ID: jobs[n], Status: liwanag.JobEnriched, At: now})
		enriched = append(enriched, liwanag.Enriched{SubscriberID: people[n], Profile: []byte("{}"), ResultAt: now, At: now})
	}
	if _, err := t.Subscribers.Upsert(ups); err != nil {
		return err
	}
	_, _ = t.Subscribers.Get(people)
	enriched[0].SubscriberID = ups[0].ID // there is such a person
	_, _ = t.Subscribers.Enrich(enriched)
	if _, err := t.Jobs.Insert(append(insert, insert[0])); err != nil {
		return err
	}
	run := liwanag.NewID(liwanag.RunKind)
	_, _ = t.Jobs.Get(jobs)
	_, _ = t.Jobs.OfRun(nth(liwanag.RunKind, 150))
	_, _ = t.Jobs.OpenOf(people)
	_, _ = t.Jobs.InFlight(people)
	_, _ = t.Jobs.OpenOfMailboxes(people)
	_, _ = t.Jobs.WaitingOf(people)
	_, _ = t.Subscribers.Siblings(people)
	_ = t.Jobs.Box(jobs[0])
	_, _ = t.Jobs.NotFoundSince(people, now)
	_, _ = t.Jobs.Assign(jobs, run)
	_, _ = t.Jobs.ClearRetry(jobs)
	_ = t.Batches.Insert([]liwanag.Batch{{RunID: run, ClosesAt: now, State: liwanag.BatchOpen, CreatedAt: now}})
	_, _, _ = t.Batches.Open(now)
	_, _ = t.Batches.Get(run)
	_, _ = t.Batches.Grow(run, 1, 100)
	_ = t.Batches.MarkStarted([]liwanag.ID{run})
	_ = t.Batches.End(run, now)
	_ = t.Batches.Wait(run, liwanag.WaitingKey, now)
	_ = t.Batches.Close(run)
	if err := useSubmission(t, run, jobs, now); err != nil {
		return err
	}
	return errors.Join(t.Jobs.Settle(results), useTheRest(t, now))
}

func useSubmission(t *datastore.Tx, run liwanag.ID, jobs []liwanag.ID, now time.Time) error {
	b := liwanag.Submission{ID: liwanag.NewID(liwanag.SubmissionKind), RunID: run, N: 1, State: liwanag.SubmissionPrepared, PreparedAt: now}
	if err := t.Submissions.Insert(b, jobs); err != nil {
		return err
	}
	_, _ = t.Submissions.Get(b.ID)
	_, _ = t.Submissions.PreparedBefore(b.ID)
	_, _ = t.Submissions.OfRun(run)
	_, _ = t.Submissions.OfJob(jobs[0])
	_, _ = sending(b.ID, liwanag.Sending{TokenHash: liwanag.Digest{1}, At: now})(t)
	_, _ = t.Submissions.Learn(b.ID, "a")
	_, _ = t.Submissions.Move(liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{"sending"}, To: "accepted"})
	_ = t.Submissions.Cost(liwanag.SubmissionCost{ID: b.ID})
	_ = t.Submissions.Follow(b.ID, now)
	_ = t.Submissions.FollowUnsent(now)
	_, _ = t.Submissions.Detach(run, true)
	_, _ = t.Submissions.InFlight()
	_, _ = t.Jobs.OfSubmission(b.ID)
	_, _ = t.Jobs.Move(liwanag.JobMove{IDs: jobs, From: []liwanag.JobStatus{"enriched"}, To: "failed", At: now})
	_, err := t.Jobs.Reopen(jobs, liwanag.JobPending)
	return err
}

func useTheRest(t *datastore.Tx, now time.Time) error {
	d := liwanag.Delivery{Digest: liwanag.Digest{1}, State: liwanag.DeliveryStored, ReceivedAt: now}
	_, _ = t.Deliveries.Insert(d)
	_, _ = t.Deliveries.Get(d.Digest)
	_, _ = t.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest, To: liwanag.DeliverySent})
	_, _ = t.Deliveries.Prune(now, now, 1)
	_, _ = t.Ledger.TakeCall(1)
	_, _ = t.Ledger.Spending()
	_ = t.Ledger.SetSpending(liwanag.Spending{})
	_, _ = t.Ledger.Credits(1)
	_ = t.Ledger.AddCredits(liwanag.Credits{Day: 1, Reserved: 1, Spent: 1})
	_, _ = t.Ledger.Budget()
	_ = t.Ledger.SetBudget(nil)
	_, _ = t.Ledger.ToldUnbounded()
	_, _ = t.Ledger.FoundRate("a")
	_, _ = t.Ledger.StoppedSources()
	_ = t.Ledger.SetFoundRate(liwanag.FoundRate{Source: "a", Answers: "1"})
	_ = t.Jobs.Confirm(nth(liwanag.RunKind, 150))
	_, _ = t.Jobs.CountOf(nth(liwanag.UploadKind, 100))
	_, _ = t.Jobs.PendingOf("a", 1)
	_ = t.Ledger.SetBalance(liwanag.Balance{})
	_ = t.Ledger.Prove("a", now)
	_ = t.Ledger.Reached("a", now, time.Minute)
	_, _ = t.Ledger.TakeFiring("a", now)
	_ = t.Ledger.Prune(time.UnixMicro(100))
	_, _, _ = t.Webhooks.Remember("a", "b", nil, now)
	_, _, _ = t.Webhooks.Remember("a", "b", nil, now)
	_, _ = t.Webhooks.Forget(time.UnixMicro(100))
	u := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), CreatedAt: now}
	_ = t.Uploads.Insert(u)
	_, _ = t.Uploads.Get(u.ID)
	_ = t.Uploads.PutChunk(u.ID, 0, []byte("a"))
	_, _ = t.Uploads.Chunk(u.ID, 0)
	_ = errors.Join(t.Uploads.RewriteChunk(u.ID, 0, []byte("b")), t.Uploads.Interrupt(u.ID, now),
		t.Uploads.AddErrors(u.ID, []liwanag.UploadRowError{{Row: 1, Cells: []string{"a"}}}), t.Uploads.ForgetCells(u.ID, 1))
	_, _ = t.Uploads.DropChunks(u.ID, 1)
	_, _ = t.Uploads.DropErrors(u.ID, 1)
	_ = t.Uploads.Preview(u)
	_ = t.Uploads.Cap(u.ID, nil)
	_, _ = t.Uploads.Move(liwanag.UploadMove{ID: u.ID})
	_, _ = t.Uploads.Claim(liwanag.UploadClaim{ID: u.ID, Owner: "a", Now: now, Until: now})
	_, _ = t.Uploads.Advance(liwanag.UploadAdvance{ID: u.ID})
	if err := useConsole(t, now); err != nil {
		return err
	}
	if err := t.Uploads.AddErrors(u.ID, []liwanag.UploadRowError{{Row: 1}}); err != nil {
		return err
	}
	return t.Uploads.Delete(u.ID)
}

func readConsole(ctx context.Context, s *datastore.Store, now time.Time) {
	source, sink := nth(liwanag.SourceIDKind, 7), nth(liwanag.SinkKind, 7)
	_, _ = s.Sources.Get(ctx, source)
	_, _ = s.Sources.ByToken(ctx, liwanag.Digest{1})
	_, _ = s.Sources.List(ctx)
	_, _ = s.Receipts.Get(ctx, nth(liwanag.ReceiptKind, 7))
	_, _ = s.Receipts.Naming(ctx, []string{"a"})
	for _, cursor := range []string{"", listing.Cursor('r', nth(liwanag.ReceiptKind, 9000).Bytes())} {
		for _, f := range []liwanag.ReceiptFilter{{}, {SourceID: source}, {States: []liwanag.ReceiptState{"refused"}},
			{SourceID: source, States: []liwanag.ReceiptState{"refused"}}} {
			_, _, _ = s.Receipts.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Sinks.Get(ctx, sink)
	_, _ = s.Sinks.List(ctx)
	_, _ = s.Messages.Get(ctx, nth(liwanag.MessageKind, 7))
	_, _ = s.Messages.Attempts(ctx, nth(liwanag.MessageKind, 7))
	_, _ = s.Messages.Waiting(ctx)
	_, _ = s.Messages.Unstarted(ctx, 1)
	_, _ = s.Messages.CountAgain(ctx, liwanag.MessageFilter{SinkID: sink, Topic: "test"}, liwanag.MessageFailed, now)
	_, _ = s.Messages.Told(ctx, sink, liwanag.TopicEnriched, []liwanag.ID{nth(liwanag.SubscriberKind, 9000)})
	for _, cursor := range []string{"", listing.Cursor('m', nth(liwanag.MessageKind, 9000).Bytes())} {
		for _, f := range []liwanag.MessageFilter{{}, {SinkID: sink}, {States: []liwanag.MessageState{"failed"}}, {SinkID: sink, Topic: "test"}} {
			_, _, _ = s.Messages.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Passes.Get(ctx, liwanag.Digest{1})
	_, _ = s.Keys.ByHash(ctx, liwanag.Digest{1})
	_, _ = s.Keys.Get(ctx, nth(liwanag.RunKind, 1))
	_, _ = s.Keys.List(ctx)
	for _, cursor := range []string{"", listing.Cursor('a', []byte{6: 30, 7: 0})} {
		for _, f := range []liwanag.ActFilter{{}, {Subject: "run_1"}, {Act: "run.cancel"}} {
			_, _, _ = s.Acts.List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Activity(ctx, now.Add(-2*time.Millisecond), now, time.Millisecond)
}

func useConsole(t *datastore.Tx, now time.Time) error {
	source := liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), TokenHash: liwanag.Digest{1}, CreatedAt: now, UpdatedAt: now}
	receipt := liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind), SourceID: source.ID, State: "rejected",
		Body: []byte("a"), ReceivedAt: now}
	sink := liwanag.Sink{ID: liwanag.NewID(liwanag.SinkKind), CreatedAt: now, UpdatedAt: now}
	message := liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: sink.ID, State: "pending", CreatedAt: now}
	all := []error{t.Sources.Insert(source), t.Receipts.Insert(receipt), t.Sinks.Insert(sink), t.Messages.Insert([]liwanag.Message{message})}
	_, _ = t.Sources.Get(source.ID)
	_, _ = t.Messages.AllAgain(liwanag.MessageFilter{SinkID: sink.ID}, liwanag.MessageFailed, now, 1)
	_, _ = t.Messages.Told(sink.ID, liwanag.TopicEnriched, []liwanag.ID{nth(liwanag.SubscriberKind, 9000)})
	_ = t.Sources.Update(source)
	_, _ = t.Receipts.Get(receipt.ID)
	_ = t.Receipts.Update(receipt)
	_ = t.Receipts.DropBodies([]liwanag.ID{receipt.ID})
	_ = t.Sources.Delete(source.ID)
	_, err := t.Receipts.Prune(now, now, 1)
	all = append(all, err)
	_, _ = t.Sinks.Get(sink.ID)
	_, _ = t.Sinks.List()
	_ = t.Sinks.Update(sink)
	_, _ = t.Messages.Get(message.ID)
	_, _ = t.Messages.Busy(sink.ID, "sending")
	_, err = t.Messages.Claim(sink.ID, 1)
	all = append(all, err, t.Messages.MarkStarted([]liwanag.ID{message.ID}),
		t.Messages.Attempted(liwanag.MessageAttempt{MessageID: message.ID, N: 1, At: now}))
	_, err = t.Messages.Move(liwanag.MessageMove{ID: message.ID, From: []liwanag.MessageState{"sending"}, To: "delivered", At: now})
	all = append(all, err)
	_, err = t.Messages.Again(message.ID)
	all = append(all, err, t.Messages.DropAbout(receipt.ID, now), t.Sinks.Delete(sink.ID))
	_, err = t.Messages.Prune(now)
	pass := liwanag.Pass{Hash: liwanag.Digest{1}, Kind: liwanag.PassLink, CreatedAt: now, ExpiresAt: now}
	all = append(all, err, t.Passes.Insert(pass))
	_, err = t.Passes.Prune(now)
	all = append(all, err)
	_, err = t.Passes.Take(pass.Kind, liwanag.Digest{1})
	all = append(all, err, t.Acts.Insert(liwanag.Act{At: now}))
	key := liwanag.APIKey{ID: liwanag.NewID(liwanag.KeyKind), Hash: liwanag.Digest{1}, CreatedAt: now}
	all = append(all, t.Keys.Insert(key), t.Keys.Used(key.ID, now, now), t.Keys.Delete(key.ID))
	_, counted := t.Acts.Count(liwanag.Act{At: now})
	_, again := t.Acts.Count(liwanag.Act{Seq: 1})
	_, retired := t.Ledger.Retired(liwanag.Digest{1}, now)
	all = append(all, counted, again, retired, t.Passes.KeepOnly([2]liwanag.Digest{{1}, {2}}))
	_, err = t.Acts.Prune(now)
	all = append(all, err, t.Dismissals.Put(liwanag.Dismissal{Kind: "a", Cause: "b", At: now}), t.Dismissals.Delete("a", ""))
	_, err = t.Dismissals.Prune(now)
	all = append(all, err)
	_, err = t.Deliveries.Rewrite(liwanag.Digest{1}, nil)
	return errors.Join(append(all, err, useDeparted(t, now), useInstance(t, now))...)
}

func useDeparted(t *datastore.Tx, now time.Time) error {
	people := []liwanag.ID{liwanag.NewID(liwanag.SubscriberKind)}
	_, err := t.Subscribers.Unparted(1)
	all := append([]error{err}, t.Subscribers.Part([]liwanag.Subscriber{{ID: people[0]}}))
	_, err = t.Subscribers.Unboxed(1)
	all = append(all, err, t.Subscribers.Box([]liwanag.Subscriber{{ID: people[0]}}))
	_, err = t.Subscribers.Wordless(1)
	all = append(all, err, t.Subscribers.Word([]liwanag.Subscriber{{ID: people[0]}}))
	_, err = t.Subscribers.Index(1)
	all = append(all, err)
	view, err := t.Views.Save(liwanag.View{ID: liwanag.NewID(liwanag.ViewKind), Name: "a", CreatedAt: now, UpdatedAt: now}, false)
	all = append(all, err)
	_, err = t.Views.Save(view, true)
	all = append(all, err)
	_, err = t.Views.Get(view.ID.String())
	all = append(all, err)
	_, err = t.Subscribers.Matching(liwanag.SubscriberFilter{Seniority: "a"}, people)
	all = append(all, err, t.Views.Delete(view.ID))
	_, err = t.Subscribers.Suppress(liwanag.Departure{IDs: people, At: now})
	all = append(all, err)
	_, err = t.Subscribers.LeftBy(liwanag.ByOperator, people[0], 1)
	one := liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), CreatedAt: now}
	all = append(all, err)
	one.Digest, err = t.Suppressions.Digest("a@gmail.com")
	all = append(all, err)
	_, err = t.Suppressions.Insert(one)
	all = append(all, err)
	_, err = t.Suppressions.Insert(liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), Domain: "a.example", CreatedAt: now})
	all = append(all, err)
	_, err = t.Suppressions.Of([]string{"a@gmail.com"})
	all = append(all, err, t.Suppressions.Forget(one.Digest), t.Suppressions.Delete(one.ID))
	return errors.Join(append(all, t.Subscribers.Delete(people))...)
}

func readInstance(ctx context.Context, s *datastore.Store) {
	_, _ = s.Instance.Get(ctx)
	_, _ = s.Instance.Marks(ctx)
	_, _ = s.Instance.Backups(ctx)
	_, _ = s.Instance.Back(ctx, 10)
}

func useInstance(t *datastore.Tx, now time.Time) error {
	one, err := t.Instance.Get()
	all := append([]error{err}, t.Instance.Set(one))
	_, err = t.Instance.Lines("a", 2)
	all = append(all, err, t.Instance.SetMarks(map[string]int64{"a": 1}))
	_, err = t.Instance.Marks()
	o := liwanag.Ordered{Digest: "a", JobID: nth(liwanag.JobKind, 1), SubmissionID: nth(liwanag.SubmissionKind, 1)}
	all = append(all, err, t.Instance.Order([]liwanag.Ordered{o}))
	_, err = t.Instance.AnyOrdered()
	all = append(all, err)
	_, err = t.Instance.Ordered([]string{"a"})
	all = append(all, err, t.Instance.Returned(o), t.Instance.Forget(o),
		t.Instance.AddBackup(liwanag.Backup{Path: "/a", MadeAt: now}), t.Instance.DropBackup("/a"), t.Ledger.Hold("a", now))
	_, err = t.Ledger.Release(now)
	return errors.Join(append(all, err)...)
}
