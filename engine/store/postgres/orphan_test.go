package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

var removed = regexp.MustCompile(`Rows Removed by Filter: (\d+)`)

// reads counts the rows that a claim would read now and not take.
func reads(t *testing.T, s *Store, node store.Node, w store.Wanted) (rows int) {
	t.Helper()
	from := s.passed.Begin(w.Definitions)
	s.passed.Failed(from)
	undone := errors.New("undone")
	err := s.db.Transact(t.Context(), func(tx *pgdb.Tx) error {
		found, err := tx.Query(s.schema.in("EXPLAIN (ANALYZE, TIMING OFF) "+dueQuery), from.Keys, micros(time.Now()), node.Epoch, w.Runs,
			from.Old, from.New, w.Old, w.New, w.Bytes, packed(w.Except))
		if err != nil {
			return err
		}
		plan, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, n := range removed.FindAllStringSubmatch(strings.Join(plan, "\n"), -1) {
			more, _ := strconv.Atoi(n[1])
			rows += more
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	return rows
}

// TestDueRunsThatNobodyHoldsAreReadOnce has both classes of them, also while the claims
// are full of one class.
func TestDueRunsThatNobodyHoldsAreReadOnce(t *testing.T) {
	t.Parallel()
	const orphans = 3000
	due := func(s *Store, workflow string, from time.Duration, started string, n int) {
		exec(t, s, `
			INSERT INTO wf_run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, ended_at)
			SELECT decode(md5($1 || n), 'hex'), $1, 1, 'open', 0, 1, $2::bigint + n, 4, n, `+started+`, 0 FROM generate_series(1, $3) AS n`,
			workflow, from.Microseconds(), n)
	}
	for name, started := range map[string]string{"newcomers": "0", "what goes on": "1", "both classes": "n % 2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, pgtest.Database(t))
			node := register(t, s)
			due(s, "another", 0, "n % 2", orphans)
			due(s, "w", time.Hour, started, 10*(2*deepSweep+1))
			w := store.Want(10, store.Definition{Workflow: "w", Version: 1})
			is := func(what string, want int) {
				t.Helper()
				if got := reads(t, s, node, w); got != want {
					t.Errorf("%s: a claim reads %d rows that it does not take, want %d", what, got, want)
				}
			}
			claim := func(want int) {
				t.Helper()
				if claimed, _, err := s.Claim(t.Context(), node, w, time.Now()); err != nil || len(claimed) != want {
					t.Fatalf("%d claimed, %v", len(claimed), err)
				}
			}
			is("at first", orphans)
			claim(10)
			is("then", 0)
			exec(t, s, "ANALYZE")
			is("as the server knows the rows", 0)
			for n := 1; n <= 2*deepSweep; n++ {
				want := 0
				if n%deepSweep == 0 {
					want = orphans
				}
				s.sweep(n)
				is(fmt.Sprint("after sweep ", n), want)
				claim(10)
			}
		})
	}
}
