package groupcommit

import (
	"slices"
	"sync"
	"time"
)

// Stats are counters of whoever writes groups, since it began.
type Stats struct {
	Groups  uint64 // transactions
	Changes uint64 // changes that ran in them, failed ones included
	// Undone counts groups that were dropped as a whole (disk full, I/O error, a
	// lost connection) and whose changes were tried again one by one.
	Undone      uint64
	GroupSize   Histogram // changes in a group
	Hold        Histogram // seconds from the beginning of a group to its sync
	LongestHold time.Duration
}

// Histogram counts observations by upper bound, as Prometheus does, except
// that Counts are not cumulative; the last one has no upper bound.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

func (h *Histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.Bounds, v)
	h.Counts[i]++
	h.Sum += v
}

func (h Histogram) clone() Histogram {
	h.Counts = slices.Clone(h.Counts)
	return h
}

// Recorder keeps Stats. The zero value is ready; it is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	s    Stats
	tell func(changes int, hold time.Duration, undone bool)
}

// Tell has a function called after each group from now on. It must be quick.
func (r *Recorder) Tell(tell func(changes int, hold time.Duration, undone bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = tell
}

func newHistogram(bounds ...float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (r *Recorder) init() {
	if r.s.GroupSize.Bounds == nil {
		r.s.GroupSize = newHistogram(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
		r.s.Hold = newHistogram(.0005, .001, .002, .005, .01, .02, .05, .1, .25, 1, 5)
	}
}

// Group records a group that is over.
func (r *Recorder) Group(changes int, hold time.Duration, undone bool) {
	if tell := r.record(changes, hold, undone); tell != nil {
		tell(changes, hold, undone)
	}
}

func (r *Recorder) record(changes int, hold time.Duration, undone bool) (tell func(int, time.Duration, bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.init()
	r.s.Groups++
	r.s.Changes += uint64(changes) // #nosec G115 -- a count
	if undone {
		r.s.Undone++
	}
	r.s.GroupSize.observe(float64(changes))
	r.s.Hold.observe(hold.Seconds())
	r.s.LongestHold = max(r.s.LongestHold, hold)
	return r.tell
}

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.init()
	s := r.s
	s.GroupSize, s.Hold = s.GroupSize.clone(), s.Hold.clone()
	return s
}
