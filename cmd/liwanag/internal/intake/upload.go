package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/csvsafe"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Uploads takes CSV files in: Create stores and counts, Confirm lets Run import.
// It is safe for concurrent use; Run is called once.
type Uploads struct {
	store      *datastore.Store
	starter    *starter
	cfg        Config
	normalizer normalizer
	wake       chan struct{} // rings when there may be something to import
}

// NewUploads returns the upload service, or the faults of cfg.
func NewUploads(store *datastore.Store, enroller Enroller, cfg Config) (*Uploads, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	cfg = cfg.withDefaults()
	return &Uploads{store: store, starter: newStarter(enroller, cfg.Logger), cfg: cfg, wake: make(chan struct{}, 1),
		normalizer: normalizer{domains: cfg.Domains, lenient: true}}, nil
}

// UploadRequest is what a file comes with.
type UploadRequest struct {
	FileName string           // as the sender names it; shown, never opened
	Source   string           // for rows that name none
	Mapping  map[string]Field // by column name, over what the headers say
	Encoding string           // empty: it is found
	// IgnoreStanding believes no column that says that somebody left.
	IgnoreStanding bool
}

// UploadView is an upload as it is shown.
type UploadView struct {
	liwanag.Upload
	// EstimatedCredits is what the lookups cost at most: 1 for each new row that
	// is enriched.
	EstimatedCredits int64
	Progress         liwanag.UploadProgress
}

// Codes of failed uploads, besides those of FileError.
const (
	// CodeIncomplete: the transfer was cut off.
	CodeIncomplete = "incomplete"
	// CodeUnreadable: the stored file does not read as it did in the preview.
	CodeUnreadable = "unreadable"
	// CodeExpired: the upload was not confirmed for as long as things are kept.
	CodeExpired = "expired"
	// CodeNoValidRows: all rows are invalid. The upload needs a mapping.
	CodeNoValidRows = "no_valid_rows"
	// CodeNoEmailColumn: no column holds addresses. The upload needs a mapping.
	CodeNoEmailColumn = "no_email_column"
	// CodeUnclearEncoding: the file may be written in several encodings, and reads
	// differently in each. The upload needs one to be named.
	CodeUnclearEncoding = "unclear_encoding"
)

const (
	// chunkBytes is the size of a piece of a stored file: written in one short
	// transaction, and far below what a row may hold.
	chunkBytes = 256 << 10
	// dropChunks is how many pieces are forgotten in one transaction.
	dropChunks = 8
	// maxKeysPerRead is how many addresses are looked up at once.
	maxKeysPerRead = 500
	maxNameBytes   = 200
)

// Create reads a file to its end, stores it and counts its rows: the upload is
// then previewed and waits for Confirm, or needs a mapping because no row of it
// could be imported, or it may be read wrongly. What cannot be a list is a
// *FileError, and nothing of it is kept. A transfer that was cut off stays as failed.
func (u *Uploads) Create(ctx context.Context, r io.Reader, req UploadRequest) (UploadView, error) {
	up := liwanag.Upload{ID: liwanag.NewID(liwanag.UploadKind), FileName: fileName(req.FileName), Source: cutText(req.Source),
		Status: liwanag.UploadFailed, Failure: liwanag.JobFailure{Code: CodeIncomplete,
			Message: "the transfer was cut off: upload the file again"},
		CreatedAt: u.cfg.now()}
	// Failed until the end, so that whatever happens on the way, the row tells.
	if err := u.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Uploads.Insert(up) }); err != nil {
		return UploadView{}, err
	}
	doubts, err := u.preview(ctx, r, Reading{req.Mapping, req.Encoding, req.IgnoreStanding}, &up)
	if err == nil {
		err = u.store.Write(ctx, func(tx *datastore.Tx) error {
			if err := tx.Uploads.Preview(up); err != nil {
				return err
			}
			m, err := u.readAs(up, doubts, liwanag.UploadFailed)
			return errors.Join(err, moved(tx.Uploads.Move(m)))
		})
	}
	if err != nil {
		return UploadView{}, errors.Join(err, u.discard(context.WithoutCancel(ctx), up.ID, err))
	}
	return u.Get(ctx, up.ID)
}

// unread are the states of an upload that can still be read in another way.
var unread = []liwanag.UploadStatus{liwanag.UploadPreviewed, liwanag.UploadNeedsMapping}

