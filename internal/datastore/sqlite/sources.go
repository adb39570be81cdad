package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const selectSources = `SELECT id, name, kind, token_hash, secrets, settings, disabled, created_at, updated_at FROM source WHERE deleted = 0`

func scanSource(r row) (s liwanag.Source, err error) {
	err = r.Scan(id(liwanag.SourceIDKind, &s.ID), &s.Name, textTo(&s.Kind), digestColumn{&s.TokenHash}, wordsTo(&s.Secrets),
		jsonTo(&s.Settings), &s.Disabled, timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt})
	return s, err
}

type sources struct{ reader }

func (s sources) Get(ctx context.Context, id liwanag.ID) (liwanag.Source, error) {
	return one(s.in(ctx), scanSource, selectSources+` AND id = ?`, id.Bytes())
}

func (s sources) ByToken(ctx context.Context, hash liwanag.Digest) (liwanag.Source, error) {
	return one(s.in(ctx), scanSource, selectSources+` AND token_hash = ?`, hash[:])
}

func (s sources) List(ctx context.Context) ([]liwanag.Source, error) {
	return list(s.in(ctx), scanSource, selectSources+` ORDER BY id`)
}

type sourceTx struct{ writing }

func (t sourceTx) Get(id liwanag.ID) (liwanag.Source, error) {
	return one(t, scanSource, selectSources+` AND id = ?`, id.Bytes())
}

func (t sourceTx) Insert(s liwanag.Source) error {
	return t.must(`INSERT INTO source (id, name, kind, token_hash, secrets, settings, disabled, created_at, updated_at) VALUES `+placeholders(1, 9),
		s.ID.Bytes(), s.Name, string(s.Kind), s.TokenHash[:], wordsText(s.Secrets), jsonText(s.Settings), s.Disabled,
		micros(s.CreatedAt), micros(s.UpdatedAt))
}

func (t sourceTx) Update(s liwanag.Source) error {
	return t.must(`UPDATE source SET name = ?, kind = ?, token_hash = ?, secrets = ?, settings = ?, disabled = ?, updated_at = ?
		WHERE id = ? AND deleted = 0`, s.Name, string(s.Kind), s.TokenHash[:], wordsText(s.Secrets), jsonText(s.Settings), s.Disabled,
		micros(s.UpdatedAt), s.ID.Bytes())
}

func (t sourceTx) Delete(id liwanag.ID) error {
	return t.must(`UPDATE source SET deleted = 1, secrets = NULL, settings = NULL WHERE id = ? AND deleted = 0`, id.Bytes())
}

const (
	receiptColumns = `id, source_id, state, code, reason, content_type, size, created, updated, unsubscribed, failed, received_at, replayed_at, kept`

	receiptListing = 'r'
)

func receiptFields(r *liwanag.Receipt) []any {
	return []any{id(liwanag.ReceiptKind, &r.ID), id(liwanag.SourceIDKind, &r.SourceID), textTo(&r.State), textTo(&r.Code), textTo(&r.Reason),
		textTo(&r.ContentType), &r.Size, &r.Created, &r.Updated, &r.Unsubscribed, &r.Failed, timeColumn{&r.ReceivedAt}, timeColumn{&r.ReplayedAt}, &r.Kept}
}

func scanReceipt(r row) (got liwanag.Receipt, err error) {
	err = r.Scan(append(receiptFields(&got), &got.Body)...)
	return got, err
}

func scanReceiptListed(r row) (got liwanag.Receipt, err error) {
	err = r.Scan(receiptFields(&got)...)
	return got, err
}

const receiptByID = `SELECT ` + receiptColumns + `, body FROM receipt WHERE id = ?`

type receipts struct{ reader }

func (s receipts) Get(ctx context.Context, id liwanag.ID) (liwanag.Receipt, error) {
	return one(s.in(ctx), scanReceipt, receiptByID, id.Bytes())
}

// List walks one index a state and merges, as submissions do.
func (s receipts) List(ctx context.Context, f liwanag.ReceiptFilter, p liwanag.Page) ([]liwanag.Receipt, string, error) {
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
		w.and(`source_id = ?`, sourceID.Bytes())
	}
	if state != "" {
		w.and(`state = ?`, string(state))
	}
	if after != nil {
		w.and(`id < ?`, after)
	}
	return `SELECT ` + receiptColumns + ` FROM receipt` + w.String() + ` ORDER BY id DESC LIMIT ?`, append(w.args, limit)
}

