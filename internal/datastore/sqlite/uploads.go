package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	selectUploads = `SELECT id, file_name, source, status, columns, mapping, rows, new, known, duplicate, corporate, invalid,
	size, position, owner, owned_until, failure_code, failure_message, created_at, ended_at FROM upload `

	uploadListing = 'u'
)

func scanUpload(r row) (u liwanag.Upload, err error) {
	var columns []byte
	c := &u.Counts
	err = r.Scan(id(liwanag.UploadKind, &u.ID), &u.FileName, textTo(&u.Source), textTo(&u.Status), jsonTo(&columns), jsonTo(&u.Mapping),
		&c.Rows, &c.New, &c.Known, &c.Duplicate, &c.Corporate, &c.Invalid, &u.Size, &u.Position,
		textTo(&u.Owner), timeColumn{&u.OwnedUntil}, textTo(&u.Failure.Code), textTo(&u.Failure.Message), timeColumn{&u.CreatedAt}, timeColumn{&u.EndedAt})
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
	return string(b), err
}

type uploads struct{ reader }

func (s uploads) Get(ctx context.Context, id liwanag.ID) (liwanag.Upload, error) {
	return one(s.in(ctx), scanUpload, selectUploads+`WHERE id = ?`, id.Bytes())
}

func (s uploads) Progress(ctx context.Context, id liwanag.ID) (p liwanag.UploadProgress, err error) {
	byStatus, err := list(s.in(ctx), scanCount[liwanag.JobStatus],
		`SELECT status, count(*) FROM job WHERE upload_id = ? GROUP BY status`, id.Bytes())
	for _, c := range byStatus {
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
	}
	return p, err
}

func (s uploads) Chunk(ctx context.Context, id liwanag.ID, n int) ([]byte, error) {
	return one(s.in(ctx), scanBytes, `SELECT data FROM upload_chunk WHERE upload_id = ? AND n = ?`, id.Bytes(), n)
}

func (s uploads) Errors(ctx context.Context, id liwanag.ID, afterRow int64, limit int) ([]liwanag.UploadRowError, error) {
	return list(s.in(ctx), func(r row) (e liwanag.UploadRowError, err error) {
		err = r.Scan(&e.Row, &e.Line, textTo(&e.Field), textTo(&e.Code), &e.Reason)
		return e, err
	}, `SELECT row, line, field, code, reason FROM upload_error WHERE upload_id = ? AND row > ? ORDER BY row LIMIT ?`, id.Bytes(), afterRow, limit)
}

func (s uploads) Active(ctx context.Context) ([]liwanag.Upload, error) {
	return list(s.in(ctx), scanUpload, selectUploads+`WHERE status IN ('importing', 'enriching') ORDER BY id`)
}

func (s uploads) Count(ctx context.Context) (map[liwanag.UploadStatus]int64, error) {
	return counts[liwanag.UploadStatus](s.in(ctx), `SELECT status, count(*) FROM upload GROUP BY status`)
}

func (s uploads) List(ctx context.Context, p liwanag.Page) ([]liwanag.Upload, string, error) {
	after, err := listing.Key(uploadListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	var w where
	if after != nil {
		w.and(`id < ?`, after)
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), scanUpload, selectUploads+w.String()+` ORDER BY id DESC LIMIT ?`, append(w.args, limit+1)...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(u liwanag.Upload) string { return listing.Cursor(uploadListing, u.ID.Bytes()) })
	return all, next, nil
}

type uploadTx struct{ writing }

func (t uploadTx) Insert(u liwanag.Upload) error {
	columns, err := columnsText(u.Columns)
	if err != nil {
		return err
	}
	c := u.Counts
	return t.must(`
		INSERT INTO upload (id, file_name, source, status, columns, mapping, rows, new, known, duplicate, corporate, invalid,
			size, position, owner, owned_until, failure_code, failure_message, created_at, ended_at)
		VALUES `+placeholders(1, 20),
		u.ID.Bytes(), u.FileName, text(u.Source), string(u.Status), columns, jsonText(u.Mapping), c.Rows, c.New, c.Known,
		c.Duplicate, c.Corporate, c.Invalid, u.Size, u.Position, text(u.Owner), micros(u.OwnedUntil), text(u.Failure.Code), text(u.Failure.Message),
		micros(u.CreatedAt), micros(u.EndedAt))
}

