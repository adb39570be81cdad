package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/csvsafe"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Limits of an uploaded file.
const (
	MaxFileBytes = 512 << 20
	MaxFileRows  = 1_000_000
)

// CSVReader reads sign-ups from a CSV file of any usual kind and encoding; lines that
// end with LF, CRLF, CR or a separator of Unicode; comma, semicolon, tab or bar; with a header in one of many
// languages, below titles and notes if there are any, or without one when a column holds addresses. It holds one
// row at a time. A row it cannot read is reported, and reading goes on at the
// next line.
type CSVReader struct {
	split    *splitter
	columns  []string
	mapping  []Field
	encoding detection
	order    slashOrder // of the times
	cells    []string   // of the present row, until the next one
	unread   []string   // columns of the present row whose cell is no time
	left     []string   // columns of the present row that say that the person left
	stays    bool       // nobody left, whatever columns say
	// addresses are columns of addresses beside the mapped one.
	addresses []int
	old       *oldExport // an export of an old release of ours; else nil
	quote     string     // opens cells beside the quotes of CSV, as it does the first column's name; else empty
	rows      int64
	maxRows   int64
}

// RowError says why a row is not a sign-up, without the row's data.
type RowError struct {
	Code   string // broken_quotes, field_too_long, row_too_long, too_many_columns, invalid_email, invalid_field
	Field  string // the field at fault, empty for the row as a whole
	Reason string
}

func (e *RowError) Error() string { return e.Code + ": " + e.Reason }

// Row is one data row. Blank rows are left out and not counted.
type Row struct {
	Number int64 // from 1
	Line   int64 // the physical line of the file on which it begins, from 1
	SignUp SignUp
	Err    *RowError // nil for a good row
}

// NewCSVReader reads the head of a file. mapping says what columns mean where
// the headers do not, by column name; nil leaves it to the headers. The error is
// a *FileError when the file is refused as a whole.
func NewCSVReader(r io.Reader, mapping map[string]Field) (*CSVReader, error) {
	return newCSVReader(r, Reading{Mapping: mapping}, MaxFileBytes, MaxFileRows)
}

// Reading is what is known of a file before it is read.
type Reading struct {
	Mapping  map[string]Field // by column name, over what the headers say
	Encoding string           // any usual name; empty: it is found
	// IgnoreStanding believes no column that says that somebody left.
	IgnoreStanding bool
}

// ReadCSV is NewCSVReader for a file of which more is known.
func ReadCSV(r io.Reader, as Reading) (*CSVReader, error) {
	return newCSVReader(r, as, MaxFileBytes, MaxFileRows)
}

