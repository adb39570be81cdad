package liwanag

import (
	"context"
	"iter"
	"time"
)

// Store keeps the application's rows.
//
// Reads outside of a transaction see what is committed. Every error that is not
// one of this package's sentinels matches ErrDatabase or ErrDiskFull; reads of
// one thing return ErrNotFound only when the row is not there.
type Store interface {
	// Write runs fn in a transaction and returns when it is durable. Writes that
	// are called at the same time share one commit. No two of them overlap, on
	// whatever nodes: what fn reads is so until it writes. fn may run twice, so it
	// assigns its results afresh each time and touches nothing but tx; it holds
	// the database's only writer, so it stays below 10 ms: no I/O, at most a few
	// hundred rows. An error or panic of fn rolls back this fn alone; Write
	// returns the error as it is. ctx counts only until fn is picked up: from
	// then on Write returns the true result.
	Write(ctx context.Context, fn func(tx Tx) error) error

	Subscribers() Subscribers
	Jobs() Jobs
	Batches() Batches
	Submissions() Submissions
	Deliveries() Deliveries
	Uploads() Uploads
	Ledger() Ledger
	Sources() Sources
	Receipts() Receipts
	Sinks() Sinks
	Messages() Messages
	Passes() Passes
	Acts() Acts

	// Activity counts what happened since a time, in spans of the given length
	// (whole hours or days, aligned to UTC), oldest first, empty spans included.
	Activity(ctx context.Context, since, until time.Time, span time.Duration) ([]Activity, error)
	// Scrub overwrites what deleted rows left behind in the database's files, as far
	// as the database can: an erasure ends with it.
	Scrub(ctx context.Context) error
}

// Tx is one transaction. It sees its own writes. All operations of a resource
// are small and set-based; none decides anything.
type Tx interface {
	Subscribers() SubscriberTx
	Jobs() JobTx
	Batches() BatchTx
	Submissions() SubmissionTx
	Deliveries() DeliveryTx
	Uploads() UploadTx
	Ledger() LedgerTx
	Webhooks() WebhookTx
	Sources() SourceTx
	Receipts() ReceiptTx
	Sinks() SinkTx
	Messages() MessageTx
	Passes() PassTx
	Acts() ActTx
}

// Subscribers reads subscribers.
type Subscribers interface {
	Get(ctx context.Context, id ID) (Subscriber, error)
	ByEmail(ctx context.Context, emailKey string) (Subscriber, error)
	// Known tells which of up to 500 e-mail keys have a subscriber, in no order.
	Known(ctx context.Context, emailKeys []string) ([]string, error)
	// Profile is all that FullEnrich said, as applied; ErrNotFound without one.
	Profile(ctx context.Context, id ID) ([]byte, error)
	// List gives a page, newest first, and the next page's cursor, empty on the
	// last. ErrInvalidCursor.
	List(ctx context.Context, f SubscriberFilter, p Page) ([]Subscriber, string, error)
	// Each yields all that match, newest first, without holding them in memory
	// and without keeping a read transaction open for longer than a page. An
	// error ends it and is the last thing yielded.
	Each(ctx context.Context, f SubscriberFilter) iter.Seq2[Subscriber, error]
	// Count counts by the latest job's status (NoJob without one).
	Count(ctx context.Context) (map[JobStatus]int64, error)
}

// SubscriberTx writes subscribers.
type SubscriberTx interface {
	// Upsert stores sign-ups by their unique e-mail key, in order, and answers in
	// that order. A new key inserts the row with the ID given. A known key keeps
	// ID, Email, EmailType and CreatedAt; the rest becomes what [Subscriber.Merge]
	// makes of it. The same key twice in one call: the second is an update.
	Upsert(signUps []SignUp) ([]SignedUp, error)
	// Get reads those that exist, in no order.
	Get(ids []ID) ([]Subscriber, error)
	// Enrich applies profiles in order, as [Subscriber.Apply] does: an older result
	// never overwrites a newer one. The profile row is replaced. A subscriber that is
	// gone is skipped. It returns the IDs that were changed.
	Enrich(results []Enriched) ([]ID, error)
	// Suppress notes that people unsubscribed, or (zero time) that they came back,
	// and returns the IDs that were changed.
	Suppress(ids []ID, at time.Time) ([]ID, error)
	// Delete deletes people with their profiles; their jobs stay, without them.
	Delete(ids []ID) error
}