func (t uploadTx) Get(id liwanag.ID) (liwanag.Upload, error) {
	return one(t, scanUpload, selectUploads+`WHERE id = ?`, id.Bytes())
}

func (t uploadTx) PutChunk(id liwanag.ID, n int, data []byte) error {
	return t.must(`INSERT INTO upload_chunk (upload_id, n, data) VALUES (?, ?, ?)`, id.Bytes(), n, data)
}

func (t uploadTx) DropChunks(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`DELETE FROM upload_chunk WHERE rowid IN (SELECT rowid FROM upload_chunk WHERE upload_id = ? ORDER BY n LIMIT ?)`,
		id.Bytes(), n)
	if err != nil || dropped < int64(n) {
		return false, err
	}
	more, err := one(t, scanInt, `SELECT EXISTS (SELECT 1 FROM upload_chunk WHERE upload_id = ?)`, id.Bytes())
	return more != 0, err
}

func (t uploadTx) DropErrors(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`DELETE FROM upload_error WHERE upload_id = ?1 AND row IN (SELECT row FROM upload_error WHERE upload_id = ?1 ORDER BY row LIMIT ?2)`,
		id.Bytes(), n)
	return dropped == int64(n), err
}

func (t uploadTx) Preview(u liwanag.Upload) error {
	columns, err := columnsText(u.Columns)
	if err != nil {
		return err
	}
	c := u.Counts
	return t.must(`
		UPDATE upload SET columns = ?, mapping = ?, rows = ?, new = ?, known = ?, duplicate = ?, corporate = ?, invalid = ?, size = ?
		WHERE id = ?`,
		columns, jsonText(u.Mapping), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Invalid, u.Size, u.ID.Bytes())
}

func (t uploadTx) Move(m liwanag.UploadMove) (bool, error) {
	return t.changed(`
		UPDATE upload SET status = ?, failure_code = ?, failure_message = ?, ended_at = ?
		WHERE id = ? AND status IN (SELECT value FROM json_each(?))`,
		string(m.To), text(m.Failure.Code), text(m.Failure.Message), uploadEndedAt(m.To, m.At), m.ID.Bytes(), words(m.From))
}

func uploadEndedAt(status liwanag.UploadStatus, at time.Time) any {
	switch status {
	case liwanag.UploadDone, liwanag.UploadFailed, liwanag.UploadCanceled:
		return micros(at)
	}
	return nil
}

func (t uploadTx) Claim(c liwanag.UploadClaim) (bool, error) {
	return t.changed(`
		UPDATE upload SET owner = ?1, owned_until = ?2
		WHERE id = ?3 AND (owner IS NULL OR owner = ?1 OR owned_until <= ?4)`,
		c.Owner, micros(c.Until), c.ID.Bytes(), micros(c.Now))
}

func (t uploadTx) Advance(a liwanag.UploadAdvance) (bool, error) {
	c := a.Counts
	return t.changed(`
		UPDATE upload SET position = ?, owned_until = ?, rows = ?, new = ?, known = ?, duplicate = ?, corporate = ?, invalid = ?
		WHERE id = ? AND position = ? AND owner = ?`,
		a.To, micros(a.OwnedUntil), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Invalid, a.ID.Bytes(), a.From, a.Owner)
}

func (t uploadTx) AddErrors(id liwanag.ID, errs []liwanag.UploadRowError) error {
	for _, e := range errs {
		if _, err := t.exec(`INSERT INTO upload_error (upload_id, row, line, field, code, reason) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, id.Bytes(), e.Row, e.Line, text(e.Field), text(e.Code), e.Reason); err != nil {
			return err
		}
	}
	return nil
}
