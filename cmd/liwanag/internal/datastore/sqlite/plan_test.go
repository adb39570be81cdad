package sqlite

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
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
	if _, err := New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	plans := &recorded{database: database{db: db}, texts: map[string]bool{}}
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error { _, err := tx.Exec(many); return err }); err != nil {
		t.Fatal(err)
	}
	store := datastore.New(plans)
	datastoretest.ReadEverything(t.Context(), store)
	if err := store.Write(t.Context(), datastoretest.UseEverything); err != nil {
		t.Fatal(err)
	}
	texts := plans.texts
	plans.statements.Range(func(text, _ any) bool {
		texts[text.(string)] = true
		return true
	})
	if len(texts) < 90 {
		t.Fatalf("only %d statements were seen", len(texts))
	}
	var used strings.Builder
	for text := range texts {
		plan := planOf(t, db, text)
		used.WriteString(strings.Join(plan, "\n") + "\n")
		for _, fault := range faults(text, plan) {
			t.Errorf("%s\n\t%s", fault, strings.Join(strings.Fields(text), " "))
		}
	}
	// An index that is not there for its uniqueness must be what some statement
	// uses: otherwise it only costs, or the planner took another one.
	found, err := plans.Query(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'`)
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := datastore.Collect(found, func(r datastore.Row) (name string, err error) { return name, r.Scan(&name) })
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		if !regexp.MustCompile(`INDEX ` + index + `\b`).MatchString(used.String()) {
			t.Errorf("no statement uses the index %s", index)
		}
	}
}

// many are so many people of a source and a country that none of them is looked up by its id.
const many = `INSERT INTO subscriber (id, created_at, updated_at, email_key, email, email_type, source, country)
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4001)
	SELECT randomblob(16), i, i, 'n' || i, 'x', 'personal', 'csv', 'Germany' FROM n`

// recorded is a database that notes the texts of its transactions.
type recorded struct {
	database
	texts map[string]bool
}

func (r *recorded) Write(ctx context.Context, fn func(w datastore.Writer) error) error {
	return r.db.Write(ctx, func(tx *sqlitedb.Tx) error { return fn(writer{tx: recorder{tx, r.texts}}) })
}

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
	"SCAN json_each", "ROW VALUES CLAUSE", "SCAN at", "SCAN CONSTANT ROW", "SCAN (subquery", "SCAN spending", "SCAN reach",
	"batch_unstarted", "batch_open", "job_unbatched", "submission_flying", "upload_active", "delivery_new",
	"USING COVERING INDEX job_status", "USING COVERING INDEX submission_state", "SCAN subscriber USING COVERING INDEX subscriber_signed_up",
	"SCAN none", "SCAN pass", "SCAN sink", "SCAN source", "SCAN dismissal", "SCAN search_mark", "SCAN journal_file", "SCAN backup", "SCAN ordered", "SCAN api_key", "saved_view_name", "message_unstarted", "receipt_kept", "subscriber_left",
	"subscriber_headcount", "subscriber_found",
}

// argumentsOf counts a statement's arguments.
func argumentsOf(text string) (n int) {
	for n = strings.Count(text, "?"); strings.Contains(text, "$"+strconv.Itoa(n+1)); n++ {
	}
	return n
}

func planOf(t *testing.T, db *sqlitedb.DB, text string) (plan []string) {
	t.Helper()
	if strings.HasSuffix(text, " guarded") { // a savepoint
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
	// A total counts no further than it is told, companies group all who have one.
	if strings.Contains(text, "AS matching") || strings.Contains(text, "GROUP BY s.company_domain COLLATE") {
		return nil
	}
	sorts := slices.ContainsFunc(plan, func(line string) bool { return strings.HasPrefix(line, "USE TEMP B-TREE") })
	// A walk in the order of the listing stops when the page is full.
	pages := regexp.MustCompile(`LIMIT (\?|\$\d+)$`).MatchString(text)
	stops := pages && !sorts || strings.Contains(text, "o.id DESC LIMIT 1)") // the newest
	for _, line := range plan {
		if strings.HasPrefix(line, "SCAN") && !stops &&
			!slices.ContainsFunc(walks, func(w string) bool { return strings.Contains(line, w) }) {
			found = append(found, line)
		}
	}
	// A few people, gathered over an index, are sorted.
	few := regexp.MustCompile(` IN \(SELECT (x|w)\.subscriber_id | IN \(SELECT o\.id FROM subscriber o WHERE `)
	if sorts && pages && !few.MatchString(text) {
		found = append(found, "sorts what it then cuts: "+strings.Join(plan, "; "))
	}
	return found
}
