package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// fill writes waiting runs, and a few of every other kind, as their rows are.
func fill(t *testing.T, s *Store, waiting int) {
	t.Helper()
	exec(t, s, `
		INSERT INTO wf_run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, ended_at, park_kind, park_events)
		SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 'w', 1, CASE WHEN n % 50 = 0 THEN 'completed' ELSE 'open' END, 0, 1,
			2000000000000000 + n, 4, n, 1, CASE WHEN n % 50 = 0 THEN n ELSE 0 END, 'event', '["e"]'
		FROM generate_series(1, $1) AS n`, waiting)
	exec(t, s, `
		INSERT INTO wf_history (run_id, seq, at, started_at, started_seq, next_at, attempt, begins, reconciled, kind, step, label, signals, failure)
		SELECT id, n, 1, 1, 0, 0, 1, false, false, 'completed', 'a', '', '', '' FROM wf_run, generate_series(1, 2) AS n`)
	exec(t, s, "INSERT INTO wf_signal (run_id, id, seq, event, at, late) SELECT id, 's', 3, 'e', 1, false FROM wf_run")
	exec(t, s, "ANALYZE")
}

// planOf explains a statement as the transactions of this store run it, or, when
// it is read outside of them, as it is.
func planOf(t *testing.T, s *Store, inside bool, query string, args ...any) string {
	t.Helper()
	var plan []string
	err := s.db.Transact(t.Context(), func(tx *pgdb.Tx) error {
		if !inside {
			if _, err := tx.Exec("SET LOCAL enable_seqscan = on"); err != nil {
				return err
			}
		}
		found, err := tx.Query(s.schema.in("EXPLAIN (COSTS OFF) "+query), args...)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(found, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(plan, "\n")
}

// planned is a query and the index it goes by.
type planned struct {
	name, query string
	args        []any
	inside      bool // of the transactions of the store: see planOf
	by          string
	sorts       bool
}

func TestNoQueryScansTheRuns(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	fill(t, s, 30_000)
	for _, c := range plannedQueries(t) {
		plan := planOf(t, s, c.inside, c.query, c.args...)
		for _, table := range []string{"wf_run", "wf_history", "wf_signal"} {
			if strings.Contains(plan, "Seq Scan on "+table) {
				t.Errorf("%s scans %s:\n%s", c.name, table, plan)
			}
		}
		if !strings.Contains(plan, c.by) || strings.Contains(plan, "Sort") && !c.sorts {
			t.Errorf("%s does not go by %s, or sorts:\n%s", c.name, c.by, plan)
		}
	}
}

func plannedQueries(t *testing.T) []planned {
	ids := [][]byte{store.PackID("x"), store.PackID("y")}
	queued := func(queue func(b batch)) *pgx.QueuedQuery {
		b := batch{&pgx.Batch{}, &schema{}} // planOf qualifies
		queue(b)
		return b.QueuedQueries[0]
	}
	one := queued(func(b batch) { updateRuns(b, []*row{{id: ids[0]}}) })
	many := queued(func(b batch) { updateRuns(b, []*row{{id: ids[0]}, {id: ids[1]}}) })
	page := func(q store.Query) (string, []any) {
		w, err := conditions(q)
		if err != nil {
			t.Fatal(err)
		}
		return w.query(50), w.args
	}
	all, none := page(store.Query{})
	next, nextArgs := page(store.Query{Cursor: formatCursor(store.Run{ID: "x", CreatedAt: time.Now()})})
	waiting, waitingArgs := page(store.Query{Status: store.Waiting, Now: time.Now()})
	keys := []string{"w/1"}
	return []planned{
		{"lock", lockQuery, []any{ids}, true, "wf_run_pkey", true},
		{"update of one", one.SQL, one.Arguments, true, "wf_run_pkey", false},
		{"update of many", many.SQL, many.Arguments, true, "wf_run_pkey", false},
		{"signals that are there", repeatedQuery, []any{ids, []string{"a", "b"}}, true, "wf_signal_pkey", false},
		{"news", newsQuery, []any{[]int32{1, 2}, ids, []int64{1, 1}, []int64{2, 2}}, true, "wf_signal_pkey", true},
		{"claim of what goes on", dueQuery, []any{keys, int64(5), int64(1), 10, int64(1), int64(1), 10, 10, 9, [][]byte{}}, true, "wf_run_due", true},
		{"claim of newcomers", dueQuery, []any{keys, int64(5), int64(1), 10, int64(1), int64(1), 10, 10, 9, [][]byte{}}, true, "wf_run_new", true},
		{"claim of dead nodes' runs", deadQuery, []any{keys, []int64{3, 4}, int64(1), 10, 9}, true, "wf_run_due", true},
		{"claim of a suspect", suspectQuery, []any{keys, int64(5), int64(1), 1, 9}, true, "wf_run_suspect", true},
		{"what a dead node had not begun", buryQueries[0], []any{[]int64{3, 4}, int64(5)}, true, "wf_run_new", true},
		{"what a dead node had begun", buryQueries[1], []any{[]int64{3, 4}, int64(5)}, true, "wf_run_due", true},
		{"what is next", nextQuery, []any{int64(1), int64(5), int64(1), int64(1)}, true, "wf_run_new", false},
		{"what is overdue", overdueQuery, []any{int64(5)}, false, "wf_run_due", false},
		{"a look", lookQuery, []any{int64(1), int64(5), int64(1), int64(1)}, false, "wf_run_new", false},
		{"histories", historyQuery, []any{ids}, true, "wf_history_pkey", false},
		{"signals", signalsQuery, []any{ids}, true, "wf_signal_pkey", false},
		{"what is to be pruned", pruneQuery, []any{int64(5), 10}, true, "wf_run_ended", false},
		{"a page", all, none, false, "wf_run_created", false},
		{"the next page", next, nextArgs, false, "wf_run_created", false},
		{"a page of waiting runs", waiting, waitingArgs, false, "wf_run_created", false},
	}
}

// A waiting run costs at most 1,500 bytes on the disk: the row with room to move,
// two outcomes, and the indexes, of an enrichment that waits for its webhook.
func TestAWaitingRunIsSmall(t *testing.T) {
	t.Parallel()
	const n, limit = 3000, 1500                                  // 1,340 to 1,410, as the updates fall into pages
	jobs := json.RawMessage(fmt.Sprintf(`{"jobs":[%0200d]}`, 1)) // about what a batch returns
	submission := json.RawMessage(`{"enrichmentId":"0190163d-8694-739b-aea5-966c26f8ad91","jobIds":["job_0190163d-8694-739b-aea5-966c26f8ad91"]}`)
	s := open(t, pgtest.Database(t))
	node := register(t, s)
	now := time.Now()
	ids := make(chan string)
	done := make(chan struct{})
	for range 100 {
		go func() {
			defer func() { done <- struct{}{} }()
			for id := range ids {
				if err := s.Create(t.Context(), store.Run{ID: id, Workflow: "subscriber-enrichment", Version: 1, Owner: node.Epoch,
					Input: json.RawMessage("{}"), CreatedAt: now, StartedAt: now, Seq: 1}); err != nil {
					t.Error(err)
				}
				outcome := func(step string, output json.RawMessage) store.Entry {
					return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: now, StartedAt: now, Output: output}
				}
				if _, err := s.Commit(t.Context(), store.Lease{RunID: id, Epoch: node.Epoch, Token: 1}, store.Progress{Now: now,
					Append: []store.Entry{outcome("batch-pending-jobs", jobs), outcome("submit-to-fullenrich", submission)},
					Park: &store.Park{Kind: store.ParkWait, Step: "wait-for-webhook", Events: []string{"enrichment-complete"},
						Until: now.Add(24 * time.Hour), Since: now}}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range n {
		ids <- "run_" + uuid.Must(uuid.NewV7()).String()
	}
	close(ids)
	for range 100 {
		<-done
	}
	var size int64
	err := s.db.Pool().QueryRow(t.Context(), `
		SELECT pg_total_relation_size('wf_run') + pg_total_relation_size('wf_history') + pg_total_relation_size('wf_signal')`).Scan(&size)
	if err != nil {
		t.Fatal(err)
	}
	if size /= n; size > limit {
		t.Errorf("a waiting run takes %d bytes", size)
	} else {
		t.Logf("a waiting run takes %d bytes", size)
	}
}
