package pgdb

import (
	"math"
	"testing"
	"time"
)

func TestAPauseGrowsToItsBoundAndStaysThere(t *testing.T) {
	for try, want := range map[int]time.Duration{
		math.MinInt: 10 * time.Millisecond, 0: 10 * time.Millisecond, 1: 20 * time.Millisecond, 10: 10240 * time.Millisecond,
		11: 10240 * time.Millisecond, 63: 10240 * time.Millisecond, 1000: 10240 * time.Millisecond, math.MaxInt: 10240 * time.Millisecond,
	} {
		if got := pauseAfter(try); got < want || got > want+want/2 {
			t.Errorf("after try %d: %s, want %s and at most half as much again", try, got, want)
		}
	}
}
