package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Dismissals reads what an operator has seen of what needs a person.
type Dismissals struct{ reader }

// List lists all, newest first: there is one for each thing that was dismissed.
func (s Dismissals) List(ctx context.Context) ([]liwanag.Dismissal, error) {
	return list(s.in(ctx), func(r Row) (d liwanag.Dismissal, err error) {
		return d, r.Scan(&d.Kind, &d.Thing, &d.Cause, timeColumn{&d.At})
	}, `SELECT kind, thing, cause, at FROM dismissal ORDER BY at DESC`)
}

// DismissalTx writes dismissals.
type DismissalTx struct{ writing }

// Put notes one, in place of an earlier one of the thing.
func (t DismissalTx) Put(d liwanag.Dismissal) error {
	return t.must(`INSERT INTO dismissal (kind, thing, cause, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (kind, thing) DO UPDATE SET cause = excluded.cause, at = excluded.at`, d.Kind, d.Thing, d.Cause, micros(d.At))
}

// Delete lets a thing be shown again. ErrNotFound.
func (t DismissalTx) Delete(kind, thing string) error {
	return t.must(`DELETE FROM dismissal WHERE kind = $1 AND thing = $2`, kind, thing)
}

// Prune drops those from before the given time, and says how many.
func (t DismissalTx) Prune(before time.Time) (int64, error) {
	return t.exec(`DELETE FROM dismissal WHERE at < $1`, micros(before))
}