func (s receipts) Naming(ctx context.Context, texts []string) ([]liwanag.ID, error) {
	naming := func(r row) (found liwanag.ID, err error) {
		var body []byte
		if err = r.Scan(id(liwanag.ReceiptKind, &found), &body); err == nil && !listing.Names(body, texts) {
			found = liwanag.ID{}
		}
		return found, err
	}
	all, err := list(s.in(ctx), naming, `SELECT id, body FROM receipt INDEXED BY receipt_kept WHERE kept = 1`)
	return listing.Named(all), err
}

type receiptTx struct{ writing }

func (t receiptTx) Get(id liwanag.ID) (liwanag.Receipt, error) {
	return one(t, scanReceipt, receiptByID, id.Bytes())
}

func (t receiptTx) Insert(r liwanag.Receipt) error {
	return t.must(`INSERT INTO receipt (`+receiptColumns+`, body) VALUES `+placeholders(1, 15),
		r.ID.Bytes(), r.SourceID.Bytes(), string(r.State), text(r.Code), text(r.Reason), text(r.ContentType), r.Size,
		r.Created, r.Updated, r.Unsubscribed, r.Failed, micros(r.ReceivedAt), micros(r.ReplayedAt), r.Body != nil, r.Body)
}

func (t receiptTx) Update(r liwanag.Receipt) error {
	return t.must(`UPDATE receipt SET state = ?, code = ?, reason = ?, content_type = ?, created = ?, updated = ?, unsubscribed = ?,
		failed = ?, replayed_at = ?, kept = ?, body = ? WHERE id = ?`,
		string(r.State), text(r.Code), text(r.Reason), text(r.ContentType), r.Created, r.Updated, r.Unsubscribed, r.Failed,
		micros(r.ReplayedAt), r.Body != nil, r.Body, r.ID.Bytes())
}

func (t receiptTx) DropBodies(ids []liwanag.ID) error {
	_, err := t.exec(`UPDATE receipt SET body = NULL, kept = 0 WHERE id IN `+eachID, packed(ids))
	return err
}

func (t receiptTx) Prune(acceptedBefore, before time.Time, keep int) error {
	if _, err := t.exec(`UPDATE receipt SET body = NULL, kept = 0 WHERE seq IN (
		SELECT seq FROM receipt WHERE kept = 1 AND state IN ('accepted', 'ignored') AND received_at < ? LIMIT ?)`, micros(acceptedBefore), pruneBodies); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM receipt WHERE seq IN (SELECT seq FROM receipt WHERE received_at < ? ORDER BY received_at LIMIT ?)`,
		micros(before), pruneBodies); err != nil {
		return err
	}
	all, err := list(t, scanGone(liwanag.SourceIDKind), `SELECT id, deleted FROM source`)
	if err != nil {
		return err
	}
	for _, source := range all {
		if !source.deleted {
			_, err = t.exec(`DELETE FROM receipt WHERE seq IN (SELECT seq FROM receipt WHERE source_id = ?1 AND state = 'refused'
				ORDER BY id DESC LIMIT ?2 OFFSET ?3)`, source.id.Bytes(), pruneRows, keep)
		} else if err = t.forget("receipt", "source", source.id); err == nil {
			_, err = t.exec(`DELETE FROM source WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM receipt WHERE source_id = ?1)`, source.id.Bytes())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gone is a source or sink that may have been deleted.
type gone struct {
	id      liwanag.ID
	deleted bool
}

func scanGone(kind liwanag.Kind) func(row) (gone, error) {
	return func(r row) (g gone, err error) {
		err = r.Scan(id(kind, &g.id), &g.deleted)
		return g, err
	}
}

// forget deletes a number of rows that belong to a deleted source or sink.
func (w writing) forget(table, owner string, id liwanag.ID) error {
	_, err := w.exec(`DELETE FROM `+table+` WHERE id IN (SELECT id FROM `+table+` WHERE `+owner+`_id = ? LIMIT ?)`, id.Bytes(), pruneBodies)
	return err
}
