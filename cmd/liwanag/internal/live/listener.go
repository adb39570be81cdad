package live

import (
	"slices"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Listener is one that looks on. It is for one goroutine.
type Listener struct {
	hints *Hints
	next  uint64
	lost  bool // it was somewhere that is not known here
}

// Listen lets a listener in, who goes on behind the ID that it had last; empty: with
// what happens from now on. Not ok: too many listen. Leave must follow when it is ok.
func (h *Hints) Listen(lastID string) (l *Listener, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners >= MaxListeners {
		return nil, false
	}
	h.listeners++
	l = &Listener{hints: h, next: h.next}
	if last, known := h.parse(lastID); known {
		l.next = last
	} else {
		l.lost = lastID != ""
	}
	return l, true
}

// Leave gives the place back.
func (l *Listener) Leave() {
	l.hints.mu.Lock()
	defer l.hints.mu.Unlock()
	l.hints.listeners--
}

// ID is where the listener is.
func (l *Listener) ID() string { return l.hints.ID(l.next) }

// Told is what a listener is told. A Hint of no run says that anything may have
// happened: read everything again.
type Told struct {
	ID   string // behind it
	Hint runapi.RunHint
}

// Take takes what is new, of each run the latest; more is closed when there is more.
func (l *Listener) Take() (told []Told, more <-chan struct{}) {
	all, next, more, ok := l.hints.since(l.next)
	l.next = next
	if !ok || l.lost {
		l.lost = false
		return []Told{{ID: l.ID()}}, more
	}
	for i, one := range all {
		if !slices.ContainsFunc(all[i+1:], func(later runapi.RunHint) bool { return later.Run == one.Run }) {
			told = append(told, Told{l.hints.ID(next - uint64(len(all)-1-i)), one}) // #nosec G115 -- an index
		}
	}
	return told, more
}