// Jobs reads jobs. Email and EmailKey are always joined in.
type Jobs interface {
	Get(ctx context.Context, id ID) (Job, error)
	// OfSubscriber lists a person's jobs, newest first.
	OfSubscriber(ctx context.Context, subscriberID ID) ([]Job, error)
	// OfRun lists the jobs of a batch, oldest first.
	OfRun(ctx context.Context, runID ID) ([]Job, error)
	// OfSubmission lists the jobs of a submission, oldest first.
	OfSubmission(ctx context.Context, submissionID ID) ([]Job, error)
	// RunsOfEmail lists the runs of a person's jobs, newest first.
	RunsOfEmail(ctx context.Context, emailKey string) ([]ID, error)
	// Unbatched lists pending jobs without a batch, oldest first.
	Unbatched(ctx context.Context, limit int) ([]Job, error)
	// RetryDue lists jobs whose RetryAt is at or before now, earliest first.
	RetryDue(ctx context.Context, now time.Time, limit int) ([]Job, error)
	// OpenRuns lists, in order, the runs after the given one (zero: from the
	// first) that have an open job created before the given time.
	OpenRuns(ctx context.Context, createdBefore time.Time, after ID, limit int) ([]ID, error)
	// Count counts jobs by status.
	Count(ctx context.Context) (map[JobStatus]int64, error)
}

// JobTx writes jobs.
type JobTx interface {
	// Insert stores jobs in order and answers in that order. A unique index over
	// the subscriber of open jobs is the guard: a person with an open job keeps
	// it, and the answer names it. Status must be open or final as given (a
	// reused result is inserted enriched).
	Insert(jobs []Job) ([]Opened, error)
	// Get reads those that exist, in no order, e-mail joined.
	Get(ids []ID) ([]Job, error)
	// OfRun reads the jobs of a batch, oldest first, e-mail joined.
	OfRun(runID ID) ([]Job, error)
	// OfSubmission reads the jobs of a submission, oldest first, e-mail joined.
	// A job whose subscriber is gone has no e-mail.
	OfSubmission(submissionID ID) ([]Job, error)
	// OpenOf finds the open jobs of subscribers, in no order, without e-mail.
	OpenOf(subscriberIDs []ID) ([]Job, error)
	// InFlight tells which of the subscribers have a job, of any status, in a
	// submission that is sending, accepted, ambiguous or held.
	InFlight(subscriberIDs []ID) ([]ID, error)
	// Move is a compare-and-set: it changes those jobs that are in a From state
	// and returns their IDs.
	Move(m JobMove) ([]ID, error)
	// Reopen is Move from failed, canceled and held to the given open status for
	// those jobs whose subscriber has no other open job and whose failure code is
	// not CodeUnsubscribed: the way a retried run takes its jobs back.
	Reopen(ids []ID, to JobStatus) ([]ID, error)
	// Settle writes results unconditionally: the caller decided on rows that it
	// read in this transaction.
	Settle(results []JobResult) error
	// Assign puts pending jobs that have no batch into one (zero: takes pending
	// jobs out of theirs) and returns the IDs it changed.
	Assign(ids []ID, runID ID) ([]ID, error)
	// ClearRetry forgets RetryAt and returns the IDs that had one.
	ClearRetry(ids []ID) ([]ID, error)
}

// Batches reads batches.
type Batches interface {
	Get(ctx context.Context, runID ID) (Batch, error)
	// Unstarted lists batches the runner was not told of, oldest first.
	Unstarted(ctx context.Context, limit int) ([]Batch, error)
}

// BatchTx writes batches.
type BatchTx interface {
	// Open finds the newest open batch that closes after now; false without one.
	Open(now time.Time) (Batch, bool, error)
	Get(runID ID) (Batch, error)
	Insert(batches []Batch) error
	// Grow adds n jobs to an open batch and closes it when its size reaches full.
	// False: it is not open any more, nothing was written.
	Grow(runID ID, n, full int) (bool, error)
	// Close closes a batch; closing a closed one changes nothing.
	Close(runID ID) error
	// MarkStarted notes that the runner knows the runs.
	MarkStarted(runIDs []ID) error
	// End notes how the run stands: ended at the given time, or open again (zero).
	End(runID ID, at time.Time) error
	// Wait notes what keeps the batch from being sent, and until when.
	Wait(runID ID, w Waiting, until time.Time) error
}

