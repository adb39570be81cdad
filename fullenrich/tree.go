package fullenrich

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// tree is a JSON value of which nothing is certain. Every accessor answers with
// the zero value when the JSON is absent, null or of another type, so that one
// odd field never costs more than itself.
type tree struct{ value any }

func parseTree(raw []byte) (tree, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return tree{}, ErrMalformed
	}
	if _, err := decoder.Token(); err != io.EOF {
		return tree{}, fmt.Errorf("%w: data after the end", ErrMalformed)
	}
	return tree{value}, nil
}

func (t tree) object() (map[string]any, bool) {
	object, ok := t.value.(map[string]any)
	return object, ok
}

func (t tree) field(name string) tree {
	object, _ := t.object()
	return tree{object[name]}
}

func (t tree) items() []tree {
	list, _ := t.value.([]any)
	items := make([]tree, len(list))
	for i, value := range list {
		items[i] = tree{value}
	}
	return items
}

// text reads strings and numbers.
func (t tree) text() string {
	switch value := t.value.(type) {
	case string:
		return withoutNUL(value)
	case json.Number:
		return value.String()
	}
	return ""
}

// withoutNUL drops what a database column of text may refuse.
func withoutNUL(text string) string { return strings.ReplaceAll(text, "\x00", "") }

func (t tree) texts() []string {
	var texts []string
	for _, item := range t.items() {
		if text := item.text(); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// number reads numbers and strings that hold one.
func (t tree) number() (float64, bool) {
	number, err := strconv.ParseFloat(strings.TrimSpace(t.text()), 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return 0, false
	}
	return number, true
}

// integer reads a whole number; a fraction is cut off.
func (t tree) integer() (int64, bool) {
	if whole, err := strconv.ParseInt(strings.TrimSpace(t.text()), 10, 64); err == nil {
		return whole, true
	}
	number, ok := t.number()
	if !ok || math.Abs(number) >= 1<<62 {
		return 0, false
	}
	return int64(number), true
}

// count reads a whole number that cannot be negative; 0 means unknown.
func (t tree) count() int64 {
	number, _ := t.integer()
	return max(number, 0)
}

// flag reads true and false, and says whether either was there.
func (t tree) flag() (value, known bool) {
	if value, ok := t.value.(bool); ok {
		return value, true
	}
	value, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(t.text())))
	return value, err == nil
}
