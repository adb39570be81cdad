package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

// readAll gives the good rows and, one a line, the bad ones.
func readAll(t testing.TB, r io.Reader, mapping map[string]Field) (good []SignUp, bad []string, c *CSVReader) {
	t.Helper()
	c, err := NewCSVReader(r, mapping)
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := c.Next()
		if err == io.EOF {
			return good, bad, c
		}
		if err != nil {
			t.Fatal(err)
		}
		if row.Err != nil {
			bad = append(bad, fmt.Sprintf("%d line %d %s", row.Number, row.Line, row.Err.Code))
			continue
		}
		good = append(good, row.SignUp)
	}
}

func emails(people []SignUp) string {
	var all []string
	for _, p := range people {
		all = append(all, strings.TrimSuffix(p.Email, "@x.com"))
	}
	return strings.Join(all, " ")
}

func TestReaderUnderstandsEveryEncoding(t *testing.T) {
	const file = "Email;Vorname;Stadt\r\njosé@x.com;Zoë;Köln\r\nb@x.com;Ann;Łódź\r\n"
	const latin = "Email;Vorname;Stadt\r\njosé@x.com;Zoë;Köln\r\nb@x.com;Ann;Paris €\r\n"
	encode := func(e encoding.Encoding, s string) string {
		out, err := e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	cases := map[string]struct{ file, city string }{
		"UTF-8":              {file, "Łódź"},
		"UTF-8 with a mark":  {"\xef\xbb\xbf" + file, "Łódź"},
		"UTF-16LE":           {encode(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), file), "Łódź"},
		"UTF-16LE with mark": {encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), file), "Łódź"},
		"UTF-16BE":           {encode(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), file), "Łódź"},
		"UTF-16BE with mark": {encode(unicode.UTF16(unicode.BigEndian, unicode.UseBOM), file), "Łódź"},
		"Windows-1252":       {encode(charmap.Windows1252, latin), "Paris €"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.file), iotest.OneByteReader(strings.NewReader(c.file))} {
				good, bad, _ := readAll(t, r, nil)
				want := []SignUp{
					{Email: "josé@x.com", FirstName: "Zoë", Metadata: map[string]any{"Stadt": "Köln"}},
					{Email: "b@x.com", FirstName: "Ann", Metadata: map[string]any{"Stadt": c.city}},
				}
				if d := cmp.Diff(want, good); d != "" || bad != nil {
					t.Errorf("%s, bad rows %v", d, bad)
				}
			}
		})
	}
}

