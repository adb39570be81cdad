package intake

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// SampleRow is a row of an upload as the file has it.
type SampleRow struct {
	Number int64
	Cells  []string
	Fault  *RowError // nil for a row that can be imported
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
	mapping, err := mappingOf(up)
	if err != nil {
		return nil, err
	}
	file, err := NewCSVReader(&chunkReader{ctx: ctx, store: u.store, id: id}, mapping)
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
		if _, fault := u.read(row); fault != nil {
			sample.Fault = fault
		}
		rows = append(rows, sample)
	}
	return rows, nil
}

// Remap reads an upload that is not confirmed yet once more, as another mapping says, and counts
// it anew: column name to field, over what the headers say. liwanag.ErrState for
// any other upload; a *FileError for a mapping that does not fit.
func (u *Uploads) Remap(ctx context.Context, id liwanag.ID, mapping map[string]Field) (UploadView, error) {
	up, err := u.store.Uploads.Get(ctx, id)
	if err != nil {
		return UploadView{}, err
	}
	if !slices.Contains(unread, up.Status) {
		return UploadView{}, liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the upload is "+string(up.Status)+": only a previewed one can be read in another way")
	}
	file, err := NewCSVReader(&chunkReader{ctx: ctx, store: u.store, id: id}, mapping)
	if err != nil {
		return UploadView{}, err
	}
	if err := u.dropErrors(ctx, id); err != nil {
		return UploadView{}, err
	}
	p := previewer{uploads: u, ctx: ctx, id: id, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
	if err := p.countAll(file); err != nil {
		return UploadView{}, fmt.Errorf("intake: upload %s: %w", id, err)
	}
	size := up.Size
	if err := p.note(file, &up); err != nil {
		return UploadView{}, err
	}
	up.Size = size
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
		return moved(tx.Uploads.Move(u.readAs(up, now.Status)))
	})
	if err != nil {
		return UploadView{}, err
	}
	return u.Get(ctx, id)
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
