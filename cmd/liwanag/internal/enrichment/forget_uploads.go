package enrichment

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// maxBlanked bounds a row of a file that is blanked, in bytes: whatever is longer has a
// quote that is never closed, and only the line is.
const maxBlanked = 64 << 10

// forgetUploads takes a person out of files that are kept until they are imported, and
// out of the cells of invalid rows. Every character of their rows becomes an x, but for
// what parts cells and rows: the rows that follow keep their numbers. An import that has
// read one already begins again behind what it wrote.
func (s *Service) forgetUploads(ctx context.Context, person *regexp.Regexp) error {
	for page := (liwanag.Page{Limit: 200}); ; {
		ups, next, err := s.store.Uploads.List(ctx, page)
		if err != nil {
			return err
		}
		for _, up := range ups {
			if err := errors.Join(s.forgetUpload(ctx, up.ID, person), s.forgetCells(ctx, up.ID, person)); err != nil {
				return err
			}
		}
		if page.Cursor = next; next == "" {
			return nil
		}
	}
}

// forgetCells forgets what the cells of invalid rows say of a person.
func (s *Service) forgetCells(ctx context.Context, id liwanag.ID, person *regexp.Regexp) error {
	for after := int64(0); ; {
		rows, err := s.store.Uploads.Errors(ctx, id, after, 500)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].Row
		rows = slices.DeleteFunc(rows, func(r liwanag.UploadRowError) bool { return !slices.ContainsFunc(r.Cells, person.MatchString) })
		if len(rows) == 0 {
			continue
		}
		if err := s.store.Write(ctx, func(tx *datastore.Tx) error {
			for _, row := range rows {
				if err := tx.Uploads.ForgetCells(id, row.Row); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// span is a part of a file, in bytes.
type span struct{ from, to int64 }

// named is what a file says of a person.
type named struct {
	rows   []span
	width  int     // bytes a character
	pieces []int64 // where each begins, and the end
}

func (s *Service) forgetUpload(ctx context.Context, id liwanag.ID, person *regexp.Regexp) error {
	found, err := s.rowsOf(ctx, id, person)
	if err != nil || len(found.rows) == 0 {
		return err
	}
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		for n, from := range found.pieces[:len(found.pieces)-1] {
			to := found.pieces[n+1]
			if !slices.ContainsFunc(found.rows, func(r span) bool { return r.from < to && r.to > from }) {
				continue
			}
			piece, err := tx.Uploads.Chunk(id, n)
			if errors.Is(err, liwanag.ErrNotFound) {
				return nil // imported meanwhile: the file is gone
			}
			if err != nil {
				return err
			}
			blank(piece, from, found.width, found.rows)
			if err := tx.Uploads.RewriteChunk(id, n, piece); err != nil {
				return err
			}
		}
		return tx.Uploads.Interrupt(id, s.now())
	})
}

// rowsOf finds the rows that name a person.
func (s *Service) rowsOf(ctx context.Context, id liwanag.ID, person *regexp.Regexp) (found named, err error) {
	rows, at, text := rowScanner{person: person}, int64(0), []byte(nil)
	for n := 0; ; n++ {
		found.pieces = append(found.pieces, at)
		piece, err := s.store.Uploads.Chunk(ctx, id, n)
		if errors.Is(err, liwanag.ErrNotFound) {
			rows.end()
			break
		}
		if err != nil {
			return found, err
		}
		if n == 0 {
			found.width = unitOf(piece)
		}
		text = narrow(text[:0], piece, found.width)
		rows.read(text)
		at += int64(len(piece))
	}
	for _, one := range rows.found {
		found.rows = append(found.rows, span{one.from * int64(found.width), min(one.to*int64(found.width), at)})
	}
	return found, nil
}

// unitOf is how many bytes a character of a file takes at least: 2 in UTF-16, 4 in
// UTF-32, by their mark or zero bytes.
func unitOf(head []byte) int {
	zeros := bytes.Count(head[:min(len(head), 400)], []byte{0})
	switch n := min(len(head), 400); {
	case zeros*2 > n:
		return 4
	case zeros*4 > n || bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return 2
	}
	return 1
}

// narrow is a text of one byte a character: what is not ASCII in a wide one is no
// letter of an address.
func narrow(to, text []byte, width int) []byte {
	if width == 1 {
		return append(to, text...)
	}
	for ; len(text) >= width; text = text[width:] {
		c := byte(0xff)
		if wide := bytes.Trim(text[:width], "\x00"); len(wide) == 1 {
			c = wide[0]
		}
		to = append(to, c)
	}
	return to
}

// rowScanner finds rows that name a person, in a text that comes in pieces.
type rowScanner struct {
	person *regexp.Regexp
	found  []span

	row    []byte // so far
	from   int64  // where it begins
	quoted bool
}

func (r *rowScanner) read(text []byte) {
	for _, c := range text {
		r.row = append(r.row, c)
		switch {
		case c == '"':
			r.quoted = !r.quoted
		case c != '\n' && c != '\r':
		case !r.quoted:
			r.end()
		case len(r.row) > maxBlanked: // the quote was none: each line is one
			r.quoted = false
			r.end()
		}
	}
}

// end ends a row.
func (r *rowScanner) end() {
	if r.person.Match(r.row) {
		if len(r.row) <= maxBlanked {
			r.found = append(r.found, span{r.from, r.from + int64(len(r.row))})
		} else {
			r.lines()
		}
	}
	r.from += int64(len(r.row))
	r.row = r.row[:0]
}

// lines looks at each line of a row that is too long to be one.
func (r *rowScanner) lines() {
	from := r.from
	for _, line := range bytes.SplitAfter(r.row, []byte("\n")) {
		if r.person.Match(line) {
			r.found = append(r.found, span{from, from + int64(len(line))})
		}
		from += int64(len(line))
	}
}

// blank blanks what spans cover of a piece that begins at a place of its file.
func blank(piece []byte, at int64, width int, spans []span) {
	for _, one := range spans {
		from, to := max(one.from-at, 0), min(one.to-at, int64(len(piece)))
		for i := from; i+int64(width) <= to; i += int64(width) {
			unit := piece[i : i+int64(width)]
			if wide := bytes.Trim(unit, "\x00"); len(wide) == 1 && bytes.ContainsAny(wide, ",;|\t\r\n\"'\\= ") {
				continue
			}
			blankUnit(unit)
		}
	}
}

// blankUnit writes an x as wide as the character was, whichever end comes first.
func blankUnit(unit []byte) {
	at := 0
	if unit[0] == 0 {
		at = len(unit) - 1
	}
	clear(unit)
	unit[at] = 'x'
}
