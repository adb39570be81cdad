package enrichment_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

func (w *world) ids(emails ...string) (all []liwanag.ID) {
	for _, e := range emails {
		all = append(all, w.subscriber(e).ID)
	}
	return all
}

func (w *world) today() liwanag.Credits {
	w.t.Helper()
	c, err := w.life.store.Ledger.Credits(context.Background(), liwanag.DayOf(time.Now()))
	w.must(err)
	return c
}

// addresses that the simulator finds.
func found(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("p%d+found@gmail.com", i))
	}
	return all
}

func TestTheBudgetBoundsOnlyWhatNobodyConfirmed(t *testing.T) {
	inWorld(t, enrichment.Config{CreditBudget: 3}, simulator.Config{}, func(w *world) {
		people := found(8)
		w.signUp(people[:5]...) // two wait
		w.sleep(time.Hour)
		if c := w.today(); c.Unconfirmed != 3 || c.Spent != 3 {
			t.Errorf("after five sign-ups: %+v", c)
		}
		waiting := 0
		for _, e := range people[:5] {
			if j := w.job(e); j.Status == liwanag.JobPending {
				waiting++
			}
		}
		w.must(w.life.store.Write(context.Background(), func(tx *datastore.Tx) error {
			for _, e := range people[5:] {
				if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: e, Email: e,
					EmailType: liwanag.Personal, At: time.Now()}}); err != nil {
					return err
				}
			}
			return nil
		}))
		out, err := w.life.svc.Enrich(context.Background(), w.ids(people[5:]...), false)
		w.must(err)
		w.sleep(time.Hour)
		for i, e := range people[5:] {
			w.wantJob(e, liwanag.JobEnriched, "")
			if out[i].Result != enrichment.EnrichStarted {
				t.Errorf("%s: %s", e, out[i].Result)
			}
		}
		if c := w.today(); c.Unconfirmed != 3 || c.Spent != 6 || c.Reserved != 0 || waiting != 2 {
			t.Errorf("ordered with its cost: %+v, %d wait", c, waiting)
		}
		w.must(w.life.svc.SetBudget(context.Background(), new(int64(4))))
		w.sleep(time.Hour)
		if c := w.today(); c.Unconfirmed != 4 {
			t.Errorf("a budget of one more: %+v", c)
		}
		w.must(w.life.svc.SetBudget(context.Background(), new(int64(0))))
		w.sleep(time.Hour)
		if c := w.today(); c.Unconfirmed != 5 || c.Spent != 8 {
			t.Errorf("no budget: %+v", c)
		}
		w.stop()
		w.boot()
		if n, err := w.life.svc.Budget(context.Background()); n != 0 || err != nil {
			t.Errorf("after a restart the budget is %d, %v", n, err)
		}
		w.must(w.life.svc.SetBudget(context.Background(), nil))
		if n, err := w.life.svc.Budget(context.Background()); n != 3 || err != nil {
			t.Errorf("as the settings say it is %d, %v", n, err)
		}
	})
}

func TestWhoSpentMoreThanTheBudgetByDefaultKeepsNone(t *testing.T) {
	inWorld(t, enrichment.Config{CreditBudget: 3, BudgetByDefault: true}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		budget := func() int64 {
			n, err := w.life.svc.Budget(ctx)
			w.must(err)
			return n
		}
		if budget() != 3 {
			t.Errorf("a new installation has %d", budget())
		}
		w.stop()
		w.unbound()
		w.boot()
		if told := w.budget(); budget() != 0 || !told.Told {
			t.Errorf("one that spent more has %d: %+v", budget(), told)
		}
		w.must(w.life.svc.SetBudget(ctx, new(int64(7))))
		if budget() != 7 {
			t.Errorf("one that somebody set is %d", budget())
		}
		w.must(w.life.svc.SetBudget(ctx, nil))
		w.stop()
		w.cfg.BudgetByDefault = false
		w.boot()
		if budget() != 3 {
			t.Errorf("one that the settings name is %d", budget())
		}
	})
}

// unbound makes the file one of an installation that spent more on a day.
func (w *world) unbound() {
	w.t.Helper()
	db, err := sqlitedb.Open(context.Background(), sqlitedb.Config{Path: w.path, Synchronous: sqlitedb.Normal})
	w.must(err)
	w.must(db.Write(context.Background(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(`UPDATE spending SET unbounded = 1`)
		return err
	}))
	w.must(db.Close())
}

