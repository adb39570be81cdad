package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// Every statement must find its rows over an index, so that it costs the same
// with a hundred thousand rows as with a hundred: with the statistics of a table
// that was analyzed, and without any, as while a first import runs.
func TestEveryStatementUsesAnIndex(t *testing.T) {
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Database(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, statistics := range []string{"no statistics", "statistics"} {
		if statistics == "statistics" {
			if _, err := db.Pool().Exec(t.Context(), `VACUUM ANALYZE`); err != nil {
				t.Fatal(err)
			}
		}
		r := &recorder{plans: map[string]node{}}
		store := datastore.New(&recorded{database{pool: recordingPool{r, db.Pool()}, db: db}, r})
		datastoretest.ReadEverything(t.Context(), store)
		undone := errors.New("undone")
		if err := store.Write(t.Context(), func(tx *datastore.Tx) error {
			return errors.Join(datastoretest.UseEverything(tx), undone)
		}); !errors.Is(err, undone) || len(r.faults) > 0 {
			t.Fatal(err, r.faults)
		}
		if len(r.plans) < 95 {
			t.Fatalf("only %d statements were seen", len(r.plans))
		}
		for text, plan := range r.plans {
			for _, fault := range faults(text, plan) {
				t.Errorf("%s: %s\n\t%s\n%s", statistics, fault, strings.Join(strings.Fields(text), " "), plan.print("\t\t"))
			}
			plan.walk(func(n node) { used[n.Index] = true })
		}
	}
	// An index that is not there for its uniqueness must be what some statement
	// uses: otherwise it only costs, or the planner took another one.
	found, err := db.Pool().Query(t.Context(), `
		SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
		WHERE NOT indisunique AND relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		if !used[index] {
			t.Errorf("no statement uses the index %s", index)
		}
	}
}

// walks are parts of the statements that may go over a whole table or index, and
// why.
var walks = map[string]string{
	`FROM spending`:               "one row",
	`UPDATE spending`:             "one row",
	`FROM source`:                 "a few rows",
	`FROM sink`:                   "a few rows",
	`FROM dismissal`:              "a few rows",
	`FROM journal_file`:           "a row a node",
	`FROM backup`:                 "a few rows",
	`FROM ordered`:                "no row unless a backup was restored",
	`FROM saved_view`:             "a few rows",
	`FROM api_key`:                "a few rows",
	`JOIN sink k`:                 "a few rows",
	`UPDATE search_mark`:          "one row",
	`FROM search_mark), false)`:   "one row",
	`s.words LIKE $`:              "words that many have: the others are looked up in their index",
	`FROM suppression WHERE id <`: "no row here; with some, a page along the key",
	`FROM receipt /*lite INDEXED BY receipt_kept*/`: "reads all bodies",
	`DELETE FROM pass WHERE key_hash`:               "a few sessions, at a start",
	`DELETE FROM pass WHERE key_id`:                 "a few sessions",
	`DELETE FROM reach`:                             "a row for each time in which we were reachable: a few hundred",
	`SELECT status, count(*)`:                       "counts everything",
	`SELECT state, count(*)`:                        "counts everything",
	`(SELECT count(*) FROM subs`:                    "counts everything",

	// The filters of the list of people that have no index of their own read all
	// when few match; an index for each would slow every import down.
	`NOT EXISTS (SELECT 1 FROM job j`:  "no job",
	`s.email_type = $`:                 "type",
	`s.suppressed_at IS NULL`:          "nearly everybody",
	`s.suppressed_at IS NOT NULL`:      "counted along subscriber_left, once statistics tell that they are few",
	`strpos(s.tags`:                    "tag",
	`s.name_matches = $`:               "whether names match",
	`coalesce(s.signed_up_at`:          "time",
	`s.created_at > $`:                 "time",
	`ILIKE $`:                          "part of a text",
	`lower(s.industry) = ANY`:          "industry",
	`s.headcount >= $`:                 "size of the company",
	`s.linkedin_url IS`:                "LinkedIn",
	`s.enriched_at >= $`:               "time of the result",
	`metadata_has(s.metadata`:          "metadata",
	`AS matching`:                      "counts no further than a total is told",
	`GROUP BY lower(s.company_domain)`: "groups everybody whose company is known",
}

// node is a node of a plan as EXPLAIN gives it.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Filter   string  `json:"Filter"`
	Rows     float64 `json:"Plan Rows"`
	Plans    []node  `json:"Plans"`
}

func (n node) walk(fn func(node)) {
	fn(n)
	for _, p := range n.Plans {
		p.walk(fn)
	}
}

func (n node) print(indent string) string {
	s := fmt.Sprintf("%s%s %s %s [%s] {%s} %.0f rows\n", indent, n.Type, n.Relation, n.Index, n.Cond, n.Filter, n.Rows)
	for _, p := range n.Plans {
		s += p.print(indent + "  ")
	}
	return s
}

// partial are the indexes over a few rows only, which may be walked.
var partial = []string{"batch_open", "batch_unstarted", "job_unbatched", "submission_flying", "upload_active",
	"delivery_new", "submission_job_open", "message_unstarted", "subscriber_left"}

func faults(text string, plan node) (found []string) {
	for part := range walks {
		if strings.Contains(text, part) {
			return nil
		}
	}
	var check func(n node, stops bool)
	check = func(n node, stops bool) {
		switch n.Type {
		case "Seq Scan":
			found = append(found, "walks over "+n.Relation)
		case "Index Scan", "Index Only Scan":
			// In the order of a listing a walk stops when the page is full.
			if n.Cond == "" && !stops && !slices.Contains(partial, n.Index) {
				found = append(found, "walks along "+n.Index)
			}
		case "Sort":
			if stops && n.Plans[0].Rows > 1000 {
				found = append(found, "sorts what it then cuts")
			}
		}
		for _, p := range n.Plans {
			check(p, n.Type == "Limit" || stops && !slices.Contains([]string{"Sort", "Hash", "Aggregate"}, n.Type))
		}
	}
	check(plan, false)
	return found
}

// recorder explains each statement with its arguments before it runs.
type recorder struct {
	plans  map[string]node
	faults []error
}

var savepoint = regexp.MustCompile(`^(RELEASE |ROLLBACK TO )?SAVEPOINT `)

func (r *recorder) explain(query func(string, ...any) (pgx.Rows, error), text string, args []any) {
	if savepoint.MatchString(text) {
		return
	}
	rows, err := query(`EXPLAIN (FORMAT JSON) `+text, args...)
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%w: %s", err, text))
		return
	}
	explained, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	var plans []struct{ Plan node }
	if err == nil {
		err = json.Unmarshal([]byte(explained), &plans)
	}
	if err != nil {
		r.faults = append(r.faults, fmt.Errorf("%w: %s", err, text))
		return
	}
	r.plans[text] = plans[0].Plan
}

// recorded is a database whose every statement is explained.
type recorded struct {
	database
	recorder *recorder
}

func (r *recorded) Write(ctx context.Context, fn func(w datastore.Writer) error) error {
	return r.db.Write(ctx, func(tx *pgdb.Tx) error { return fn(writer{tx: recordingTx{r.recorder, tx}}) })
}

type recordingPool struct {
	*recorder
	pool interface {
		Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	}
}

func (p recordingPool) Query(ctx context.Context, text string, args ...any) (pgx.Rows, error) {
	p.explain(func(text string, args ...any) (pgx.Rows, error) { return p.pool.Query(ctx, text, args...) }, text, args)
	return p.pool.Query(ctx, text, args...)
}

type recordingTx struct {
	*recorder
	*pgdb.Tx
}

func (t recordingTx) Exec(text string, args ...any) (int64, error) {
	t.explain(t.Tx.Query, text, args)
	return t.Tx.Exec(text, args...)
}

func (t recordingTx) Query(text string, args ...any) (pgx.Rows, error) {
	t.explain(t.Tx.Query, text, args)
	return t.Tx.Query(text, args...)
}

func (t recordingTx) SendBatch(b *pgx.Batch) pgx.BatchResults {
	for _, q := range b.QueuedQueries {
		t.explain(t.Tx.Query, q.SQL, q.Arguments)
	}
	return t.Tx.SendBatch(b)
}

// The rows of a product that has been in use for a while: most jobs are done.
const fill = `
	CREATE FUNCTION nth(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
		$$ SELECT (lpad(to_hex(n), 12, '0') || '7000800000000000' || lpad(to_hex(kind), 4, '0'))::uuid $$;
	INSERT INTO subscriber (id, created_at, updated_at, email_key, email, email_type, source, country, full_name, mailbox)
		SELECT nth(1, n), n, n, md5(n::text) || '@gmail.com', 'x', 'personal', 'csv', 'Germany', 'Mara ' || n, md5(n::text) || '@gmail.com' FROM generate_series(1, 20000) n;
	INSERT INTO profile SELECT id, '{}' FROM subscriber;
	INSERT INTO job (id, subscriber_id, run_id, upload_id, created_at, retries, credits, late, latest, status, retry_at, ended_at)
		SELECT nth(2, n), nth(1, 1 + n % 19000), CASE WHEN n % 5000 > 0 THEN nth(3, n / 100) END, nth(5, n / 5000), n, 0, 1, false, n > 11000,
			CASE WHEN n > 29800 OR n % 5000 = 0 THEN 'pending' WHEN n % 7 = 0 THEN 'failed' ELSE 'enriched' END,
			CASE WHEN n % 701 = 0 THEN n END, CASE WHEN n <= 29800 THEN n END
		FROM generate_series(1, 30000) n;
	INSERT INTO batch SELECT nth(3, n), n, 100, NULL, NULL, n, n < 19990, CASE WHEN n > 19995 THEN 'open' ELSE 'closed' END, NULL
		FROM generate_series(1, 20000) n;
	INSERT INTO submission (id, run_id, n, jobs, prepared_at, reserved, credits, duplicates, credit_day, detached, late, state, name,
			follow_at, token_hash, enrichment_id)
		SELECT nth(4, n), nth(3, n), 1, 100, n, 0, 1, 0, 1, false, false,
			CASE WHEN n > 19990 THEN 'prepared' WHEN n > 19950 THEN 'accepted' ELSE 'settled' END, 'x',
			CASE WHEN n % 1000 = 0 THEN n END, sha256(n::text::bytea), 'enr-' || n
		FROM generate_series(1, 20000) n;
	INSERT INTO submission_job SELECT nth(4, n / 100), nth(2, n), n > 29800 FROM generate_series(100, 30000) n;
	INSERT INTO delivery (digest, size, received_at, submission_id, source, state, raw)
		SELECT sha256(n::text::bytea), 1, n, nth(4, n), 'webhook',
			CASE WHEN n > 29990 THEN 'stored' WHEN n > 29900 THEN 'sent' WHEN n % 100 = 0 THEN 'unmatched' ELSE 'settled' END, NULL
		FROM generate_series(1, 30000) n;
	UPDATE delivery SET note = 'seen' WHERE state = 'unmatched';
	INSERT INTO call_budget SELECT n, 1 FROM generate_series(1, 5000) n;
	INSERT INTO credit_day SELECT n, 1, 1 FROM generate_series(1, 3000) n;
	INSERT INTO public_url SELECT 'https://' || n || '.example', 1 FROM generate_series(1, 3000) n;
	INSERT INTO reach SELECT 'https://' || n || '.example', n, n FROM generate_series(1, 3000) n;
	INSERT INTO firing SELECT n, 'hourly' FROM generate_series(1, 5000) n;
	INSERT INTO webhook_id SELECT n, 'e', sha256(n::text::bytea), NULL FROM generate_series(1, 20000) n;
	INSERT INTO upload (id, rows, new, known, duplicate, corporate, invalid, size, position, created_at, status, file_name)
		SELECT nth(5, n), 0, 0, 0, 0, 0, 0, 0, 0, n, CASE WHEN n > 4995 THEN 'importing' ELSE 'done' END, 'x' FROM generate_series(1, 5000) n;
	INSERT INTO upload_chunk SELECT nth(5, n / 10), n % 10, 'x' FROM generate_series(1, 20000) n;
	INSERT INTO upload_error SELECT nth(5, n / 10), n, n, NULL, NULL, 'x' FROM generate_series(1, 20000) n;
	INSERT INTO source SELECT nth(6, n), 'x', 'generic', sha256(n::text::bytea), NULL, NULL, false, false, n, n FROM generate_series(1, 10) n;
	INSERT INTO receipt (id, source_id, state, size, created, updated, unsubscribed, failed, received_at, kept, body)
		SELECT nth(7, n), nth(6, 1 + n % 10), CASE WHEN n % 50 = 0 THEN 'refused' WHEN n % 60 = 0 THEN 'rejected' ELSE 'accepted' END, 1, 1, 0, 0, 0, n, n > 19000,
			CASE WHEN n > 19000 THEN 'x'::bytea END FROM generate_series(1, 20000) n;
	INSERT INTO sink SELECT nth(8, n), 'x', 'x', NULL, NULL, false, NULL, false, NULL, NULL, n, n FROM generate_series(1, 10) n;
	INSERT INTO message (id, sink_id, topic, subject, state, run_id, started, attempts, created_at, ended_at)
		SELECT nth(9, n), nth(8, 1 + n % 10), 'test', 'sub_' || n, CASE WHEN n > 19900 THEN 'pending' WHEN n % 90 = 0 THEN 'failed' ELSE 'delivered' END,
			nth(3, n), n < 19990, 1, n, CASE WHEN n <= 19900 THEN n END FROM generate_series(1, 20000) n;
	INSERT INTO message_attempt SELECT nth(9, n), 1, n, 1, 200, NULL FROM generate_series(1, 20000) n;
	INSERT INTO pass SELECT sha256(n::text::bytea), 'session', NULL, n, n FROM generate_series(1, 20000) n;
	INSERT INTO act (at, actor, act, subject) SELECT n, 'key', 'run.' || n % 7, 'run_' || n FROM generate_series(1, 20000) n;`
