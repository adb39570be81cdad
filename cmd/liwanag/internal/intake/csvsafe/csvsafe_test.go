package csvsafe

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEveryFormulaStartIsNeutralized(t *testing.T) {
	starters := []string{"=", "+", "-", "@", "\t", "\r"}
	befores := map[string]string{"plain": "", "space": " ", "NBSP": "\u00a0", "LF": "\n", "CRLF": "\r\n",
		"text and LF": "text\n", "text and CRLF": "text\r\n", "text and CR": "text\r", "zero width": "\u200b", "tab": "\t",
		"text, LF, spaces": "text\n \u00a0", "control": "\x01"}
	for _, starter := range starters {
		for name, before := range befores {
			t.Run(fmt.Sprintf("%q after %s", starter, name), func(t *testing.T) {
				cell := before + starter + "cmd|'/C calc'!A0"
				protected := Protect(cell)
				for line := range lines(protected) {
					if !harmless(line) {
						t.Errorf("%q has the line %q", protected, line)
					}
				}
				if protected[0] != '\'' && !strings.HasPrefix(cell, "text") {
					t.Errorf("%q does not begin with an apostrophe", protected)
				}
				if got := Unprotect(protected); got != cell {
					t.Errorf("came back as %q, want %q", got, cell)
				}
			})
		}
	}
}

// lines splits where any spreadsheet might see a line, CRLF being one break.
func lines(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, part := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
			for _, line := range strings.Split(part, "\r") {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// harmless is written without the package's own helpers: the first visible
// character must not start a formula.
func harmless(line string) bool {
	visible := strings.TrimLeft(line, " \t\u00a0\u200b\x01")
	return visible == "" || !strings.ContainsAny(visible[:1], "=+-@")
}

func TestHarmlessCellsAreNotTouched(t *testing.T) {
	for _, cell := range []string{"", "Ann", "a=b", "O'Neil", "'quoted'", "1-2", " Ann", "two\n\nlines", "two\r\nlines",
		"ann@example.com", "two\n\r\nlines", "\u00a0", "ends in CRLF\r\n"} {
		if got := Protect(cell); got != cell {
			t.Errorf("Protect(%q) = %q", cell, got)
		}
		if got := Unprotect(cell); got != cell {
			t.Errorf("Unprotect(%q) = %q", cell, got)
		}
	}
}

func TestUnprotectUndoesProtect(t *testing.T) {
	piece := rapid.SampledFrom([]string{"=", "+", "-", "@", "\t", "\r", "\n", "\r\n", " ", "\u00a0", "'", "''", "a",
		"\"", ",", "＝", "\u200b", "\x01", "é", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		cell := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		protected := Protect(cell)
		if got := Unprotect(protected); got != cell {
			t.Fatalf("%q came back as %q through %q", cell, got, protected)
		}
		for line := range lines(protected) {
			if !harmless(line) {
				t.Fatalf("%q has the line %q", protected, line)
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("'=1\r\n\r'+")
	f.Fuzz(func(t *testing.T, cell string) {
		if got := Unprotect(Protect(cell)); got != cell {
			t.Fatalf("%q came back as %q", cell, got)
		}
	})
}

func TestWriterQuotesEveryCell(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b)
	record := []string{"plain", `a "quoted" one`, "=1+1", "a,b;c", "", "two\nlines", "nul\x00"}
	if err := errors.Join(w.Write(record), w.Flush()); err != nil {
		t.Fatal(err)
	}
	want := "\"plain\",\"a \"\"quoted\"\" one\",\"'=1+1\",\"a,b;c\",\"\",\"two\nlines\",\"nul\"\r\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	got, err := csv.NewReader(strings.NewReader(b.String())).Read()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"plain", `a "quoted" one`, "'=1+1", "a,b;c", "", "two\nlines", "nul"}, got); d != "" {
		t.Error(d)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriterReportsTheErrorBelow(t *testing.T) {
	w := NewWriter(brokenWriter{})
	err := w.Write([]string{strings.Repeat("x", 1<<16)})
	if !errors.Is(err, errBroken) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Flush(); !errors.Is(err, errBroken) {
		t.Errorf("Flush: %v", err)
	}
}
