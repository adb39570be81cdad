package datastore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	selectUploads = `SELECT id, file_name, source, status, columns, mapping, rows, new, known, duplicate, corporate, relay, disposable,
	unsubscribed, suppressed, invalid, size, position, owner, owned_until, failure_code, failure_message, created_at, ended_at, encoding, cap,
	notes, ignore_standing FROM upload `

	uploadByID = selectUploads + `WHERE id = $1`

	uploadListing = 'u'
)

func scanUpload(r Row) (u liwanag.Upload, err error) {
	var columns []byte
	c := &u.Counts
	err = r.Scan(idTo(liwanag.UploadKind, &u.ID), &u.FileName, textTo(&u.Source), textTo(&u.Status), jsonTo(&columns), jsonTo(&u.Mapping),
		&c.Rows, &c.New, &c.Known, &c.Duplicate, &c.Corporate, &c.Relay, &c.Disposable,
		&c.Unsubscribed, &c.Suppressed, &c.Invalid, &u.Size, &u.Position,
		textTo(&u.Owner), timeColumn{&u.OwnedUntil}, textTo(&u.Failure.Code), textTo(&u.Failure.Message), timeColumn{&u.CreatedAt},
		timeColumn{&u.EndedAt},
		textTo(&u.Encoding), &u.Cap, objectTo(&u.Notes), &u.IgnoreStanding)
	if err == nil && columns != nil {
		err = json.Unmarshal(columns, &u.Columns)
	}
	return u, err
}

func columnsText(columns []string) (any, error) {
	if columns == nil {
		return nil, nil
	}
	b, err := json.Marshal(columns)
	return jsonText(b), err
}

func cellsText(cells []string) string {
	if cells == nil {
		return ""
	}
	b, _ := json.Marshal(cells) // texts
	return string(b)
}

// Uploads reads uploads.
type Uploads struct{ reader }

func (s Uploads) Get(ctx context.Context, id liwanag.ID) (liwanag.Upload, error) {
	return one(s.in(ctx), scanUpload, uploadByID, id.Bytes())
}

// Progress counts the jobs of an upload.
func (s Uploads) Progress(ctx context.Context, id liwanag.ID) (liwanag.UploadProgress, error) {
	all, err := s.ProgressOf(ctx, []liwanag.ID{id})
	return all[id], err
}

// ProgressOf counts the jobs of each upload. One that waits for the lookup of another address
// of its mailbox is open: it is found with it, or looked up by itself.
func (s Uploads) ProgressOf(ctx context.Context, ids []liwanag.ID) (map[liwanag.ID]liwanag.UploadProgress, error) {
	type stand struct {
		upload liwanag.ID
		count[liwanag.JobStatus]
	}
	stands, err := list(s.in(ctx), func(r Row) (c stand, err error) {
		err = r.Scan(idTo(liwanag.UploadKind, &c.upload), textTo(&c.of), &c.n)
		return c, err
	}, `SELECT j.upload_id, CASE WHEN j.latest = true AND j.`+waitingJob+` AND EXISTS (
			SELECT 1 FROM subscriber s WHERE s.id = j.subscriber_id AND s.suppressed_at IS NULL
		) THEN 'pending' ELSE j.status END AS stands, count(*) FROM job j WHERE j.upload_id = ANY($1) GROUP BY j.upload_id, stands`,
		idsOf(s.in(ctx), ids))
	all := make(map[liwanag.ID]liwanag.UploadProgress, len(ids))
	for _, c := range stands {
		p := all[c.upload]
		p.Imported += c.n
		switch {
		case c.of.Open():
			p.Open += c.n
		case c.of == liwanag.JobEnriched:
			p.Enriched += c.n
		case c.of == liwanag.JobNotFound:
			p.NotFound += c.n
		default:
			p.Failed += c.n
		}
		all[c.upload] = p
	}
	return all, err
}

// Cost is what the lookups of an upload cost.
func (s Uploads) Cost(ctx context.Context, id liwanag.ID) (int64, error) {
	return one(s.in(ctx), scanInt, `SELECT CAST(coalesce(sum(credits), 0) AS bigint) FROM job WHERE upload_id = $1`, id.Bytes())
}

// Chunk reads the n-th piece of the file, from 0. ErrNotFound past the last.
func (s Uploads) Chunk(ctx context.Context, id liwanag.ID, n int) ([]byte, error) {
	return chunk(s.in(ctx), id, n)
}

// Errors lists row errors after the given row, in order.
func (s Uploads) Errors(ctx context.Context, id liwanag.ID, afterRow int64, limit int) ([]liwanag.UploadRowError, error) {
	return list(s.in(ctx), func(r Row) (e liwanag.UploadRowError, err error) {
		var cells []byte
		err = r.Scan(&e.Row, &e.Line, textTo(&e.Field), textTo(&e.Code), &e.Reason, jsonTo(&cells))
		if err == nil && cells != nil {
			err = json.Unmarshal(cells, &e.Cells)
		}
		return e, err
	}, `SELECT row, line, field, code, reason, cells FROM upload_error WHERE upload_id = $1 AND row > $2 ORDER BY row LIMIT $3`, id.Bytes(), afterRow, limit)
}

