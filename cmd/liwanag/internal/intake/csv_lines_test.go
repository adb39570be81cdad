package intake

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestALineEndsWithLFCRLFOrCR(t *testing.T) {
	for name, file := range map[string]string{
		"CR":                        "email,name\ra@x.com,Ann\rb@x.com,Bea\rc@x.com,Cia",
		"CR, one LF at the end":     "email,name\ra@x.com,Ann\rb@x.com,Bea\rc@x.com,Cia\r\n",
		"LF after the header":       "email,name\na@x.com,Ann\rb@x.com,Bea\rc@x.com,Cia\n",
		"CR after the header":       "email,name\ra@x.com,Ann\nb@x.com,Bea\nc@x.com,Cia\n",
		"CRLF, then CR":             "email,name\r\na@x.com,Ann\r\nb@x.com,Bea\rc@x.com,Cia\r",
		"each another":              "email,name\r\na@x.com,Ann\rb@x.com,Bea\nc@x.com,Cia\r\r\n",
		"CR before CRLF":            "email,name\r\r\na@x.com,Ann\r\r\nb@x.com,Bea\r\r\nc@x.com,Cia\r\r\n",
		"behind a closing quote":    "\"email\",\"name\"\r\"a@x.com\",\"Ann\"\r\"b@x.com\",\"Bea\"\n\"c@x.com\",\"Cia\"\r",
		"a CR beside fewer columns": "email,name,city\na@x.com,Ann,Bonn\nb@x.com,Bea\rc@x.com,Cia\n",
		"sep=":                      "sep=;\remail;name\ra@x.com;Ann\rb@x.com;Bea\rc@x.com;Cia\r",
	} {
		for _, r := range []string{"whole", "by the byte"} {
			t.Run(name+" "+r, func(t *testing.T) {
				reader := strings.NewReader(file)
				good, bad, _ := readAll(t, reader, nil)
				if r == "by the byte" {
					good, bad, _ = readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
				}
				var got []string
				for _, row := range good {
					got = append(got, row.Email+" "+row.FullName)
				}
				if d := cmp.Diff([]string{"a@x.com Ann", "b@x.com Bea", "c@x.com Cia"}, got); d != "" || len(bad) > 0 {
					t.Errorf("%s bad: %q", d, bad)
				}
			})
		}
	}
}

func TestALineEndWithinQuotesStays(t *testing.T) {
	file := "email,note\ra@x.com,\"one\rtwo\nthree\r\nfour\"\rnope,2\rb@x.com,\"x\n"
	good, bad, _ := readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
	if len(good) != 1 || good[0].Metadata["note"] != "one\rtwo\nthree\r\nfour" {
		t.Errorf("%+v", good)
	}
	if d := cmp.Diff([]string{"2 line 6 invalid_email", "3 line 7 broken_quotes"}, bad); d != "" {
		t.Error(d)
	}
}

func TestAFaultSpoilsItsOwnLineWhateverEndsIt(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n"} {
		file := strings.Join([]string{"email,note", "a@x.com,\"oops", "b@x.com,2", "c@x.com,3\x00", "d@x.com,4", ""}, end)
		good, bad, _ := readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
		if d := cmp.Diff("b d", emails(good)); d != "" {
			t.Errorf("%q: %s", end, d)
		}
		if d := cmp.Diff([]string{"1 line 2 broken_quotes", "3 line 4 nul_byte"}, bad); d != "" {
			t.Errorf("%q: %s", end, d)
		}
	}
}
