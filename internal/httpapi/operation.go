package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Limits of request bodies, in bytes.
const (
	maxJSON  = 1 << 20
	maxDepth = 64
)

func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return encode(w, v)
}

// encode writes an answer.
func encode(w io.Writer, v any) error {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false) // no browser takes it for a page: see secureHeaders
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("httpapi: an answer cannot be encoded: %w", err)
	}
	_, _ = buffer.WriteTo(w) // when it fails the client is gone: nobody to tell
	return nil
}

// badParameter refuses a query parameter: a filter that is not understood must
// not select everything.
func badParameter(name, message string) *problem {
	return newProblem(http.StatusBadRequest, "bad_parameter", "a query parameter cannot be taken", api.FieldFault{Field: clip(name), Message: message})
}

// invalidFilter refuses a filter that has no clear meaning: it selects nobody.
func invalidFilter(name, message string) *problem {
	return newProblem(http.StatusBadRequest, "invalid_filter", "a filter cannot be understood, so it selects nothing", api.FieldFault{Field: clip(name), Message: message})
}

// unclear says what is wrong with a text to filter by. Databases take a control
// character for the end of a text, for another character, or for nothing at all.
func unclear(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "" // said by whoever checks lengths
	case strings.ContainsFunc(text, unicode.IsControl):
		return "it has a control character"
	case text != "" && strings.TrimSpace(text) == "":
		return "it is blank"
	}
	return ""
}

// checkQuery checks the query against the operation's description.
func checkQuery(op *huma.Operation, raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return newProblem(http.StatusBadRequest, "bad_parameter", "the query cannot be read")
	}
	for name, values := range query {
		at := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case at < 0:
			return badParameter(name, "there is no such parameter")
		case len(values) > 1:
			return badParameter(name, "it is there more than once")
		case values[0] == "":
			continue
		}
		if fault := unclear(values[0]); fault != "" && op.Method == http.MethodGet && name != "cursor" {
			return invalidFilter(name, fault)
		}
		if fault := checkValue(op.Parameters[at].Schema, values[0]); fault != "" {
			return badParameter(name, fault)
		}
	}
	return nil
}

func checkValue(schema *huma.Schema, value string) string {
	switch {
	case len(schema.Enum) > 0:
		if !slices.Contains(schema.Enum, any(value)) {
			return fmt.Sprintf("it is none of %v", schema.Enum)
		}
	case schema.Type == huma.TypeInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || schema.Minimum != nil && float64(n) < *schema.Minimum || schema.Maximum != nil && float64(n) > *schema.Maximum {
			return fmt.Sprintf("it is no number from %v to %v", *schema.Minimum, *schema.Maximum)
		}
	case schema.Type == huma.TypeBoolean:
		if value != "true" && value != "false" {
			return "it is neither true nor false"
		}
	case schema.Format == "date-time":
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return "it is no time of the form 2026-01-31T12:00:00Z"
		}
	case len(value) > maxQueryText || !utf8.ValidString(value):
		return fmt.Sprintf("it is longer than %d bytes, or not UTF-8", maxQueryText)
	}
	return ""
}

const maxQueryText = 2000

// readJSON reads the body of a request, if it has one, and puts it back when it
// is JSON that is safe to decode.
func (s *Server) readJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := s.readBody(w, r, maxJSON)
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		if err := isJSON(r); err != nil {
			return nil, err
		}
		if !utf8.Valid(raw) || tooDeep(raw) || !json.Valid(raw) {
			return nil, newProblem(http.StatusBadRequest, "malformed_json", "the body is not one JSON value in UTF-8, at most 64 levels deep")
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return raw, nil
}

// readBody reads a whole body of at most limit bytes.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	raw, err := io.ReadAll(counted{http.MaxBytesReader(w, r.Body, limit), scopeOf(r.Context())})
	return raw, bodyFault(err)
}

// bodyFault turns the error of reading a body into a problem: it is the client's
// or the network's, never ours.
func bodyFault(err error) error {
	if err == nil {
		return nil
	}
	if p := problemOf(err); p.Status != http.StatusInternalServerError {
		return p
	}
	return newProblem(http.StatusBadRequest, "body_incomplete", "the body cannot be read to its end")
}

func isJSON(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send application/json")
	}
	return nil
}

// tooDeep says whether brackets outside of strings nest deeper than maxDepth.
func tooDeep(raw []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func pageOf(p runapi.Paging) liwanag.Page { return liwanag.Page{Limit: p.Limit, Cursor: p.Cursor} }

// listOf turns rows into a page.
func listOf[R, T any](rows []R, next string, view func(R) T) runapi.List[T] {
	out := runapi.List[T]{Items: make([]T, len(rows)), NextCursor: next}
	for i, row := range rows {
		out.Items[i] = view(row)
	}
	return out
}

// idOf reads an id of a path; text that is none names nothing.
func idOf(kind liwanag.Kind, text, what string) (liwanag.ID, error) {
	id, err := liwanag.ParseID(kind, text)
	if err != nil {
		return liwanag.ID{}, notFound(what)
	}
	return id, nil
}

// named gives a row's "not found" the name of the thing.
func named(err error, what string) error {
	if errors.Is(err, liwanag.ErrNotFound) {
		return notFound(what)
	}
	return err
}

// patience is how long a client of a streaming route may take for its next
// piece.
const patience = 30 * time.Second

// streamer gives a request's body and answer deadlines of their own: the stream
// may take as long as it needs while it keeps moving.
type streamer struct {
	r       io.Reader
	w       io.Writer
	control *http.ResponseController
	err     error // the first of reading
}

func (s *streamer) extend() {
	// Not every connection has deadlines (tests); then there is nothing to extend.
	_ = s.control.SetReadDeadline(time.Now().Add(patience))
	_ = s.control.SetWriteDeadline(time.Now().Add(2 * patience))
}

func (s *streamer) Read(p []byte) (int, error) {
	s.extend()
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *streamer) Write(p []byte) (int, error) {
	s.extend()
	return s.w.Write(p)
}