// Submissions reads submissions.
type Submissions interface {
	Get(ctx context.Context, id ID) (Submission, error)
	ByToken(ctx context.Context, hash Digest) (Submission, error)
	ByEnrichment(ctx context.Context, enrichmentID string) (Submission, error)
	// OfRun lists a run's submissions by N.
	OfRun(ctx context.Context, runID ID) ([]Submission, error)
	// Due lists submissions whose FollowAt is at or before now, earliest first.
	Due(ctx context.Context, now time.Time, limit int) ([]Submission, error)
	// List gives a page, newest first. ErrInvalidCursor.
	List(ctx context.Context, f SubmissionFilter, p Page) ([]Submission, string, error)
	// Count counts submissions by state.
	Count(ctx context.Context) (map[SubmissionState]int64, error)
}

// SubmissionTx writes submissions.
type SubmissionTx interface {
	Get(id ID) (Submission, error)
	// OfRun reads a run's submissions by N.
	OfRun(runID ID) ([]Submission, error)
	// OfJob reads a job's latest submission. ErrNotFound.
	OfJob(jobID ID) (Submission, error)
	// Insert stores a submission and its jobs. Two guards: (run, n) is unique,
	// and a unique index over the jobs of open submissions. Either one violated
	// is ErrState and nothing is written.
	Insert(s Submission, jobIDs []ID) error
	// Send is the fence of the paid call: the compare-and-set from prepared to
	// sending. False: somebody else did it, nothing was written.
	Send(s Sending) (bool, error)
	// PreparedBefore counts the prepared submissions that are older than this one.
	PreparedBefore(id ID) (int, error)
	// Move is a compare-and-set of the state. Moving to refused, superseded or
	// settled frees the jobs for another submission; enrichment ids are unique,
	// one that another submission holds is ErrState. False: the state was not in
	// From, nothing was written.
	Move(m SubmissionMove) (bool, error)
	// Learn sets an enrichment id where there is none. False: there is one
	// already, the same or another. An id that another submission holds is
	// ErrState.
	Learn(id ID, enrichmentID string) (bool, error)
	// Cost writes what a settle found out.
	Cost(c SubmissionCost) error
	// Follow sets when the sweep looks at it next; zero: never.
	Follow(id ID, at time.Time) error
	// Detach notes that a run has ended (or, false, that it is open again) on all
	// of its submissions, and returns those that are open.
	Detach(runID ID, detached bool) ([]Submission, error)
	// InFlight sums the jobs of submissions that are sending, accepted or
	// ambiguous and whose run has not ended.
	InFlight() (int, error)
}

// Deliveries reads deliveries.
type Deliveries interface {
	// Get reads one with its raw body.
	Get(ctx context.Context, digest Digest) (Delivery, error)
	// Stored lists the digests of deliveries in state stored, and of unmatched
	// ones that nobody looked at yet (no Note), oldest first.
	Stored(ctx context.Context, limit int) ([]Digest, error)
	// Unsettled lists the digests of deliveries in state sent that were received
	// before the given time, oldest first.
	Unsettled(ctx context.Context, receivedBefore time.Time, limit int) ([]Digest, error)
	// List gives a page, newest first, without raw bodies. ErrInvalidCursor.
	List(ctx context.Context, f DeliveryFilter, p Page) ([]Delivery, string, error)
}

// DeliveryTx writes deliveries.
type DeliveryTx interface {
	// Insert stores a delivery by its digest. False: it is there already, nothing
	// was written.
	Insert(d Delivery) (bool, error)
	// Get reads one with its raw body. ErrNotFound.
	Get(digest Digest) (Delivery, error)
	// Move is a compare-and-set of the state; settled drops the raw body. False:
	// the state was not in From, nothing was written.
	Move(m DeliveryMove) (bool, error)
	// Rewrite replaces the raw body of a delivery that is not settled. False: it is
	// settled or gone, nothing was written.
	Rewrite(digest Digest, raw []byte) (bool, error)
	// Prune drops quarantined and unmatched deliveries received before the given
	// time, settled ones received before the other, and all but the newest keep
	// unmatched ones. A call drops a bounded number; the next one goes on.
	Prune(quarantinedBefore, settledBefore time.Time, keep int) error
}

