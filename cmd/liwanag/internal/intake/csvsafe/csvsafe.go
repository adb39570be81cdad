// Package csvsafe writes CSV that a spreadsheet shows but never executes.
//
// Spreadsheets run a cell as a formula when it begins with one of a few
// characters, and some look behind leading spaces and line breaks. Protect puts
// an apostrophe before every line of a cell that begins so; Unprotect takes it
// away again. The two are exact inverses, so what was exported can be imported.
package csvsafe

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// guard is what spreadsheets read as "the rest is text" and do not show.
const guard = '\''

// Protect returns the cell with every line neutralized that a spreadsheet could
// take for a formula: one whose first visible character is =, +, -, @ (or the
// full-width form of one), or that begins with a tab or a carriage return, also
// behind spaces of any kind. A line that looks protected already gets one more
// apostrophe, so that nothing is lost on the way back.
func Protect(cell string) string {
	if !mayNeedGuard(cell) {
		return cell
	}
	var b strings.Builder
	for start := 0; start < len(cell); {
		end := lineEnd(cell, start)
		if risky(cell[start:], start == 0) {
			b.WriteByte(guard)
		}
		b.WriteString(cell[start:end])
		start = end
	}
	return b.String()
}

// Unprotect undoes Protect. A cell that was never protected is changed only
// where a line begins with an apostrophe before a formula.
func Unprotect(cell string) string {
	if strings.IndexByte(cell, guard) < 0 {
		return cell
	}
	var b strings.Builder
	for start := 0; start < len(cell); {
		end := lineEnd(cell, start)
		line := cell[start:end]
		if line[0] == guard && risky(cell[start:], start == 0) {
			line = line[1:]
		}
		b.WriteString(line)
		start = end
	}
	return b.String()
}

// mayNeedGuard is a cheap look: no line of the cell can need a guard unless its
// first byte is no letter or digit, or there is more than one line.
func mayNeedGuard(cell string) bool {
	if cell == "" {
		return false
	}
	c := cell[0]
	plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	return !plain || strings.ContainsAny(cell, "\r\n")
}

// lineEnd is the offset behind the line that begins at start: behind its LF,
// CRLF or lone CR, or the end of the cell.
func lineEnd(cell string, start int) int {
	i := strings.IndexAny(cell[start:], "\r\n")
	if i < 0 {
		return len(cell)
	}
	end := start + i + 1
	if cell[end-1] == '\r' && end < len(cell) && cell[end] == '\n' {
		end++
	}
	return end
}

// risky reports whether the line that rest begins with, its guards put aside,
// could be taken for a formula. first says that it is the cell's first line,
// where a line break by itself counts.
func risky(rest string, first bool) bool {
	rest = strings.TrimLeft(rest, string(guard))
	for i, r := range rest {
		switch r {
		case '=', '+', '-', '@', '＝', '＋', '－', '＠', '\t':
			return true
		case '\n':
			return first
		case '\r':
			return first || i+1 == len(rest) || rest[i+1] != '\n'
		}
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && !(unicode.IsControl(r) && r < utf8.RuneSelf) {
			return false
		}
	}
	return false
}

// Writer writes records as RFC 4180 says: every cell in quotes, lines end in
// CRLF, UTF-8 without a byte order mark. Cells are protected, NUL is dropped.
type Writer struct {
	w *bufio.Writer
}

// NewWriter returns a Writer to w; call Flush at the end.
func NewWriter(w io.Writer) *Writer { return &Writer{bufio.NewWriterSize(w, 32<<10)} }

// Write writes one record. An error of the writer below stays and is returned
// again by every later call.
func (w *Writer) Write(record []string) error {
	for i, cell := range record {
		if i > 0 {
			_ = w.w.WriteByte(',')
		}
		_ = w.w.WriteByte('"')
		cell = Protect(strings.ReplaceAll(cell, "\x00", ""))
		_, _ = w.w.WriteString(strings.ReplaceAll(cell, `"`, `""`))
		_ = w.w.WriteByte('"')
	}
	_, err := w.w.WriteString("\r\n")
	return err
}

// Flush hands everything on to the writer below.
func (w *Writer) Flush() error { return w.w.Flush() }
