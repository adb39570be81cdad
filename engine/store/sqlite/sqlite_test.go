package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/storetest"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Open: func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "test.db")) },
		Close: func(t *testing.T, s store.Store) {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
		},
		Restart: func(t *testing.T, s store.Store) store.Store {
			if err := s.(*Store).Close(); err != nil {
				t.Error(err)
			}
			return open(t, s.(*Store).db.Path())
		},
		Neighbors: map[string]func(context.Context, store.Store) error{
			"constraint": func(ctx context.Context, s store.Store) error {
				return s.(*Store).db.Write(ctx, func(tx *sqlitedb.Tx) error {
					_, err := tx.Exec("INSERT INTO wf_node (epoch, name) SELECT epoch, 'twice' FROM wf_node")
					return err
				})
			},
			"panic": func(ctx context.Context, s store.Store) error {
				return s.(*Store).db.Write(ctx, func(tx *sqlitedb.Tx) error {
					if _, err := tx.Exec("DELETE FROM wf_run"); err != nil {
						return err
					}
					panic("boom")
				})
			},
		},
		FillDisk: fillDisk,
	})
}

// fillDisk lets the file grow by a few pages only.
func fillDisk(t *testing.T, s store.Store) (free func()) {
	limit := func(query string, args ...any) {
		err := s.(*Store).db.Write(context.Background(), func(tx *sqlitedb.Tx) error {
			_, err := tx.Exec(query, args...)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	limit("PRAGMA max_page_count = 20")
	return func() { limit("PRAGMA max_page_count = 1000000") }
}

// Engines are tested in bubbles over a real file.
func TestTheStoreLivesInABubble(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	synctest.Test(t, func(t *testing.T) {
		s := open(t, path)
		node, err := s.Heartbeat(t.Context(), "a", 0)
		if err != nil {
			t.Fatal(err)
		}
		def := store.Definition{Workflow: "w", Version: 1}
		if err := s.Create(t.Context(),
			store.Run{ID: "run-1", Workflow: def.Workflow, Version: def.Version, CreatedAt: time.Now(), Seq: 1}); err != nil {
			t.Fatal(err)
		}
		for day := range 30 {
			claimed, _, err := s.Claim(t.Context(), node, store.Want(10, def), time.Now())
			if err != nil || len(claimed) != 1 {
				t.Fatalf("day %d: claimed %d, %v", day, len(claimed), err)
			}
			park := store.Park{Kind: store.ParkSnooze, Step: "nap", Until: time.Now().Add(24 * time.Hour)}
			if _, err := s.Commit(t.Context(), claimed[0].Lease, store.Progress{Park: &park, Now: time.Now()}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

func TestAStoreSharesTheFileOfItsCaller(t *testing.T) {
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "app.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := Open(opened.With(t.Context(), db), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), db.Path()); !errors.As(err, new(*sqlitedb.LockedError)) {
		t.Errorf("Open of a file in use: %v", err)
	}
	if err := s.Close(); err != nil || db.Closed() {
		t.Errorf("Close closed what was open before: %v", err)
	}
	// The next store of the same process goes on with the epochs.
	first, err := s.Heartbeat(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(opened.With(t.Context(), db), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := again.Claim(t.Context(), first, store.Want(1), time.Now()); err != nil {
		t.Errorf("Claim by the last node: %v", err)
	}
}

func TestAFileOfANewerReleaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("INSERT INTO wf_migrations (version_id, is_applied) VALUES (99, 1)")
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); !errors.Is(err, sqlitedb.ErrSchemaNewer) {
		t.Errorf("Open: %v", err)
	}
}

// plan is how a query is answered.
type plan struct {
	query string
	args  []any
	plan  string
}

func TestNoQueryScansTheRuns(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	for _, c := range slices.Concat(plans(t), plansOfSubs(t), plansOfAttributes(t)) {
		var plan []string
		rows, err := s.db.Reader().Query("EXPLAIN QUERY PLAN "+c.query, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(new(int), new(int), new(int), &line); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, line)
		}
		rows.Close()
		got := strings.Join(plan, "; ")
		sorts := strings.Contains(got, "TEMP B-TREE FOR ORDER BY") && c.query != deadQuery
		if !strings.Contains(got, c.plan) || sorts {
			t.Errorf("%s:\n%s", c.query, got)
		}
	}
}

// queryOf is a list's query and its arguments.
func queryOf(t *testing.T, q store.Query) (query string, args []any) {
	w, err := conditions(q, q.Attributes.Keys())
	if err != nil {
		t.Fatal(err)
	}
	return w.query(), append(w.args, 1)
}

func plans(t *testing.T) []plan {
	all, allArgs := queryOf(t, store.Query{})
	page, pageArgs := queryOf(t, store.Query{Cursor: store.Cursor(store.Run{ID: "x", CreatedAt: time.Now()})})
	waiting, waitingArgs := queryOf(t, store.Query{Status: store.Waiting, Now: time.Now()})
	return []plan{
		{waiting, waitingArgs, "SCAN wf_run USING INDEX wf_run_open"},
		{dueQuery(goesOn), []any{9, 1, 2, `["w/1"]`, 1}, "USING INDEX wf_run_due (owner=? AND due_at>? AND due_at<?)"},
		{dueQuery(newcomer), []any{9, 1, 2, `["w/1"]`, 1}, "USING INDEX wf_run_new (owner=? AND due_at>? AND due_at<?)"},
		{suspectQuery, []any{9, 2, `["w/1"]`, 1}, "USING INDEX wf_run_suspect (due_at<?)"},
		{deadQuery, []any{9, 1, `["w/1"]`, 1}, "USING INDEX wf_run_due (owner>? AND owner<?)"},
		{buryQueries[0], []any{1, 1}, "USING INDEX wf_run_new (owner>? AND owner<?)"},
		{buryQueries[1], []any{1, 1}, "USING INDEX wf_run_due (owner>? AND owner<?)"},
		{nextQuery(goesOn), []any{1}, "USING INDEX wf_run_due (owner=? AND due_at>?)"},
		{nextQuery(newcomer), []any{1}, "USING COVERING INDEX wf_run_new (owner=? AND due_at>?)"},
		{pruneQuery, []any{1, 1}, "USING INDEX wf_run_ended (ended_at<?)"},
		{all, allArgs, "SCAN wf_run USING INDEX wf_run_created"},
		{page, pageArgs, "USING INDEX wf_run_created ((created_at,id)<(?,?))"},
	}
}

// plansOfSubs go by the ids of sub-runs, which are one range.
func plansOfSubs(t *testing.T) []plan {
	from, to := store.SubRange("r", "load", 0, 3)
	below, belowArgs := queryOf(t, store.Query{Parent: "r"})
	open, openArgs := queryOf(t, store.Query{Parent: "r", Status: store.Waiting, Workflow: "w",
		Cursor: store.Cursor(store.Run{ID: "r/load[7]"})})
	return []plan{
		{groupQuery, []any{from}, "SEARCH wf_subs USING PRIMARY KEY (run_id=?)"},
		{saveQuery, []any{1, 1, 1, 1, 1, 1, 1, 1, from}, "SEARCH wf_subs USING PRIMARY KEY (run_id=?)"},
		{wakeQuery, []any{1, from}, "SEARCH wf_run USING PRIMARY KEY (id=?)"},
		{foundQuery, []any{from, to}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{subsQuery(0), []any{from, to, 1}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{subsQuery(1), []any{from, to, "open", 1}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{subsQuery(3), []any{from, to, "failed", "timed_out", "canceled", 1}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{below, belowArgs, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{open, openArgs, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{terminateRunsQuery, []any{1, "", from, to}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
		{terminateSubsQuery, []any{from, to}, "SEARCH wf_subs USING PRIMARY KEY (run_id>? AND run_id<?)"},
		{pruneBelow[0], []any{from, to}, "SEARCH wf_history USING PRIMARY KEY (run_id>? AND run_id<?)"},
		{pruneBelow[1], []any{from, to}, "SEARCH wf_signal USING PRIMARY KEY (run_id>? AND run_id<?)"},
		{pruneBelow[3], []any{from, to}, "SEARCH wf_run USING PRIMARY KEY (id>? AND id<?)"},
	}
}

// TestAMoveThatKeepsARunWritesItsRowAlone counts the trees that the statement opens for
// writing: an index whose condition names a column that is set is one.
func TestAMoveThatKeepsARunWritesItsRowAlone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	var trees int
	rows, err := s.db.Reader().Query("EXPLAIN "+moveQuery, 1, 1, 1, []byte("id"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var opcode string
		if err := rows.Scan(new(any), &opcode, new(any), new(any), new(any), new(any), new(any), new(any)); err != nil {
			t.Fatal(err)
		}
		if opcode == "OpenWrite" {
			trees++
		}
	}
	if trees != 1 {
		t.Errorf("%d trees are written", trees)
	}
}

func TestARunWithoutSubRunsAsksForNoCounters(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	if err := s.db.Write(t.Context(), func(tx *sqlitedb.Tx) error { _, err := tx.Exec("DROP TABLE wf_subs"); return err }); err != nil {
		t.Fatal(err)
	}
	storetest.Alone(t, s)
}

// A waiting run costs at most 1,000 bytes on the disk: the row, two outcomes and
// the indexes of an enrichment that waits for its webhook.
func TestAWaitingRunIsSmall(t *testing.T) {
	const n, limit = 3000, 1000
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "test.db"), Synchronous: sqlitedb.Normal})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := Open(opened.With(t.Context(), db), "")
	if err != nil {
		t.Fatal(err)
	}
	node, err := s.Heartbeat(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for range n {
		id := "run_" + uuid.Must(uuid.NewV7()).String()
		if err := s.Create(t.Context(), store.Run{ID: id, Workflow: "subscriber-enrichment", Version: 1, Owner: node.Epoch,
			Input: json.RawMessage("{}"), CreatedAt: now, StartedAt: now, Seq: 1}); err != nil {
			t.Fatal(err)
		}
		outcome := func(step string, output json.RawMessage) store.Entry {
			return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: now, StartedAt: now, Output: output}
		}
		if _, err := s.Commit(t.Context(), store.Lease{RunID: id, Epoch: node.Epoch, Token: 1}, store.Progress{Now: now,
			Append: []store.Entry{outcome("batch-pending-jobs", batchOutput), outcome("submit-to-fullenrich", submitOutput)},
			Park: &store.Park{Kind: store.ParkWait, Step: "wait-for-webhook", Events: []string{"enrichment-complete"},
				Until: now.Add(24 * time.Hour), Since: now}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(db.Path())
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size() / n; size > limit {
		t.Errorf("a waiting run takes %d bytes", size)
	} else {
		t.Logf("a waiting run takes %d bytes", size)
	}
}

func TestWhatTheFileWillNeverTakeIsRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	node, err := s.Heartbeat(t.Context(), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec("CREATE TRIGGER picky BEFORE INSERT ON wf_history WHEN new.step = 'odd' BEGIN SELECT RAISE(ABORT, 'odd'); END")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(),
		store.Run{ID: "r", Workflow: "w", Version: 1, Owner: node.Epoch, CreatedAt: time.Now(), Seq: 1}); err != nil {
		t.Fatal(err)
	}
	odd := store.Progress{Append: []store.Entry{{Kind: store.EntryCompleted, Step: "odd", At: time.Now()}}, Now: time.Now()}
	if _, err := s.Commit(t.Context(), store.Lease{RunID: "r", Epoch: node.Epoch, Token: 1}, odd); !errors.Is(err, store.ErrRefused) {
		t.Errorf("Commit: %v", err)
	}
}
