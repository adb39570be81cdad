package store

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Passed is how far the claims of a process have come: up to when nothing is due that
// its definitions hold, in microseconds since 1970, by class. A database store looks
// from there on, so that due runs which nobody's definition holds are passed once and
// cost nothing more. Whatever makes a run due says so.
type Passed struct {
	mu       sync.Mutex
	old, new int64
	defs     []Definition
	keys     []string
	claims   []*Passing
}

// Passing is one claim: where it begins, and then how far it came.
type Passing struct {
	Old, New int64
	// Keys are its definitions as a statement knows them: workflow, slash, version.
	Keys []string
	low  int64 // since when something is due that became so meanwhile
	back int64 // how much of what it passes is in doubt meanwhile
}

// Due says that a run is due, or will be, from the given time on.
func (p *Passed) Due(at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.old, p.new = min(p.old, at), min(p.new, at)
	for _, c := range p.claims {
		c.low = min(c.low, at)
	}
}

// Doubt says that something may have become due unheard, since so long before what was
// passed.
func (p *Passed) Doubt(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	back := d.Microseconds()
	p.old, p.new = p.old-back, p.new-back
	for _, c := range p.claims {
		c.back = back
	}
}

// Begin begins a claim for these definitions; Came or Failed ends it.
func (p *Passed) Begin(defs []Definition) *Passing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys == nil || !slices.Equal(defs, p.defs) {
		p.defs, p.keys, p.old, p.new = slices.Clone(defs), make([]string, len(defs)), 0, 0
		for i, d := range defs {
			p.keys[i] = d.Workflow + "/" + strconv.Itoa(d.Version)
		}
	}
	c := &Passing{Old: p.old, New: p.new, Keys: p.keys, low: math.MaxInt64}
	p.claims = append(p.claims, c)
	return c
}

// Came ends a claim that came as far as it says, but for what became due meanwhile.
func (p *Passed) Came(c *Passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(c)
	if slices.Equal(c.Keys, p.keys) {
		p.old, p.new = min(c.Old-c.back, c.low), min(c.New-c.back, c.low)
	}
}

// Failed ends a claim of which nothing is known.
func (p *Passed) Failed(c *Passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(c)
}

func (p *Passed) end(c *Passing) {
	p.claims = slices.DeleteFunc(p.claims, func(o *Passing) bool { return o == c })
}

// To is how far a claim came in a class of which it wanted so many runs, due by now,
// and found some, the earliest of them due at first; all says that it had room for
// every one it found.
func To(from, first int64, found, wanted int, all bool, now int64) int64 {
	switch {
	case all && found < wanted:
		return now
	case found > 0:
		return first
	}
	return from
}
