package datastoretest

import (
	"errors"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var (
	errOverBudget = errors.New("over the budget")
	errTaken      = errors.New("taken before")
)

var ledgerTests = map[string]func(*testing.T, *datastore.Store){
	"the call budget's ceiling holds under concurrent calls": func(t *testing.T, s *datastore.Store) {
		const limit = 55
		minute := liwanag.MinuteOf(noon)
		take := func(m liwanag.Minute) func(int, *datastore.Tx) error {
			return func(_ int, tx *datastore.Tx) error {
				n, err := tx.Ledger.TakeCall(m)
				if err == nil && n > limit {
					return errOverBudget
				}
				return err
			}
		}
		equal(t, together(t, s, 500, errOverBudget, take(minute)), limit)
		equal(t, together(t, s, 10, errOverBudget, take(minute)), 0) // and the refused ones were taken back
		equal(t, get[int](t)(s.Ledger.Calls(t.Context(), minute)), limit)
		equal(t, get[int](t)(s.Ledger.Calls(t.Context(), minute+1)), 0)
		equal(t, together(t, s, 10, errOverBudget, take(minute+1)), 10)
	},

	"the credit budget's ceiling holds under 1,000 concurrent reservations": func(t *testing.T, s *datastore.Store) {
		const budget = 400
		day := liwanag.DayOf(noon)
		write(t, s, func(tx *datastore.Tx) error { return tx.Ledger.AddCredits(liwanag.Credits{Day: day, Spent: 100}) })
		done := together(t, s, 1000, errOverBudget, func(i int, tx *datastore.Tx) error {
			c, err := tx.Ledger.Credits(day)
			if err != nil {
				return err
			}
			if c.Reserved+c.Spent+1 > budget {
				return errOverBudget
			}
			return tx.Ledger.AddCredits(liwanag.Credits{Day: day, Reserved: 1})
		})
		equal(t, done, budget-100)
		equal(t, get[liwanag.Credits](t)(s.Ledger.Credits(t.Context(), day)), liwanag.Credits{Day: day, Reserved: budget - 100, Spent: 100})
	},

	"credits are counted by day, with either sign": func(t *testing.T, s *datastore.Store) {
		write(t, s, func(tx *datastore.Tx) error {
			return errors.Join(tx.Ledger.AddCredits(liwanag.Credits{Day: 7, Reserved: 5, Unconfirmed: 4}),
				tx.Ledger.AddCredits(liwanag.Credits{Day: 7, Reserved: -3, Spent: 2, Unconfirmed: -1}),
				tx.Ledger.AddCredits(liwanag.Credits{Day: 8, Reserved: 1, Spent: 1}))
		})
		equal(t, get[liwanag.Credits](t)(s.Ledger.Credits(t.Context(), 7)), liwanag.Credits{Day: 7, Reserved: 2, Spent: 2, Unconfirmed: 3})
		equal(t, get[liwanag.Credits](t)(s.Ledger.Credits(t.Context(), 9)), liwanag.Credits{Day: 9})
	},

	"the switch that stops spending is kept": func(t *testing.T, s *datastore.Store) {
		equal(t, get[liwanag.Spending](t)(s.Ledger.Spending(t.Context())), liwanag.Spending{})
		for _, x := range []liwanag.Spending{
			{Paused: true, Until: noon.Add(time.Hour), Reason: liwanag.WaitingPaused, Note: "why", At: noon},
			{Paused: true, Reason: liwanag.WaitingCredits, At: noon},
			{At: noon},
		} {
			write(t, s, func(tx *datastore.Tx) error { return tx.Ledger.SetSpending(x) })
			equal(t, get[liwanag.Spending](t)(s.Ledger.Spending(t.Context())), x)
			want(t, s, x, func(tx *datastore.Tx) (liwanag.Spending, error) { return tx.Ledger.Spending() })
		}
	},

	"the balance is kept beside the switch": func(t *testing.T, s *datastore.Store) {
		equal(t, get[liwanag.Balance](t)(s.Ledger.Balance(t.Context())), liwanag.Balance{})
		b := liwanag.Balance{Credits: 12.25, At: noon}
		write(t, s, func(tx *datastore.Tx) error {
			return errors.Join(tx.Ledger.SetSpending(liwanag.Spending{Paused: true}), tx.Ledger.SetBalance(b))
		})
		equal(t, get[liwanag.Balance](t)(s.Ledger.Balance(t.Context())), b)
		equal(t, get[liwanag.Spending](t)(s.Ledger.Spending(t.Context())), liwanag.Spending{Paused: true})
	},

	"evidence: the first proof stays, a gap begins a new reach": func(t *testing.T, s *datastore.Store) {
		const url, gap = "https://liwanag.example", time.Minute
		equal(t, get[liwanag.Evidence](t)(s.Ledger.Evidence(t.Context(), url)), liwanag.Evidence{})
		at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
		write(t, s, func(tx *datastore.Tx) error {
			l := tx.Ledger
			return errors.Join(l.Prove(url, noon), l.Prove(url, at(60)), l.Reached(url, at(0), gap), l.Reached(url, at(60), gap),
				l.Reached(url, at(30), gap), // late: never shortens
				l.Reached(url, at(121), gap), l.Reached("https://other.example", at(61), gap))
		})
		equal(t, get[liwanag.Evidence](t)(s.Ledger.Evidence(t.Context(), url)),
			liwanag.Evidence{ProvenAt: noon, Reaches: []liwanag.Reach{{Since: noon, Until: at(60)}, {Since: at(121), Until: at(121)}}})
		write(t, s, func(tx *datastore.Tx) error { return tx.Ledger.Prune(at(61)) })
		equal(t, get[liwanag.Evidence](t)(s.Ledger.Evidence(t.Context(), url)).Reaches, []liwanag.Reach{{Since: at(121), Until: at(121)}})
	},

	"a firing is taken once": func(t *testing.T, s *datastore.Store) {
		taken := together(t, s, 50, errTaken, func(_ int, tx *datastore.Tx) error {
			ok, err := tx.Ledger.TakeFiring("hourly", noon)
			if err == nil && !ok {
				return errTaken
			}
			return err
		})
		equal(t, taken, 1)
		take := func(expected bool, name string, at time.Time) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) (bool, error) { return tx.Ledger.TakeFiring(name, at) })
		}
		take(true, "daily", noon)
		take(true, "hourly", noon.Add(time.Hour))
		take(true, "hourly", noon.Add(-time.Hour)) // a node whose clock is ahead keeps nobody from an earlier one
		take(false, "hourly", noon)
		refused(t, s, errOverBudget, func(tx *datastore.Tx) error {
			_, err := tx.Ledger.TakeFiring("weekly", noon)
			return errors.Join(err, errOverBudget)
		})
		take(true, "weekly", noon) // the one that failed has given it back
		write(t, s, func(tx *datastore.Tx) error { return tx.Ledger.Prune(noon) })
		take(true, "hourly", noon.Add(-time.Hour))
		take(false, "hourly", noon)
	},

	"pruning forgets the calls of past minutes only": func(t *testing.T, s *datastore.Store) {
		minute := liwanag.MinuteOf(noon)
		take := func(m liwanag.Minute) func(*datastore.Tx) (int, error) {
			return func(tx *datastore.Tx) (int, error) { return tx.Ledger.TakeCall(m) }
		}
		want(t, s, 1, take(minute))
		want(t, s, 1, take(minute-1))
		write(t, s, func(tx *datastore.Tx) error { return tx.Ledger.Prune(noon) })
		want(t, s, 2, take(minute))
		want(t, s, 1, take(minute-1))
	},
}
