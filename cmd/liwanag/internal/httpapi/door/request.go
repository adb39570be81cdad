package door

import (
	"bytes"
	"encoding/json"
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

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// Limits of request bodies, in bytes.
const (
	MaxJSON  = 1 << 20
	maxDepth = 64
)

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	if out, ours := w.(*response); !ours || out.masked {
		var err error
		if v, err = masked(v); err != nil {
			return err
		}
	}
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

// BadParameter refuses a query parameter: a filter that is not understood must
// not select everything.
func BadParameter(name, message string) *Problem {
	return NewProblem(http.StatusBadRequest, "bad_parameter", "a query parameter cannot be taken",
		api.FieldFault{Field: Clip(name), Message: message})
}

// InvalidFilter refuses a filter that has no clear meaning: it selects nobody.
func InvalidFilter(name, message string) *Problem {
	return NewProblem(http.StatusBadRequest, "invalid_filter", "a filter cannot be understood, so it selects nothing",
		api.FieldFault{Field: Clip(name), Message: message})
}

// Unclear says what is wrong with a text to filter by. Databases take a control
// character for the end of a text, for another character, or for nothing at all.
func Unclear(text string) string {
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
		return NewProblem(http.StatusBadRequest, "bad_parameter", "the query cannot be read")
	}
	for name, values := range query {
		at := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case at < 0 && !prefixed(op, name):
			return BadParameter(name, "there is no such parameter")
		case at >= 0 && op.Parameters[at].Schema.Type == huma.TypeArray:
			if most := op.Parameters[at].Schema.MaxItems; most != nil && len(values) > *most {
				return BadParameter(name, fmt.Sprintf("it is there more than %d times", *most))
			}
		case len(values) > 1:
			return BadParameter(name, "it is there more than once")
		}
		for _, value := range values {
			if err := checkOne(op, name, at, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOne checks a value of the parameter that stands at a place of the description; -1:
// of one that is taken by the beginning of its name.
func checkOne(op *huma.Operation, name string, at int, value string) error {
	if value == "" {
		return nil
	}
	if fault := Unclear(value); fault != "" && op.Method == http.MethodGet && name != "cursor" {
		return InvalidFilter(name, fault)
	}
	schema := &huma.Schema{}
	if at >= 0 {
		schema = op.Parameters[at].Schema
	} else if fault := Unclear(name); fault != "" {
		return InvalidFilter(name, fault)
	}
	if fault := checkValue(schema, value); fault != "" {
		return BadParameter(name, fault)
	}
	return nil
}

// prefixed says whether a parameter is one of those that the operation takes by the
// beginning of their names.
func prefixed(op *huma.Operation, name string) bool {
	prefix, ok := op.Extensions[prefixes].(string)
	return ok && len(name) > len(prefix) && strings.HasPrefix(name, prefix)
}

func checkValue(schema *huma.Schema, value string) string {
	switch {
	case len(schema.Enum) > 0:
		if !slices.Contains(schema.Enum, any(value)) {
			return "choose one of: " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(schema.Enum)), ", "), "[]")
		}
	case schema.Type == huma.TypeInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		least, most := bounds(schema)
		if err != nil || float64(n) < least || float64(n) > most {
			return fmt.Sprintf("it is no number from %.0f to %.0f", least, most)
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

// bounds are those of an integer; without ones of its own it has those that every
// reader of JSON keeps exactly.
func bounds(schema *huma.Schema) (least, most float64) {
	least, most = -(1<<53 - 1), 1<<53-1
	if schema.Minimum != nil {
		least = *schema.Minimum
	}
	if schema.Maximum != nil {
		most = *schema.Maximum
	}
	return least, most
}

// readJSON reads the body of a request, if it has one, and puts it back when it
// is JSON that is safe to decode.
func (d *Door) readJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw, err := d.ReadBody(w, r, MaxJSON)
	if err != nil {
		return nil, err
	}
	if len(raw) > 0 {
		if err := IsJSON(r); err != nil {
			return nil, err
		}
		if !utf8.Valid(raw) || TooDeep(raw) || !json.Valid(raw) {
			return nil, NewProblem(http.StatusBadRequest, "malformed_json", "the body is not one JSON value in UTF-8, at most 64 levels deep")
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return raw, nil
}

// ReadBody reads a whole body of at most limit bytes.
func (d *Door) ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	raw, err := io.ReadAll(counted{http.MaxBytesReader(w, r.Body, limit), scopeOf(r.Context())})
	return raw, BodyFault(err)
}

// BodyFault turns the error of reading a body into a problem: it is the client's
// or the network's, never ours.
func BodyFault(err error) error {
	if err == nil {
		return nil
	}
	if p := ProblemOf(err); p.Status != http.StatusInternalServerError {
		return p
	}
	return NewProblem(http.StatusBadRequest, "body_incomplete", "the body cannot be read to its end")
}

// IsJSON refuses a body that says it is something else.
func IsJSON(r *http.Request) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send application/json")
	}
	return nil
}

// TooDeep says whether brackets outside of strings nest deeper than maxDepth.
func TooDeep(raw []byte) bool { return intake.DepthOf(raw) > maxDepth }

// Patience is how long a client of a streaming route may take for its next
// piece.
const Patience = 30 * time.Second

// Streamer gives a request's body and answer deadlines of their own: the stream
// may take as long as it needs while it keeps moving.
type Streamer struct {
	r       io.Reader
	w       io.Writer
	control *http.ResponseController
	err     error // the first of reading
}

// Streamed gives a body and an answer deadlines of their own.
func Streamed(w http.ResponseWriter, body io.Reader) *Streamer {
	return &Streamer{r: body, w: w, control: http.NewResponseController(w)}
}

// Fault is the first error of reading the body.
func (s *Streamer) Fault() error { return s.err }

// Extend gives the next piece its time.
func (s *Streamer) Extend() {
	// Not every connection has deadlines (tests); then there is nothing to extend.
	_ = s.control.SetReadDeadline(time.Now().Add(Patience))
	_ = s.control.SetWriteDeadline(time.Now().Add(2 * Patience))
}

func (s *Streamer) Read(p []byte) (int, error) {
	s.Extend()
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF && s.err == nil {
		s.err = err
	}
	return n, err
}

func (s *Streamer) Write(p []byte) (int, error) {
	s.Extend()
	return s.w.Write(p)
}