// Active lists uploads that are importing or enriching, oldest first.
func (s Uploads) Active(ctx context.Context) ([]liwanag.Upload, error) {
	return list(s.in(ctx), scanUpload, selectUploads+`WHERE status IN ('importing', 'enriching') ORDER BY id`)
}

// Waiting lists the newest uploads that somebody has to look at: those to confirm, and
// those that need a mapping.
func (s Uploads) Waiting(ctx context.Context, limit int) ([]liwanag.Upload, error) {
	return list(s.in(ctx), scanUpload, selectUploads+`WHERE status IN ('previewed', 'needs_mapping') ORDER BY id DESC LIMIT $1`, limit)
}

// Count counts uploads by status.
func (s Uploads) Count(ctx context.Context) (map[liwanag.UploadStatus]int64, error) {
	return counts[liwanag.UploadStatus](s.in(ctx), `SELECT status, count(*) FROM upload GROUP BY status`)
}

// List gives a page, newest first. ErrInvalidCursor.
func (s Uploads) List(ctx context.Context, p liwanag.Page) ([]liwanag.Upload, string, error) {
	after, err := listing.Key(uploadListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	var w where
	if after != nil {
		w.and(`id < $?`, after)
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), scanUpload, selectUploads+w.String()+` ORDER BY id DESC LIMIT `+w.bind(limit+1), w.args...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(u liwanag.Upload) string { return listing.Cursor(uploadListing, u.ID.Bytes()) })
	return all, next, nil
}

// UploadTx writes uploads.
type UploadTx struct{ writing }

func (t UploadTx) Insert(u liwanag.Upload) error {
	columns, err := columnsText(u.Columns)
	if err != nil {
		return err
	}
	c := u.Counts
	return t.must(`
		INSERT INTO upload (id, file_name, source, status, columns, mapping, rows, new, known, duplicate, corporate, unsubscribed, invalid,
			relay, disposable, suppressed, size, position, owner, owned_until, failure_code, failure_message, created_at, ended_at, encoding,
			notes, ignore_standing)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)`,
		u.ID.Bytes(), u.FileName, text(u.Source), string(u.Status), columns, jsonText(u.Mapping), c.Rows, c.New, c.Known,
		c.Duplicate, c.Corporate, c.Unsubscribed, c.Invalid, c.Relay, c.Disposable, c.Suppressed,
		u.Size, u.Position, text(u.Owner), micros(u.OwnedUntil),
		text(u.Failure.Code), text(u.Failure.Message), micros(u.CreatedAt), micros(u.EndedAt), text(u.Encoding),
		text(jsonOf(u.Notes)), u.IgnoreStanding)
}

// Delete forgets an upload of which no piece, no row's fault and no job is left.
func (t UploadTx) Delete(id liwanag.ID) error {
	return t.must(`DELETE FROM upload WHERE id = $1`, id.Bytes())
}

func (t UploadTx) Get(id liwanag.ID) (liwanag.Upload, error) {
	return one(t, scanUpload, uploadByID, id.Bytes())
}

// PutChunk stores the n-th piece of the file, from 0.
func (t UploadTx) PutChunk(id liwanag.ID, n int, data []byte) error {
	return t.must(`INSERT INTO upload_chunk (upload_id, n, data) VALUES ($1, $2, $3)`, id.Bytes(), n, data)
}

// Chunk reads the n-th piece of the file, from 0. ErrNotFound past the last.
func (t UploadTx) Chunk(id liwanag.ID, n int) ([]byte, error) {
	return chunk(t, id, n)
}

func chunk(q querier, id liwanag.ID, n int) ([]byte, error) {
	return one(q, scanBytes, `SELECT data FROM upload_chunk WHERE upload_id = $1 AND n = $2`, id.Bytes(), n)
}

// RewriteChunk replaces a piece of the file.
func (t UploadTx) RewriteChunk(id liwanag.ID, n int, data []byte) error {
	return t.must(`UPDATE upload_chunk SET data = $1 WHERE upload_id = $2 AND n = $3`, data, id.Bytes(), n)
}

// Interrupt makes whoever imports an upload read its file again, from behind what is
// imported: it is nobody's any more.
func (t UploadTx) Interrupt(id liwanag.ID, now time.Time) error {
	_, err := t.exec(`UPDATE upload SET owner = 'interrupted', owned_until = $1 WHERE id = $2 AND status = 'importing'`, micros(now), id.Bytes())
	return err
}

// ForgetCells forgets the cells of an invalid row.
func (t UploadTx) ForgetCells(id liwanag.ID, row int64) error {
	_, err := t.exec(`UPDATE upload_error SET cells = NULL WHERE upload_id = $1 AND row = $2`, id.Bytes(), row)
	return err
}

