package intake

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// splitter cuts a stream into CSV records. It differs from encoding/csv in what
// happens after a fault: it goes on at the next physical line, so that one
// stray quote spoils its own row and not the rest of the file; and in that a line
// ends with LF, CRLF or a CR alone, as they come, since files are glued together
// from parts of several systems. It holds one record and never more than
// maxRecordBytes.
type splitter struct {
	src   io.Reader
	delim byte

	buf             []byte
	start, pos, end int // buf[start:pos] is read of the present record, buf[pos:end] is ahead
	line            int // the physical line at pos, from 1
	srcErr          error
	rescanned       int  // bytes read twice because of faults
	escapes         bool // the file writes \" for a quote
	opened          int  // where behind start the present quoted field began
	full            bool // the present field is cut

	raw    []byte // the fields of the record, unquoted, one behind the other
	ends   []int  // where each ends in raw
	fields []string
}

const (
	maxFieldBytes  = 64 << 10  // of a longer field that much is read
	maxSpanBytes   = 256 << 10 // of a quoted field of several lines: its end was forgotten
	maxColumns     = 200
	maxRecordBytes = 4 << 20
	firstBufBytes  = 64 << 10
	// maxRescanBytes bounds what going back after faults may cost over a whole
	// file; a file made to exceed it loses rows, never time.
	maxRescanBytes = 256 << 20
)

// Faults of one record, each with a stable code.
var (
	errBrokenQuotes   = &rowFault{"broken_quotes", "a quoted field is not closed, or text follows its closing quote"}
	errFieldTooLong   = &rowFault{"field_too_long", "a field of several lines is longer than 256 KiB"}
	errRowTooLong     = &rowFault{"row_too_long", "the row is longer than 4 MiB"}
	errTooManyColumns = &rowFault{"too_many_columns", "the row has more columns than the header"}
)

type rowFault struct{ code, reason string }

func (f *rowFault) Error() string { return f.code + ": " + f.reason }

// next reads one record and gives the physical line it begins on. Its fields
// stay valid, the slice that holds them only until the next call. The error is
// a *rowFault (the next call goes on behind the record's first line), io.EOF,
// or the source's own. A blank line is a record of one empty field.
func (s *splitter) next() (fields []string, line int, err error) {
	s.start, line = s.pos, s.line
	s.raw, s.ends = s.raw[:0], s.ends[:0]
	if !s.more() {
		return nil, line, s.sourceError(io.EOF)
	}
	firstBreak := -1 // how far behind start the second physical line begins, once known
	for {
		last, fault := s.field(&firstBreak)
		if fault != nil {
			if err := s.sourceError(nil); err != nil {
				return nil, line, err
			}
			s.resync(line, firstBreak)
			return nil, line, fault
		}
		s.ends = append(s.ends, len(s.raw))
		if last {
			break
		}
		if len(s.ends) == maxColumns {
			s.resync(line, firstBreak)
			return nil, line, errTooManyColumns
		}
	}
	for from := bytes.IndexByte(s.raw, 0); from >= 0 && from < len(s.raw); from++ {
		if s.raw[from] == 0 {
			s.raw[from] = ' ' // as of other control characters, nothing is lost
		}
	}
	return s.strings(), line, s.sourceError(nil)
}

// retry makes the next call begin on the physical line behind the one on which
// the record just read began, and says so. It does nothing for a record of one
// line.
func (s *splitter) retry(line int) bool {
	record := s.buf[s.start:s.pos]
	i := bytes.IndexAny(record, lineEnds)
	if i < 0 || len(bytes.Trim(record[i:], lineEnds)) == 0 {
		return false
	}
	s.back(line, i+1)
	return true
}

const lineEnds = "\r\n"

// endLine passes the second half of a CRLF whose first was passed.
func (s *splitter) endLine() {
	if s.buf[s.pos-1] == '\r' && s.more() && s.buf[s.pos] == '\n' {
		s.pos++
	}
}