// readAs is what becomes of an upload that was read: one of which nobody would
// come in is not for confirmation, nor one that may be read wrongly.
func (u *Uploads) readAs(up liwanag.Upload, doubts []string, from ...liwanag.UploadStatus) (liwanag.UploadMove, error) {
	mapping, err := mappingOf(up)
	addressed := slices.Contains(slices.Collect(maps.Values(mapping)), FieldEmail)
	m := liwanag.UploadMove{ID: up.ID, From: from, To: liwanag.UploadPreviewed, At: u.cfg.now()}
	switch {
	case doubts != nil:
		m.To, m.Failure = liwanag.UploadNeedsMapping, liwanag.JobFailure{Code: CodeUnclearEncoding,
			Message: "it is not clear how the file is written, say which encoding it is: " + strings.Join(doubts, ", ")}
	case !addressed:
		m.To, m.Failure = liwanag.UploadNeedsMapping, liwanag.JobFailure{Code: CodeNoEmailColumn,
			Message: "no column holds e-mail addresses: say which one does, or upload another file"}
	case up.Counts.Invalid == up.Counts.Rows:
		m.To, m.Failure = liwanag.UploadNeedsMapping, liwanag.JobFailure{Code: CodeNoValidRows,
			Message: "no row is valid: say which column holds the addresses, or upload another file"}
	}
	return m, err
}

// fileName is the last element of a name as any system writes it.
func fileName(name string) string {
	name = cleanText(path.Base(strings.ReplaceAll(name, "\\", "/")))
	if name == "." || name == "/" {
		return ""
	}
	if len(name) > maxNameBytes {
		name = strings.ToValidUTF8(name[:maxNameBytes], "")
	}
	return name
}

// moved makes a compare-and-set that found another state into an error.
func moved(ok bool, err error) error {
	if err == nil && !ok {
		return liwanag.ErrState
	}
	return err
}

// discard forgets a file that was refused, and of one that was cut off all but that.
func (u *Uploads) discard(ctx context.Context, id liwanag.ID, cause error) error {
	if err := errors.Join(u.dropErrors(ctx, id), u.drop(ctx, id)); err != nil {
		return err
	}
	if refused := (*FileError)(nil); !errors.As(cause, &refused) {
		return nil
	}
	return u.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Uploads.Delete(id) })
}