// DropChunks forgets at most n pieces of the file; left says whether there are
// more.
func (t UploadTx) DropChunks(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`
		DELETE FROM upload_chunk WHERE upload_id = $1 AND n = ANY(ARRAY(SELECT n FROM upload_chunk WHERE upload_id = $1 ORDER BY n LIMIT $2))`,
		id.Bytes(), n)
	if err != nil || dropped < int64(n) {
		return false, err
	}
	more, err := list(t, scanInt, `SELECT n FROM upload_chunk WHERE upload_id = $1 LIMIT 1`, id.Bytes())
	return len(more) > 0, err
}

// DropErrors forgets at most n row errors; left says whether there are more.
func (t UploadTx) DropErrors(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`
		DELETE FROM upload_error WHERE upload_id = $1 AND row = ANY(ARRAY(SELECT row FROM upload_error WHERE upload_id = $1 ORDER BY row LIMIT $2))`,
		id.Bytes(), n)
	return dropped == int64(n), err
}

// Preview writes how a file was read, and what was found: columns, mapping, encoding, counts, notes, size.
func (t UploadTx) Preview(u liwanag.Upload) error {
	columns, err := columnsText(u.Columns)
	if err != nil {
		return err
	}
	c := u.Counts
	return t.must(`
		UPDATE upload SET columns = $2, mapping = $3, rows = $4, new = $5, known = $6, duplicate = $7, corporate = $8, unsubscribed = $9,
			invalid = $10, size = $11, encoding = $12, relay = $13, disposable = $14, suppressed = $15,
			notes = $16, ignore_standing = $17
		WHERE id = $1`,
		u.ID.Bytes(), columns, jsonText(u.Mapping), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Unsubscribed, c.Invalid, u.Size,
		text(u.Encoding), c.Relay, c.Disposable, c.Suppressed, text(jsonOf(u.Notes)), u.IgnoreStanding)
}

// Move is a compare-and-set of the state. False: nothing was written.
func (t UploadTx) Move(m liwanag.UploadMove) (bool, error) {
	return t.changed(`
		UPDATE upload SET status = $2, failure_code = $3, failure_message = $4, ended_at = $5 WHERE id = $1 AND status = ANY($6::text[])`,
		m.ID.Bytes(), string(m.To), text(m.Failure.Code), text(m.Failure.Message), uploadEndedAt(m.To, m.At), wordsOf(t, m.From))
}

func uploadEndedAt(status liwanag.UploadStatus, at time.Time) any {
	switch status {
	case liwanag.UploadDone, liwanag.UploadFailed, liwanag.UploadCanceled:
		return micros(at)
	}
	return nil
}

// Claim is a compare-and-set of the node that looks after an upload: it
// becomes the owner of one that nobody owns, that it owns already, or whose
// owner's time is over. False: another node has it, nothing was written.
func (t UploadTx) Claim(c liwanag.UploadClaim) (bool, error) {
	return t.changed(`
		UPDATE upload SET owner = $2, owned_until = $3 WHERE id = $1 AND (owner IS NULL OR owner = $2 OR owned_until <= $4)`,
		c.ID.Bytes(), c.Owner, micros(c.Until), micros(c.Now))
}

// Advance is a compare-and-set of the position, by the owner, which goes on
// owning it. False: nothing was written.
func (t UploadTx) Advance(a liwanag.UploadAdvance) (bool, error) {
	c := a.Counts
	return t.changed(`
		UPDATE upload SET position = $2, owned_until = $3, rows = $4, new = $5, known = $6, duplicate = $7, corporate = $8,
			unsubscribed = $9, invalid = $10, relay = $13, disposable = $14, suppressed = $15
		WHERE id = $1 AND position = $11 AND owner = $12`,
		a.ID.Bytes(), a.To, micros(a.OwnedUntil), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Unsubscribed, c.Invalid, a.From, a.Owner,
		c.Relay, c.Disposable, c.Suppressed)
}

// AddErrors stores row errors; a row that has one keeps it.
func (t UploadTx) AddErrors(id liwanag.ID, errs []liwanag.UploadRowError) error {
	r := recordsOf(errs).
		id("upload_id", func(liwanag.UploadRowError) liwanag.ID { return id }).
		number("row", func(e liwanag.UploadRowError) int64 { return e.Row }).
		number("line", func(e liwanag.UploadRowError) int64 { return e.Line }).
		text("field", func(e liwanag.UploadRowError) string { return e.Field }).
		text("code", func(e liwanag.UploadRowError) string { return e.Code }).
		word("reason", func(e liwanag.UploadRowError) string { return e.Reason }).
		text("cells", func(e liwanag.UploadRowError) string { return cellsText(e.Cells) })
	return t.insertAll("upload_error", r.Records, "DO NOTHING")
}

// Cap notes what the lookups of an upload may cost; nil: nobody said.
func (t UploadTx) Cap(id liwanag.ID, credits *int64) error {
	return t.must(`UPDATE upload SET cap = $2 WHERE id = $1`, id.Bytes(), credits)
}
