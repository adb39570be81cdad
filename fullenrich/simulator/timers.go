package simulator

import (
	"container/heap"
	"time"
)

// timer is something that falls due; fn runs with the server's lock held.
type timer struct {
	at  time.Time
	seq int // equal times run in the order they were set
	fn  func(now time.Time)
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, k int) bool {
	if h[i].at.Equal(h[k].at) {
		return h[i].seq < h[k].seq
	}
	return h[i].at.Before(h[k].at)
}
func (h timerHeap) Swap(i, k int) { h[i], h[k] = h[k], h[i] }
func (h *timerHeap) Push(x any)   { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return last
}

// at runs fn at that time, under the lock. The caller holds the lock.
func (s *Server) at(due time.Time, fn func(now time.Time)) {
	s.timerSeq++
	heap.Push(&s.timers, timer{at: due, seq: s.timerSeq, fn: fn})
	if s.timers[0].seq == s.timerSeq {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// loop is the only clock of the simulator: it sleeps until the earliest timer.
func (s *Server) loop() {
	defer s.background.Done()
	for {
		s.mu.Lock()
		now := s.cfg.Now()
		for len(s.timers) > 0 && !s.timers[0].at.After(now) {
			heap.Pop(&s.timers).(timer).fn(now)
		}
		var due <-chan time.Time
		var sleep *time.Timer
		if len(s.timers) > 0 {
			// Bounded, so that a wall clock that jumps is noticed.
			sleep = time.NewTimer(min(s.timers[0].at.Sub(now), time.Minute))
			due = sleep.C
		}
		s.mu.Unlock()
		select {
		case <-due:
		case <-s.wake:
		case <-s.done:
		}
		if sleep != nil {
			sleep.Stop()
		}
		select {
		case <-s.done:
			return
		default:
		}
	}
}

// scaled turns a provider's duration into one of the simulator's clock.
func (s *Server) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.cfg.Speed)
}

// windowStart is the beginning of the calendar minute: divided by Speed, but
// aligned to the epoch, so that a client that divides its minute alike agrees.
func (s *Server) windowStart(at time.Time) time.Time {
	length := max(int64(s.scaled(time.Minute)), 1)
	return time.Unix(0, at.UnixNano()/length*length).UTC()
}
