package intake

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"
)

func TestByteOrderMarksAreDroppedWhereverTheyAre(t *testing.T) {
	const mark = "\ufeff"
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(mark + "email,name\n" + mark +
		"a@x.com,Zoë\nb@x.com,B" + mark + "ea\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"one":                     mark + "email,name\na@x.com,Zoë\nb@x.com,Bea\n",
		"two":                     mark + mark + "email,name\na@x.com,Zoë\nb@x.com,Bea\n",
		"inside quotes":           "\"" + mark + "email\",\"name\"\n\"" + mark + "a@x.com\",\"Zoë\"\nb@x.com,Bea\n",
		"before and inside":       mark + "\"" + mark + "email\",name\na@x.com,Zoë\nb@x.com,Bea\n",
		"before each part":        mark + "email,name\na@x.com,Zoë\n" + mark + "b@x.com,Bea\n" + mark,
		"before quotes":           "email,name\na@x.com," + mark + "\"Zoë\"\n" + mark + "\"b@x.com\",\"Bea\"\n",
		"before a separator line": mark + "sep=;\n" + mark + "email;name\na@x.com;Zoë\nb@x.com;Bea\n",
		"read as Windows-1252":    "ï»¿email,name\na@x.com,Zoë\nb@x.com,Bea\n",
		"UTF-16":                  utf16,
		"far below":               "email,name\na@x.com,Zoë\n" + strings.Repeat("\n", 70_000) + mark + "b@x.com,B" + mark + "ea\n",
	} {
		for _, r := range []io.Reader{strings.NewReader(file), iotest.OneByteReader(strings.NewReader(file))} {
			good, bad, c := readAll(t, r, nil)
			want := []SignUp{{Email: "a@x.com", FullName: "Zoë"}, {Email: "b@x.com", FullName: "Bea"}}
			if d := cmp.Diff(want, good); d != "" || bad != nil {
				t.Errorf("%s: %s, bad rows %v", name, d, bad)
			}
			if d := cmp.Diff([]string{"email", "name"}, c.Columns()); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}

func TestWhatOnlyBeginsLikeAMarkStays(t *testing.T) {
	file := "email,name\na@x.com,ﬁn ï »\nb@x.com,\xef\xbb"
	good, bad, _ := readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
	want := []SignUp{{Email: "a@x.com", FullName: "ﬁn ï »"}, {Email: "b@x.com", FullName: "ï»"}}
	if d := cmp.Diff(want, good); d != "" || bad != nil {
		t.Errorf("%s, bad rows %v", d, bad)
	}
}