// Ledger reads the shared figures.
type Ledger interface {
	Spending(ctx context.Context) (Spending, error)
	Credits(ctx context.Context, day Day) (Credits, error)
	// Calls is how many calls of FullEnrich were taken in a calendar minute.
	Calls(ctx context.Context, m Minute) (int, error)
	Balance(ctx context.Context) (Balance, error)
	Evidence(ctx context.Context, publicURL string) (Evidence, error)
}

// LedgerTx writes the shared figures: one row each, shared by all nodes.
type LedgerTx interface {
	// TakeCall counts one call of FullEnrich in a calendar minute and returns how
	// many that makes. The caller that finds it above its limit returns an error
	// from its Write, which takes the call back.
	TakeCall(m Minute) (int, error)
	Spending() (Spending, error)
	SetSpending(s Spending) error
	Credits(day Day) (Credits, error)
	// AddCredits adds, with either sign, to a day's figures.
	AddCredits(day Day, reserved, spent int64) error
	SetBalance(b Balance) error
	// Prove notes the first authentic delivery under a public URL; later ones
	// change nothing.
	Prove(publicURL string, at time.Time) error
	// Reached notes that a probe came through: it extends the latest reach when
	// that ended at most gap before, or begins a new one.
	Reached(publicURL string, at time.Time, gap time.Duration) error
	// TakeFiring claims one firing time of something that happens once over all
	// nodes, known by its name. False: it was taken before; nothing was written.
	TakeFiring(name string, at time.Time) (bool, error)
	// Prune drops call counts and firings from before the given time, and reaches
	// that ended before it.
	Prune(before time.Time) error
}

// WebhookTx remembers the ids of webhooks that were taken in.
type WebhookTx interface {
	// Remember stores an id of an endpoint with the answer given to it. False: it
	// was there, and the answer is the one given then.
	Remember(endpoint, id string, answer []byte, at time.Time) (stored bool, earlier []byte, err error)
	// Forget drops ids remembered before the given time, a bounded number a call.
	Forget(before time.Time) error
}

// Uploads reads uploads.
type Uploads interface {
	Get(ctx context.Context, id ID) (Upload, error)
	// Progress counts the jobs of an upload.
	Progress(ctx context.Context, id ID) (UploadProgress, error)
	// Chunk reads the n-th piece of the file, from 0. ErrNotFound past the last.
	Chunk(ctx context.Context, id ID, n int) ([]byte, error)
	// Errors lists row errors after the given row, in order.
	Errors(ctx context.Context, id ID, afterRow int64, limit int) ([]UploadRowError, error)
	// Active lists uploads that are importing or enriching, oldest first.
	Active(ctx context.Context) ([]Upload, error)
	// List gives a page, newest first. ErrInvalidCursor.
	List(ctx context.Context, p Page) ([]Upload, string, error)
	// Count counts uploads by status.
	Count(ctx context.Context) (map[UploadStatus]int64, error)
}

// UploadTx writes uploads.
type UploadTx interface {
	Insert(u Upload) error
	Get(id ID) (Upload, error)
	// PutChunk stores the n-th piece of the file, from 0.
	PutChunk(id ID, n int, data []byte) error
	// DropChunks forgets at most n pieces of the file; left says whether there are
	// more.
	DropChunks(id ID, n int) (left bool, err error)
	// Preview writes what the reading found: columns, mapping, counts, size.
	Preview(u Upload) error
	// Move is a compare-and-set of the state. False: nothing was written.
	Move(m UploadMove) (bool, error)
	// Claim is a compare-and-set of the node that looks after an upload: it
	// becomes the owner of one that nobody owns, that it owns already, or whose
	// owner's time is over. False: another node has it, nothing was written.
	Claim(c UploadClaim) (bool, error)
	// Advance is a compare-and-set of the position, by the owner, which goes on
	// owning it. False: nothing was written.
	Advance(a UploadAdvance) (bool, error)
	// AddErrors stores row errors; a row that has one keeps it.
	AddErrors(id ID, errs []UploadRowError) error
	// DropErrors forgets at most n row errors; left says whether there are more.
	DropErrors(id ID, n int) (left bool, err error)
}

// Sources reads sources.
type Sources interface {
	Get(ctx context.Context, id ID) (Source, error)
	ByToken(ctx context.Context, hash Digest) (Source, error)
	// List lists all, oldest first: there are few.
	List(ctx context.Context) ([]Source, error)
}

// SourceTx writes sources.
type SourceTx interface {
	Get(id ID) (Source, error)
	Insert(s Source) error
	// Update replaces the row; CreatedAt stays. ErrNotFound.
	Update(s Source) error
	// Delete deletes a source and its receipts. ErrNotFound.
	Delete(id ID) error
}

