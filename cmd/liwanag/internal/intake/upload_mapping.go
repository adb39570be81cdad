package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// SampleRow is a row of an upload as the file has it.
type SampleRow struct {
	Number int64
	Cells  []string
	Fault  *RowError // nil for a row that can be imported
	// Unread are columns whose cell is not the time that it should be; it is kept in
	// the metadata.
	Unread []string
}

// sampleRows is how many rows a sample has.
const sampleRows = 20

// Sample gives the first rows of an upload, as its mapping reads them; none once
// the file is forgotten.
func (u *Uploads) Sample(ctx context.Context, id liwanag.ID) ([]SampleRow, error) {
	up, err := u.store.Uploads.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	as, err := readingOf(up)
	if err != nil {
		return nil, err
	}
	file, err := ReadCSV(&chunkReader{ctx: ctx, store: u.store, id: id}, as)
	if refused := (*FileError)(nil); errors.As(err, &refused) {
		return nil, nil // it is gone, or was refused: the upload says why
	}
	if err != nil {
		return nil, err
	}
	var rows []SampleRow
	for len(rows) < sampleRows {
		row, cells, err := file.record()
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		}
		if row.Err == nil {
			row.SignUp, row.Err = file.signUp(cells)
		}
		sample := SampleRow{Number: row.Number, Cells: make([]string, len(up.Columns))}
		copy(sample.Cells, cells)
		if row.Err == nil {
			sample.Unread = file.unread
		}
		if _, fault := u.read(row); fault != nil {
			sample.Fault = fault
		}
		rows = append(rows, sample)
	}
	return rows, nil
}

// Remap reads an upload that is not confirmed yet once more, in another way, and
// counts it anew. Without an encoding it is the one that was found, if that is clear. liwanag.ErrState for
// any other upload; a *FileError for a mapping that does not fit.
func (u *Uploads) Remap(ctx context.Context, id liwanag.ID, as Reading) (UploadView, error) {
	up, err := u.store.Uploads.Get(ctx, id)
	if err != nil {
		return UploadView{}, err
	}
	if !slices.Contains(unread, up.Status) {
		return UploadView{}, liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the upload is "+string(up.Status)+
			": only a previewed one can be read in another way")
	}
	doubts := []string(nil)
	if as.Encoding == "" {
		found, err := u.encodingOf(ctx, up)
		if err != nil {
			return UploadView{}, err
		}
		as.Encoding, doubts = found.name, found.doubts
	}
	if err := u.recount(ctx, as, &up); err != nil {
		return UploadView{}, err
	}
	err = u.store.Write(ctx, func(tx *datastore.Tx) error {
		now, err := tx.Uploads.Get(id)
		if err != nil {
			return err
		}
		if !slices.Contains(unread, now.Status) {
			return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the upload was confirmed or canceled meanwhile")
		}
		if err := tx.Uploads.Preview(up); err != nil {
			return err
		}
		m, err := u.readAs(up, doubts, now.Status)
		return errors.Join(err, moved(tx.Uploads.Move(m)))
	})
	if err != nil {
		return UploadView{}, err
	}
	return u.Get(ctx, id)
}

// recount reads a stored file and counts it anew.
func (u *Uploads) recount(ctx context.Context, as Reading, up *liwanag.Upload) error {
	file, err := ReadCSV(&chunkReader{ctx: ctx, store: u.store, id: up.ID}, as)
	if err != nil {
		return err
	}
	if err := u.dropErrors(ctx, up.ID); err != nil {
		return err
	}
	p := u.previewer(ctx, up)
	if err := p.countAll(file); err != nil {
		return fmt.Errorf("intake: upload %s: %w", up.ID, err)
	}
	return p.note(file, up)
}

// dropErrors forgets what was wrong with rows, piece by piece.
func (u *Uploads) dropErrors(ctx context.Context, id liwanag.ID) error {
	for left := true; left; {
		err := u.store.Write(ctx, func(tx *datastore.Tx) (err error) {
			left, err = tx.Uploads.DropErrors(id, maxRowsPerWrite)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
