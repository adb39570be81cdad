package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// How long Run waits before it looks again at uploads that it left unfinished:
// lookups take minutes, and so may a database to come back. It looks every
// maxLook in any case: an upload may be confirmed on another node, or its node die.
const (
	firstLook = time.Second
	maxLook   = 30 * time.Second
)

// claimFor is how long an upload stays with a node that says nothing more of it.
// Every piece of an import, a matter of milliseconds, renews the claim, so that an
// import goes on elsewhere claimFor + maxLook after its node died, and maxLook
// after it stopped.
const claimFor = 30 * time.Second

// Run imports confirmed uploads, oldest first, and notes when their lookups are
// over, until ctx ends. Each is looked after by one node at a time; another one
// goes on with what a node left.
func (u *Uploads) Run(ctx context.Context) error {
	if err := u.forgetCutOff(ctx); err != nil && ctx.Err() == nil {
		u.cfg.Logger.ErrorContext(ctx, "files of transfers that were cut off are kept until the next start", "error", err)
	}
	for pause := firstLook; ctx.Err() == nil; pause = min(2*pause, maxLook) {
		unfinished, err := u.advance(ctx)
		if err != nil && ctx.Err() == nil {
			u.cfg.Logger.ErrorContext(ctx, "uploads are not going on, trying again", "error", err)
		}
		again := maxLook
		if unfinished || err != nil {
			again = pause
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		case <-u.wake:
			pause = firstLook / 2
		}
	}
	return nil
}

// maxTransfer is longer than any transfer takes, on this node or another.
const maxTransfer = time.Hour

// forgetCutOff drops the files of transfers that ended with their process.
func (u *Uploads) forgetCutOff(ctx context.Context) error {
	var faults []error
	for page := (liwanag.Page{Limit: maxKeysPerRead}); ; {
		ups, next, err := u.store.Uploads.List(ctx, page)
		if err != nil {
			return err
		}
		for _, up := range ups {
			if up.Status == liwanag.UploadFailed && up.Failure.Code == CodeIncomplete && u.cfg.now().Sub(up.CreatedAt) > maxTransfer {
				faults = append(faults, u.drop(ctx, up.ID))
			}
		}
		if page.Cursor = next; next == "" {
			return errors.Join(faults...)
		}
	}
}

// maxUnmapped is how long an upload waits for a mapping.
const maxUnmapped = 24 * time.Hour

// Retain forgets the files and the invalid rows of uploads that began before the given time and are
// not being imported. One that was previewed and never confirmed is canceled, one
// that needs a mapping after a day.
func (u *Uploads) Retain(ctx context.Context, before time.Time) error {
	var faults []error
	for page := (liwanag.Page{Limit: maxKeysPerRead}); ; {
		ups, next, err := u.store.Uploads.List(ctx, page)
		if err != nil {
			return errors.Join(append(faults, err)...)
		}
		for _, up := range ups {
			waits := up.Status == liwanag.UploadNeedsMapping && u.cfg.now().Sub(up.CreatedAt) > maxUnmapped
			if !waits && !up.CreatedAt.Before(before) || up.Status == liwanag.UploadImporting {
				continue
			}
			if left, err := u.leaves(ctx, up); err != nil || !left {
				faults = append(faults, err)
				continue
			}
			faults = append(faults, u.expire(ctx, up.ID))
		}
		if page.Cursor = next; next == "" {
			return errors.Join(faults...)
		}
	}
}

// leaves says whether there is anything to end or to forget of an upload: each look at
// one that is gone would else be two transactions, for ever.
func (u *Uploads) leaves(ctx context.Context, up liwanag.Upload) (bool, error) {
	if slices.Contains(unread, up.Status) {
		return true, nil
	}
	if _, err := u.store.Uploads.Chunk(ctx, up.ID, 0); !errors.Is(err, liwanag.ErrNotFound) {
		return err == nil, err
	}
	kept, err := u.store.Uploads.Errors(ctx, up.ID, 0, 1)
	return len(kept) > 0, err
}