// drop forgets a file piece by piece.
func (u *Uploads) drop(ctx context.Context, id liwanag.ID) error {
	for left := true; left; {
		err := u.store.Write(ctx, func(tx *datastore.Tx) (err error) {
			left, err = tx.Uploads.DropChunks(id, dropChunks)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// preview stores the file while it reads and counts it. What is not ASCII may begin
// far behind the head: then the file is read once more. doubts are the encodings it
// may be, when that is not clear.
func (u *Uploads) preview(ctx context.Context, r io.Reader, as Reading, up *liwanag.Upload) (doubts []string, err error) {
	file, seen := &chunkWriter{ctx: ctx, store: u.store, id: up.ID}, &traces{}
	c, err := ReadCSV(io.TeeReader(r, io.MultiWriter(file, seen)), as)
	if err != nil {
		return nil, err
	}
	p := u.previewer(ctx, up)
	if err := errors.Join(p.countAll(c), file.flush()); err != nil {
		return nil, err
	}
	if p.counts.Rows == 0 {
		return nil, errNoRows
	}
	up.Size = file.size
	if found := seen.detect(c.encoding); as.Encoding == "" {
		if doubts = found.doubts; found.name != c.Encoding() {
			as.Encoding = found.name
			return doubts, u.recount(ctx, as, up)
		}
	}
	return doubts, p.note(c, up)
}

func (u *Uploads) previewer(ctx context.Context, up *liwanag.Upload) *previewer {
	return &previewer{uploads: u, ctx: ctx, id: up.ID, source: up.Source, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
}

// readingOf is how an upload was read.
func readingOf(up liwanag.Upload) (Reading, error) {
	mapping, err := mappingOf(up)
	return Reading{mapping, up.Encoding, up.IgnoreStanding}, err
}

// mappingOf is what the columns of an upload were taken for.
func mappingOf(up liwanag.Upload) (mapping map[string]Field, err error) {
	if len(up.Mapping) > 0 {
		err = json.Unmarshal(up.Mapping, &mapping)
	}
	return mapping, err
}

// chunkWriter stores what is written to it in pieces.
type chunkWriter struct {
	ctx   context.Context
	store *datastore.Store
	id    liwanag.ID
	buf   []byte
	n     int
	size  int64
}

func (w *chunkWriter) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	for rest := p; len(rest) > 0; {
		n := min(len(rest), chunkBytes-len(w.buf))
		w.buf, rest = append(w.buf, rest[:n]...), rest[n:]
		if len(w.buf) == chunkBytes {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (w *chunkWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.store.Write(w.ctx, func(tx *datastore.Tx) error { return tx.Uploads.PutChunk(w.id, w.n, w.buf) })
	w.n, w.buf = w.n+1, w.buf[:0]
	return err
}

// Get shows an upload.
func (u *Uploads) Get(ctx context.Context, id liwanag.ID) (UploadView, error) {
	return ReadUpload(ctx, u.store, id)
}

// ReadUpload reads an upload and how far it is. ErrNotFound.
func ReadUpload(ctx context.Context, store *datastore.Store, id liwanag.ID) (UploadView, error) {
	up, err := store.Uploads.Get(ctx, id)
	if err != nil {
		return UploadView{}, err
	}
	return viewOf(ctx, store, up)
}

func viewOf(ctx context.Context, store *datastore.Store, up liwanag.Upload) (UploadView, error) {
	views, err := viewsOf(ctx, store, []liwanag.Upload{up})
	return views[0], err
}

// viewsOf shows uploads, with one query.
func viewsOf(ctx context.Context, store *datastore.Store, ups []liwanag.Upload) ([]UploadView, error) {
	ids := make([]liwanag.ID, len(ups))
	for i, up := range ups {
		ids[i] = up.ID
	}
	progress, err := store.Uploads.ProgressOf(ctx, ids)
	views := make([]UploadView, len(ups))
	for i, up := range ups {
		views[i] = UploadView{Upload: up, EstimatedCredits: up.Counts.New, Progress: progress[up.ID]}
		if up.Cap != nil {
			views[i].EstimatedCredits = min(up.Counts.New, *up.Cap)
		}
	}
	return views, err
}

// List shows a page of uploads, newest first.
func (u *Uploads) List(ctx context.Context, p liwanag.Page) ([]UploadView, string, error) {
	ups, next, err := u.store.Uploads.List(ctx, p)
	if err != nil {
		return nil, "", err
	}
	views, err := viewsOf(ctx, u.store, ups)
	return views, next, err
}

// Confirm lets a previewed upload be imported; liwanag.ErrState for any other. Its
// lookups cost at most credits; nil: whatever they cost.
func (u *Uploads) Confirm(ctx context.Context, id liwanag.ID, credits *int64) (UploadView, error) {
	return u.moveAnd(ctx, id, "confirmed", func(tx *datastore.Tx) error { return tx.Uploads.Cap(id, credits) },
		liwanag.UploadImporting, liwanag.UploadPreviewed)
}

// Cancel ends an upload that is not over: nothing more is imported. What was
// imported stays, and lookups that were asked for go on; their runs can be
// canceled by themselves.
func (u *Uploads) Cancel(ctx context.Context, id liwanag.ID) (UploadView, error) {
	view, err := u.move(ctx, id, "canceled", liwanag.UploadCanceled,
		append(unread, liwanag.UploadImporting, liwanag.UploadEnriching)...)
	if err != nil {
		return UploadView{}, err
	}
	return view, u.drop(ctx, id)
}

func (u *Uploads) move(ctx context.Context, id liwanag.ID, act string, to liwanag.UploadStatus,
	from ...liwanag.UploadStatus) (UploadView, error) {
	return u.moveAnd(ctx, id, act, func(*datastore.Tx) error { return nil }, to, from...)
}

// moveAnd changes the state of an upload, and does something with it.
func (u *Uploads) moveAnd(ctx context.Context, id liwanag.ID, act string, and func(*datastore.Tx) error, to liwanag.UploadStatus,
	from ...liwanag.UploadStatus) (UploadView, error) {
	err := u.store.Write(ctx, func(tx *datastore.Tx) error {
		up, err := tx.Uploads.Get(id)
		if err != nil {
			return err
		}
		ok, err := tx.Uploads.Move(liwanag.UploadMove{ID: id, From: from, To: to, At: u.cfg.now()})
		if err == nil && !ok {
			return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the upload "+stateWords(up)+" and cannot be "+act)
		}
		if err == nil {
			err = and(tx)
		}
		return err
	})
	if err != nil {
		return UploadView{}, err
	}
	u.ring()
	return u.Get(ctx, id)
}

// stateWords says what an upload is, for a sentence about it.
func stateWords(up liwanag.Upload) string {
	if up.Status == liwanag.UploadNeedsMapping {
		return "needs a mapping (" + up.Failure.Message + ")"
	}
	return "is " + string(up.Status)
}

func (u *Uploads) ring() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// errorColumns stand before the file's own in the file of the invalid rows. That can
// be corrected and uploaded again: they are then left out.
var errorColumns = []string{"row", "line", "code", "field", "reason"}

// WriteErrors writes the invalid rows as CSV: number, line, reason, and their cells.
func (u *Uploads) WriteErrors(ctx context.Context, id liwanag.ID, w io.Writer) error {
	up, err := u.store.Uploads.Get(ctx, id)
	if err != nil {
		return err
	}
	out := csvsafe.NewWriter(w)
	if err := out.Write(slices.Concat(errorColumns, up.Columns)); err != nil {
		return err
	}
	for after := int64(0); ; {
		page, err := u.store.Uploads.Errors(ctx, id, after, maxKeysPerRead)
		if err != nil {
			return err
		}
		for _, e := range page {
			after = e.Row
			record := append([]string{strconv.FormatInt(e.Row, 10), strconv.FormatInt(e.Line, 10), e.Code, e.Field, e.Reason}, e.Cells...)
			for len(record) < len(errorColumns)+len(up.Columns) {
				record = append(record, "")
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
		if len(page) < maxKeysPerRead {
			return out.Flush()
		}
	}
}
