package console

import (
	"math"
	"slices"
	"time"
)

// timescale maps times to lengths. Spans between marked times are drawn in
// proportion as long as the shortest can be seen; else as a power of how long they
// are, the same for all, so that milliseconds and a day stand in one picture. It
// keeps the order of times.
type timescale struct {
	marks []time.Time
	at    []float64 // of each mark
	Power float64   // 1: in proportion
}

// leastSpan is how long the shortest span should be drawn, of 1,000.
const leastSpan = 8.0

// newTimescale draws the marked times over a width.
func newTimescale(marks []time.Time, width float64) timescale {
	marks = slices.Clone(marks)
	slices.SortFunc(marks, time.Time.Compare)
	s := timescale{marks: slices.CompactFunc(marks, time.Time.Equal), Power: 1}
	for ; s.Power > 0.1; s.Power -= 0.05 {
		if s.draw(width) >= leastSpan*width/1000 {
			return s
		}
	}
	s.draw(width)
	return s
}

// draw places the marks, and returns the length of the shortest span.
func (s *timescale) draw(width float64) (least float64) {
	s.at = make([]float64, len(s.marks))
	total := 0.0
	for i := 1; i < len(s.marks); i++ {
		total += math.Pow(float64(s.marks[i].Sub(s.marks[i-1])), s.Power)
		s.at[i] = total
	}
	least = width
	for i := 1; i < len(s.marks); i++ {
		s.at[i] *= width / total
		least = min(least, s.at[i]-s.at[i-1])
	}
	return least
}

// x is where a time is; what is outside the marks is at their nearest end.
func (s timescale) x(t time.Time) float64 {
	i, found := slices.BinarySearchFunc(s.marks, t, time.Time.Compare)
	switch {
	case len(s.marks) == 0 || i == 0:
		return 0
	case i == len(s.marks):
		return s.at[i-1]
	case found:
		return s.at[i]
	}
	span := float64(s.marks[i].Sub(s.marks[i-1]))
	return s.at[i-1] + (s.at[i]-s.at[i-1])*float64(t.Sub(s.marks[i-1]))/span
}