func TestReaderFindsDelimiterAndColumns(t *testing.T) {
	cases := map[string]struct {
		file    string
		columns []string
		mapping []Field
		first   SignUp
	}{
		"comma": {"E-Mail,First Name,LAST_NAME\na@x.com,Ann,Lee\n", []string{"E-Mail", "First Name", "LAST_NAME"},
			[]Field{FieldEmail, FieldFirstName, FieldLastName}, SignUp{Email: "a@x.com", FirstName: "Ann", LastName: "Lee"}},
		"semicolon with commas inside": {"Name;Email Address\nLee, Ann;a@x.com\n", []string{"Name", "Email Address"},
			[]Field{FieldFullName, FieldEmail}, SignUp{Email: "a@x.com", FullName: "Lee, Ann"}},
		"tab": {"correo electrónico\tempresa\na@x.com\tAcme\n", []string{"correo electrónico", "empresa"},
			[]Field{FieldEmail, FieldCompanyName}, SignUp{Email: "a@x.com", CompanyName: "Acme"}},
		"bar": {"mail|website|linkedin|tags|source\na@x.com|acme.com|linkedin.com/in/a|x, y|blog\n",
			[]string{"mail", "website", "linkedin", "tags", "source"},
			[]Field{FieldEmail, FieldCompanyDomain, FieldLinkedInURL, FieldTags, FieldSource},
			SignUp{Email: "a@x.com", CompanyDomain: "acme.com", LinkedInURL: "linkedin.com/in/a", Tags: []string{"x", " y"}, Source: "blog"}},
		"Excel's first line": {"sep=;\r\nemail;a,b\r\na@x.com;1\r\n", []string{"email", "a,b"},
			[]Field{FieldEmail, FieldMetadata}, SignUp{Email: "a@x.com", Metadata: map[string]any{"a,b": "1"}}},
		"the best of several e-mail columns": {"Work Email,Email\nw@x.com,a@x.com\n", []string{"Work Email", "Email"},
			[]Field{FieldMetadata, FieldEmail}, SignUp{Email: "a@x.com", Metadata: map[string]any{"Work Email": "w@x.com"}}},
		"no header": {"Ann;a@x.com;Paris\nBob;b@x.com;Rome\n", []string{"column_1", "column_2", "column_3"},
			[]Field{FieldMetadata, FieldEmail, FieldMetadata},
			SignUp{Email: "a@x.com", Metadata: map[string]any{"column_1": "Ann", "column_3": "Paris"}}},
		"one column, no header": {"a@x.com\nb@x.com", []string{"column_1"}, []Field{FieldEmail}, SignUp{Email: "a@x.com"}},
		"quoted header, blank lines, empty columns": {"\n\n\"email\",\"first name\",,\n\n,,,\na@x.com,Ann,,\n",
			[]string{"email", "first name"}, []Field{FieldEmail, FieldFirstName}, SignUp{Email: "a@x.com", FirstName: "Ann"}},
		"old Macintosh": {"email,name\ra@x.com,Ann\rb@x.com,Bob\r", []string{"email", "name"},
			[]Field{FieldEmail, FieldFullName}, SignUp{Email: "a@x.com", FullName: "Ann"}},
		"equal headers": {"email,note,note\na@x.com,1,2\n", []string{"email", "note", "note_2"},
			[]Field{FieldEmail, FieldMetadata, FieldMetadata}, SignUp{Email: "a@x.com", Metadata: map[string]any{"note": "1", "note_2": "2"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			good, bad, r := readAll(t, strings.NewReader(c.file), nil)
			if d := cmp.Diff(c.columns, r.Columns()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.mapping, r.Mapping()); d != "" {
				t.Error(d)
			}
			if bad != nil || len(good) == 0 {
				t.Fatalf("bad rows %v, %d good ones", bad, len(good))
			}
			if d := cmp.Diff(c.first, good[0]); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEveryFieldIsRead(t *testing.T) {
	const file = "email,source,id,first name,last name,name,company,domain,linkedin,tags,created at,extra\n" +
		"a@x.com,s,7,f,l,n,c,d.com,linkedin.com/in/a,t;u,2026-01-02T03:04:05Z,'=1\n" +
		"b@x.com,,,,,,,,,,yesterday,\n"
	good, bad, _ := readAll(t, strings.NewReader(file), nil)
	want := []SignUp{
		{Email: "a@x.com", Source: "s", ID: "7", FirstName: "f", LastName: "l", FullName: "n", CompanyName: "c", CompanyDomain: "d.com",
			LinkedInURL: "linkedin.com/in/a", Tags: []string{"t", "u"}, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Metadata: map[string]any{"extra": "=1"}},
		{Email: "b@x.com", Metadata: map[string]any{"created at": "yesterday"}},
	}
	if d := cmp.Diff(want, good); d != "" || bad != nil {
		t.Error(d, bad)
	}
}

func TestMappingOverridesTheHeaders(t *testing.T) {
	const file = "email,Contact,Notes\nold@x.com,a@x.com,hello\n"
	good, _, r := readAll(t, strings.NewReader(file), map[string]Field{"Contact": FieldEmail, "Notes": FieldIgnore})
	if d := cmp.Diff([]Field{FieldMetadata, FieldEmail, FieldIgnore}, r.Mapping()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]SignUp{{Email: "a@x.com", Metadata: map[string]any{"email": "old@x.com"}}}, good); d != "" {
		t.Error(d)
	}
}

func TestAWrongMappingIsToldWhatThereIsToMap(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		file  string
		given map[string]Field
		want  []string
	}{
		"unknown column": {"email,Contact\n", map[string]Field{"Kontact": FieldFullName}, []string{`no column "Kontact"`, `"email", "Contact"`}},
		"unknown field":  {"email,Contact\n", map[string]Field{"Contact": "nmae"}, []string{`no field "nmae"`, `column "Contact"`}},
		"one field twice": {"email,,Contact\n", map[string]Field{"Contact": FieldSource, "": FieldSource},
			[]string{`"source" is given to two columns, "" and "Contact"`}},
		"no header":    {"a@x.com,b\n", map[string]Field{"name": FieldFullName}, []string{`"column_1", "column_2"`}},
		"many columns": {"email" + strings.Repeat(",x", 59) + "\n", map[string]Field{long: FieldID}, []string{`"x_49", and 10 more`}},
	} {
		_, err := NewCSVReader(strings.NewReader(c.file), c.given)
		var refused *FileError
		if !errors.As(err, &refused) || refused.Code != "bad_mapping" || strings.Contains(err.Error(), long) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range append(c.want, "The fields: email, source, id, firstName, lastName, fullName, companyName, companyDomain, "+
			"linkedinUrl, tags, timestamp, sources, metadata, metadataObject, standing, ignore") {
			if !strings.Contains(refused.Reason, want) {
				t.Errorf("%s: %q is not in %q", name, want, refused.Reason)
			}
		}
	}
	if names := fieldNames(); len(names) != len(aliases)+4 {
		t.Errorf("%d fields are named: %v", len(names), names)
	}
}

func TestABadRowCostsOnlyItself(t *testing.T) {
	long := strings.Repeat("x", maxFieldBytes+1)
	cases := map[string]struct {
		rows string
		good string
		bad  []string
	}{
		"invalid address":        {"a@x.com,1\nnope,2\nb@x.com,3\n", "a b", []string{"2 line 3 invalid_email"}},
		"empty address":          {",1\nb@x.com,3\n", "b", []string{"1 line 2 invalid_email"}},
		"missing cells at end":   {"a@x.com\nb@x.com,3\n", "a b", nil},
		"empty cells too many":   {"a@x.com,1,,\nb@x.com,3\n", "a b", nil},
		"too many cells":         {"a@x.com,1,2\nb@x.com,3\n", "a b", nil},
		"10^6 commas":            {"a@x.com" + strings.Repeat(",", 1e6) + "\nb@x.com,3\n", "b", []string{"1 line 2 too_many_columns"}},
		"quote never closed":     {"a@x.com,\"oops\nb@x.com,3\nc@x.com,4\n", "b c", []string{"1 line 2 broken_quotes"}},
		"text behind a quote":    {"a@x.com,\"oops\"oops\nb@x.com,3\n", "a b", nil},
		"quote closed far below": {"a@x.com,\"oops\nb@x.com,3\nc@x.com,\"Lee, C\"\n", "b c", []string{"1 line 2 broken_quotes"}},
		"swallowed rows come back": {"a@x.com,\"oops\nb@x.com,3\nc@x.com,4\",5\nd@x.com,6\n", "b c d",
			[]string{"1 line 2 too_many_columns"}},
		"NUL":                       {"a@x.com,o\x00ps\nb\x00@x.com,3\n\x00\x00", "a", []string{"2 line 3 invalid_email"}},
		"field of 64 KiB":           {"a@x.com," + long[1:] + "\nb@x.com,3\n", "a b", nil},
		"field over 64 KiB":         {"a@x.com," + long + "\nb@x.com,3\n", "a b", nil},
		"quoted field of 64 KiB":    {"a@x.com,\"" + long[1:] + "\"\nb@x.com,3\n", "a b", nil},
		"quoted field over 64 KiB":  {"a@x.com,\"" + long + "\"\nb@x.com,3\n", "a b", nil},
		"lines over 64 KiB":         {"a@x.com,\"" + strings.Repeat("xé\n", 20_000) + "\"\nb@x.com,3\n", "a b", nil},
		"open quote over 64 KiB":    {"a@x.com,\"oops\nb@x.com,3\nc@x.com," + long + "\nd@x.com,5\n", "b c d", []string{"1 line 2 broken_quotes"}},
		"open quote over 256 KiB":   {"a@x.com,\"oops\nb@x.com,3\nc@x.com," + strings.Repeat(long, 5) + "\nd@x.com,5\n", "b c d", []string{"1 line 2 field_too_long"}},
		"no half letter":            {"a@x.com," + strings.Repeat("é", maxFieldBytes) + ",Zoë\nb@x.com,\"x" + strings.Repeat("é", maxFieldBytes) + "\"\n", "a b", nil},
		"lines within quotes":       {"a@x.com,\"one\ntwo\r\nthree\"\nnope,2\nb@x.com,3\n", "a b", []string{"2 line 5 invalid_email"}},
		"doubled quotes":            {"a@x.com,\"say \"\"hi\"\"\"\nb@x.com,\"\"\n", "a b", nil},
		"quotes inside are literal": {"a@x.com,5\" pipe\nb@x.com,3\n", "a b", nil},
		"no line break at the end":  {"a@x.com,1\r\nb@x.com,\"3\"", "a b", nil},
		"CR at the end":             {"a@x.com,1\r\nb@x.com,\"3\"\r", "a b", nil},
		"line break in an address":  {"\"a\n@x.com\",1\nb@x.com,3\n", "b", []string{"1 line 2 invalid_email"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader("email,note\n" + c.rows),
				iotest.HalfReader(strings.NewReader("email,note\n" + c.rows))} {
				good, bad, _ := readAll(t, r, nil)
				if d := cmp.Diff(c.good, emails(good)); d != "" {
					t.Error("good", d)
				}
				if d := cmp.Diff(c.bad, bad); d != "" {
					t.Error("bad", d)
				}
			}
		})
	}
}

func TestSkipCountsAsNextDoes(t *testing.T) {
	const file = "email,x\na@x.com,1\n\nnope,2\nb@x.com,\"oops\nc@x.com,\"3\n3\"\n,,\nd@x.com,1,2,3\ne@x.com,5\n"
	all, err := NewCSVReader(strings.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []Row
	for {
		row, err := all.Next()
		if err == io.EOF {
			break
		}
		want = append(want, row)
	}
	if len(want) != 6 {
		t.Fatalf("%d rows: %+v", len(want), want)
	}
	for skip := range want {
		c, err := NewCSVReader(strings.NewReader(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Skip(int64(skip)); err != nil {
			t.Fatal(err)
		}
		got, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[skip], got); d != "" {
			t.Errorf("after %d: %s", skip, d)
		}
	}
}

// What encoding/csv writes must come back as it was: it is the second opinion on
// quoting, delimiters and line breaks.
func TestReaderAgreesWithEncodingCSV(t *testing.T) {
	cell := rapid.StringOf(rapid.SampledFrom([]rune("ab ,;\t|\"'\n\r\né€=")))
	rapid.Check(t, func(t *rapid.T) {
		notes := rapid.SliceOfN(cell, 1, 20).Draw(t, "notes")
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		w.Comma = rapid.SampledFrom([]rune(",;\t|")).Draw(t, "delimiter")
		w.UseCRLF = rapid.Bool().Draw(t, "crlf")
		records := [][]string{{"email", "source", "x"}}
		for i, note := range notes {
			records = append(records, []string{strconv.Itoa(i) + "@x.com", "web", note})
		}
		if err := w.WriteAll(records); err != nil {
			t.Fatal(err)
		}
		split := &splitter{src: iotest.HalfReader(bytes.NewReader(file.Bytes())), delim: byte(w.Comma), line: 1}
		for i, want := range records {
			got, _, err := split.next()
			if err != nil {
				t.Fatalf("record %d: %v in %q", i, err, file.String())
			}
			if w.UseCRLF { // then encoding/csv writes every LF as CRLF and drops CRs
				got[2] = strings.ReplaceAll(got[2], "\r\n", "\n")
				want[2] = strings.ReplaceAll(want[2], "\r", "")
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("record %d: %s in %q", i, d, file.String())
			}
		}
		if _, _, err := split.next(); err != io.EOF {
			t.Fatalf("behind the last record: %v", err)
		}
	})
}

// Whatever the file, every line that is a good row by itself and lies behind the
// damage is read, row numbers count up, and lines never go back.
func checkAnyFile(t interface{ Fatalf(string, ...any) }, file []byte) {
	c, err := newCSVReader(bytes.NewReader(file), Reading{}, 1<<20, 1000)
	if err != nil {
		return
	}
	lines := int64(bytes.Count(file, []byte{'\n'}) + bytes.Count(file, []byte{'\r'}) + 1)
	var number, line int64
	for {
		row, err := c.Next()
		var refused *FileError
		if err == io.EOF || errors.As(err, &refused) {
			return
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		if row.Number != number+1 || row.Line <= line || row.Line > lines {
			t.Fatalf("row %d on line %d follows row %d on line %d of %d", row.Number, row.Line, number, line, lines)
		}
		number, line = row.Number, row.Line
	}
}

func FuzzCSVReader(f *testing.F) {
	f.Add([]byte("email,note\na@x.com,\"1\n2\"\nb@x.com,\"oops\nc@x.com,3\n"))
	f.Add([]byte("sep=;\r\nemail;x\r\na@x.com;'=1\r\n"))
	f.Add([]byte("\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00"))
	f.Add([]byte("a@x.com|\"\"\"\r\n\x00,"))
	f.Fuzz(func(t *testing.T, file []byte) { checkAnyFile(t, file) })
}

func TestAFaultNeverSwallowsTheRestOfTheFile(t *testing.T) {
	piece := rapid.SampledFrom([]string{"\"", "\"\"", ",", "\n", "\r\n", "x", "\x00", "é", "\xff", "a@x.com"})
	rapid.Check(t, func(t *rapid.T) {
		damage := strings.Join(rapid.SliceOfN(piece, 0, 30).Draw(t, "damage"), "")
		file := "email,note\n" + damage + "\n"
		checkAnyFile(t, []byte(file))
		for i := range 100 {
			file += fmt.Sprintf("good%d@x.com,1\n", i)
		}
		c, err := NewCSVReader(strings.NewReader(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for {
			row, err := c.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if row.Err == nil && strings.HasPrefix(row.SignUp.Email, "good") {
				found = append(found, row.SignUp.Email)
			}
		}
		if len(found) != 100 {
			t.Fatalf("only %d came through in %q", len(found), file)
		}
	})
}

func TestEveryAliasMeansOneField(t *testing.T) {
	owner := map[string]Field{}
	for field, names := range aliases {
		for _, name := range names {
			if headerKey(name) != name {
				t.Errorf("%q can never match, its key is %q", name, headerKey(name))
			}
			if other, ok := owner[name]; ok {
				t.Errorf("%q means %s and %s", name, field, other)
			}
			owner[name] = field
		}
	}
}

func BenchmarkCSVReader(b *testing.B) {
	var file bytes.Buffer
	file.WriteString("email,first name,last name,company,city,\"note\"\n")
	const rows = 50_000
	for i := range rows {
		fmt.Fprintf(&file, "person%d@gmail.com,Ann,Lee,Acme Inc,Paris,\"a, b\"\n", i)
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		c, err := NewCSVReader(bytes.NewReader(file.Bytes()), nil)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; err == nil; n++ {
			_, err = c.Next()
		}
		if n != rows+1 {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
