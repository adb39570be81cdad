package datastore

import (
	"cmp"
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	deliveryColumns = `digest, source, token_hash, submission_id, enrichment_id, size, state, note, received_at`

	deliveryListing = 'd'

	// What one call drops is bounded, since everyone waits for the writer
	// meanwhile: a row takes about 10 µs on SQLite, where a body is overwritten page
	// by page; each piece of a body is a row of its own to PostgreSQL.
	pruneRows   = 1000
	pruneBodies = 100
)

func deliveryFields(d *liwanag.Delivery) []any {
	return []any{digestColumn{&d.Digest}, textTo(&d.Source), digestColumn{&d.TokenHash}, idTo(liwanag.SubmissionKind, &d.SubmissionID),
		textTo(&d.EnrichmentID), &d.Size, textTo(&d.State), textTo(&d.Note), timeColumn{&d.ReceivedAt}}
}

func scanDelivery(r Row) (d liwanag.Delivery, err error) {
	err = r.Scan(append(deliveryFields(&d), &d.Raw)...)
	return d, err
}

func scanDigest(r Row) (d liwanag.Digest, err error) {
	err = r.Scan(digestColumn{&d})
	return d, err
}

const deliveryByDigest = `SELECT ` + deliveryColumns + `, raw FROM delivery WHERE digest = $1`

// Deliveries reads deliveries.
type Deliveries struct{ reader }

// Get reads one with its raw body.
func (s Deliveries) Get(ctx context.Context, d liwanag.Digest) (liwanag.Delivery, error) {
	return one(s.in(ctx), scanDelivery, deliveryByDigest, d[:])
}

// Stored lists the digests of deliveries in state stored, and of unmatched
// ones that nobody looked at yet (no Note), oldest first.
func (s Deliveries) Stored(ctx context.Context, limit int) ([]liwanag.Digest, error) {
	return list(s.in(ctx), scanDigest, `
		SELECT digest FROM delivery /*lite INDEXED BY delivery_new*/ WHERE state = 'stored' OR (state = 'unmatched' AND note IS NULL)
		ORDER BY received_at, seq LIMIT $1`, limit)
}

// Waiting counts those that wait for a person, by state.
func (s Deliveries) Waiting(ctx context.Context) (map[liwanag.DeliveryState]int64, error) {
	return counts[liwanag.DeliveryState](s.in(ctx), `SELECT state, count(*) FROM delivery WHERE state IN ('quarantined', 'unmatched') GROUP BY state`)
}

// Unsettled lists the digests of deliveries in state sent that were received
// before the given time, oldest first.
func (s Deliveries) Unsettled(ctx context.Context, receivedBefore time.Time, limit int) ([]liwanag.Digest, error) {
	return list(s.in(ctx), scanDigest, `
		SELECT digest FROM delivery WHERE state = 'sent' AND received_at < $1 ORDER BY received_at, seq LIMIT $2`,
		micros(receivedBefore), limit)
}

// listed is a delivery and its place in the listing.
type listed struct {
	liwanag.Delivery
	seq int64
}

func scanListed(r Row) (l listed, err error) {
	err = r.Scan(append(deliveryFields(&l.Delivery), &l.seq)...)
	return l, err
}

func (l listed) compare(other listed) int {
	return cmp.Or(l.ReceivedAt.Compare(other.ReceivedAt), cmp.Compare(l.seq, other.seq))
}

func (l listed) cursor() string {
	return listing.Cursor(deliveryListing, append(numberKey(l.ReceivedAt.UnixMicro()), numberKey(l.seq)...))
}

