package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/storetest"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
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

// fillSubs gives a run sub-runs, half of which are open, and many others counters.
func fillSubs(t *testing.T, s *Store, n int) {
	t.Helper()
	var ids [][]byte
	for i := range n {
		ids = append(ids, store.PackID(workflow.SubRunID("r", "load", 0, i)))
	}
	exec(t, s, `
		INSERT INTO wf_run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, input)
		SELECT id, 'w', 1, CASE WHEN get_byte(id, length(id) - 1) % 2 = 0 THEN 'open' ELSE 'failed' END, 0, 1, 2000000000000000, 4, 1, 1, NULL
		FROM unnest($1::bytea[]) AS id`, ids)
	exec(t, s, `
		INSERT INTO wf_subs (run_id, step, workflow, version, generation, total, at_most, need, tolerate, next, open, completed, failed, canceled,
			again, stopped) SELECT id, 'load', 'w', 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, false FROM unnest($1::bytea[]) AS id`, ids)
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
	fillSubs(t, s, 5000)
	goesByIndexes(t, s, slices.Concat(plannedQueries(t), plannedOfSubs(t)))
	fillAttributes(t, s)
	goesByIndexes(t, s, plannedOfAttributes(t))
}

func goesByIndexes(t *testing.T, s *Store, queries []planned) {
	t.Helper()
	for _, c := range queries {
		plan := planOf(t, s, c.inside, c.query, c.args...)
		for _, table := range []string{"wf_run", "wf_history", "wf_signal", "wf_subs", "wf_attribute"} {
			if strings.Contains(plan, "Seq Scan on "+table) {
				t.Errorf("%s scans %s:\n%s", c.name, table, plan)
			}
		}
		if !strings.Contains(plan, c.by) || strings.Contains(plan, "Sort") && !c.sorts {
			t.Errorf("%s does not go by %s, or sorts:\n%s", c.name, c.by, plan)
		}
	}
}

// queued is the first statement that is queued.
func queued(queue func(b batch)) *pgx.QueuedQuery { return queuedAll(queue)[0] }

func queuedAll(queue func(b batch)) []*pgx.QueuedQuery {
	b := batch{&pgx.Batch{}, &schema{}} // planOf qualifies
	queue(b)
	return b.QueuedQueries
}

// pageOf is a list's query and its arguments.
func pageOf(t *testing.T, q store.Query) (query string, args []any) {
	w, err := conditions(q, q.Attributes.Keys())
	if err != nil {
		t.Fatal(err)
	}
	return w.query(50), w.args
}

func plannedQueries(t *testing.T) []planned {
	ids := [][]byte{store.PackID("x"), store.PackID("y")}
	one := queued(func(b batch) { updateRuns(b, []*row{{id: ids[0]}}) })
	many := queued(func(b batch) { updateRuns(b, []*row{{id: ids[0]}, {id: ids[1]}}) })
	all, none := pageOf(t, store.Query{})
	next, nextArgs := pageOf(t, store.Query{Cursor: store.Cursor(store.Run{ID: "x", CreatedAt: time.Now()})})
	waiting, waitingArgs := pageOf(t, store.Query{Status: store.Waiting, Now: time.Now()})
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

// plannedOfSubs go by the ids of sub-runs, which are one range.
func plannedOfSubs(t *testing.T) []planned {
	from, to := store.SubRange("r", "load", 0, 3)
	below := store.Below("r")[0]
	ids := [][]byte{from, below[0]}
	rows := func(q store.SubQuery) planned {
		q.Parent, q.Step = "r", "load"
		query, args := subsQuery(q)
		return planned{"sub-runs", query, args, false, "wf_run_pkey", false}
	}
	listed, listedArgs := pageOf(t, store.Query{Parent: "r"})
	next, nextArgs := pageOf(t, store.Query{Parent: "r", Cursor: store.Cursor(store.Run{ID: "r/load[7]"})})
	open, openArgs := pageOf(t, store.Query{Parent: "r", Status: store.Waiting, Workflow: "w"})
	save := queued(func(b batch) {
		(&group{subs: map[string]*subs{"x": {dirty: true}, "y": {dirty: true}}}).writeSubs(b)
	})
	ended := termination{[][2][]byte{below}, 1, ""}
	g := &group{terminated: []termination{ended}}
	end := queued(g.terminateBelow)
	gone := batch{&pgx.Batch{}, &schema{}}
	g.terminateBelow(gone)
	return []planned{
		{"counters", groupQuery, []any{from}, false, "wf_subs_pkey", false},
		{"locked counters", lockSubsQuery, []any{ids}, true, "wf_subs_pkey", true},
		{"saved counters", save.SQL, save.Arguments, true, "wf_subs_pkey", false},
		{"closed counters", closeQuery, []any{ids}, true, "wf_subs_pkey", false},
		{"sub-runs of an earlier opening", foundQuery, []any{from, to}, true, "wf_run_pkey", false},
		rows(store.SubQuery{}), rows(store.SubQuery{From: 7, Limit: 100}), rows(store.SubQuery{Limit: 1, Status: []store.Status{store.Failed}}),
		rows(store.SubQuery{Limit: 500, Status: []store.Status{store.Open}}),
		{"a page of sub-runs", listed, listedArgs, false, "wf_run_pkey", false},
		{"the next page of sub-runs", next, nextArgs, false, "wf_run_pkey", false},
		{"a page of waiting sub-runs", open, openArgs, false, "wf_run_pkey", false},
		{"what is open below a run", belowQuery, []any{below[0], below[1]}, true, "wf_run_pkey", false},
		{"the end of all below a run", end.SQL, end.Arguments, true, "wf_run_pkey", false},
		{"the end of all counters below", gone.QueuedQueries[1].SQL, gone.QueuedQueries[1].Arguments, true, "wf_subs_pkey", false},
		{"pruned histories", pruneBelow[0], []any{ids[:1], ids[1:]}, true, "wf_history_pkey", false},
		{"pruned signals", pruneBelow[1], []any{ids[:1], ids[1:]}, true, "wf_signal_pkey", false},
		{"pruned sub-runs", pruneBelow[3], []any{ids[:1], ids[1:]}, true, "wf_run_pkey", false},
	}
}

func TestARunWithoutSubRunsAsksForNoCounters(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	exec(t, s, "DROP TABLE wf_subs")
	storetest.Alone(t, s)
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
