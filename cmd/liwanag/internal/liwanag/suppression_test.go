package liwanag

import (
	"slices"
	"testing"
)

func TestADomainIsKnownByAllItsNames(t *testing.T) {
	for key, want := range map[string][]string{
		"mara@gmail.com":         {"gmail.com", "googlemail.com"},
		"mara@googlemail.com":    {"gmail.com", "googlemail.com"},
		"mara@mail.acme.example": {"mail.acme.example", "acme.example"},
	} {
		if got := DomainsOf(key); !slices.Equal(got, want) {
			t.Errorf("%s is of %q, want %q", key, got, want)
		}
	}
	all := Suppressions{All: []Suppression{{Domain: "gmail.com"}}}
	if !all.Has("mara@googlemail.com") || all.Has("mara@gmail.com.example") {
		t.Error("a suppressed domain is not what its names say")
	}
}
