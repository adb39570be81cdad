package datastore

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const selectSpending = `SELECT paused, until, reason, note, at, held_at, held_note FROM spending`

// scanSpending reads spending that is held as a pause that nobody but a word ends.
func scanSpending(r Row) (s liwanag.Spending, err error) {
	var held string
	err = r.Scan(&s.Paused, timeColumn{&s.Until}, textTo(&s.Reason), textTo(&s.Note), timeColumn{&s.At}, timeColumn{&s.HeldAt}, textTo(&held))
	if s.Held() {
		s.Paused, s.Until, s.Reason, s.Note, s.At = true, time.Time{}, liwanag.WaitingPaused, held, s.HeldAt
	}
	return s, err
}

const selectBudget = `SELECT budget, unbounded FROM spending`

func scanBudget(r Row) (b liwanag.Budget, err error) {
	var set *int64
	var unbounded int64
	err = r.Scan(&set, &unbounded)
	b.Unbounded, b.Told = unbounded > 0, unbounded > 1
	if set != nil {
		b.Set, b.Credits = true, *set
	}
	return b, err
}

const (
	selectFoundRate = `SELECT source, answers, stopped_at FROM found_rate `
	stoppedSources  = selectFoundRate + `WHERE stopped_at > 0 ORDER BY stopped_at, source`
)

func scanFoundRate(r Row) (f liwanag.FoundRate, err error) {
	err = r.Scan(&f.Source, &f.Answers, timeColumn{&f.StoppedAt})
	return f, err
}

// creditsOf reads the figures of a day; one without a row is all zero.
func creditsOf(q querier, day liwanag.Day) (liwanag.Credits, error) {
	c, err := one(q, func(r Row) (c liwanag.Credits, err error) {
		err = r.Scan(&c.Reserved, &c.Spent, &c.Unconfirmed)
		return c, err
	}, `SELECT reserved, spent, unconfirmed FROM credit_day WHERE day = $1`, int64(day))
	if errors.Is(err, liwanag.ErrNotFound) {
		err = nil
	}
	c.Day = day
	return c, err
}

// Ledger reads the shared figures.
type Ledger struct{ reader }

func (s Ledger) Spending(ctx context.Context) (liwanag.Spending, error) {
	return one(s.in(ctx), scanSpending, selectSpending)
}

func (s Ledger) Credits(ctx context.Context, day liwanag.Day) (liwanag.Credits, error) {
	return creditsOf(s.in(ctx), day)
}

// Budget reads what somebody set while the server ran.
func (s Ledger) Budget(ctx context.Context) (liwanag.Budget, error) {
	return one(s.in(ctx), scanBudget, selectBudget)
}

// StoppedSources lists the sources whose lookups wait, by name.
func (s Ledger) StoppedSources(ctx context.Context) ([]liwanag.FoundRate, error) {
	return list(s.in(ctx), scanFoundRate, stoppedSources)
}

// Calls is how many calls of FullEnrich were taken in a calendar minute.
func (s Ledger) Calls(ctx context.Context, m liwanag.Minute) (int, error) {
	n, err := one(s.in(ctx), scanInt, `SELECT calls FROM call_budget WHERE minute = $1`, int64(m))
	if errors.Is(err, liwanag.ErrNotFound) {
		err = nil
	}
	return int(n), err
}

func (s Ledger) Balance(ctx context.Context) (liwanag.Balance, error) {
	return one(s.in(ctx), func(r Row) (b liwanag.Balance, err error) {
		err = r.Scan(&b.Credits, timeColumn{&b.At})
		return b, err
	}, `SELECT balance, balance_at FROM spending`)
}

func (s Ledger) Evidence(ctx context.Context, publicURL string) (e liwanag.Evidence, err error) {
	e.ProvenAt, err = one(s.in(ctx), func(r Row) (at time.Time, err error) {
		err = r.Scan(timeColumn{&at})
		return at, err
	}, `SELECT proven_at FROM public_url WHERE url = $1`, publicURL)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Evidence{}, err
	}
	e.Reaches, err = list(s.in(ctx), func(r Row) (reach liwanag.Reach, err error) {
		err = r.Scan(timeColumn{&reach.Since}, timeColumn{&reach.Until})
		return reach, err
	}, `SELECT since, until FROM reach WHERE url = $1 ORDER BY since`, publicURL)
	return e, err
}

// LedgerTx writes the shared figures: one row each, shared by all nodes.
type LedgerTx struct{ writing }

// Retired is since when a key of FullEnrich's is the previous one: now, when it was
// none before. Of the key the hash is kept alone.
func (t LedgerTx) Retired(keyHash liwanag.Digest, now time.Time) (since time.Time, err error) {
	if _, err := t.exec(`INSERT INTO retired_key (hash, since) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`, keyHash[:], micros(now)); err != nil {
		return since, err
	}
	return one(t, func(r Row) (at time.Time, err error) {
		err = r.Scan(timeColumn{&at})
		return at, err
	}, `SELECT since FROM retired_key WHERE hash = $1`, keyHash[:])
}

// TakeCall counts one call of FullEnrich in a calendar minute and returns how
// many that makes. The caller that finds it above its limit returns an error
// from its Write, which takes the call back.
func (t LedgerTx) TakeCall(m liwanag.Minute) (int, error) {
	n, err := one(t, scanInt, `
		INSERT INTO call_budget (minute, calls) VALUES ($1, 1)
		ON CONFLICT (minute) DO UPDATE SET calls = call_budget.calls + 1 RETURNING calls`, int64(m))
	return int(n), err
}

