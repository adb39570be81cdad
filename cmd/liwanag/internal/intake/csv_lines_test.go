package intake

import (
	"encoding/json"
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
		"NEL":                       "email,name\u0085a@x.com,Ann\u0085b@x.com,Bea\u0085c@x.com,Cia\u0085",
		"U+2028":                    "email,name\u2028a@x.com,Ann\u2028b@x.com,Bea\u2028c@x.com,Cia",
		"U+2029, doubled":           "email,name\u2029\u2029a@x.com,Ann\u2029\u2029b@x.com,Bea\u2029\u2029c@x.com,Cia\u2029",
		"NEL among others":          "email,name\r\na@x.com,Ann\u0085b@x.com,Bea\nc@x.com,Cia\u2028",
		"U+2028 behind quotes":      "\"email\",\"name\"\u2028\"a@x.com\",\"Ann\"\u2028\"b@x.com\",\"Bea\"\u2028\"c@x.com\",\"Cia\"",
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

func TestASeparatorWithinACellStays(t *testing.T) {
	file := "email,note\na@x.com,one\u2028two\nb@x.com,\"three\u2029four\u0085five\"\n"
	good, bad, _ := readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
	if len(bad) > 0 || len(good) != 2 || good[0].Metadata["note"] != "one\u2028two" ||
		good[1].Metadata["note"] != "three\u2029four\u0085five" {
		t.Errorf("%+v %q", good, bad)
	}
}

func TestAttributesBecomeMetadataOneByOne(t *testing.T) {
	file := "uuid,email,name,attributes,status\n" +
		`1,a@x.com,Ann,"{""city"": ""Bonn"", ""account"": 12345678901234567890, ""likes"": [""go""]}",enabled` +
		"\n2,b@x.com,Bea,{},enabled\n3,c@x.com,Cia,tall,enabled\n"
	good, bad, _ := readAll(t, strings.NewReader(file), nil)
	if len(bad) > 0 || len(good) != 3 {
		t.Fatalf("%+v %q", good, bad)
	}
	raw, err := json.Marshal([]any{good[0].Metadata, good[1].Metadata, good[2].Metadata})
	if want := `[{"account":12345678901234567890,"city":"Bonn","likes":["go"],"status":"enabled"},` +
		`{"status":"enabled"},{"attributes":"tall","status":"enabled"}]`; err != nil || string(raw) != want {
		t.Errorf("%s, want %s", raw, want)
	}
}

func TestAFaultSpoilsItsOwnLineWhateverEndsIt(t *testing.T) {
	for _, end := range []string{"\r", "\n", "\r\n"} {
		file := strings.Join([]string{"email,note", "a@x.com,\"oops", "b@x.com,2", "c\x00@x.com,3", "d@x.com,4", ""}, end)
		good, bad, _ := readAll(t, iotest.OneByteReader(strings.NewReader(file)), nil)
		if d := cmp.Diff("b d", emails(good)); d != "" {
			t.Errorf("%q: %s", end, d)
		}
		if d := cmp.Diff([]string{"1 line 2 broken_quotes", "3 line 4 invalid_email"}, bad); d != "" {
			t.Errorf("%q: %s", end, d)
		}
	}
}
