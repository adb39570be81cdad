package live

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Hints of several processes on one database reach the listeners of each: what
// happens here is collected and sent now and then, what happens elsewhere is heard.

const (
	spreadEvery = 250 * time.Millisecond
	// spreadAtOnce bounds a message: PostgreSQL's take less than 8,000 bytes. When
	// more happens it only says so.
	spreadAtOnce = 60
)

// news is what a process tells the others.
type news struct {
	From string           `json:"from"` // of which process
	Runs []runapi.RunHint `json:"runs,omitempty"`
	Many bool             `json:"many,omitempty"` // more than fits: read everything again
}

// Spread sends what happens in this process until ctx ends, at most four messages a
// second and none when nothing happens. One that does not arrive is not sent
// again: the next reading of a run says the same.
func (h *Hints) Spread(ctx context.Context, send func(ctx context.Context, payload string) error) error {
	h.mu.Lock()
	h.spreads = true
	h.mu.Unlock()
	for turn := time.NewTicker(spreadEvery); ; {
		select {
		case <-ctx.Done():
			turn.Stop()
			return nil
		case <-turn.C:
		}
		if told, some := h.collect(); some {
			raw, _ := json.Marshal(told) // texts: it can be encoded
			_ = send(ctx, string(raw))
		}
	}
}

// collect takes what is to be sent.
func (h *Hints) collect() (told news, some bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	told = news{From: h.epoch}
	if told.Many = len(h.unsent) > spreadAtOnce; !told.Many {
		for run, status := range h.unsent {
			told.Runs = append(told.Runs, runapi.RunHint{Run: run, Status: status})
		}
	}
	some = len(h.unsent) > 0
	clear(h.unsent)
	return told, some
}

// Hear takes in what another process sent; missed says that some of it may have
// gone unheard before.
func (h *Hints) Hear(payload string, missed bool) {
	var told news
	if !missed && (json.Unmarshal([]byte(payload), &told) != nil || told.From == h.epoch) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range told.Runs {
		h.add(one)
	}
	if missed || told.Many {
		h.add(runapi.RunHint{})
	}
}