func (t LedgerTx) Spending() (liwanag.Spending, error) { return one(t, scanSpending, selectSpending) }

func (t LedgerTx) SetSpending(s liwanag.Spending) error {
	return t.must(`UPDATE spending SET paused = $1, until = $2, reason = $3, note = $4, at = $5`,
		s.Paused, micros(s.Until), text(s.Reason), text(s.Note), micros(s.At))
}

// Touch writes what is there: whether the database takes changes is known only then.
func (t LedgerTx) Touch() error { return t.must(`UPDATE spending SET paused = paused`) }

// Hold holds spending until Release; what holds it already stays.
func (t LedgerTx) Hold(note string, at time.Time) error {
	_, err := t.exec(`UPDATE spending SET held_at = $1, held_note = $2 WHERE held_at IS NULL`, micros(at), note)
	return err
}

// Release ends what Hold began. False: nothing was held.
func (t LedgerTx) Release(at time.Time) (bool, error) {
	return t.changed(`UPDATE spending SET held_at = NULL, held_note = NULL, at = $1 WHERE held_at IS NOT NULL`, micros(at))
}

func (t LedgerTx) Credits(day liwanag.Day) (liwanag.Credits, error) { return creditsOf(t, day) }

// AddCredits adds, with either sign, to a day's figures.
func (t LedgerTx) AddCredits(c liwanag.Credits) error {
	return t.must(`
		INSERT INTO credit_day (day, reserved, spent, unconfirmed) VALUES ($1, $2, $3, $4)
		ON CONFLICT (day) DO UPDATE SET reserved = credit_day.reserved + excluded.reserved, spent = credit_day.spent + excluded.spent,
			unconfirmed = credit_day.unconfirmed + excluded.unconfirmed`, int64(c.Day), c.Reserved, c.Spent, c.Unconfirmed)
}

func (t LedgerTx) Budget() (liwanag.Budget, error) { return one(t, scanBudget, selectBudget) }

// SetBudget sets what a day's lookups may cost that nobody confirmed; 0: no limit; nil:
// what the settings say.
func (t LedgerTx) SetBudget(credits *int64) error {
	return t.must(`UPDATE spending SET budget = $1`, credits)
}

// ToldUnbounded notes that people were told that there is no budget. False: they were
// before, or there is one.
func (t LedgerTx) ToldUnbounded() (bool, error) {
	return t.changed(`UPDATE spending SET unbounded = 2 WHERE unbounded = 1`)
}

// FoundRate reads how the latest lookups of a source ended; one that is not known has
// no answers.
func (t LedgerTx) FoundRate(source string) (liwanag.FoundRate, error) {
	f, err := one(t, scanFoundRate, selectFoundRate+`WHERE source = $1`, source)
	if errors.Is(err, liwanag.ErrNotFound) {
		err = nil
	}
	f.Source = source
	return f, err
}

// StoppedSources lists the sources whose lookups wait.
func (t LedgerTx) StoppedSources() ([]liwanag.FoundRate, error) {
	return list(t, scanFoundRate, stoppedSources)
}

// SetFoundRate writes how the latest lookups of a source ended.
func (t LedgerTx) SetFoundRate(f liwanag.FoundRate) error {
	return t.must(`INSERT INTO found_rate (source, answers, stopped_at) VALUES ($1, $2, $3)
		ON CONFLICT (source) DO UPDATE SET answers = excluded.answers, stopped_at = excluded.stopped_at`,
		f.Source, f.Answers, micros(f.StoppedAt))
}

func (t LedgerTx) SetBalance(b liwanag.Balance) error {
	return t.must(`UPDATE spending SET balance = $1, balance_at = $2`, b.Credits, micros(b.At))
}

// Prove notes the first authentic delivery under a public URL; later ones
// change nothing.
func (t LedgerTx) Prove(publicURL string, at time.Time) error {
	_, err := t.exec(`INSERT INTO public_url (url, proven_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, publicURL, micros(at))
	return err
}

// Reached notes that a probe came through: it extends the latest reach when
// that ended at most gap before, or begins a new one.
func (t LedgerTx) Reached(publicURL string, at time.Time, gap time.Duration) error {
	extended, err := t.changed(`
		UPDATE reach SET until = greatest(until, $2)
		WHERE url = $1 AND since = (SELECT max(since) FROM reach WHERE url = $1) AND until >= $3`,
		publicURL, micros(at), micros(at.Add(-gap)))
	if err != nil || extended {
		return err
	}
	return t.must(`INSERT INTO reach (url, since, until) VALUES ($1, $2, $2)`, publicURL, micros(at))
}

// TakeFiring claims one firing time of something that happens once over all
// nodes, known by its name. False: it was taken before; nothing was written.
func (t LedgerTx) TakeFiring(name string, at time.Time) (bool, error) {
	return t.changed(`INSERT INTO firing (at, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, micros(at), name)
}

// Prune drops call counts and firings from before the given time, and reaches
// that ended before it.
func (t LedgerTx) Prune(before time.Time) error {
	if _, err := t.exec(`DELETE FROM firing WHERE at < $1`, micros(before)); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM call_budget WHERE minute < $1`, int64(liwanag.MinuteOf(before))); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM reach WHERE until < $1`, micros(before))
	return err
}