func newCSVReader(r io.Reader, as Reading, maxBytes, maxRows int64) (*CSVReader, error) {
	in, encoding, err := toUTF8(&limitReader{r, maxBytes}, as.Encoding)
	if err != nil {
		return nil, err
	}
	sample, err := in.Peek(sampleBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(bytes.TrimSpace(sample)) == 0 && err == io.EOF {
		return nil, &FileError{"empty_file", "the file is empty"}
	}
	h, err := readHead(sample, as.Mapping)
	if err != nil {
		return nil, err
	}
	if len(sample) == sampleBytes && !bytes.ContainsAny(sample, lineEnds) {
		return nil, &FileError{"bad_header", "the file's first row is longer than 64 KiB"}
	}
	c := &CSVReader{encoding: encoding, columns: h.columns, mapping: h.mapping, addresses: h.addresses, order: h.order,
		old: oldExportOf(h.columns), maxRows: maxRows, stays: as.IgnoreStanding,
		split: &splitter{src: in, delim: h.delim, line: 1}}
	c.quote, _ = otherQuotes(h.columns[0])
	for range h.dataFrom {
		if _, _, err := c.split.next(); err != nil {
			return nil, headFault(err)
		}
	}
	return c, nil
}

// Columns are the names of the columns, distinct, in order.
func (c *CSVReader) Columns() []string { return c.columns }

// Encoding is what the file is written in, by the name it is shown by.
func (c *CSVReader) Encoding() string { return c.encoding.name }

// Mapping says what each of Columns was taken for.
func (c *CSVReader) Mapping() []Field { return c.mapping }

// Next reads a row. The error is io.EOF, a *FileError when the file turns out to
// be too large, or the error of the reader below.
func (c *CSVReader) Next() (Row, error) {
	row, fields, err := c.record()
	if c.cells = fields; err != nil || row.Err != nil {
		return row, err
	}
	row.SignUp, row.Err = c.signUp(fields)
	return row, nil
}

// Skip passes over rows that were dealt with before, counting as Next does.
func (c *CSVReader) Skip(rows int64) error {
	for range rows {
		if _, _, err := c.record(); err != nil {
			return err
		}
	}
	return nil
}

// record reads the next row that is not blank.
func (c *CSVReader) record() (Row, []string, error) {
	for {
		fields, line, err := c.split.next()
		if err == nil && len(fields) == 1 && len(c.columns) > 1 && strings.IndexByte(fields[0], c.split.delim) >= 0 {
			fields = splitText(fields[0], c.split.delim)
		}
		if len(fields) > len(c.columns) && c.quote != "" {
			fields = joinQuoted(fields, c.quote, string(c.split.delim))
		}
		row := Row{Number: c.rows + 1, Line: int64(line)}
		var fault *rowFault
		switch {
		case errors.As(err, &fault):
			row.Err = &RowError{Code: fault.code, Reason: fault.reason}
		case err != nil:
			return Row{}, nil, err
		case blank(fields):
			continue
		case len(fields) > len(c.columns) && !blank(fields[len(c.columns):]) && c.split.retry(line):
			row.Err = &RowError{Code: errTooManyColumns.code, Reason: errTooManyColumns.reason}
		}
		if c.rows++; c.rows > c.maxRows {
			return Row{}, nil, &FileError{"too_many_rows", fmt.Sprintf("the file has more than %d rows: split it", c.maxRows)}
		}
		return row, fields, nil
	}
}

// signUp maps the cells. Missing cells at the end are empty.
func (c *CSVReader) signUp(fields []string) (SignUp, *RowError) {
	var s SignUp
	c.unread, c.left = nil, nil
	size := 0
	for i, cell := range fields {
		if cell = strings.TrimSpace(c.plain(cell)); cell == "" || liwanag.IsNothing(cell) {
			continue
		}
		field, column := FieldMetadata, "column_"+strconv.Itoa(i+1) // a cell too many
		if i < len(c.columns) {
			field, column = c.mapping[i], c.columns[i]
			if field != FieldIgnore && leaves(column, cell) {
				if c.left = append(c.left, column); !c.stays {
					s.leave(column, cell, c.order)
				}
			}
		}
		size += len(column) + len(cell)
		if field == FieldStanding {
			continue
		}
		if field == FieldTimestamp {
			if t, ok := parseTime(cell, c.order); ok {
				s.Timestamp = t
				continue
			}
			c.unread, field = append(c.unread, column), FieldMetadata
		}
		s.set(field, column, cell)
	}
	if size > maxMetadataBytes/8 { // JSON makes six bytes of one at most
		s.fit()
	}
	c.address(&s, fields)
	if _, err := liwanag.ParseEmail(s.Email); err != nil {
		if len(fields) > len(c.columns) && !blank(fields[len(c.columns):]) { // an unquoted delimiter moved it
			return SignUp{}, &RowError{Code: errTooManyColumns.code, Reason: errTooManyColumns.reason}
		}
		return SignUp{}, &RowError{liwanag.CodeInvalidEmail, string(FieldEmail), err.Error()}
	}
	if c.old != nil {
		c.old.correct(&s, fields)
	}
	return s, nil
}

// address finds the person's address in the cell it should be in, or a better one in the
// other columns that hold addresses. What is not used is kept.
func (c *CSVReader) address(s *SignUp, fields []string) {
	at := columnOf(c.mapping, FieldEmail)
	if at < 0 {
		return
	}
	written, column := s.Email, c.columns[at]
	address, name, others := readAddress(written)
	if s.Email = address; s.FullName == "" && s.FirstName == "" && s.LastName == "" {
		s.FullName = name
	}
	if len(others) > 0 {
		s.keep(column+" (others)", strings.Join(others, ", "))
	}
	i := c.better(s.Email, fields)
	if i < 0 {
		return
	}
	s.Email, _, others = readAddress(strings.TrimSpace(c.plain(fields[i])))
	if len(others) == 0 {
		if delete(s.Metadata, c.columns[i]); len(s.Metadata) == 0 {
			s.Metadata = nil
		}
	}
	if written != "" {
		s.keep(column, written)
	}
}

// better is the column with a better address than the one that was read: the first
// personal one instead of any other, and any instead of none; -1 without.
func (c *CSVReader) better(read string, fields []string) int {
	best := -1
	email, err := liwanag.ParseEmail(read)
	if err == nil && builtin().Classify(email.Domain) != liwanag.Corporate {
		return -1
	}
	for _, i := range c.addresses {
		if i >= len(fields) {
			continue
		}
		address, _, _ := readAddress(strings.TrimSpace(c.plain(fields[i])))
		other, fault := liwanag.ParseEmail(address)
		switch {
		case fault != nil:
		case builtin().Classify(other.Domain) == liwanag.Personal:
			return i
		case err != nil && best < 0:
			best = i
		}
	}
	return best
}

// plain is a cell without what tells a spreadsheet that it is text, and without
// single or typographic quotes in a file that has them around its headers.
func (c *CSVReader) plain(cell string) string {
	if text, ok := strings.CutPrefix(cell, "=\""); ok && strings.HasSuffix(text, "\"") {
		return strings.ReplaceAll(strings.TrimSuffix(text, "\""), "\"\"", "\"")
	}
	if open, inside := otherQuotes(cell); open != "" && c.quote == open {
		return inside
	}
	return csvsafe.Unprotect(cell)
}

// otherQuotes are the quotes around a text beside those of CSV; open is empty without.
func otherQuotes(text string) (open, inside string) {
	for _, pair := range [][2]string{{"'", "'"}, {"“", "”"}, {"„", "“"}, {"”", "”"}, {"‘", "’"}, {"«", "»"}} {
		if inside, ok := strings.CutPrefix(text, pair[0]); ok && inside != "" {
			if inside, ok = strings.CutSuffix(inside, pair[1]); ok && inside != "" {
				return pair[0], inside
			}
		}
	}
	return "", text
}

// joinQuoted puts cells together that a delimiter between such quotes parted.
func joinQuoted(fields []string, quote, delim string) (joined []string) {
	open := false
	for _, cell := range fields {
		if open {
			joined[len(joined)-1] += delim + cell
		} else {
			joined = append(joined, cell)
		}
		whole := strings.TrimSpace(joined[len(joined)-1])
		closed, _ := otherQuotes(whole)
		open = strings.HasPrefix(whole, quote) && closed != quote
	}
	return joined
}

func (s *SignUp) set(field Field, column, cell string) {
	switch field {
	case FieldEmail:
		s.Email = cell
	case FieldSource:
		s.Source = cell
	case FieldID:
		s.ID = cell
	case FieldFirstName:
		s.FirstName = cell
	case FieldLastName:
		s.LastName = cell
	case FieldFullName:
		s.FullName = cell
	case FieldCompanyName:
		s.CompanyName = cell
	case FieldCompanyDomain:
		s.CompanyDomain = cell
	case FieldLinkedInURL:
		s.LinkedInURL = cell
	case FieldSources:
		s.Sources = tagsOf(cell)
	case FieldTags:
		s.Tags = tagsOf(cell)
		s.Tags = s.Tags[:min(len(s.Tags), maxTags)]
		for i, tag := range s.Tags {
			if len(tag) > maxTextBytes {
				s.Tags[i] = cutText(tag)
			}
		}
	case FieldMetadataObject:
		value, _ := parseJSON([]byte(cell))
		object, isObject := value.(map[string]any)
		if !isObject {
			s.keep(column, cell)
		}
		for key, value := range object {
			s.keep(key, value)
		}
	case FieldMetadata:
		s.keep(column, cell)
	}
}

// tagsOf reads tags as programs write them: a JSON list, Google's a ::: * b,
// Mailchimp's "a","b, c", a list in brackets of any kind, or words between commas, semicolons or bars.
func tagsOf(cell string) []string {
	if value, err := parseJSON([]byte(cell)); err == nil && strings.HasPrefix(cell, "[") {
		return Texts(value)
	}
	if open, end := cell[0], cell[len(cell)-1]; len(cell) > 1 && (open == '{' && end == '}' || open == '[' && end == ']') {
		tags := splitText(cell[1:len(cell)-1], ',') // PostgreSQL's {a,"b c"}, Python's ['a', 'b']
		for i, tag := range tags {
			tags[i] = strings.Trim(tag, " '\"")
		}
		return tags
	}
	if strings.Contains(cell, ":::") {
		tags := strings.Split(cell, ":::")
		for i, tag := range tags {
			tags[i] = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(tag), "*"))
		}
		return tags
	}
	if strings.HasPrefix(cell, "\"") {
		for _, delim := range []byte{',', ';', '|'} {
			if tags := splitText(cell, delim); len(tags) > 1 || tags[0] != cell {
				return tags
			}
		}
	}
	tags := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(",;|\n\r，；、", r) })
	for i, tag := range tags {
		if open, inside := otherQuotes(strings.TrimSpace(tag)); open != "" && strings.HasPrefix(cell, open) {
			tags[i] = inside
		}
	}
	return tags
}

func (s *SignUp) keep(key string, value any) {
	if s.Metadata == nil {
		s.Metadata = map[string]any{}
	}
	s.Metadata[key] = value
}

// fit cuts what is too much to be kept: a value, never the person.
func (s *SignUp) fit() {
	for jsonSize(s.Tags) > maxMetadataBytes/2 {
		s.Tags = s.Tags[:len(s.Tags)/2]
	}
	room := maxMetadataBytes - 8<<10 - jsonSize(s.Tags) // the rest is for fields that turn out to be no use
	for most := maxTextBytes * 8; most > 0 && jsonSize(s.Metadata) > room; most /= 2 {
		for key, value := range s.Metadata {
			if text, ok := value.(string); ok && len(text) > most {
				s.Metadata[key] = strings.ToValidUTF8(text[:most], "")
			} else if !ok && jsonSize(value) > most {
				delete(s.Metadata, key)
			}
		}
	}
}

func jsonSize(value any) int {
	raw, _ := json.Marshal(value) // text and what came from JSON
	return len(raw)
}
