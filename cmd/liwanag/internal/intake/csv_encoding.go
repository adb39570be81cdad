package intake

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// sampleBytes is how much of a file is looked at to guess how it is written.
const sampleBytes = 64 << 10

// FileError refuses a file as a whole.
type FileError struct {
	// Code is one of too_many_columns, not_text, bad_header, file_too_large,
	// too_many_rows, empty_file, no_rows, bad_mapping, unknown_encoding.
	Code string
	// Reason says what is wrong and what to do, without any of the file's data.
	Reason string
}

var errNoRows = &FileError{"no_rows", "the file has no row below its header: is it the right one?"}

func (e *FileError) Error() string { return e.Reason }

// Unwrap gives the error class and code.
func (e *FileError) Unwrap() error { return liwanag.NewError(liwanag.Invalid, e.Code, e.Reason) }

// toUTF8 returns the file as UTF-8 or, where single records may still turn out
// to be Windows-1252, as its own bytes, without byte order marks. given names its
// encoding; empty: it is found.
func toUTF8(r io.Reader, given string) (*bufio.Reader, detection, error) {
	in := bufio.NewReaderSize(r, sampleBytes)
	sample, err := in.Peek(sampleBytes)
	if len(sample) == 0 && err != nil && err != io.EOF {
		return nil, detection{}, err
	}
	if fault := knownBinary(sample); fault != nil {
		return nil, detection{}, fault
	}
	if i := bytes.LastIndexAny(sample, lineEnds); err == nil && i > 0 {
		sample = sample[:i] // what follows may be half a letter
	}
	found := detection{name: given}
	if given == "" {
		found = detect(sample)
	}
	name, enc, ok := EncodingNamed(found.name)
	if found.name = name; !ok {
		return nil, found, &FileError{"unknown_encoding", "there is no such encoding: name one such as UTF-8, windows-1252, Shift_JIS or GB18030"}
	}
	if enc != nil && name != latinName {
		in = bufio.NewReaderSize(transform.NewReader(in, enc.NewDecoder()), sampleBytes)
	}
	in = bufio.NewReaderSize(transform.NewReader(in, rewrite{from: marks}), sampleBytes)
	if sample, _ = in.Peek(sampleBytes); separated(sample) {
		in = bufio.NewReaderSize(transform.NewReader(in, rewrite{from: separators, to: "\n"}), sampleBytes)
		sample, _ = in.Peek(sampleBytes)
	}
	return in, found, refuseBinary(sample)
}

// marks are U+FEFF in UTF-8, and what a program makes of it that takes it for Windows-1252.
// They are left out wherever they are: each program a list went through may have put
// one in front of its part, or inside the first quotes.
var marks = []string{"\xef\xbb\xbf", "\u00ef\u00bb\u00bf"}

// separators end a line in Unicode: NEL, of mainframes, and the two of texts.
var separators = []string{"\u0085", "\u2028", "\u2029"}

// separated says whether separators end the lines of a file: most of what they begin
// has an address. In a cell of a text they are a part of it.
func separated(sample []byte) bool {
	text := string(sample)
	for _, separator := range separators {
		text = strings.ReplaceAll(text, separator, "\x00")
	}
	begun, addressed := 0, 0
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(lineEnds, r) }) {
		_, rest, _ := strings.Cut(line, "\x00")
		for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == 0 }) {
			begun++
			if strings.ContainsAny(part, "@\uff20") {
				addressed++
			}
		}
	}
	return addressed > begun/2
}

// rewrite replaces some sequences of bytes by another that is not longer.
type rewrite struct {
	transform.NopResetter
	from []string
	to   string
}

// Transform implements transform.Transformer.
func (r rewrite) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		plain := 0
		for plain < len(src)-nSrc && !r.begins(src[nSrc+plain]) {
			plain++
		}
		n := copy(dst[nDst:], src[nSrc:nSrc+plain])
		nDst, nSrc = nDst+n, nSrc+n
		switch {
		case n < plain:
			return nDst, nSrc, transform.ErrShortDst
		case nSrc == len(src):
			return nDst, nSrc, nil
		}
		skip, put := 1, string(src[nSrc:nSrc+1])
		for _, from := range r.from {
			ahead := src[nSrc:min(nSrc+len(from), len(src))]
			if string(ahead) == from {
				skip, put = len(from), r.to
			} else if !atEOF && strings.HasPrefix(from, string(ahead)) {
				return nDst, nSrc, transform.ErrShortSrc
			}
		}
		if len(dst)-nDst < len(put) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst, nSrc = nDst+copy(dst[nDst:], put), nSrc+skip
	}
	return nDst, nSrc, nil
}

func (r rewrite) begins(c byte) bool {
	for _, from := range r.from {
		if from[0] == c {
			return true
		}
	}
	return false
}

// looksUTF16 finds the byte order mark, or a file in Latin letters without one:
// nearly every other byte is NUL.
func looksUTF16(sample []byte, order unicode.Endianness) bool {
	mark, high := []byte{0xff, 0xfe}, 1
	if order == unicode.BigEndian {
		mark, high = []byte{0xfe, 0xff}, 0
	}
	if bytes.HasPrefix(sample, mark) {
		return true
	}
	pairs, nulHigh, nulLow := len(sample)/2, 0, 0
	for i := range pairs {
		if sample[2*i+high] == 0 {
			nulHigh++
		}
		if sample[2*i+1-high] == 0 {
			nulLow++
		}
	}
	return pairs > 0 && nulHigh*10 >= pairs*7 && nulLow*20 <= pairs
}

// knownBinary recognizes what people upload by mistake.
func knownBinary(sample []byte) error {
	for magic, what := range map[string]string{
		"PK\x03\x04":           "this is an Excel workbook or a ZIP archive: save the sheet as CSV",
		"\xd0\xcf\x11\xe0":     "this is an old Excel workbook: save the sheet as CSV",
		"%PDF":                 "this is a PDF: export the list as CSV",
		"\x1f\x8b":             "this is a gzip archive: unpack it first",
		"\x89PNG":              "this is a picture",
		"SQLite format 3\x00":  "this is a database",
		"\x28\xb5\x2f\xfd":     "this is a zstd archive: unpack it first",
		"7z\xbc\xaf\x27\x1c":   "this is a 7z archive: unpack it first",
		"\xfd7zXZ\x00":         "this is an xz archive: unpack it first",
		"{\\rtf":               "this is a rich text document: export the list as CSV",
		"\x7fELF":              "this is a program",
		"BZh91AY&SY":           "this is a bzip2 archive: unpack it first",
		"\xff\xd8\xff\xe0\x00": "this is a picture",
	} {
		if bytes.HasPrefix(sample, []byte(magic)) {
			return &FileError{"not_text", what}
		}
	}
	return nil
}

// refuseBinary finds anything with more than one control character in twenty; noise
// has twice as many.
func refuseBinary(sample []byte) error {
	controls := 0
	for _, c := range sample {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f {
			controls++
		}
	}
	if controls > 8 && controls*20 > len(sample) {
		return &FileError{"not_text", "this is not a text file: export the list as CSV"}
	}
	return nil
}

// limitReader fails with a *FileError behind its limit.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1] // one more byte tells whether the file goes on
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, &FileError{"file_too_large", "the file is larger than 512 MiB: split it"}
	}
	return n, err
}
