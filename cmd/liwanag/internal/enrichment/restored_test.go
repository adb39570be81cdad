package enrichment_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// pages are a journal in memory.
type pages struct {
	mu    sync.Mutex
	lines []liwanag.JournalLine
	fails error
}

func (p *pages) Name() string { return "pages" }

func (p *pages) Append(lines []liwanag.JournalLine) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return p.fails
	}
	p.lines = append(p.lines, lines...)
	return nil
}

// each are the lines, and the largest of their numbers.
func (p *pages) each() (lines func(yield func(liwanag.JournalLine, error) bool), last int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append([]liwanag.JournalLine{}, p.lines...)
	for _, line := range all {
		last = max(last, line.N)
	}
	return func(yield func(liwanag.JournalLine, error) bool) {
		for _, line := range all {
			if !yield(line, nil) {
				return
			}
		}
	}, last
}

// restores says how many restores are tried: 6, or LIWANAG_RESTORES.
func restores() int {
	if n, err := strconv.Atoi(os.Getenv("LIWANAG_RESTORES")); err == nil {
		return n
	}
	return 6
}

// Backups of random ages are restored, and the whole list is imported again: nobody is
// paid for twice, and nobody who left is looked up.
func TestWhatTheJournalKnowsIsNotPaidForAgain(t *testing.T) {
	takesSeconds(t)
	for seed := range restores() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := enrichment.Config{PaidRetry: enrichment.Strict, OnAmbiguous: enrichment.Hold, BatchSize: 3}
			inWorld(t, cfg, simulator.Config{Seed: int64(seed)}, func(w *world) { restoreOnce(w, rand.New(rand.NewPCG(uint64(seed), 26))) })
		})
	}
}

func restoreOnce(w *world, dice *rand.Rand) {
	ctx := context.Background()
	w.stop()
	w.journal = &pages{}
	w.boot()
	backup := filepath.Join(w.t.TempDir(), "old.backup")
	var people []string
	for i := range 12 {
		people = append(people, fmt.Sprintf("p%d+found@example.net", i))
	}
	at, gone := dice.IntN(len(people)+1), map[string]time.Time{}
	for i, address := range people {
		if i == at {
			w.must(w.life.db.Backup(ctx, backup))
		}
		if dice.IntN(4) == 0 {
			lost := []simulator.Action{simulator.ActionAcceptThenReset, simulator.ActionHangWithoutAccepting}
			w.fault(simulator.Fault{Action: lost[dice.IntN(2)], Count: 1})
		}
		w.signUp(address)
		w.sleep(time.Duration(dice.IntN(300)) * time.Second)
		if who := people[dice.IntN(i+1)]; i >= at && dice.IntN(3) == 0 && gone[who].IsZero() {
			w.leaves(who, dice.IntN(3))
			gone[who] = time.Now()
		}
	}
	if at == len(people) {
		w.must(w.life.db.Backup(ctx, backup))
	}
	w.stop()
	w.restore(backup)
	w.boot()
	w.sleep(time.Hour)
	before := len(w.sim.Ledger().Submissions)
	w.importAgain(people)
	w.sleep(2 * time.Hour)
	if n := len(w.sim.Ledger().Submissions); n != before {
		w.t.Errorf("%d paid calls before the release", n-before)
	}
	w.must(w.life.svc.Release(ctx, "test"))
	w.importAgain(people)
	w.sleep(4 * time.Hour)
	times := map[string]int{}
	for _, s := range w.sim.Ledger().Submissions {
		for _, r := range s.Records {
			if times[r.Email]++; times[r.Email] > 1 {
				w.t.Errorf("%s was paid for %d times", r.Email, times[r.Email])
			}
			if left := gone[r.Email]; !left.IsZero() && s.At.After(left) {
				w.t.Errorf("%s left at %s and was looked up at %s", r.Email, left, s.At)
			}
		}
	}
	for _, address := range people {
		person, err := w.life.store.Subscribers.ByEmail(ctx, address)
		if gone[address].IsZero() && times[address] == 0 && (err != nil || !w.isHeld(person.ID)) {
			w.t.Errorf("%s was never looked up, and is not held: %v", address, err)
		}
	}
}

// isHeld says whether a lookup of a person waits for an operator.
func (w *world) isHeld(person liwanag.ID) bool {
	w.t.Helper()
	all, err := w.life.store.Jobs.OfSubscriber(context.Background(), person)
	w.must(err)
	return slices.ContainsFunc(all, func(j liwanag.Job) bool { return j.Status == liwanag.JobHeld })
}

// leaves unsubscribes, erases, or erases and suppresses.
func (w *world) leaves(address string, how int) {
	w.t.Helper()
	ctx := context.Background()
	person, err := w.life.store.Subscribers.ByEmail(ctx, address)
	w.must(err)
	switch how {
	case 0:
		w.must(errOf(w.life.svc.Unsubscribe(ctx, person.ID)))
	case 1:
		w.must(errOf(w.life.svc.Erase(ctx, person.ID)))
	case 2:
		w.must(errOf(w.life.svc.EraseAndSuppress(ctx, person.ID, "asked for it")))
	}
}

// restore puts a backup in the world's place, as the program does.
func (w *world) restore(backup string) {
	w.t.Helper()
	ctx := context.Background()
	for _, part := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(w.path + part)
	}
	raw, err := os.ReadFile(backup)
	w.must(err)
	w.must(os.WriteFile(w.path, raw, 0o600))
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: w.path, Synchronous: sqlitedb.Normal})
	w.must(err)
	rows, err := sqlite.New(ctx, db)
	w.must(err)
	marks, err := rows.Instance.Marks(ctx)
	w.must(err)
	w.must(rows.Write(ctx, func(tx *datastore.Tx) error { return tx.Ledger.Hold("restored", time.Now()) }))
	lines, last := w.journal.each()
	for range 2 { // doing it again changes nothing
		w.must(enrichment.CatchUp(ctx, rows, []enrichment.JournalFile{{Known: marks["pages"], Lines: lines}}, time.Now,
			slog.New(slog.NewTextHandler(testLog{w.t}, nil))))
	}
	w.must(rows.Write(ctx, func(tx *datastore.Tx) error { return tx.Instance.SetMarks(map[string]int64{"pages": last}) }))
	w.must(db.Close())
}

// importAgain signs everybody up who is not suppressed and not here.
func (w *world) importAgain(people []string) {
	w.t.Helper()
	ctx := context.Background()
	for _, address := range people {
		email, err := liwanag.ParseEmail(address)
		w.must(err)
		suppressed, err := w.life.store.Suppressions.Of(ctx, []string{email.Key})
		w.must(err)
		if _, err := w.life.store.Subscribers.ByEmail(ctx, email.Key); err == nil || suppressed.Has(email.Key) {
			continue
		}
		w.signUp(address)
	}
}

// A paid call without its line in the journal is not made: it is refused, and tried again.
func TestWithoutALineInTheJournalNothingIsPaidFor(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.stop()
		w.journal = &pages{fails: datastore.ErrJournal}
		w.boot()
		w.signUp("ann+found@example.net")
		w.sleep(30 * time.Minute)
		if n := len(w.sim.Ledger().Submissions); n != 0 {
			t.Fatalf("%d paid calls", n)
		}
		w.journal.mu.Lock()
		w.journal.fails = nil
		w.journal.mu.Unlock()
		w.sleep(12 * time.Hour)
		if n := len(w.sim.Ledger().Submissions); n != 1 {
			t.Errorf("%d paid calls, want 1", n)
		}
	})
}