// back goes to the record's second line, which begins firstBreak behind start.
func (s *splitter) back(line, firstBreak int) bool {
	behind := s.pos - s.start - firstBreak
	if s.rescanned+behind > maxRescanBytes {
		return false
	}
	s.rescanned += behind
	s.pos, s.line = s.start+firstBreak, line+1
	s.endLine()
	return true
}

// resync goes to the physical line behind the one where the record began.
func (s *splitter) resync(line, firstBreak int) {
	if firstBreak >= 0 && s.back(line, firstBreak) {
		return
	}
	s.line++
	for {
		if i := bytes.IndexAny(s.buf[s.pos:s.end], lineEnds); i >= 0 {
			s.pos += i + 1
			s.endLine()
			return
		}
		s.pos = s.end
		s.start = s.pos // drop what was read, however long the line is
		if !s.more() {
			return
		}
	}
}

// field reads one field into raw. last says that the record ends with it. Its
// quotes may stand behind spaces, and behind the = by which a spreadsheet is told
// that a cell is text.
func (s *splitter) field(firstBreak *int) (last bool, fault error) {
	s.full = false
	quote := s.spaces(0)
	if s.at(quote) == '=' && s.at(quote+1) == '"' {
		quote++
	}
	if s.at(quote) == '"' {
		s.pos += quote + 1
		if err := s.quoted(firstBreak); err != nil {
			return false, err
		}
	}
	return s.plain()
}

// quoted reads up to the closing quote, which is followed by a delimiter or a
// line break, spaces aside.
func (s *splitter) quoted(firstBreak *int) error {
	begin, line, inner := len(s.raw), s.line, 0
	s.opened = s.pos - s.start
	for {
		if !s.more() {
			return errBrokenQuotes
		}
		ahead := s.buf[s.pos:s.end]
		quote := bytes.IndexByte(ahead, '"')
		chunk := ahead
		if quote >= 0 {
			chunk = ahead[:quote]
		}
		if err := s.take(chunk, begin, firstBreak); err != nil {
			return err
		}
		if quote < 0 {
			continue
		}
		s.pos++ // the quote
		escaped := len(s.raw) > begin && s.raw[len(s.raw)-1] == '\\'
		switch n := s.spaces(0); {
		case escaped && s.escapes:
			s.raw[len(s.raw)-1] = '"'
		case s.endsField(n):
			s.pos += n
			return nil
		case s.at(0) == '"': // "" is one quote
			if err := s.take(s.buf[s.pos:s.pos+1], begin, firstBreak); err != nil {
				return err
			}
		case escaped: // who doubles quotes never writes this
			s.escapes = true
			s.raw[len(s.raw)-1] = '"'
		case s.line != line:
			return errBrokenQuotes
		default:
			if s.pos-s.start > inner {
				inner = s.pos - s.start + s.closing()
			}
			s.raw = append(s.raw, '"')
			if s.pos-s.start == inner { // "Roe, Bea" <bea@x.com> is kept as it is written
				s.raw = slices.Insert(s.raw, begin, '"')
				return nil
			}
		}
	}
}

// closing is how far ahead on this line the quote is that closes the field whose
// inner quotes are not doubled, 0 if there is none.
func (s *splitter) closing() int {
	opens := false // a quote here would open a field
	for n := 0; s.at(n) != 0; n++ {
		switch c := s.at(n); {
		case c == '\r' || c == '\n' || n >= maxLookAhead || c == '"' && opens:
			return 0
		case c == '"' && s.endsField(s.spaces(n+1)):
			return n + 1
		case c == s.delim:
			opens = true
		case c != ' ':
			opens = false
		}
	}
	return 0
}

const maxLookAhead = 4 << 10

// at is the byte n ahead, 0 behind the end.
func (s *splitter) at(n int) byte {
	for s.pos+n >= s.end {
		if !s.fill() {
			return 0
		}
	}
	return s.buf[s.pos+n]
}

// spaces gives where, from n ahead, the spaces end.
func (s *splitter) spaces(n int) int {
	for from := n; n-from < maxLookAhead && (s.at(n) == ' ' || s.at(n) == '\t' && s.delim != '\t'); {
		n++
	}
	return n
}

