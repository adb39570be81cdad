// Package live says what runs are doing to whoever looks on, on every node.
package live

import (
	"context"
	"crypto/rand"
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
	ring      [Kept]runapi.RunHint
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
	// Kept is for how many hints a listener may have been away.
	Kept = 1000
	// MaxListeners bounds how many look on at once.
	MaxListeners = 1000
	// lookBack is how many hints are looked at for the same one.
	lookBack = 16
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
	for back := uint64(1); back <= min(lookBack, h.next); back++ {
		if last := h.ring[(h.next-back)%Kept]; last.Run == one.Run {
			if last.Status == one.Status && (one.Run != "" || back == 1) {
				return false
			}
			break
		}
	}
	h.ring[h.next%Kept] = one
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
	if from > h.next || h.next-from > Kept {
		return nil, h.next, h.news, false
	}
	for ; from < h.next; from++ {
		all = append(all, h.ring[from%Kept])
	}
	return all, h.next, h.news, true
}

// Listeners is how many look on now.
func (h *Hints) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners
}

// ID names the place before a hint: a listener that has it wants that hint next.
func (h *Hints) ID(next uint64) string { return h.epoch + "-" + strconv.FormatUint(next, 10) }

// parse reads an id; not ok for one of another process, or of nobody.
func (h *Hints) parse(id string) (next uint64, ok bool) {
	epoch, n, _ := strings.Cut(id, "-")
	next, err := strconv.ParseUint(n, 10, 64)
	return next, err == nil && epoch == h.epoch
}
