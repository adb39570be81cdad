package door

import (
	"bufio"
	"net/http"
)

// Download streams a CSV file. Whatever fails before the first bytes are on
// their way is a problem as usual; later the connection is cut off, so that half
// a file does not look whole. A client that hangs up is nobody's fault.
func (d *Door) Download(w http.ResponseWriter, r *http.Request, name string, write func(*Streamer) error) error {
	return d.DownloadAs(w, r, name, "text/csv; charset=utf-8", write)
}

// DownloadAs is Download of a file of another content type.
func (d *Door) DownloadAs(w http.ResponseWriter, r *http.Request, name, content string, write func(*Streamer) error) error {
	begun := &firstWrite{ResponseWriter: w, name: name, content: content}
	buffer := bufio.NewWriterSize(begun, 64<<10)
	stream := &Streamer{w: buffer, control: http.NewResponseController(w)}
	err := write(stream)
	if err == nil {
		err = buffer.Flush()
	}
	switch {
	case err == nil:
		begun.begin() // an empty file
		return nil
	case !begun.done:
		return err
	}
	if !begun.gone && r.Context().Err() == nil {
		d.note(r.Context(), ProblemOf(err))
	}
	panic(http.ErrAbortHandler)
}

// firstWrite sets the headers of a file when its first bytes are written.
type firstWrite struct {
	http.ResponseWriter
	name, content string
	done, gone    bool // gone: the client does not take it
}

func (w *firstWrite) begin() {
	if w.done {
		return
	}
	w.done = true
	w.Header().Set("Content-Type", w.content)
	w.Header().Set("Content-Disposition", `attachment; filename="`+w.name+`"`)
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.begin()
	n, err := w.ResponseWriter.Write(p)
	w.gone = w.gone || err != nil
	return n, err
}