// Receipts reads what sources received.
type Receipts interface {
	// Get reads one with its body.
	Get(ctx context.Context, id ID) (Receipt, error)
	// List gives a page, newest first, without bodies. ErrInvalidCursor.
	List(ctx context.Context, f ReceiptFilter, p Page) ([]Receipt, string, error)
	// Naming finds receipts whose body holds one of the texts, whatever its case.
	// It reads all bodies.
	Naming(ctx context.Context, texts []string) ([]ID, error)
}

// ReceiptTx writes what sources received.
type ReceiptTx interface {
	Insert(r Receipt) error
	Get(id ID) (Receipt, error)
	// Update replaces everything but ID, SourceID, Size and ReceivedAt. ErrNotFound.
	Update(r Receipt) error
	// DropBodies forgets bodies.
	DropBodies(ids []ID) error
	// Prune drops bodies of accepted receipts received before the first time, all
	// receipts received before the second, and of each source all but the newest
	// keep refused ones. A call does a bounded number; the next one goes on.
	Prune(acceptedBefore, before time.Time, keep int) error
}

// Sinks reads sinks.
type Sinks interface {
	Get(ctx context.Context, id ID) (Sink, error)
	// List lists all, oldest first: there are few.
	List(ctx context.Context) ([]Sink, error)
}

// SinkTx writes sinks.
type SinkTx interface {
	Get(id ID) (Sink, error)
	List() ([]Sink, error)
	Insert(s Sink) error
	// Update replaces the row; CreatedAt stays. ErrNotFound.
	Update(s Sink) error
	// Delete deletes a sink and its messages. ErrNotFound.
	Delete(id ID) error
}

// Messages reads messages.
type Messages interface {
	Get(ctx context.Context, id ID) (Message, error)
	// Attempts lists the attempts of a message, oldest first.
	Attempts(ctx context.Context, id ID) ([]MessageAttempt, error)
	// List gives a page, newest first. ErrInvalidCursor.
	List(ctx context.Context, f MessageFilter, p Page) ([]Message, string, error)
	// Waiting tells which sinks have pending messages.
	Waiting(ctx context.Context) ([]ID, error)
	// Unstarted lists messages that have a run which the runner was not told of,
	// oldest first.
	Unstarted(ctx context.Context, limit int) ([]Message, error)
}

// MessageTx writes messages.
type MessageTx interface {
	Get(id ID) (Message, error)
	Insert(messages []Message) error
	// Busy counts the messages of a sink by state, of the states given.
	Busy(sinkID ID, states ...MessageState) (int, error)
	// Claim gives the oldest n pending messages of a sink runs of their own and
	// makes them sending.
	Claim(sinkID ID, n int) ([]Message, error)
	// MarkStarted notes that the runner knows the runs of messages.
	MarkStarted(ids []ID) error
	// Move is a compare-and-set of the state. False: the state was not in From,
	// nothing was written.
	Move(m MessageMove) (bool, error)
	// Again makes a message that ended pending again, without a run; its attempts
	// stay. False: it has not ended, nothing was written.
	Again(id ID) (bool, error)
	// Attempted stores an attempt; the same one again changes nothing.
	Attempted(a MessageAttempt) error
	// DropAbout makes pending and retrying messages about a subject dropped.
	DropAbout(subject ID, at time.Time) error
	// Prune deletes messages that ended before the given time, a bounded number a
	// call.
	Prune(before time.Time) error
}

// Passes reads sessions and sign-in links.
type Passes interface {
	Get(ctx context.Context, hash Digest) (Pass, error)
}

// PassTx writes sessions and sign-in links.
type PassTx interface {
	Insert(p Pass) error
	// Take deletes a pass of a kind and returns it. ErrNotFound.
	Take(kind PassKind, hash Digest) (Pass, error)
	// Prune drops passes that expired before the given time.
	Prune(before time.Time) error
}

// Acts reads the audit trail.
type Acts interface {
	// List gives a page, newest first. ErrInvalidCursor.
	List(ctx context.Context, f ActFilter, p Page) ([]Act, string, error)
}

// ActTx writes the audit trail.
type ActTx interface {
	Insert(a Act) error
	// Prune drops acts from before the given time, a bounded number a call.
	Prune(before time.Time) error
}
