package enrichment_test

import (
	"maps"
	"strings"
	"sync"
	"testing"
)

// counters is a Meter.
type counters struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counters) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name] += n
}

func (c *counters) get(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)[name]
}

func (c *counters) Submission(outcome string) { c.add("submission "+outcome, 1) }

func (c *counters) Adopted(by string) { c.add("adopted "+by, 1) }

func (c *counters) Resubmitted() { c.add("resubmitted", 1) }

func (c *counters) DuplicatePaid(n int) { c.add("duplicate", n) }

func (c *counters) LateResults(n int) { c.add("late", n) }

func (c *counters) Accepted() { c.add("webhook accepted", 1) }

func (c *counters) Refused(why string) { c.add("refused "+why, 1) }

// testLog writes a process's log to the test's.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
