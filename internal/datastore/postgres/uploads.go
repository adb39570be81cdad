package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

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
	err = r.Scan(idTo(liwanag.UploadKind, &u.ID), &u.FileName, textTo(&u.Source), textTo(&u.Status), jsonTo(&columns), jsonTo(&u.Mapping),
		&c.Rows, &c.New, &c.Known, &c.Duplicate, &c.Corporate, &c.Invalid, &u.Size, &u.Position,
		textTo(&u.Owner), timeColumn{&u.OwnedUntil}, textTo(&u.Failure.Code), textTo(&u.Failure.Message), timeColumn{&u.CreatedAt}, timeColumn{&u.EndedAt})
	if err == nil && columns != nil {
		err = json.Unmarshal(columns, &u.Columns)
	}
	return u, err
}

func columnsText(columns []string) (pgtype.Text, error) {
	if columns == nil {
		return pgtype.Text{}, nil
	}
	b, err := json.Marshal(columns)
	return jsonText(b), err
}

type uploads struct{ reader }

func (s uploads) Get(ctx context.Context, id liwanag.ID) (liwanag.Upload, error) {
	return one(s.in(ctx), scanUpload, selectUploads+`WHERE id = $1`, uuid(id))
}

func (s uploads) Progress(ctx context.Context, id liwanag.ID) (p liwanag.UploadProgress, err error) {
	byStatus, err := list(s.in(ctx), scanCount[liwanag.JobStatus],
		`SELECT status, count(*) FROM job WHERE upload_id = $1 GROUP BY status`, uuid(id))
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
	return one(s.in(ctx), scanBytes, `SELECT data FROM upload_chunk WHERE upload_id = $1 AND n = $2`, uuid(id), n)
}

func (s uploads) Errors(ctx context.Context, id liwanag.ID, afterRow int64, limit int) ([]liwanag.UploadRowError, error) {
	return list(s.in(ctx), func(r row) (e liwanag.UploadRowError, err error) {
		err = r.Scan(&e.Row, &e.Line, textTo(&e.Field), textTo(&e.Code), &e.Reason)
		return e, err
	}, `SELECT row, line, field, code, reason FROM upload_error WHERE upload_id = $1 AND row > $2 ORDER BY row LIMIT $3`, uuid(id), afterRow, limit)
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
		w.and(`id < $?`, pgtype.UUID{Bytes: [16]byte(after), Valid: true})
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), scanUpload, selectUploads+w.String()+` ORDER BY id DESC LIMIT `+w.bind(limit+1), w.args...)
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
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		uuid(u.ID), u.FileName, text(u.Source), string(u.Status), columns, jsonText(u.Mapping), c.Rows, c.New, c.Known,
		c.Duplicate, c.Corporate, c.Invalid, u.Size, u.Position, text(u.Owner), micros(u.OwnedUntil), text(u.Failure.Code), text(u.Failure.Message),
		micros(u.CreatedAt), micros(u.EndedAt))
}

func (t uploadTx) Get(id liwanag.ID) (liwanag.Upload, error) {
	return one(t, scanUpload, selectUploads+`WHERE id = $1`, uuid(id))
}

func (t uploadTx) PutChunk(id liwanag.ID, n int, data []byte) error {
	return t.must(`INSERT INTO upload_chunk (upload_id, n, data) VALUES ($1, $2, $3)`, uuid(id), n, data)
}

func (t uploadTx) DropChunks(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`
		DELETE FROM upload_chunk WHERE upload_id = $1 AND n = ANY(ARRAY(SELECT n FROM upload_chunk WHERE upload_id = $1 ORDER BY n LIMIT $2))`,
		uuid(id), n)
	if err != nil || dropped < int64(n) {
		return false, err
	}
	more, err := list(t, scanInt, `SELECT n FROM upload_chunk WHERE upload_id = $1 LIMIT 1`, uuid(id))
	return len(more) > 0, err
}

func (t uploadTx) DropErrors(id liwanag.ID, n int) (left bool, err error) {
	dropped, err := t.exec(`
		DELETE FROM upload_error WHERE upload_id = $1 AND row = ANY(ARRAY(SELECT row FROM upload_error WHERE upload_id = $1 ORDER BY row LIMIT $2))`,
		uuid(id), n)
	return dropped == int64(n), err
}

func (t uploadTx) Preview(u liwanag.Upload) error {
	columns, err := columnsText(u.Columns)
	if err != nil {
		return err
	}
	c := u.Counts
	return t.must(`
		UPDATE upload SET columns = $2, mapping = $3, rows = $4, new = $5, known = $6, duplicate = $7, corporate = $8, invalid = $9, size = $10
		WHERE id = $1`,
		uuid(u.ID), columns, jsonText(u.Mapping), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Invalid, u.Size)
}

func (t uploadTx) Move(m liwanag.UploadMove) (bool, error) {
	return t.changed(`
		UPDATE upload SET status = $2, failure_code = $3, failure_message = $4, ended_at = $5 WHERE id = $1 AND status = ANY($6)`,
		uuid(m.ID), string(m.To), text(m.Failure.Code), text(m.Failure.Message), uploadEndedAt(m.To, m.At), texts(m.From))
}

func uploadEndedAt(status liwanag.UploadStatus, at time.Time) pgtype.Int8 {
	switch status {
	case liwanag.UploadDone, liwanag.UploadFailed, liwanag.UploadCanceled:
		return micros(at)
	}
	return pgtype.Int8{}
}

func (t uploadTx) Claim(c liwanag.UploadClaim) (bool, error) {
	return t.changed(`
		UPDATE upload SET owner = $2, owned_until = $3 WHERE id = $1 AND (owner IS NULL OR owner = $2 OR owned_until <= $4)`,
		uuid(c.ID), c.Owner, micros(c.Until), micros(c.Now))
}

func (t uploadTx) Advance(a liwanag.UploadAdvance) (bool, error) {
	c := a.Counts
	return t.changed(`
		UPDATE upload SET position = $2, owned_until = $3, rows = $4, new = $5, known = $6, duplicate = $7, corporate = $8, invalid = $9
		WHERE id = $1 AND position = $10 AND owner = $11`,
		uuid(a.ID), a.To, micros(a.OwnedUntil), c.Rows, c.New, c.Known, c.Duplicate, c.Corporate, c.Invalid, a.From, a.Owner)
}

func (t uploadTx) AddErrors(id liwanag.ID, errs []liwanag.UploadRowError) error {
	r := recordsOf(errs).
		id("upload_id", func(liwanag.UploadRowError) liwanag.ID { return id }).
		number("row", func(e liwanag.UploadRowError) int64 { return e.Row }).
		number("line", func(e liwanag.UploadRowError) int64 { return e.Line }).
		text("field", func(e liwanag.UploadRowError) string { return e.Field }).
		text("code", func(e liwanag.UploadRowError) string { return e.Code }).
		word("reason", func(e liwanag.UploadRowError) string { return e.Reason })
	_, err := t.exec(`INSERT INTO upload_error (`+r.columns()+`) SELECT `+r.columns()+` FROM `+r.as("e")+` ON CONFLICT DO NOTHING`, r.args...)
	return err
}
