package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const selectSources = `SELECT id, name, kind, token_hash, secrets, settings, disabled, created_at, updated_at FROM source WHERE deleted = false`

const sourceByID = selectSources + ` AND id = $1`

func scanSource(r Row) (s liwanag.Source, err error) {
	err = r.Scan(idTo(liwanag.SourceIDKind, &s.ID), &s.Name, textTo(&s.Kind), digestColumn{&s.TokenHash}, wordsTo(&s.Secrets),
		jsonTo(&s.Settings), &s.Disabled, timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt})
	return s, err
}

// Sources reads sources.
type Sources struct{ reader }

func (s Sources) Get(ctx context.Context, id liwanag.ID) (liwanag.Source, error) {
	return one(s.in(ctx), scanSource, sourceByID, id.Bytes())
}

func (s Sources) ByToken(ctx context.Context, hash liwanag.Digest) (liwanag.Source, error) {
	return one(s.in(ctx), scanSource, selectSources+` AND token_hash = $1`, hash[:])
}

// List lists all, oldest first: there are few.
func (s Sources) List(ctx context.Context) ([]liwanag.Source, error) {
	return list(s.in(ctx), scanSource, selectSources+` ORDER BY id`)
}

// SourceTx writes sources.
type SourceTx struct{ writing }

func (t SourceTx) Get(id liwanag.ID) (liwanag.Source, error) {
	return one(t, scanSource, sourceByID, id.Bytes())
}