func (w *world) budget() liwanag.Budget {
	w.t.Helper()
	b, err := w.life.store.Ledger.Budget(context.Background())
	w.must(err)
	return b
}

func TestASourceOfWhichNobodyIsFoundAnyMoreWaits(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{MaxInFlight: 20_000}, simulator.Config{Queue: 20_000}, func(w *world) {
		ctx := context.Background()
		signUp := func(kind string, from, n int) (emails []string) {
			for i := range n {
				emails = append(emails, fmt.Sprintf("p%d+%s@gmail.com", from+i, kind))
			}
			w.source = "form"
			w.signUp(emails...)
			w.source = ""
			w.sleep(time.Hour)
			return emails
		}
		signUp("found", 0, 300)
		signUp("notfound", 300, 200+150)
		if all, err := w.life.store.Ledger.StoppedSources(ctx); err != nil || len(all) != 0 {
			t.Fatalf("stopped too early: %+v, %v", all, err)
		}
		signUp("notfound", 700, 100)
		all, err := w.life.store.Ledger.StoppedSources(ctx)
		w.must(err)
		if len(all) != 1 || all[0].Source != "form" {
			t.Fatalf("stopped are %+v", all)
		}
		latest, before, ok := enrichment.Rates(all[0].Answers)
		if !ok || latest != 0 || before < 0.2 {
			t.Errorf("rates %f and %f, %t", latest, before, ok)
		}
		waits := signUp("found", 900, 2)
		w.signUp("other+found@gmail.com") // of another source, in a batch with them or not
		w.sleep(time.Hour)
		w.wantJob("other+found@gmail.com", liwanag.JobEnriched, "")
		j := w.wantJob(waits[0], liwanag.JobPending, "")
		b, err := w.life.store.Batches.Get(ctx, j.RunID)
		w.must(err)
		if b.Waiting != liwanag.WaitingFoundRate {
			t.Errorf("it waits for %q", b.Waiting)
		}
		if n, err := w.life.svc.DropSource(ctx, "form"); n != 2 || err != nil {
			t.Errorf("dropped %d, %v", n, err)
		}
		w.wantJob(waits[0], liwanag.JobCanceled, liwanag.CodeDropped)
		waits = signUp("found", 950, 2)
		w.wantJob(waits[0], liwanag.JobPending, "")
		w.must(w.life.svc.ResumeSource(ctx, "form"))
		w.sleep(3 * time.Minute)
		w.wantJob(waits[0], liwanag.JobEnriched, "")
		w.wantAccepted(1, waits...)
		if err := w.life.svc.ResumeSource(ctx, "form"); liwanag.CodeOf(err) != liwanag.ErrState.Code {
			t.Errorf("going on twice: %v", err)
		}
	})
}

func TestRatesNeedEnoughAnswers(t *testing.T) {
	if _, _, ok := enrichment.Rates(strings.Repeat("1", 699)); ok {
		t.Error("699 are enough")
	}
	latest, before, ok := enrichment.Rates("000" + strings.Repeat("1", 500) + strings.Repeat("10", 100))
	if !ok || latest != 0.5 || before != 1 {
		t.Errorf("%f, %f, %t", latest, before, ok)
	}
}

func TestTheBalanceIsReadAfterEachResultAndWhenAPauseEnds(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{Balance: 50}, func(w *world) {
		ctx := context.Background()
		balance := func(want float64) {
			t.Helper()
			b, err := w.life.store.Ledger.Balance(ctx)
			w.must(err)
			if b.Credits != want || time.Since(b.At) > time.Minute {
				t.Errorf("the balance is %v of %s ago, want %v", b.Credits, time.Since(b.At), want)
			}
		}
		w.must(w.life.svc.KeyConfirmed(ctx))
		w.sleep(time.Second)
		balance(50)
		run := w.signUp(found(3)...)[0]
		for range 20 {
			w.sleep(30 * time.Second)
			if r, err := w.life.engine.Describe(ctx, run.String()); err == nil && r.Status.Ended() {
				break
			}
		}
		w.sleep(15 * time.Second)
		balance(47)
		w.sleep(time.Hour)
		w.must(w.life.svc.Pause(ctx, "lunch"))
		w.sleep(time.Hour)
		w.must(w.life.svc.Resume(ctx))
		w.sleep(time.Second)
		balance(47)
	})
}