// expire cancels an upload that still waits for its confirmation, and drops its
// file unless it was confirmed meanwhile.
func (u *Uploads) expire(ctx context.Context, id liwanag.ID) error {
	importing := false
	err := u.store.Write(ctx, func(tx *datastore.Tx) error {
		if _, err := tx.Uploads.Move(liwanag.UploadMove{ID: id, From: unread,
			To: liwanag.UploadCanceled, Failure: liwanag.JobFailure{Code: CodeExpired, Message: "it was never confirmed: upload the file again"},
			At: u.cfg.now()}); err != nil {
			return err
		}
		up, err := tx.Uploads.Get(id)
		importing = up.Status == liwanag.UploadImporting
		return err
	})
	if err != nil || importing {
		return err
	}
	faults, err := u.store.Uploads.Errors(ctx, id, 0, 1)
	if err == nil && len(faults) > 0 {
		err = u.dropErrors(ctx, id)
	}
	return errors.Join(err, u.drop(ctx, id))
}

// advance brings every upload that is under way as far as it goes now.
func (u *Uploads) advance(ctx context.Context) (unfinished bool, err error) {
	active, err := u.store.Uploads.Active(ctx)
	if err != nil {
		return false, err
	}
	var faults []error
	for _, up := range active {
		over, err := u.lookAfter(ctx, up.ID)
		faults = append(faults, err)
		unfinished = unfinished || !over
	}
	return unfinished, errors.Join(faults...)
}

// lookAfter brings an upload as far as it goes now, unless another node does.
func (u *Uploads) lookAfter(ctx context.Context, id liwanag.ID) (over bool, err error) {
	up, mine, err := u.claim(ctx, id, claimFor)
	if err != nil || !mine {
		return false, err
	}
	if up.Status == liwanag.UploadImporting {
		if err := u.importRows(ctx, up); err != nil {
			// Where it failed or was stopped another node may go on at once.
			_, _, givenUp := u.claim(context.WithoutCancel(ctx), id, 0)
			return false, fmt.Errorf("intake: import of %s: %w", id, errors.Join(err, givenUp))
		}
	}
	return u.finish(ctx, id)
}

// claim makes this node the one that looks after an upload, for a while (0: gives
// it up), and reads it. The claim saves work that would be done twice; what keeps
// it from counting twice is the position. So clocks that differ do no harm.
func (u *Uploads) claim(ctx context.Context, id liwanag.ID, during time.Duration) (up liwanag.Upload, mine bool, err error) {
	err = u.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		now := u.cfg.now()
		mine, err = tx.Uploads.Claim(liwanag.UploadClaim{ID: id, Owner: u.cfg.Node, Now: now, Until: now.Add(during)})
		if err != nil || !mine {
			return err
		}
		up, err = tx.Uploads.Get(id)
		return err
	})
	return up, mine && err == nil, err
}

// finish notes that an imported upload has no open jobs left.
func (u *Uploads) finish(ctx context.Context, id liwanag.ID) (over bool, err error) {
	progress, err := u.store.Uploads.Progress(ctx, id)
	if err != nil || progress.Open > 0 {
		return false, err
	}
	err = u.store.Write(ctx, func(tx *datastore.Tx) error {
		now := u.cfg.now()
		done, err := tx.Uploads.Move(liwanag.UploadMove{ID: id, From: []liwanag.UploadStatus{liwanag.UploadEnriching},
			To: liwanag.UploadDone, At: now})
		if err == nil && done {
			_, err = datastore.Announce(tx, []liwanag.Announcement{{Topic: liwanag.TopicUploadCompleted, Subject: id, At: now}})
		}
		if err != nil {
			return err
		}
		up, err := tx.Uploads.Get(id)
		over = up.Status != liwanag.UploadImporting && up.Status != liwanag.UploadEnriching
		return err
	})
	return over && err == nil, err
}

// errStopped: the upload was canceled, or another node goes on with it.
var errStopped = errors.New("intake: the upload is no longer imported here")

