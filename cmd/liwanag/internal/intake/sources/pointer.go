package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// readJSON reads one JSON value. Numbers stay as they are written, so that a long
// id is not rounded.
func readJSON(body []byte) (any, error) {
	body = intake.ReadableJSON(body)
	if !utf8.Valid(body) {
		return nil, errUnreadable
	}
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber()
	var value any
	if in.Decode(&value) != nil {
		return nil, errUnreadable
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errUnreadable
	}
	return value, nil
}

// pointers are JSON pointers (RFC 6901); the first that leads to something counts.
// One alone is written as text.
type pointers []string

// UnmarshalJSON reads a text or a list of texts.
func (p *pointers) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*p = pointers{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(p))
}

// MarshalJSON writes a single one as text.
func (p pointers) MarshalJSON() ([]byte, error) {
	if len(p) == 1 {
		return json.Marshal(p[0])
	}
	return json.Marshal([]string(p))
}

const (
	maxPointer  = 500
	maxPointers = 10
)

// pointerFault says what is wrong with a pointer, or nothing.
func pointerFault(pointer string) string {
	switch rest := strings.NewReplacer("~0", "", "~1", "").Replace(pointer); {
	case pointer != "" && pointer[0] != '/':
		return "a JSON pointer begins with /, such as /data/email"
	case len(pointer) > maxPointer || !utf8.ValidString(pointer):
		return "a JSON pointer is UTF-8 of at most 500 bytes"
	case strings.Contains(rest, "~"):
		return "in a JSON pointer ~ is written ~0, and / is ~1"
	}
	return ""
}

// find follows a pointer; nil when it leads nowhere, as to a null.
func find(value any, pointer string) any {
	if pointer == "" {
		return value
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch v := value.(type) {
		case map[string]any:
			value = v[token]
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n < 0 || n >= len(v) || strconv.Itoa(n) != token {
				return nil
			}
			value = v[n]
		default:
			return nil
		}
	}
	return value
}

// place is where the values of one person are looked for: in their element
// first, then in the body around it.
type place struct{ element, body any }

func (p place) first(at pointers) any {
	for _, pointer := range at {
		for _, value := range []any{find(p.element, pointer), find(p.body, pointer)} {
			if value != nil && value != "" {
				return value
			}
		}
	}
	return nil
}

func (p place) text(at pointers) string { return intake.Text(p.first(at)) }
