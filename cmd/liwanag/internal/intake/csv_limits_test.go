package intake

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestARowOfManyLongFieldsIsBounded(t *testing.T) {
	wide := func(fields int) string {
		return strings.Repeat(","+strings.Repeat("x", 60<<10), fields) + "\n"
	}
	good, bad, _ := readAll(t, strings.NewReader("email"+strings.Repeat(",x", 199)+"\na@x.com"+wide(68)+"b@x.com"+wide(70)+"c@x.com\n"), nil)
	if d := cmp.Diff([]string{"2 line 3 row_too_long"}, bad); d != "" || emails(good) != "a c" {
		t.Error(d, emails(good))
	}
}

func TestFilesRefusedAsAWhole(t *testing.T) {
	cases := map[string]struct{ file, code string }{
		"empty":              {"", "empty_file"},
		"blank":              {"\xef\xbb\xbf \r\n\r\n", "empty_file"},
		"empty cells":        {",,,\n;;\n", "no_rows"},
		"201 columns":        {"email" + strings.Repeat(",x", 200) + "\n", "too_many_columns"},
		"10^6 commas":        {"email" + strings.Repeat(",", 1e6) + "\n", "too_many_columns"},
		"Excel workbook":     {"PK\x03\x04\x14\x00\x06\x00email", "not_text"},
		"gzip":               {"\x1f\x8b\x08\x00email", "not_text"},
		"binary":             {strings.Repeat("\x01\x02email,\n", 100), "not_text"},
		"header never ends":  {"email,\"" + strings.Repeat("x", 1<<20), "bad_header"},
		"one line of 50 MiB": {strings.Repeat("x", 50<<20), "bad_header"},
		"long first line":    {"email," + strings.Repeat("x", 60<<10) + "," + strings.Repeat("y", 60<<10) + "\n", "bad_header"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := NewCSVReader(strings.NewReader(c.file), nil)
			var refused *FileError
			if !errors.As(err, &refused) || refused.Code != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
	if _, err := NewCSVReader(strings.NewReader("email"+strings.Repeat(",x", 199)+"\n"), nil); err != nil {
		t.Errorf("200 columns: %v", err)
	}
}

func TestSizeLimitsEndTheFile(t *testing.T) {
	last := func(file string, maxBytes, maxRows int64) (rows int, err error) {
		c, err := newCSVReader(strings.NewReader(file), Reading{}, maxBytes, maxRows)
		for err == nil {
			if _, err = c.Next(); err == nil {
				rows++
			}
		}
		return rows, err
	}
	file := "email\n" + strings.Repeat("a@x.com\n", 20_000)
	var refused *FileError
	if rows, err := last(file, int64(len(file)), 20_000); err != io.EOF || rows != 20_000 {
		t.Errorf("at the limits: %d rows, %v", rows, err)
	}
	if _, err := last(file, int64(len(file))-1, 20_000); !errors.As(err, &refused) || refused.Code != "file_too_large" {
		t.Errorf("a byte too many: %v", err)
	}
	if rows, err := last(file, int64(len(file)), 19_999); !errors.As(err, &refused) || refused.Code != "too_many_rows" || rows != 19_999 {
		t.Errorf("a row too many: %d, %v", rows, err)
	}
}

func TestReadErrorsAreNotTheEndOfTheFile(t *testing.T) {
	broken := errors.New("connection reset")
	for _, begin := range []string{"", "email\na@x.com\nb@x", "email\na@x.com\n\"b", "email\n" + strings.Repeat("a@x.com\n", 20_000)} {
		c, err := NewCSVReader(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), nil)
		for err == nil {
			_, err = c.Next()
		}
		if !errors.Is(err, broken) {
			t.Errorf("%.20q: %v", begin, err)
		}
	}
}

// endless makes a file out of a head and a repeated piece.
func endless(head, piece string, size int64) io.Reader {
	block := strings.Repeat(piece, 1+64<<10/len(piece))
	return io.MultiReader(strings.NewReader(head), io.LimitReader(&repeat{block: block}, size))
}

type repeat struct {
	block string
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

func TestBombsAreReadInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	bombs := map[string]io.Reader{
		"one line of 50 MiB":          endless("email,x\na@x.com,", "x", 50<<20),
		"one quoted field of 8 MiB":   endless("email,x\na@x.com,\"", "x", 8<<20),
		"8 MiB of commas":             endless("email,x\na@x.com,", ",", 8<<20),
		"8 MiB of quotes":             endless("email,x\na@x.com,", "\"", 8<<20),
		"quotes never closed":         endless("email,x\n", "a@x.com,\"x\n", 8<<20),
		"every line opens another":    endless("email"+strings.Repeat(",x", 199)+"\n", "a\",\"bcdefghijklmnopqrstuvwxyz\n", 8<<20),
		"rows of 12 MiB":              endless("email"+strings.Repeat(",x", 199)+"\n", "\""+strings.Repeat("y", 60<<10)+"\",", 16<<20),
		"long fields in UTF-16":       endless("\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00", "x\x00", 8<<20),
		"8 MiB of blank lines":        endless("email\n", "\n", 8<<20),
		"a field that grows as 1252":  endless("email,x\na@x.com,", "\x80", 8<<20),
		"metadata of 64 KiB a column": endless("email,a,b,c\n", "a@x.com,"+strings.Repeat("x", 60<<10)+","+strings.Repeat("y", 60<<10)+"\n", 8<<20),
	}
	for name, file := range bombs {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := NewCSVReader(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			var most uint64
			for n := 0; err == nil; n++ {
				if _, err = c.Next(); n%20_000 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapInuse)
				}
			}
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
			var refused *FileError
			if err != io.EOF && !errors.As(err, &refused) {
				t.Error(err)
			}
			if most > before.HeapInuse+32<<20 {
				t.Errorf("%d MiB in use", (most-before.HeapInuse)>>20)
			}
		})
	}
}

// Each line of this file opens a quote that the next ones keep open, so that
// going back one line after every fault would read everything 200 times.
func TestGoingBackAfterFaultsIsBounded(t *testing.T) {
	head := "email" + strings.Repeat(",x", 199) + "\n"
	file := io.MultiReader(endless(head, "a\",\"bcdefghijklmnopqrstuvwxyz\n", 4<<20), strings.NewReader("\n\"\n"),
		strings.NewReader(strings.Repeat("good@x.com\n", 1000)))
	c, err := NewCSVReader(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for err == nil {
		var row Row
		if row, err = c.Next(); row.SignUp.Email == "good@x.com" {
			good++
		}
	}
	if err != io.EOF || good < 700 {
		t.Errorf("%d good rows, %v", good, err)
	}
	if c.split.rescanned > maxRescanBytes {
		t.Errorf("%d MiB were read twice", c.split.rescanned>>20)
	}
}
