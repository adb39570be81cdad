package datastore

import (
	"context"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// #nosec G101 -- names of columns
const passColumns = `hash, kind, key_hash, key_id, person, scopes, created_at, expires_at`

func scanPass(r Row) (p liwanag.Pass, err error) {
	var scopes string
	err = r.Scan(digestColumn{&p.Hash}, textTo(&p.Kind), digestColumn{&p.KeyHash}, idTo(liwanag.KeyKind, &p.KeyID), textTo(&p.Person),
		textTo(&scopes), timeColumn{&p.CreatedAt}, timeColumn{&p.ExpiresAt})
	p.Scopes = liwanag.ParseScopes(scopes)
	return p, err
}

// Passes reads sessions and sign-in links.
type Passes struct{ reader }

func (s Passes) Get(ctx context.Context, hash liwanag.Digest) (liwanag.Pass, error) {
	return one(s.in(ctx), scanPass, `SELECT `+passColumns+` FROM pass WHERE hash = $1`, hash[:])
}

// PassTx writes sessions and sign-in links.
type PassTx struct{ writing }

func (t PassTx) Insert(p liwanag.Pass) error {
	return t.must(`INSERT INTO pass (`+passColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, p.Hash[:], string(p.Kind),
		digest(p.KeyHash), p.KeyID.Bytes(), text(p.Person), text(p.Scopes.String()), micros(p.CreatedAt), micros(p.ExpiresAt))
}

// Take deletes a pass of a kind and returns it. ErrNotFound.
func (t PassTx) Take(kind liwanag.PassKind, hash liwanag.Digest) (liwanag.Pass, error) {
	return one(t, scanPass, `DELETE FROM pass WHERE hash = $1 AND kind = $2 RETURNING `+passColumns, hash[:], string(kind))
}

// KeepOnly drops passes that were made under another key than these hashes are of.
func (t PassTx) KeepOnly(keyHashes [2]liwanag.Digest) error {
	_, err := t.exec(`DELETE FROM pass WHERE key_hash <> $1 AND key_hash <> $2`, keyHashes[0][:], keyHashes[1][:])
	return err
}

// Prune drops passes that expired before the given time, and says how many.
func (t PassTx) Prune(before time.Time) (int64, error) {
	return t.exec(`DELETE FROM pass WHERE expires_at < $1`, micros(before))
}

const actListing = 'a'

func scanAct(r Row) (a liwanag.Act, err error) {
	err = r.Scan(&a.Seq, timeColumn{&a.At}, textTo(&a.Actor), textTo(&a.Act), textTo(&a.Subject), textTo(&a.Reason),
		textTo(&a.Request), textTo(&a.Client), &a.Times)
	a.Actor, a.Name, _ = strings.Cut(a.Actor, " ")
	return a, err
}

// Acts reads the audit trail.
type Acts struct{ reader }

// List gives a page, newest first: by their times, since what is counted is stored after what came meanwhile.
// ErrInvalidCursor.
func (s Acts) List(ctx context.Context, f liwanag.ActFilter, p liwanag.Page) ([]liwanag.Act, string, error) {
	after, err := listing.Key(actListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	var w where
	if f.Subject != "" {
		w.and(`subject = $?`, f.Subject)
	}
	if f.Act != "" {
		w.and(`act = $?`, f.Act)
	}
	if after != nil {
		at, seq := w.bind(numberOf(after)), w.bind(numberOf(after[8:]))
		w.and(`at <= ` + at + ` AND (at < ` + at + ` OR seq < ` + seq + `)`)
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), scanAct, `SELECT seq, `+actColumns+` FROM act`+w.String()+
		` ORDER BY at DESC, seq DESC LIMIT `+w.bind(limit+1), w.args...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(a liwanag.Act) string {
		return listing.Cursor(actListing, append(numberKey(a.At.UnixMicro()), numberKey(a.Seq)...))
	})
	return all, next, nil
}

// ActTx writes the audit trail.
type ActTx struct{ writing }

const (
	actColumns = `at, actor, act, subject, reason, request, client, times`
	insertAct  = `INSERT INTO act (` + actColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
)

func actValues(a liwanag.Act) []any {
	return []any{micros(a.At), strings.TrimSpace(a.Actor + " " + a.Name), a.Act, text(a.Subject), text(a.Reason),
		text(a.Request), text(a.Client), max(a.Times, 1)}
}

func (t ActTx) Insert(a liwanag.Act) error { return t.must(insertAct, actValues(a)...) }

// Count adds Times to the row that Seq names; with Seq 0 it writes one. It returns the
// row's Seq.
func (t ActTx) Count(a liwanag.Act) (seq int64, err error) {
	if a.Seq == 0 {
		return one(t, scanInt, insertAct+` RETURNING seq`, actValues(a)...)
	}
	_, err = t.exec(`UPDATE act SET times = times + $1 WHERE seq = $2`, a.Times, a.Seq) // pruned meanwhile: nothing is left to add to
	return a.Seq, err
}

// Prune drops acts from before the given time, a bounded number a call, and says
// how many.
func (t ActTx) Prune(before time.Time) (int64, error) {
	return t.exec(`DELETE FROM act WHERE seq = ANY(ARRAY(SELECT seq FROM act WHERE at < $1 ORDER BY at LIMIT $2))`, micros(before), pruneRows)
}
