package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far work has come: bars that are redrawn on a terminal,
// lines elsewhere, both on standard error.
type progress struct {
	out  io.Writer
	bars *mpb.Progress // nil: lines
}

func (p *program) progress() *progress {
	g := &progress{out: p.err}
	if p.live {
		g.bars = mpb.New(mpb.WithOutput(p.err), mpb.WithWidth(40), mpb.WithRefreshRate(100*time.Millisecond))
	}
	return g
}

// lineEvery is how often a line is printed while work goes on.
const lineEvery = time.Second

// meter is one thing that is counted.
type meter struct {
	out  io.Writer
	name string
	bar  *mpb.Bar // nil: lines

	mu             sync.Mutex
	current, total int64
	printed        string
	at             time.Time
}

// meter adds a thing to count; unit is "" for things, or "bytes".
func (g *progress) meter(name, unit string) *meter {
	m := &meter{out: g.out, name: name}
	if g.bars != nil {
		counts := decor.CountersNoUnit("%d of %d", decor.WC{W: 16})
		if unit == "bytes" {
			counts = decor.CountersKibiByte("% .1f of % .1f", decor.WC{W: 16})
		}
		m.bar = g.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(name, decor.WC{W: 12, C: decor.DindentRight})),
			mpb.AppendDecorators(counts))
	}
	return m
}

// set says how much is done. A total that is reached can still grow: end it with
// done.
func (m *meter) set(current, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current, m.total = current, total
	if m.bar != nil {
		m.bar.SetTotal(total, false)
		m.bar.SetCurrent(min(current, total))
		return
	}
	text := fmt.Sprintf("%s %d of %d", m.name, current, total)
	if text == m.printed || current < total && time.Since(m.at) < lineEvery {
		return
	}
	m.printed, m.at = text, time.Now()
	fmt.Fprintln(m.out, text)
}

// done ends a count, reached or not.
func (m *meter) done() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.bar == nil:
	case m.current < m.total:
		m.bar.Abort(false)
	default:
		m.bar.SetTotal(-1, true)
	}
}

// close leaves the last state on the screen. Every meter must be done.
func (g *progress) close() {
	if g.bars != nil {
		g.bars.Wait()
	}
}

// countingReader tells how much was read.
type countingReader struct {
	io.Reader
	read func(total int64)
	n    int64
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if r.n += int64(n); n > 0 {
		r.read(r.n)
	}
	return n, err
}