// importRows goes on behind the rows that are imported already. Each piece is
// one transaction with its subscribers, jobs, batches and the new position, so
// that an import can stop anywhere and nothing is done twice. The next piece is
// read while one is written. The runs are started when all is imported, so that
// their work does not compete with the import for the writer; those of an import
// that stops half-way are started by the enrichment's sweep.
func (u *Uploads) importRows(ctx context.Context, up liwanag.Upload) error {
	as, err := readingOf(up)
	if err != nil {
		return u.fail(ctx, up.ID, err)
	}
	file, err := ReadCSV(&chunkReader{ctx: ctx, store: u.store, id: up.ID}, as)
	if err == nil {
		err = file.Skip(up.Position)
	}
	if err != nil {
		return u.fail(ctx, up.ID, err)
	}
	var size pieceSize
	current, err := u.readPiece(file, up.Position, size.rows())
	var started []liwanag.ID
	defer func() { u.starter.start(ctx, started) }()
	for err == nil && current.to > current.from {
		written := background{}
		var runs []liwanag.ID
		var held time.Duration
		var writeErr error
		written.do(func() { runs, held, writeErr = u.writePiece(ctx, up, current) })
		next, readErr := u.readPiece(file, current.to, size.rows())
		written.wait()
		if errors.Is(writeErr, errStopped) {
			return nil
		}
		if writeErr != nil {
			return writeErr
		}
		size.learn(len(current.rows), held)
		started = append(started, runs...)
		current, err = next, readErr
	}
	if err == nil && current.to != up.Counts.Rows {
		err = fmt.Errorf("it has %d rows, and had %d", current.to, up.Counts.Rows)
	}
	if err != nil {
		return u.fail(ctx, up.ID, err)
	}
	return u.imported(ctx, up)
}

// background runs one thing at a time beside its caller.
type background struct{ done chan struct{} }

func (b *background) do(f func()) {
	done := make(chan struct{})
	b.done = done
	go func() {
		defer close(done)
		f()
	}()
}

func (b *background) wait() {
	if b.done != nil {
		<-b.done
	}
}

// piece is what one transaction imports: the rows behind from, up to to.
type piece struct {
	from, to int64
	rows     []liwanag.SignUp
}

func (u *Uploads) readPiece(file *CSVReader, from int64, size int) (piece, error) {
	p := piece{from: from, to: from}
	for len(p.rows) < size && p.to-from < 50*int64(size) {
		row, err := file.Next()
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return p, err
		}
		p.to = row.Number
		if signUp, fault := u.read(row); fault == nil {
			p.rows = append(p.rows, signUp)
		}
	}
	return p, nil
}

// writePiece stores a piece. It returns the runs that the piece's jobs wait for,
// and how long the writer was held.
func (u *Uploads) writePiece(ctx context.Context, up liwanag.Upload, p piece) (runs []liwanag.ID, held time.Duration, err error) {
	for i := range p.rows {
		if p.rows[i].Source == "" {
			p.rows[i].Source = up.Source
		}
	}
	err = u.store.Write(ctx, func(tx *datastore.Tx) error {
		began := time.Now()
		runs = nil
		now, err := tx.Uploads.Get(up.ID)
		if err != nil {
			return err
		}
		if now.Status != liwanag.UploadImporting {
			return errStopped
		}
		ok, err := tx.Uploads.Advance(liwanag.UploadAdvance{ID: up.ID, Owner: u.cfg.Node, OwnedUntil: u.cfg.now().Add(claimFor),
			From: p.from, To: p.to, Counts: up.Counts})
		if err != nil {
			return err
		}
		if !ok {
			return errStopped
		}
		if len(p.rows) > 0 {
			enroller, err := u.within(tx, now)
			if err != nil {
				return err
			}
			rows, _, err := admitted(tx, p.rows, func(r liwanag.SignUp) string { return r.EmailKey })
			if err != nil {
				return err
			}
			_, e, err := store(tx, enroller, u.cfg, rows, up.ID)
			if err != nil {
				return err
			}
			for _, job := range e.opened {
				if len(runs) == 0 || runs[len(runs)-1] != job.RunID {
					runs = append(runs, job.RunID)
				}
			}
		}
		held = time.Since(began)
		return nil
	})
	return runs, held, err
}

