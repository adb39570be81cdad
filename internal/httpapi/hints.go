package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Hints says what runs are doing, to whoever looks on: it is an observer of the
// runner, and feeds GET /api/v1/events. A hint only says that a run may look
// different by now; it is never the only way to learn of something. It is safe
// for concurrent use.
type Hints struct {
	epoch string // ids of another process are not continued

	mu        sync.Mutex
	ring      [hintsKept]runapi.RunHint
	next      uint64 // id of the next hint
	news      chan struct{}
	listeners int
	spreads   bool              // other processes are told too
	unsent    map[string]string // what they are to be told: status by run
}

var (
	_ workflow.Observer     = (*Hints)(nil)
	_ workflow.StepObserver = (*Hints)(nil)
	_ workflow.WaitObserver = (*Hints)(nil)
)

const (
	// hintsKept is how far back a listener may have been away.
	hintsKept = 1000
	// hintsApart spares listeners a message for each of many changes.
	hintsApart   = 100 * time.Millisecond
	hintBeat     = 15 * time.Second
	maxListeners = 1000
	// hintLookBack is how many hints are looked at for the same one.
	hintLookBack = 16
)

// NewHints returns hints of which nothing has happened yet.
func NewHints() *Hints {
	return &Hints{epoch: rand.Text()[:8], news: make(chan struct{}), unsent: map[string]string{}}
}

// RunEnded gives a hint.
func (h *Hints) RunEnded(run workflow.RunRef, status workflow.Status, _ *workflow.Failure, _ time.Duration) {
	h.give(run.ID, string(status))
}

// AttemptStarted gives a hint.
func (h *Hints) AttemptStarted(ctx context.Context, run workflow.RunRef, _ string, _ int) context.Context {
	h.give(run.ID, string(workflow.StatusRunning))
	return ctx
}

// AttemptEnded gives a hint when the run pauses.
func (h *Hints) AttemptEnded(_ context.Context, run workflow.RunRef, _ string, _ int, then string, _ error, _ time.Duration) {
	if then == workflow.AfterRetry || then == workflow.AfterSnooze {
		h.give(run.ID, string(workflow.StatusWaiting))
	}
}

// WaitStarted gives a hint.
func (h *Hints) WaitStarted(run workflow.RunRef, _ string) {
	h.give(run.ID, string(workflow.StatusWaiting))
}

// WaitEnded gives a hint.
func (h *Hints) WaitEnded(run workflow.RunRef, _, _ string, _ time.Duration) {
	h.give(run.ID, string(workflow.StatusRunning))
}

// give adds a hint of what happens in this process.
func (h *Hints) give(run, status string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.add(runapi.RunHint{Run: run, Status: status}) && h.spreads && len(h.unsent) <= spreadAtOnce {
		h.unsent[run] = status
	}
}

// add adds a hint, unless the run's latest one said the same. One of no run says
// that anything may have happened.
func (h *Hints) add(one runapi.RunHint) (added bool) {
	for back := uint64(1); back <= min(hintLookBack, h.next); back++ {
		if last := h.ring[(h.next-back)%hintsKept]; last.Run == one.Run {
			if last.Status == one.Status && (one.Run != "" || back == 1) {
				return false
			}
			break
		}
	}
	h.ring[h.next%hintsKept] = one
	h.next++
	if h.listeners > 0 {
		close(h.news)
		h.news = make(chan struct{})
	}
	return true
}

// since gives the hints from an id on, the id after them, and what tells of more.
// It is not ok when some of them are gone.
func (h *Hints) since(from uint64) (all []runapi.RunHint, next uint64, more <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if from > h.next || h.next-from > hintsKept {
		return nil, h.next, h.news, false
	}
	for ; from < h.next; from++ {
		all = append(all, h.ring[from%hintsKept])
	}
	return all, h.next, h.news, true
}

// listen counts a listener in; leave must follow when it is ok.
func (h *Hints) listen() (next uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners >= maxListeners {
		return 0, false
	}
	h.listeners++
	return h.next, true
}

func (h *Hints) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners--
}

// Listeners is how many look on now.
func (h *Hints) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners
}

// id names the place before a hint: a listener that has it wants that hint next.
func (h *Hints) id(next uint64) string { return h.epoch + "-" + strconv.FormatUint(next, 10) }

// parse reads an id; not ok for one of another process, or of nobody.
func (h *Hints) parse(id string) (next uint64, ok bool) {
	epoch, n, _ := strings.Cut(id, "-")
	next, err := strconv.ParseUint(n, 10, 64)
	return next, err == nil && epoch == h.epoch
}

func (s *Server) registerEvents() {
	stream(s, runapi.Listen, s.listen)
}

// listen serves one listener until it goes, is too slow, or the server stops.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, in *runapi.ListenRequest) error {
	hints := s.cfg.Hints
	next, ok := hints.listen()
	if !ok {
		return busy()
	}
	defer hints.leave()
	reset := false
	if last := in.LastEventID; last != "" {
		if from, ok := hints.parse(last); ok {
			next = from
		} else {
			reset = true
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies hold nothing back
	out := listener{control: http.NewResponseController(w), w: w}
	out.write("id: " + hints.id(next) + "\n: welcome\n\n")
	for beat := time.NewTicker(hintBeat); ; {
		all, now, more, ok := hints.since(next)
		next = now
		if !ok || reset {
			out.write("id: " + hints.id(next) + "\nevent: reset\ndata: {}\n\n")
			reset, all = false, nil
		}
		for i, one := range all {
			if slices.ContainsFunc(all[i+1:], func(later runapi.RunHint) bool { return later.Run == one.Run }) {
				continue // there is news of it
			}
			event, data := "reset", []byte("{}")
			if one.Run != "" {
				event = "run"
				data, _ = json.Marshal(one) // texts: it can be encoded
			}
			out.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", hints.id(next-uint64(len(all)-1-i)), event, data))
		}
		if out.flush(); out.err != nil {
			beat.Stop()
			return nil // it went, or is too slow: nobody to tell
		}
		select {
		case <-more:
			select {
			case <-time.After(hintsApart):
			case <-r.Context().Done():
			case <-s.stopping:
			}
		case <-beat.C:
			if scopeOf(r.Context()).actor == actorConsole && s.identify(r) != nil {
				beat.Stop()
				return nil // the session is over
			}
			out.write(": beat\n\n")
		case <-r.Context().Done():
		case <-s.stopping:
		}
		if r.Context().Err() != nil || s.stopped() {
			beat.Stop()
			return nil
		}
	}
}

// listenerPatience is how long a listener may take for its next piece.
const listenerPatience = 10 * time.Second

type listener struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (l *listener) write(text string) {
	if l.err == nil {
		_ = l.control.SetWriteDeadline(time.Now().Add(listenerPatience)) // not every connection has one (tests)
		_, l.err = l.w.Write([]byte(text))                               // #nosec G705 -- JSON of ids in an event stream, which no browser shows as a page
	}
}

func (l *listener) flush() {
	if l.err == nil {
		l.err = l.control.Flush()
	}
	_ = l.control.SetReadDeadline(time.Time{})
	_ = l.control.SetWriteDeadline(time.Now().Add(hintBeat + listenerPatience))
}
