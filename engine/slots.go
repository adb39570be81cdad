package engine

import (
	"slices"
	"sync"

	"github.com/liwanag/liwanag/engine/store"
)

// slots are what an engine executes runs in, Concurrency of them, and who gets the
// next one. A quarter of them, at least one, takes only runs that go on; where there
// is a single one, newcomers and runs that go on take turns.
type slots struct {
	mu    sync.Mutex
	all   int // Concurrency
	fresh int // of them, those that newcomers may have

	busy, busyFresh int // in use
	// Owned, and waiting for a slot: newcomers that were started here while there was
	// none, and what was claimed for a slot that a newcomer took meanwhile.
	old, queue []store.Claimed
	coming     int  // places in the queue of runs that are being created
	suspect    bool // one is being executed, beside the slots
	turn       bool // of a single slot: a run that goes on has the next one

	// What may be due, as far as is known.
	dueOld, dueNew, dueSuspect bool
	// behind: newcomers may be due in the store that were not claimed, so that what is
	// started now comes after them.
	behind bool
	stamp  int64 // counts what made it so
}

func newSlots(n int) *slots {
	return &slots{all: n, fresh: max(1, n-max(1, n/4)), behind: true, turn: true}
}

// place is where a run waits for its execution.
type place int

const (
	noPlace place = iota // in the store
	inSlot
	inQueue
)

// asked says that anything may be due.
func (s *slots) asked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dueOld, s.dueNew, s.dueSuspect = true, true, true
}

// wanted is what there is room for, of what may be due.
func (s *slots) wanted() (w store.Wanted, stamp int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free := s.all - s.busy - len(s.old); free > 0 {
		if s.dueOld {
			w.Old = free
		}
		if s.dueNew {
			w.New = max(0, min(free, s.fresh-s.busyFresh-len(s.queue)))
		}
		if s.all == 1 && w.Old > 0 && w.New > 0 {
			if s.turn {
				w.New = 0
			} else {
				w.Old = 0
			}
		}
		w.Runs = min(free, w.Old+w.New)
	}
	if s.dueSuspect && !s.suspect {
		w.Suspects = 1
	}
	return w, s.stamp
}

// claimed takes over what was claimed and notes what may be left. It returns what has
// a slot, in the same place.
func (s *slots) claimed(w store.Wanted, claimed []store.Claimed, stamp int64) (start []store.Claimed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs, fresh := 0, 0
	start = claimed[:0]
	for _, c := range claimed {
		if c.Run.Takeovers >= store.SuspectAfter {
			s.suspect = true
			start = append(start, c)
			continue
		}
		if runs++; c.New {
			fresh++
		}
		if s.enter(c) {
			start = append(start, c)
		}
	}
	more := runs > 0 && runs == w.Runs
	if w.Old > 0 {
		s.dueOld = more || runs-fresh == w.Old
	}
	if w.New > 0 {
		s.dueNew = more || fresh == w.New
		s.behind = s.dueNew || s.stamp != stamp
	}
	if w.Suspects > 0 {
		s.dueSuspect = s.suspect
	}
	return start
}

// enter takes a slot, or else a place in the queue.
func (s *slots) enter(c store.Claimed) bool {
	switch {
	case s.room(c.New):
		s.occupy(c.New)
		return true
	case c.New:
		s.queue = append(s.queue, c)
	default:
		s.old = append(s.old, c)
	}
	return false
}

func (s *slots) room(fresh bool) bool {
	return s.busy < s.all && (!fresh || s.busyFresh < s.fresh && len(s.queue) == 0)
}

func (s *slots) occupy(fresh bool) {
	s.turn = fresh
	s.busy++
	if fresh {
		s.busyFresh++
	}
}

// reserve takes a place for a run that is about to be created. There is none while
// others wait that were created before it.
func (s *slots) reserve() place {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all == 1 || s.behind:
		return noPlace
	case s.coming == 0 && s.room(true):
		s.occupy(true)
		return inSlot
	case len(s.queue)+s.coming < s.all:
		s.coming++
		return inQueue
	}
	return noPlace
}

// left notes that a newcomer was left to the store.
func (s *slots) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = true
	s.stamp++
}

// created puts a run where its place is; true when that is a slot.
func (s *slots) created(c store.Claimed, p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p == inSlot {
		return true
	}
	s.coming--
	return s.enter(c)
}

// uncreated gives the place of a run back that was not created, and takes the slot,
// if it was one, for the run that follows.
func (s *slots) uncreated(p place) (c store.Claimed, ok bool) {
	if p == inSlot {
		return s.following(true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming--
	return c, false
}

// following frees a slot, and takes one for the run that follows, if there is one.
func (s *slots) following(fresh bool) (c store.Claimed, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	if fresh {
		s.busyFresh--
	}
	from := &s.old
	if len(s.old) == 0 {
		if from = &s.queue; len(s.queue) == 0 || s.busyFresh >= s.fresh {
			return c, false
		}
	}
	c, (*from)[0] = (*from)[0], c
	*from = (*from)[1:]
	s.occupy(c.New)
	return c, true
}

// waiting says whether something may be due that a free slot could take.
func (s *slots) waiting() bool {
	w, _ := s.wanted()
	return w.Runs > 0
}

// leave ends the place of a suspect.
func (s *slots) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspect = false
}

// drain empties the queues.
func (s *slots) drain() []store.Claimed {
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := append(s.old, s.queue...)
	s.old, s.queue = nil, nil
	return queued
}

// before is how many runs get a slot before a run that waits for one; 0 of any other.
func (s *slots) before(runID string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := append(slices.Clone(s.old), s.queue...)
	return int64(max(0, slices.IndexFunc(line, func(c store.Claimed) bool { return c.Run.ID == runID })))
}
