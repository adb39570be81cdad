package intake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Limits of a body of sign-ups.
const (
	// MaxSignUps is how many sign-ups one body may hold.
	MaxSignUps   = 500
	maxJSONDepth = 64
)

// Faults of a whole body.
var (
	// ErrMalformed: the body is not the JSON that is expected.
	ErrMalformed = liwanag.NewError(liwanag.Invalid, "malformed_json",
		"the body is not one JSON object or an array of them, in UTF-8, at most 64 levels deep")
	// ErrTooMany: the array has more than MaxSignUps elements.
	ErrTooMany = liwanag.NewError(liwanag.Invalid, "too_many_items",
		fmt.Sprintf("the array has more than %d elements: send several requests", MaxSignUps))
)

// Item is one element of a body: a sign-up, or why it is none.
type Item struct {
	SignUp SignUp
	Err    error // a *ValidationError
}

// DecodeSignUps reads a body of JSON: one object, or an array of up to
// MaxSignUps. When strict, unknown fields and wrong types are faults of their
// element; otherwise they become metadata, and only the address can be at fault.
// The error is ErrMalformed or ErrTooMany.
func DecodeSignUps(body []byte, strict bool) (items []Item, array bool, err error) {
	if !strict {
		body = ReadableJSON(body)
	}
	if !utf8.Valid(body) || DepthOf(body) > maxJSONDepth {
		return nil, false, ErrMalformed
	}
	body = bytes.TrimSpace(body)
	array = bytes.HasPrefix(body, []byte("["))
	var elements []json.RawMessage
	if !array {
		elements = append(elements, body)
	} else if json.Unmarshal(body, &elements) != nil {
		return nil, array, ErrMalformed
	}
	if len(elements) > MaxSignUps {
		return nil, array, ErrTooMany
	}
	items = make([]Item, len(elements))
	for i, element := range elements {
		var fields map[string]json.RawMessage
		if json.Unmarshal(element, &fields) != nil || fields == nil {
			if !array {
				return nil, array, ErrMalformed
			}
			items[i].Err = &ValidationError{[]FieldError{{"", "it is not a JSON object"}}}
			continue
		}
		items[i].SignUp, items[i].Err = decodeSignUp(fields, strict)
	}
	return items, array, nil
}

// decodeSignUp reads the fields of one object; null is the same as absent.
func decodeSignUp(fields map[string]json.RawMessage, strict bool) (SignUp, error) {
	var s SignUp
	var faults []FieldError
	read := func(name Field, into any, kind string) {
		raw, ok := fields[string(name)]
		delete(fields, string(name))
		switch {
		case !ok:
		case !strict && name != FieldEmail:
			if !readLoosely(raw, into) {
				s.keep(string(name), raw)
			}
		case json.Unmarshal(raw, into) != nil:
			faults = append(faults, FieldError{string(name), "it is not " + kind})
		}
	}
	for name, into := range map[Field]*string{
		FieldEmail: &s.Email, FieldSource: &s.Source, FieldID: &s.ID, FieldFirstName: &s.FirstName, FieldLastName: &s.LastName,
		FieldFullName: &s.FullName, FieldCompanyName: &s.CompanyName, FieldCompanyDomain: &s.CompanyDomain, FieldLinkedInURL: &s.LinkedInURL,
	} {
		read(name, into, "a text")
	}
	read(FieldTags, &s.Tags, "a list of texts")
	var metadata map[string]json.RawMessage
	read(FieldMetadata, &metadata, "an object")
	var timestamp *time.Time
	if read(FieldTimestamp, &timestamp, "a time in RFC 3339"); timestamp != nil {
		s.Timestamp = *timestamp
	}
	for name, raw := range fields { // those that are left
		if strict {
			faults = append(faults, FieldError{cutText(name), "there is no such field"})
		}
		if value := strings.Trim(string(raw), `"`); leaves(name, value) {
			s.leave(name, value, orderUnknown)
		}
		s.keep(name, raw)
	}
	for name, raw := range metadata {
		s.keep(name, raw)
	}
	if len(faults) > 0 {
		slices.SortFunc(faults, func(a, b FieldError) int { return bytes.Compare([]byte(a.Field), []byte(b.Field)) })
		return SignUp{}, &ValidationError{faults}
	}
	return s, nil
}

// DepthOf is how deep brackets are nested outside of strings.
func DepthOf(body []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
