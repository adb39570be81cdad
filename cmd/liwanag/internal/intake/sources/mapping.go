package sources

import (
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// mappable are the fields of a sign-up that a mapping can fill.
var mappable = []intake.Field{intake.FieldEmail, intake.FieldSource, intake.FieldID, intake.FieldFirstName,
	intake.FieldLastName, intake.FieldFullName,
	intake.FieldCompanyName, intake.FieldCompanyDomain, intake.FieldLinkedInURL, intake.FieldTags, intake.FieldTimestamp}

// signUp reads a person where the mapping says.
func (s Settings) signUp(at place) intake.SignUp {
	field := func(f intake.Field) string { return at.text(s.Fields[f]) }
	p := intake.SignUp{
		Email: field(intake.FieldEmail), Source: field(intake.FieldSource), ID: field(intake.FieldID),
		FirstName: field(intake.FieldFirstName), LastName: field(intake.FieldLastName), FullName: field(intake.FieldFullName),
		CompanyName: field(intake.FieldCompanyName), CompanyDomain: field(intake.FieldCompanyDomain), LinkedInURL: field(intake.FieldLinkedInURL),
		Tags: intake.Texts(at.first(s.Fields[intake.FieldTags])), Metadata: map[string]any{},
	}
	if when := field(intake.FieldTimestamp); when != "" {
		if t, err := time.Parse(time.RFC3339, when); err == nil {
			p.Timestamp = t
		} else {
			p.Metadata[string(intake.FieldTimestamp)] = when
		}
	}
	for _, pointer := range s.Keep {
		s.keep(p.Metadata, at, pointer)
	}
	return p
}

// keep copies a value into the metadata under its own name; a pointer that ends
// in /* copies all members of an object.
func (s Settings) keep(metadata map[string]any, at place, pointer string) {
	if parent, all := strings.CutSuffix(pointer, everything); all {
		members, _ := at.first(pointers{parent}).(map[string]any)
		for name, value := range members {
			if value != nil && value != "" {
				metadata[name] = value
			}
		}
		return
	}
	if value := at.first(pointers{pointer}); value != nil {
		name := pointer[strings.LastIndexByte(pointer, '/')+1:]
		metadata[strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")] = value
	}
}

// everything at the end of a pointer means all members.
const everything = "/*"

// event says what happened, as the mapping reads it.
func (s Settings) event(at place) What {
	if s.Event == nil {
		return Subscribed
	}
	value := at.text(s.Event.At)
	for _, known := range []struct {
		what   What
		values []string
	}{{Subscribed, s.Event.Subscribed}, {Updated, s.Event.Updated}, {Unsubscribed, s.Event.Unsubscribed}} {
		for _, v := range known.values {
			if v == value {
				return known.what
			}
		}
	}
	return Ignored
}
