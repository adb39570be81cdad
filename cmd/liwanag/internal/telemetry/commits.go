package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// commits are the group commits of all writers.
type commits struct {
	size, hold, undone *prometheus.Desc

	mu    sync.Mutex
	stats map[string]func() groupcommit.Stats // by writer
}

func newCommits(m *Metrics) *commits {
	return &commits{
		size: m.described("histogram", "commit_changes", "Changes that shared a commit.", "writer"),
		hold: m.described("histogram", "commit_duration_seconds", "Time from the beginning of a group of changes to its commit.", "writer"),
		undone: m.described("counter", "commits_undone_total",
			"Groups of changes that were undone as a whole, and tried again one by one.", "writer"),
		stats: map[string]func() groupcommit.Stats{},
	}
}

func (c *commits) add(writer string, stats func() groupcommit.Stats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats[writer] = stats
}

// Describe is a Collector's.
func (c *commits) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.size, c.hold, c.undone} {
		to <- d
	}
}

// Collect is a Collector's.
func (c *commits) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for writer, stats := range c.stats {
		s := stats()
		for _, h := range []struct {
			desc *prometheus.Desc
			of   groupcommit.Histogram
		}{{c.size, s.GroupSize}, {c.hold, s.Hold}} {
			buckets, n := map[float64]uint64{}, uint64(0)
			for i, count := range h.of.Counts {
				if n += count; i < len(h.of.Bounds) {
					buckets[h.of.Bounds[i]] = n
				}
			}
			to <- prometheus.MustNewConstHistogram(h.desc, n, h.of.Sum, buckets, writer)
		}
		to <- prometheus.MustNewConstMetric(c.undone, prometheus.CounterValue, float64(s.Undone), writer)
	}
}
