package intake

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// previewer counts rows, each once: invalid, duplicate, unsubscribed, corporate, known or new.
type previewer struct {
	uploads *Uploads
	ctx     context.Context
	id      liwanag.ID
	counts  liwanag.UploadCounts
	seed    maphash.Seed
	seen    map[uint64]struct{} // hashes of addresses: a million fit into 32 MiB
	source  string              // of rows that name none
	rows    []liwanag.SignUp    // whose addresses are to be looked up
	as      []*int64            // what each of them counts as, if it is not suppressed
	errors  []liwanag.UploadRowError
	notes   previewNotes
}

// countAll reads a file to its end.
func (p *previewer) countAll(c *CSVReader) error {
	for {
		row, err := c.Next()
		if err == io.EOF {
			return errors.Join(p.flushKeys(), p.flushErrors())
		}
		if err == nil {
			p.notes.cells(row.Number, c)
			err = p.count(row, c.cells)
		}
		if err != nil {
			return err
		}
	}
}

// note writes down what was counted.
func (p *previewer) note(c *CSVReader, up *liwanag.Upload) (err error) {
	up.Columns, up.Counts, up.Encoding, up.IgnoreStanding = c.Columns(), p.counts, c.Encoding(), c.stays
	up.Notes = p.notes.all(c.Columns())
	meaning := map[string]Field{}
	for i, column := range c.Columns() {
		meaning[column] = c.Mapping()[i]
	}
	up.Mapping, err = json.Marshal(meaning)
	return err
}

// maxErrorBytes is what is kept of the cells of an invalid row; a larger one is kept
// without.
const maxErrorBytes = 16 << 10

func cellsOfError(cells []string) []string {
	size := 0
	for _, cell := range cells {
		size += len(cell)
	}
	if size > maxErrorBytes {
		return nil
	}
	return slices.Clone(cells)
}

func (p *previewer) count(row Row, cells []string) error {
	p.counts.Rows++
	signUp, fault := p.uploads.read(row)
	if fault != nil {
		p.counts.Invalid++
		p.errors = append(p.errors, liwanag.UploadRowError{Row: row.Number, Line: row.Line, Code: fault.Code, Field: fault.Field,
			Reason: fault.Reason, Cells: cellsOfError(cells)})
		if len(p.errors) == maxRowsPerWrite {
			return p.flushErrors()
		}
		return nil
	}
	hash := maphash.String(p.seed, signUp.EmailKey)
	if _, twice := p.seen[hash]; twice {
		p.counts.Duplicate++
		return nil
	}
	p.seen[hash] = struct{}{}
	var as *int64 // nil: new or known
	switch {
	case signUp.Left:
		as = &p.counts.Unsubscribed
	case p.uploads.cfg.wanted(signUp.EmailType):
	case signUp.EmailType == liwanag.Relay:
		as = &p.counts.Relay
	case signUp.EmailType == liwanag.Disposable:
		as = &p.counts.Disposable
	default:
		as = &p.counts.Corporate
	}
	p.notes.domain(p.uploads.cfg.Domains, signUp.EmailKey)
	if signUp.Source == "" {
		signUp.Source = p.source
	}
	p.as = append(p.as, as)
	if p.rows = append(p.rows, signUp); len(p.rows) == maxKeysPerRead {
		return p.flushKeys()
	}
	return nil
}

func (p *previewer) flushKeys() error {
	if len(p.rows) == 0 {
		return nil
	}
	keys := make([]string, len(p.rows))
	for i, row := range p.rows {
		keys[i] = row.EmailKey
	}
	suppressed, err := p.uploads.store.Suppressions.Of(p.ctx, keys)
	if err != nil {
		return err
	}
	people, err := p.uploads.store.Subscribers.Known(p.ctx, keys)
	if err != nil {
		return err
	}
	known := make(map[string]liwanag.Subscriber, len(people))
	for _, person := range people {
		known[person.EmailKey] = person
	}
	for i, row := range p.rows {
		person, isKnown := known[datastore.Clean(row.EmailKey)]
		switch {
		case suppressed.Has(row.EmailKey):
			p.counts.Suppressed++
			continue
		case p.as[i] != nil:
			*p.as[i]++
		case isKnown:
			p.counts.Known++
		default:
			p.counts.New++
		}
		if isKnown {
			if err := p.notes.change(person, row); err != nil {
				return err
			}
		}
	}
	p.rows, p.as = p.rows[:0], p.as[:0]
	return nil
}

func (p *previewer) flushErrors() error {
	if len(p.errors) == 0 {
		return nil
	}
	err := p.uploads.store.Write(p.ctx, func(tx *datastore.Tx) error { return tx.Uploads.AddErrors(p.id, p.errors) })
	p.errors = p.errors[:0]
	return err
}

// read makes a row into what is stored.
func (u *Uploads) read(row Row) (liwanag.SignUp, *RowError) {
	if row.Err != nil {
		return liwanag.SignUp{}, row.Err
	}
	row.SignUp.AddsTags = true
	signUp, err := u.normalizer.normalize(row.SignUp)
	var invalid *ValidationError
	if errors.As(err, &invalid) {
		return liwanag.SignUp{}, &RowError{Code: liwanag.CodeOf(err), Field: invalid.Fields[0].Field, Reason: invalid.Fields[0].Message}
	}
	return signUp, nil
}
