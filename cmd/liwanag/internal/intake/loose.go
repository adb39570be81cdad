package intake

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// What other people's programs send is read as far as it goes: of a sign-up, only
// the address can be at fault. What is no use for its field is kept in the
// metadata, what is too large is cut.

// ReadableJSON is a sender's JSON in UTF-8, without its byte order mark, and with
// null for what is nested deeper than 64 levels. Whatever is no JSON stays none.
func ReadableJSON(body []byte) []byte {
	if text, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), body); err == nil {
		body = text
	}
	if DepthOf(body) <= maxJSONDepth {
		return body
	}
	out := make([]byte, 0, len(body))
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		c, shown := body[i], depth <= maxJSONDepth
		switch {
		case inString && c == '\\' && i+1 < len(body):
			if shown {
				out = append(out, c)
			}
			i++
			c = body[i]
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth == maxJSONDepth+1 {
				out = append(out, "null"...)
			}
			shown = depth <= maxJSONDepth
		case c == '}' || c == ']':
			depth--
		}
		if shown {
			out = append(out, c)
		}
	}
	return out
}

// Text writes a scalar of JSON; anything else is none.
func Text(value any) string {
	switch v := value.(type) {
	case string:
		return strings.TrimSpace(v)
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// Texts reads tags: a list of texts or of objects with a name, or a text with
// commas.
func Texts(value any) (out []string) {
	switch v := value.(type) {
	case string:
		return strings.Split(v, ",")
	case []any:
		out = []string{}
		for _, element := range v {
			if object, ok := element.(map[string]any); ok {
				element = object["name"]
			}
			if t := Text(element); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// parseJSON reads one value; numbers stay as they are written.
func parseJSON(raw []byte) (value any, err error) {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	err = in.Decode(&value)
	return value, err
}

// readLoosely reads a field of any type into one of a sign-up, and says whether
// that has a use for it.
func readLoosely(raw json.RawMessage, into any) bool {
	value, err := parseJSON(raw)
	if err != nil {
		return false
	}
	switch into := into.(type) {
	case *string:
		*into = Text(value)
		_, isText := value.(string)
		return isText || *into != "" || value == nil
	case *[]string:
		*into = Texts(value)
		list, isList := value.([]any)
		return len(*into) > 0 || value == nil || isList && len(list) == 0
	case **time.Time:
		t, ok := parseTime(Text(value), orderUnknown)
		if ok {
			*into = &t
		}
		return ok || value == "" || value == nil
	case *map[string]json.RawMessage:
		return json.Unmarshal(raw, into) == nil
	}
	return false
}

// cutTags are the first maxTags tags, each within the limit of a name.
func cutTags(tags []string) (out []string) {
	if tags == nil {
		return nil
	}
	out = []string{}
	for _, tag := range tags {
		if tag = cutText(tag); tag != "" && !liwanag.IsNothing(tag) && len(out) < maxTags {
			out = append(out, tag)
		}
	}
	return out
}

// fitMetadata is what of metadata can be stored: without NUL, and cut where all of
// it is too large, the largest values first.
func fitMetadata(metadata map[string]any) map[string]any {
	raw, err := json.Marshal(metadata)
	if err == nil && len(raw) <= maxMetadataBytes && !bytes.Contains(raw, []byte(`\u0000`)) {
		return metadata
	}
	values := make(map[string]any, len(metadata))
	for name, value := range metadata {
		if raw, err := json.Marshal(value); err == nil {
			if value, err := parseJSON(raw); err == nil {
				values[name] = value
			}
		}
	}
	fitted, _ := fit(values, maxMetadataBytes)
	object, _ := fitted.(map[string]any)
	return object
}

// fit cuts a value so that its JSON has at most room bytes, and says how many it
// has; 0: nothing of it fits.
func fit(value any, room int) (any, int) {
	if room <= 0 {
		return nil, 0
	}
	switch v := value.(type) {
	case string:
		value = fitText(strings.ReplaceAll(v, "\x00", ""), room)
	case []any:
		size, fitted := len("[]"), []any{}
		for _, element := range v {
			if e, n := fit(element, room-size-len(",")); n > 0 {
				fitted, size = append(fitted, e), size+n+len(",")
			}
		}
		value = fitted
	case map[string]any:
		value = fitObject(v, room)
	}
	if size := sizeOf(value); size <= room {
		return value, size
	}
	return nil, 0
}

// fitObject gives the small members their room first.
func fitObject(object map[string]any, room int) map[string]any {
	sizes := make(map[string]int, len(object))
	names := make([]string, 0, len(object))
	for name, value := range object {
		names, sizes[name] = append(names, name), sizeOf(value)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(sizes[a], sizes[b]), cmp.Compare(a, b)) })
	fitted := make(map[string]any, len(object))
	left := room - len("{}")
	for _, name := range names {
		clean := strings.ReplaceAll(name, "\x00", "")
		around := sizeOf(clean) + len(":,")
		if value, n := fit(object[name], left-around); n > 0 {
			fitted[clean], left = value, left-around-n
		}
	}
	return fitted
}

// fitText cuts a text; each byte has at least one in JSON.
func fitText(s string, room int) string {
	if excess := sizeOf(s) - room; excess > 0 {
		return strings.ToValidUTF8(s[:max(0, len(s)-excess)], "")
	}
	return s
}

func sizeOf(value any) int {
	raw, err := json.Marshal(value)
	if err != nil {
		return maxMetadataBytes + 1
	}
	return len(raw)
}
