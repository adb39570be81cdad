package store

import (
	"testing"
	"time"
)

// TestWhatBecameDueDuringAClaimIsNotPassed is about what is heard, and what is in doubt.
func TestWhatBecameDueDuringAClaimIsNotPassed(t *testing.T) {
	var p Passed
	defs := []Definition{{Workflow: "w", Version: 1}}
	claim := func(during func()) {
		c := p.Begin(defs)
		c.Old, c.New = 100e6, 200e6
		during()
		p.Came(c)
	}
	is := func(what string, old, fresh int64) {
		t.Helper()
		c := p.Begin(defs)
		p.Failed(c)
		if c.Old != old || c.New != fresh {
			t.Errorf("%s: claims begin at %d and %d, want %d and %d", what, c.Old, c.New, old, fresh)
		}
	}
	claim(func() {})
	is("nothing", 100e6, 200e6)
	p.Due(150e6)
	is("heard", 100e6, 150e6)
	claim(func() { p.Due(7) })
	is("heard during a claim", 7, 7)
	claim(func() {})
	p.Doubt(time.Minute)
	is("in doubt", 40e6, 140e6)
	claim(func() { p.Doubt(time.Minute) })
	is("in doubt during a claim", 40e6, 140e6)
}
