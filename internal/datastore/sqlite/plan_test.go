package sqlite

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Every statement must find its rows over an index, so that it costs the same
// with a hundred thousand rows as with a hundred. SQLite plans without
// statistics here, so an empty database shows the plans of a full one.
func TestEveryStatementUsesAnIndex(t *testing.T) {
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db"), Synchronous: sqlitedb.Normal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store, err := New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	readEverything(t, store)
	store.read.statements.byText.Range(func(text, _ any) bool {
		texts[text.(string)] = true
		return true
	})
	if err := db.Write(t.Context(), func(raw *sqlitedb.Tx) error {
		return useEverything(tx{writing{recorder{raw, texts}}})
	}); err != nil {
		t.Fatal(err)
	}
	if len(texts) < 90 {
		t.Fatalf("only %d statements were seen", len(texts))
	}
	var plans strings.Builder
	for text := range texts {
		plan := planOf(t, db, text)
		plans.WriteString(strings.Join(plan, "\n") + "\n")
		for _, fault := range faults(text, plan) {
			t.Errorf("%s\n\t%s", fault, strings.Join(strings.Fields(text), " "))
		}
	}
	// An index that is not there for its uniqueness must be what some statement
	// uses: otherwise it only costs, or the planner took another one.
	indexes, err := list(store.read.in(t.Context()), scanString, `SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		if !regexp.MustCompile(`INDEX ` + index + `\b`).MatchString(plans.String()) {
			t.Errorf("no statement uses the index %s", index)
		}
	}
}

// recorder notes the texts of a transaction.
type recorder struct {
	*sqlitedb.Tx
	texts map[string]bool
}

func (r recorder) Exec(query string, args ...any) (int64, error) {
	r.texts[query] = true
	return r.Tx.Exec(query, args...)
}

func (r recorder) Query(query string, args ...any) (*sqlitedb.Rows, error) {
	r.texts[query] = true
	return r.Tx.Query(query, args...)
}

// walks are the scans that may be: each goes over one row, over the few rows of
// a partial index, over arguments, or counts along an index.
var walks = []string{
	"SCAN json_each", "SCAN at", "SCAN CONSTANT ROW", "SCAN (subquery", "SCAN spending", "SCAN reach",
	"batch_unstarted", "batch_open", "job_unbatched", "submission_flying", "upload_active", "delivery_new",
	"USING COVERING INDEX job_status", "USING COVERING INDEX submission_state", "SCAN subscriber USING COVERING INDEX subscriber_created",
	"SCAN none", "SCAN sink", "SCAN source", "message_unstarted", "receipt_kept",
}

// argumentsOf counts a statement's arguments.
func argumentsOf(text string) (n int) {
	for n = strings.Count(text, "?"); strings.Contains(text, "$"+strconv.Itoa(n+1)); n++ {
	}
	return n
}

func planOf(t *testing.T, db *sqlitedb.DB, text string) (plan []string) {
	t.Helper()
	if strings.HasSuffix(text, " part") { // a savepoint
		return nil
	}
	rows, err := db.Reader().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, argumentsOf(text))...)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	defer rows.Close()
	for rows.Next() {
		var a, b, c int
		var detail string
		if err := rows.Scan(&a, &b, &c, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}

func faults(text string, plan []string) (found []string) {
	sorts := slices.ContainsFunc(plan, func(line string) bool { return strings.HasPrefix(line, "USE TEMP B-TREE") })
	// A walk in the order of the listing stops when the page is full.
	pages := regexp.MustCompile(`LIMIT (\?|\$\d+)$`).MatchString(text)
	stops := pages && !sorts
	for _, line := range plan {
		if strings.HasPrefix(line, "SCAN") && !stops &&
			!slices.ContainsFunc(walks, func(w string) bool { return strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	if sorts && pages {
		found = append(found, "sorts what it then cuts: "+strings.Join(plan, "; "))
	}
	return found
}

func readEverything(t *testing.T, s *Store) {
	ctx := t.Context()
	run, person, digest := liwanag.NewID(liwanag.RunKind), liwanag.NewID(liwanag.SubscriberKind), liwanag.Digest{1}
	now := time.Now()
	_, _ = s.Subscribers().Get(ctx, person)
	_, _ = s.Subscribers().ByEmail(ctx, "a")
	_, _ = s.Subscribers().Known(ctx, []string{"a"})
	_, _ = s.Subscribers().Profile(ctx, person)
	_, _ = s.Subscribers().Count(ctx)
	for _, cursor := range []string{"", listing.Cursor(subscriberListing, person.Bytes())} {
		for _, f := range []liwanag.SubscriberFilter{{}, {Status: liwanag.JobPending}, {Status: liwanag.NoJob}, {EmailType: liwanag.Personal},
			{Source: "a"}, {Query: "a"}, {CreatedAfter: now, CreatedBefore: now}, {Status: liwanag.JobFailed, Query: "a", Source: "b"}} {
			_, _, _ = s.Subscribers().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Jobs().Get(ctx, liwanag.NewID(liwanag.JobKind))
	_, _ = s.Jobs().OfSubscriber(ctx, person)
	_, _ = s.Jobs().OfRun(ctx, run)
	_, _ = s.Jobs().OfSubmission(ctx, run)
	_, _ = s.Jobs().RunsOfEmail(ctx, "a")
	_, _ = s.Jobs().Unbatched(ctx, 1)
	_, _ = s.Jobs().RetryDue(ctx, now, 1)
	_, _ = s.Jobs().OpenRuns(ctx, now, run, 1)
	_, _ = s.Jobs().Count(ctx)
	_, _ = s.Batches().Get(ctx, run)
	_, _ = s.Batches().Unstarted(ctx, 1)
	_, _ = s.Submissions().Get(ctx, liwanag.NewID(liwanag.SubmissionKind))
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
		for _, f := range []liwanag.DeliveryFilter{{}, {States: []liwanag.DeliveryState{"stored", "sent"}}, {SubmissionID: run}} {
			_, _, _ = s.Deliveries().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	upload := liwanag.NewID(liwanag.UploadKind)
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
	now := time.Now()
	up := liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: "a", Email: "a", EmailType: liwanag.Personal, At: now}
	people := []liwanag.ID{up.ID}
	_, err := t.Subscribers().Upsert([]liwanag.SignUp{up, up})
	if err != nil {
		return err
	}
	_, _ = t.Subscribers().Get(people)
	_, _ = t.Subscribers().Enrich([]liwanag.Enriched{{SubscriberID: up.ID, Profile: []byte("{}"), ResultAt: now, At: now}})
	job := liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: up.ID, Status: liwanag.JobPending, CreatedAt: now}
	run, jobs := liwanag.NewID(liwanag.RunKind), []liwanag.ID{job.ID}
	if _, err := t.Jobs().Insert([]liwanag.Job{job, job}); err != nil {
		return err
	}
	_, _ = t.Jobs().Get(jobs)
	_, _ = t.Jobs().OfRun(run)
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
	_, _ = t.Submissions().OfJob(job.ID)
	_, _ = t.Submissions().Send(liwanag.Sending{ID: b.ID, TokenHash: liwanag.Digest{1}, At: now})
	_, _ = t.Submissions().Learn(b.ID, "a")
	_, _ = t.Submissions().Move(liwanag.SubmissionMove{ID: b.ID, From: []liwanag.SubmissionState{"sending"}, To: "accepted"})
	_ = t.Submissions().Cost(liwanag.SubmissionCost{ID: b.ID})
	_ = t.Submissions().Follow(b.ID, now)
	_, _ = t.Submissions().Detach(run, true)
	_, _ = t.Submissions().InFlight()
	_, _ = t.Jobs().OfSubmission(b.ID)
	_, _ = t.Jobs().Move(liwanag.JobMove{IDs: jobs, From: []liwanag.JobStatus{"pending"}, To: "failed", At: now})
	_, _ = t.Jobs().Reopen(jobs, liwanag.JobPending)
	return errors.Join(t.Jobs().Settle([]liwanag.JobResult{{ID: job.ID, Status: liwanag.JobEnriched, At: now}}), useTheRest(t, now))
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
	_ = t.Ledger().Prune(now)
	_, _, _ = t.Webhooks().Remember("a", "b", nil, now)
	_, _, _ = t.Webhooks().Remember("a", "b", nil, now)
	_ = t.Webhooks().Forget(now)
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