// imported ends an import: what the rows became is known for certain now, and
// the file is not needed any more.
func (u *Uploads) imported(ctx context.Context, up liwanag.Upload) error {
	progress, err := u.store.Uploads.Progress(ctx, up.ID)
	if err != nil {
		return err
	}
	counts := up.Counts
	counts.New = progress.Imported
	counts.Known = counts.Rows - counts.New - counts.Duplicate - counts.Corporate - counts.Relay - counts.Disposable -
		counts.Unsubscribed - counts.Suppressed - counts.Invalid
	if counts.Known < 0 { // corporate addresses were counted out by a setting that has changed
		counts.Corporate, counts.Known = counts.Corporate+counts.Known, 0
	}
	err = u.store.Write(ctx, func(tx *datastore.Tx) error {
		now, err := tx.Uploads.Get(up.ID)
		if err != nil || now.Status != liwanag.UploadImporting {
			return err
		}
		ok, err := tx.Uploads.Advance(liwanag.UploadAdvance{ID: up.ID, Owner: u.cfg.Node, OwnedUntil: u.cfg.now().Add(claimFor),
			From: now.Position, To: now.Position, Counts: counts})
		if err != nil {
			return err
		}
		if !ok {
			return errStopped
		}
		_, err = tx.Uploads.Move(liwanag.UploadMove{ID: up.ID, From: []liwanag.UploadStatus{liwanag.UploadImporting},
			To: liwanag.UploadEnriching, At: u.cfg.now()})
		return err
	})
	if errors.Is(err, errStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	for result, rows := range map[string]int64{"new": counts.New, "known": counts.Known, "duplicate": counts.Duplicate,
		"corporate": counts.Corporate, "relay": counts.Relay, "disposable": counts.Disposable, "suppressed": counts.Suppressed,
		"unsubscribed": counts.Unsubscribed, "invalid": counts.Invalid} {
		u.cfg.Meter.ImportedRows(result, rows)
	}
	return u.drop(ctx, up.ID)
}

// fail ends an upload whose stored file does not read as it did before. A
// database that cannot answer, or the end of ctx, is no reason to.
func (u *Uploads) fail(ctx context.Context, id liwanag.ID, cause error) error {
	if liwanag.ClassOf(cause) == liwanag.Unavailable || liwanag.ClassOf(cause) == liwanag.DiskFull || ctx.Err() != nil {
		return cause
	}
	var failed bool
	err := u.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		failed, err = tx.Uploads.Move(liwanag.UploadMove{ID: id, From: []liwanag.UploadStatus{liwanag.UploadImporting}, To: liwanag.UploadFailed,
			Failure: liwanag.JobFailure{Code: CodeUnreadable, Message: "the stored file cannot be read any more: upload it again"}, At: u.cfg.now()})
		return err
	})
	if err != nil || !failed { // canceled meanwhile: its file is gone
		return err
	}
	u.cfg.Logger.ErrorContext(ctx, "the stored file of an upload cannot be read", "upload", id.String(), "error", cause)
	return u.drop(ctx, id)
}

// pieceSize finds how many rows hold the writer for about targetHold. The zero
// value starts with a batch's worth.
type pieceSize struct{ learned int }

const (
	targetHold   = 4 * time.Millisecond
	minPieceRows = 50 // below, the statements cost more than the rows
	maxPieceRows = 500
	firstPiece   = 100
)

func (s *pieceSize) rows() int {
	if s.learned == 0 {
		return firstPiece
	}
	return s.learned
}

// learn goes half of the way to the size that would have held the writer for
// targetHold.
func (s *pieceSize) learn(rows int, held time.Duration) {
	if rows < minPieceRows || held <= 0 {
		return
	}
	ideal := float64(rows) * float64(targetHold) / float64(held)
	s.learned = min(max(int(float64(s.rows())+ideal)/2, minPieceRows), maxPieceRows)
}

// chunkReader reads a stored file.
type chunkReader struct {
	ctx   context.Context
	store *datastore.Store
	id    liwanag.ID
	n     int
	chunk []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.chunk) == 0 {
		chunk, err := r.store.Uploads.Chunk(r.ctx, r.id, r.n)
		if errors.Is(err, liwanag.ErrNotFound) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.chunk, r.n = chunk, r.n+1
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}