// List gives a page, newest first, without raw bodies. ErrInvalidCursor.
//
// List walks one index a state and merges, as submissions do.
func (s Deliveries) List(ctx context.Context, f liwanag.DeliveryFilter, p liwanag.Page) ([]liwanag.Delivery, string, error) {
	after, err := listing.Key(deliveryListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	limit := listing.Limit(p)
	var pages [][]listed
	for _, state := range listing.StatesOr(f.States) {
		query, args := deliveryQuery(f.SubmissionID, state, after, limit+1)
		page, err := list(s.in(ctx), scanListed, query, args...)
		if err != nil {
			return nil, "", err
		}
		pages = append(pages, page)
	}
	all, next := listing.Paged(listing.Newest(limit+1, listed.compare, pages...), limit, listed.cursor)
	var out []liwanag.Delivery
	for _, l := range all {
		out = append(out, l.Delivery)
	}
	return out, next, nil
}

func deliveryQuery(submissionID liwanag.ID, state liwanag.DeliveryState, after []byte, limit int) (string, []any) {
	var w where
	if !submissionID.IsZero() {
		w.and(`submission_id = $?`, submissionID.Bytes())
	}
	if state != "" {
		w.and(`state = $?`, string(state))
	}
	if after != nil {
		w.and(`(received_at, seq) < (` + w.bind(numberOf(after)) + `, ` +
			w.bind(numberOf(after[8:])) + `)`)
	}
	return `SELECT ` + deliveryColumns + `, seq FROM delivery` + w.String() + ` ORDER BY received_at DESC, seq DESC LIMIT ` + w.bind(limit),
		w.args
}

// DeliveryTx writes deliveries.
type DeliveryTx struct{ writing }

// Insert stores a delivery by its digest. False: it is there already, nothing
// was written.
func (t DeliveryTx) Insert(d liwanag.Delivery) (bool, error) {
	return t.changed(`INSERT INTO delivery (`+deliveryColumns+`, raw) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (digest) DO NOTHING`,
		d.Digest[:], string(d.Source), digest(d.TokenHash), d.SubmissionID.Bytes(), text(d.EnrichmentID), d.Size,
		string(d.State), text(d.Note), micros(d.ReceivedAt), d.Raw)
}

// Get reads one with its raw body. ErrNotFound.
func (t DeliveryTx) Get(d liwanag.Digest) (liwanag.Delivery, error) {
	return one(t, scanDelivery, deliveryByDigest, d[:])
}

// Move is a compare-and-set of the state; settled drops the raw body. False:
// the state was not in From, nothing was written.
func (t DeliveryTx) Move(m liwanag.DeliveryMove) (bool, error) {
	return t.changed(`
		UPDATE delivery SET state = $2, submission_id = coalesce($3, submission_id), enrichment_id = coalesce($4, enrichment_id),
			note = coalesce($5, note), raw = CASE WHEN $2 = 'settled' THEN NULL ELSE raw END
		WHERE digest = $1 AND state = ANY($6::text[])`,
		m.Digest[:], string(m.To), m.SubmissionID.Bytes(), text(m.EnrichmentID), text(m.Note), wordsOf(t, m.From))
}

// Rewrite replaces the raw body of a delivery that is not settled. False: it is
// settled or gone, nothing was written.
func (t DeliveryTx) Rewrite(d liwanag.Digest, raw []byte) (bool, error) {
	return t.changed(`UPDATE delivery SET raw = $1 WHERE digest = $2 AND state <> 'settled'`, raw, d[:])
}

// Prune drops quarantined and unmatched deliveries received before the given
// time, settled ones received before the other, and all but the newest keep
// unmatched ones. A call drops a bounded number; more: another one goes on.
func (t DeliveryTx) Prune(quarantinedBefore, settledBefore time.Time, keep int) (more bool, err error) {
	for _, p := range []struct {
		state  liwanag.DeliveryState
		before time.Time
		limit  int64
	}{
		{liwanag.DeliveryQuarantined, quarantinedBefore, pruneBodies},
		{liwanag.DeliveryUnmatched, quarantinedBefore, pruneBodies},
		{liwanag.DeliverySettled, settledBefore, pruneRows},
	} {
		n, err := t.exec(`
			DELETE FROM delivery WHERE seq = ANY(ARRAY(
				SELECT seq FROM delivery WHERE state = $1 AND received_at < $2 ORDER BY received_at LIMIT $3))`,
			string(p.state), micros(p.before), p.limit)
		if err != nil {
			return false, err
		}
		more = more || n == p.limit
	}
	n, err := t.exec(`
		DELETE FROM delivery WHERE seq = ANY(ARRAY(
			SELECT seq FROM delivery WHERE state = 'unmatched' ORDER BY received_at DESC, seq DESC LIMIT $1 OFFSET $2))`, pruneBodies, keep)
	return more || n == pruneBodies, err
}