func (t SourceTx) Insert(s liwanag.Source) error {
	return t.must(`INSERT INTO source (id, name, kind, token_hash, secrets, settings, disabled, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		s.ID.Bytes(), s.Name, string(s.Kind), s.TokenHash[:], wordsText(s.Secrets), jsonText(s.Settings), s.Disabled,
		micros(s.CreatedAt), micros(s.UpdatedAt))
}

// Update replaces the row; CreatedAt stays. ErrNotFound.
func (t SourceTx) Update(s liwanag.Source) error {
	return t.must(`UPDATE source SET name = $1, kind = $2, token_hash = $3, secrets = $4, settings = $5, disabled = $6, updated_at = $7
		WHERE id = $8 AND deleted = false`, s.Name, string(s.Kind), s.TokenHash[:], wordsText(s.Secrets), jsonText(s.Settings), s.Disabled,
		micros(s.UpdatedAt), s.ID.Bytes())
}

// Delete deletes a source and its receipts. ErrNotFound.
func (t SourceTx) Delete(id liwanag.ID) error {
	return t.must(`UPDATE source SET deleted = true, secrets = NULL, settings = NULL WHERE id = $1 AND deleted = false`, id.Bytes())
}

const (
	receiptColumns = `id, source_id, state, code, reason, content_type, size, created, updated, unsubscribed, failed, received_at, replayed_at, kept`

	receiptListing = 'r'
)

func receiptFields(r *liwanag.Receipt) []any {
	return []any{idTo(liwanag.ReceiptKind, &r.ID), idTo(liwanag.SourceIDKind, &r.SourceID), textTo(&r.State),
		textTo(&r.Code), textTo(&r.Reason),
		textTo(&r.ContentType), &r.Size, &r.Created, &r.Updated, &r.Unsubscribed, &r.Failed, timeColumn{&r.ReceivedAt},
		timeColumn{&r.ReplayedAt}, &r.Kept}
}

func scanReceipt(r Row) (got liwanag.Receipt, err error) {
	err = r.Scan(append(receiptFields(&got), &got.Body)...)
	return got, err
}

func scanReceiptListed(r Row) (got liwanag.Receipt, err error) {
	err = r.Scan(receiptFields(&got)...)
	return got, err
}

const receiptByID = `SELECT ` + receiptColumns + `, body FROM receipt WHERE id = $1`

// Receipts reads what sources received.
type Receipts struct{ reader }

// Get reads one with its body.
func (s Receipts) Get(ctx context.Context, id liwanag.ID) (liwanag.Receipt, error) {
	return one(s.in(ctx), scanReceipt, receiptByID, id.Bytes())
}

// List gives a page, newest first, without bodies. ErrInvalidCursor.
//
// List walks one index a state and merges, as submissions do.
func (s Receipts) List(ctx context.Context, f liwanag.ReceiptFilter, p liwanag.Page) ([]liwanag.Receipt, string, error) {
	after, err := listing.Key(receiptListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	if len(f.States) == 0 && !f.SourceID.IsZero() {
		f.States = []liwanag.ReceiptState{liwanag.ReceiptAccepted, liwanag.ReceiptIgnored, liwanag.ReceiptRejected, liwanag.ReceiptRefused}
	}
	limit := listing.Limit(p)
	var pages [][]liwanag.Receipt
	for _, state := range listing.StatesOr(f.States) {
		query, args := receiptQuery(f.SourceID, state, after, limit+1)
		page, err := list(s.in(ctx), scanReceiptListed, query, args...)
		if err != nil {
			return nil, "", err
		}
		pages = append(pages, page)
	}
	all := listing.Newest(limit+1, func(a, b liwanag.Receipt) int { return a.ID.Compare(b.ID) }, pages...)
	all, next := listing.Paged(all, limit, func(r liwanag.Receipt) string { return listing.Cursor(receiptListing, r.ID.Bytes()) })
	return all, next, nil
}

func receiptQuery(sourceID liwanag.ID, state liwanag.ReceiptState, after []byte, limit int) (string, []any) {
	var w where
	if !sourceID.IsZero() {
		w.and(`source_id = $?`, sourceID.Bytes())
	}
	if state != "" {
		w.and(`state = $?`, string(state))
	}
	if after != nil {
		w.and(`id < $?`, after)
	}
	return `SELECT ` + receiptColumns + ` FROM receipt` + w.String() + ` ORDER BY id DESC LIMIT ` + w.bind(limit), w.args
}

// Naming finds receipts whose body holds one of the texts, whatever its case.
// It reads all bodies.
func (s Receipts) Naming(ctx context.Context, texts []string) ([]liwanag.ID, error) {
	naming := func(r Row) (found liwanag.ID, err error) {
		var body []byte
		if err = r.Scan(idTo(liwanag.ReceiptKind, &found), &body); err == nil && !listing.Names(body, texts) {
			found = liwanag.ID{}
		}
		return found, err
	}
	all, err := list(s.in(ctx), naming, `SELECT id, body FROM receipt /*lite INDEXED BY receipt_kept*/ WHERE kept = true`)
	return listing.Named(all), err
}

// ReceiptTx writes what sources received.
type ReceiptTx struct{ writing }

func (t ReceiptTx) Get(id liwanag.ID) (liwanag.Receipt, error) {
	return one(t, scanReceipt, receiptByID, id.Bytes())
}

func (t ReceiptTx) Insert(r liwanag.Receipt) error {
	return t.must(`INSERT INTO receipt (`+receiptColumns+`, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		r.ID.Bytes(), r.SourceID.Bytes(), string(r.State), text(r.Code), text(r.Reason), text(r.ContentType), r.Size,
		r.Created, r.Updated, r.Unsubscribed, r.Failed, micros(r.ReceivedAt), micros(r.ReplayedAt), r.Body != nil, r.Body)
}

// Update replaces everything but ID, SourceID, Size and ReceivedAt. ErrNotFound.
func (t ReceiptTx) Update(r liwanag.Receipt) error {
	return t.must(`UPDATE receipt SET state = $1, code = $2, reason = $3, content_type = $4, created = $5, updated = $6, unsubscribed = $7,
		failed = $8, replayed_at = $9, kept = $10, body = $11 WHERE id = $12`,
		string(r.State), text(r.Code), text(r.Reason), text(r.ContentType), r.Created, r.Updated, r.Unsubscribed, r.Failed,
		micros(r.ReplayedAt), r.Body != nil, r.Body, r.ID.Bytes())
}

// DropBodies forgets bodies.
func (t ReceiptTx) DropBodies(ids []liwanag.ID) error {
	_, err := t.exec(`UPDATE receipt SET body = NULL, kept = false WHERE id = ANY($1)`, idsOf(t, ids))
	return err
}

// Prune drops bodies of accepted receipts received before the first time, all
// receipts received before the second, and of each source all but the newest
// keep refused ones. A call does a bounded number, and says how many; the next one
// goes on.
func (t ReceiptTx) Prune(acceptedBefore, before time.Time, keep int) (pruned int64, err error) {
	if pruned, err = t.exec(`UPDATE receipt SET body = NULL, kept = false WHERE seq = ANY(ARRAY(
		SELECT seq FROM receipt WHERE kept = true AND state IN ('accepted', 'ignored') AND received_at < $1 LIMIT $2))`, micros(acceptedBefore), pruneBodies); err != nil {
		return pruned, err
	}
	n, err := t.exec(`DELETE FROM receipt WHERE seq = ANY(ARRAY(SELECT seq FROM receipt WHERE received_at < $1 ORDER BY received_at LIMIT $2))`,
		micros(before), pruneBodies)
	if pruned += n; err != nil {
		return pruned, err
	}
	all, err := list(t, scanGone(liwanag.SourceIDKind), `SELECT id, deleted FROM source`)
	if err != nil {
		return pruned, err
	}
	for _, source := range all {
		if !source.deleted {
			n, err = t.exec(`DELETE FROM receipt WHERE seq = ANY(ARRAY(SELECT seq FROM receipt WHERE source_id = $1 AND state = 'refused'
				ORDER BY id DESC LIMIT $2 OFFSET $3))`, source.id.Bytes(), pruneRows, keep)
		} else if n, err = t.forget("receipt", "source", source.id); err == nil {
			_, err = t.exec(`DELETE FROM source WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM receipt WHERE source_id = $1)`, source.id.Bytes())
		}
		if pruned += n; err != nil {
			return pruned, err
		}
	}
	return pruned, nil
}

// gone is a source or sink that may have been deleted.
type gone struct {
	id      liwanag.ID
	deleted bool
}

func scanGone(kind liwanag.Kind) func(Row) (gone, error) {
	return func(r Row) (g gone, err error) {
		err = r.Scan(idTo(kind, &g.id), &g.deleted)
		return g, err
	}
}

// forget deletes a number of rows that belong to a deleted source or sink.
func (w writing) forget(table, owner string, id liwanag.ID) (int64, error) {
	return w.exec(`DELETE FROM `+table+` WHERE id = ANY(ARRAY(SELECT id FROM `+table+` WHERE `+owner+
		`_id = $1 LIMIT $2))`, id.Bytes(), pruneBodies)
}
