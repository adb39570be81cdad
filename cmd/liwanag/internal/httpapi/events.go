package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const (
	// hintsApart spares listeners a message for each of many changes.
	hintsApart = 100 * time.Millisecond
	hintBeat   = 15 * time.Second
	// listenerPatience is how long a listener may take for its next piece.
	listenerPatience = 10 * time.Second
)

func (s *Server) registerEvents() {
	door.Stream(s.Door, runapi.Listen, s.listen)
}

// listen serves one listener until it goes, is too slow, or the server stops.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, in *runapi.ListenRequest) error {
	from, ok := s.cfg.Hints.Listen(in.LastEventID)
	if !ok {
		return door.Busy()
	}
	defer from.Leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies hold nothing back
	out := eventWriter{control: http.NewResponseController(w), w: w}
	out.write("id: " + from.ID() + "\n: welcome\n\n")
	beat := time.NewTicker(hintBeat)
	defer beat.Stop()
	for {
		told, more := from.Take()
		for _, one := range told {
			event, data := "reset", []byte("{}")
			if one.Hint.Run != "" {
				event = "run"
				data, _ = json.Marshal(one.Hint) // texts: it can be encoded
			}
			out.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", one.ID, event, data))
		}
		if out.flush(); out.err != nil {
			return nil // it went, or is too slow: nobody to tell
		}
		select {
		case <-more:
			select {
			case <-time.After(hintsApart):
			case <-r.Context().Done():
			case <-s.Stopping():
			}
		case <-beat.C:
			out.write(": beat\n\n")
		case <-r.Context().Done():
		case <-s.Stopping():
			return nil
		}
		if r.Context().Err() != nil {
			return nil
		}
	}
}

// eventWriter writes to a listener, who may take a while for each piece.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (e *eventWriter) write(text string) {
	if e.err == nil {
		_ = e.control.SetWriteDeadline(time.Now().Add(listenerPatience)) // not every connection has one (tests)
		_, e.err = e.w.Write([]byte(text))                               // #nosec G705 -- JSON of ids, which no browser shows as a page
	}
}

func (e *eventWriter) flush() {
	if e.err == nil {
		e.err = e.control.Flush()
	}
	_ = e.control.SetReadDeadline(time.Time{})
	_ = e.control.SetWriteDeadline(time.Now().Add(hintBeat + listenerPatience))
}
