package intake

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestAnExportSaysWhoseFieldsWereFound(t *testing.T) {
	people := []liwanag.Subscriber{
		{ID: liwanag.NewID(liwanag.SubscriberKind), Email: "a@gmail.com", Summary: liwanag.Summary{FullName: "Ann"}, EnrichedAt: time.Now()},
		{ID: liwanag.NewID(liwanag.SubscriberKind), Email: "b@gmail.com", Summary: liwanag.Summary{FullName: "Bob"}},
	}
	var file bytes.Buffer
	if err := Export(t.Context(), &file, func(yield func(liwanag.Subscriber, error) bool) {
		for _, p := range people {
			yield(p, nil)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]bool{file.String(): {true, false},
		strings.Replace(file.String(), "enrichedAt", "more", 1): {false, false}} {
		c, err := NewCSVReader(strings.NewReader(name), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for range people {
			row, err := c.Next()
			if err != nil || row.Err != nil {
				t.Fatal(err, row.Err)
			}
			got = append(got, row.SignUp.Found)
		}
		if !slices.Equal(got, want) {
			t.Errorf("found by a lookup: %v, want %v", got, want)
		}
	}
}

func TestACellThatSaysNothingIsNoName(t *testing.T) {
	for text, want := range map[string]string{"-": "", "–": "", "--": "", " ? ": "", "n/a": "", "N/A": "", "NULL": "", `\N`: "",
		"Null": "Null", "Na": "Na", "Freelance": "Freelance", "3M": "3M", "株式会社": "株式会社", "": ""} {
		got, err := normalizer{domains: liwanag.BuiltinDomains()}.normalize(SignUp{Email: "ann@gmail.com", CompanyName: text, LastName: text})
		if err != nil || got.Summary.CompanyName != want || got.Summary.LastName != want {
			t.Errorf("%q is %+v, %v, want %q", text, got.Summary, err, want)
		}
	}
}