// endsField says whether a delimiter, a line end or the end is n ahead.
func (s *splitter) endsField(n int) bool {
	c := s.at(n)
	return s.pos+n >= s.end || c == s.delim || c == '\r' || c == '\n'
}

// splitText cuts a cell that is a whole line.
func splitText(text string, delim byte) []string {
	inner := splitter{buf: []byte(text), end: len(text), srcErr: io.EOF, delim: delim, line: 1}
	fields, _, err := inner.next()
	if err != nil {
		return []string{text}
	}
	return fields
}

// take moves a piece of a quoted field into raw, counting its lines.
func (s *splitter) take(chunk []byte, begin int, firstBreak *int) error {
	for i, c := range chunk {
		if c == '\r' || c == '\n' && s.buf[s.pos+i-1] != '\r' {
			if *firstBreak < 0 {
				*firstBreak = s.pos - s.start + i + 1
			}
			s.line++
		}
	}
	s.keep(chunk, begin)
	s.pos += len(chunk)
	if *firstBreak >= s.opened && s.pos-s.start-s.opened > maxSpanBytes {
		return errFieldTooLong
	}
	return s.checkRecord()
}

// keep adds to the field that begins at begin of raw what there is room for, and no
// half of a letter.
func (s *splitter) keep(chunk []byte, begin int) {
	room := maxFieldBytes - (len(s.raw) - begin)
	switch {
	case s.full:
		return
	case len(chunk) <= room:
		s.raw = append(s.raw, chunk...)
		return
	}
	s.full = true
	s.raw = append(s.raw, chunk[:room]...)
	for range utf8.UTFMax - 1 {
		if r, size := utf8.DecodeLastRune(s.raw[begin:]); r == utf8.RuneError && size == 1 {
			s.raw = s.raw[:len(s.raw)-1]
		}
	}
}

// plain reads up to the delimiter or the end of the line. Quotes in it stand for
// themselves.
func (s *splitter) plain() (last bool, fault error) {
	begin := len(s.raw)
	for s.more() {
		ahead := s.buf[s.pos:s.end]
		i := 0
		for i < len(ahead) && ahead[i] != s.delim && ahead[i] != '\n' && ahead[i] != '\r' {
			i++
		}
		s.keep(ahead[:i], begin)
		s.pos += i
		if err := s.checkRecord(); err != nil {
			return false, err
		}
		if i == len(ahead) {
			continue
		}
		s.pos++
		if ahead[i] == s.delim {
			return false, nil
		}
		s.line++
		s.endLine()
		return true, nil
	}
	return true, nil
}

func (s *splitter) checkRecord() error {
	if s.pos-s.start > maxRecordBytes {
		return errRowTooLong
	}
	return nil
}

// more makes sure that a byte lies ahead.
func (s *splitter) more() bool { return s.pos < s.end || s.fill() }

// fill reads more behind what lies ahead, keeping the record's bytes.
func (s *splitter) fill() bool {
	if s.srcErr != nil {
		return false
	}
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.pos, s.end, s.start = s.pos-s.start, s.end-s.start, 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, max(firstBufBytes, len(s.buf)))...)
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.end:])
		s.end += n
		s.srcErr = err
		if n > 0 || err != nil {
			return n > 0
		}
	}
	s.srcErr = io.ErrNoProgress
	return false
}

// sourceError is the error of the source, unless it is the ordinary end.
func (s *splitter) sourceError(atEnd error) error {
	if s.pos < s.end || s.srcErr == nil || s.srcErr == io.EOF {
		return atEnd
	}
	return s.srcErr
}

// strings gives the fields; a record that is not UTF-8 is read as Windows-1252.
func (s *splitter) strings() []string {
	s.fields = s.fields[:0]
	if !utf8.Valid(s.raw) {
		begin := 0
		for _, end := range s.ends {
			text, _ := charmap.Windows1252.NewDecoder().Bytes(s.raw[begin:end]) // never fails: each byte is a character
			s.fields = append(s.fields, string(text))
			begin = end
		}
		return s.fields
	}
	all, begin := string(s.raw), 0
	for _, end := range s.ends {
		s.fields = append(s.fields, all[begin:end])
		begin = end
	}
	return s.fields
}
