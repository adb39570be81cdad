package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/live"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// hearing is a client of GET /api/v1/events.
type hearing struct {
	res   *http.Response
	lines *bufio.Reader
}

func (w *world) listen(p *pipes, lastEventID string) *hearing {
	w.t.Helper()
	conn, ok := p.dial()
	if !ok {
		w.t.Fatal("nobody listens")
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+
			"%s\r\nLast-Event-ID: %s\r\n\r\n", runapi.Listen.Path, apiKey, lastEventID)
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	w.must(err)
	h := &hearing{res, bufio.NewReader(res.Body)}
	if res.StatusCode == 200 {
		// A listener that hears nothing goes on from here too.
		if got := h.next(w.t); !strings.HasPrefix(got, "id: ") || !strings.HasSuffix(got, "|: welcome") {
			w.t.Errorf("begins with %q", got)
		}
	}
	return h
}

// next reads one event as it is written.
func (h *hearing) next(t testing.TB) string {
	t.Helper()
	var lines []string
	for {
		line, err := h.lines.ReadString('\n')
		if err != nil {
			return "end: " + err.Error()
		}
		if line = strings.TrimSpace(line); line == "" {
			return strings.Join(lines, "|")
		}
		lines = append(lines, line)
	}
}

func run(id string) workflow.RunRef {
	return workflow.RunRef{ID: id, Workflow: "subscriber-enrichment"}
}

func TestHintsTellWhatRunsAreDoing(t *testing.T) {
	serving(t, func(c *Config) { c.Hints = live.NewHints(); c.MaxRequests = 1 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		hints := w.server.cfg.Hints
		h := w.listen(p, "")
		if got := h.res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("content type %q", got)
		}
		hints.AttemptStarted(t.Context(), run("A"), "batch", 1)
		want := "id: " + hints.ID(1) + `|event: run|data: {"run":"A","status":"running"}`
		if got := h.next(t); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		hints.WaitStarted(run("A"), "result")
		hints.WaitEnded(run("A"), "result", "event", 0)
		hints.AttemptEnded(t.Context(), run("B"), "submit", 1, workflow.AfterRetry, nil, 0)
		hints.RunEnded(run("A"), workflow.StatusCompleted, nil, 0)
		for _, want := range []string{
			"id: " + hints.ID(4) + `|event: run|data: {"run":"B","status":"waiting"}`,
			"id: " + hints.ID(5) + `|event: run|data: {"run":"A","status":"completed"}`,
		} {
			if got := h.next(t); got != want {
				t.Errorf("several at once are one each: got %q, want %q", got, want)
			}
		}
		if rec := w.call("GET", "/api/v1/workflows", ""); rec.Code != 200 {
			t.Errorf("a listener takes the place of a request: %d", rec.Code)
		}
		began := time.Now()
		for range 5 { // longer than a request may take to be answered
			if got := h.next(t); got != ": beat" {
				t.Errorf("no heartbeat: %q", got)
			}
		}
		if took := time.Since(began); took < 4*hintBeat || took > 5*hintBeat+time.Second {
			t.Errorf("five heartbeats took %s", took)
		}
	})
}

func TestAListenerGoesOnWhereItWas(t *testing.T) {
	serving(t, func(c *Config) { c.Hints = live.NewHints() }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		hints := w.server.cfg.Hints
		for i := range 10 {
			hints.WaitStarted(run(fmt.Sprint("R", i)), "result")
		}
		h := w.listen(p, hints.ID(8))
		for i := 8; i < 10; i++ {
			if got := h.next(t); !strings.Contains(got, fmt.Sprintf(`"run":"R%d"`, i)) {
				t.Errorf("got %q, want R%d", got, i)
			}
		}
		for name, id := range map[string]string{"of another process": "XXXXXXXX-3", "no id": "x", "of the future": hints.ID(11)} {
			h := w.listen(p, id)
			if got := h.next(t); got != "id: "+hints.ID(10)+"|event: reset|data: {}" {
				t.Errorf("%s: %q", name, got)
			}
		}
		for i := range live.Kept {
			hints.WaitStarted(run(fmt.Sprint("S", i)), "result")
		}
		if got := w.listen(p, hints.ID(9)).next(t); !strings.Contains(got, "event: reset") {
			t.Errorf("away for more than is kept: %q", got)
		}
		if got := w.listen(p, hints.ID(10)).next(t); !strings.Contains(got, `"run":"S0"`) {
			t.Errorf("away for all that is kept: %q", got)
		}
	})
}

func TestAListenerThatDoesNotListenIsDropped(t *testing.T) {
	serving(t, func(c *Config) { c.Hints = live.NewHints() }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		hints := w.server.cfg.Hints
		w.listen(p, "") // and reads no more
		synctest.Wait()
		if n := hints.Listeners(); n != 1 {
			t.Fatalf("%d listeners", n)
		}
		hints.WaitStarted(run("A"), "result")
		time.Sleep(listenerPatience + hintBeat + time.Second)
		synctest.Wait()
		if n := hints.Listeners(); n != 0 {
			t.Errorf("%d listeners are kept", n)
		}
	})
}

func TestListenersAreBounded(t *testing.T) {
	w := newWorld(t)
	hints := w.server.cfg.Hints
	var last *live.Listener
	for range live.MaxListeners {
		var ok bool
		if last, ok = hints.Listen(""); !ok {
			t.Fatal("too few may listen")
		}
	}
	w.wantProblem(w.call("GET", runapi.Listen.Path, ""), 503, "busy")
	last.Leave()
	if _, ok := hints.Listen(""); !ok {
		t.Error("a place that was left is not taken again")
	}
}

func TestStoppingEndsListenersAtOnce(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, stop func() error) {
		h := w.listen(p, "")
		began := time.Now()
		go func() { _, _ = io.Copy(io.Discard, h.res.Body) }()
		w.must(stop())
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAListenersSessionEndsWithIt(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		session := w.signIn()
		conn, _ := p.dial()
		defer conn.Close()
		go func() {
			_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nCookie: liwanag=%s\r\n\r\n", runapi.Listen.Path, session)
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		w.must(err)
		if res.StatusCode != 200 {
			t.Fatalf("%d", res.StatusCode)
		}
		w.wantElsewhere(w.browse("POST", "/sign-out", "", session), "/sign-in")
		began := time.Now()
		_, _ = io.Copy(io.Discard, res.Body)
		if took := time.Since(began); took > hintBeat {
			t.Errorf("it goes on for %s", took)
		}
	})
}
