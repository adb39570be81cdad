package fullenrich

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Status is the state of an enrichment. FullEnrich may add values; one that is
// not listed here is kept as it came and is not terminal.
type Status string

const (
	StatusCreated    Status = "CREATED"     // accepted, not started
	StatusInProgress Status = "IN_PROGRESS" // running; also in every contact webhook
	StatusFinished   Status = "FINISHED"    // all contacts processed
	// #nosec G101 -- a word of the partner
	StatusCreditsInsufficient Status = "CREDITS_INSUFFICIENT" // credits ran out part-way, the data present was paid for
	StatusCanceled            Status = "CANCELED"             // ended from outside
	StatusRateLimit           Status = "RATE_LIMIT"           // undefined by FullEnrich, treated as running
	StatusUnknown             Status = "UNKNOWN"              // undefined by FullEnrich, treated as running
)

// Terminal reports whether the result can no longer change.
func (s Status) Terminal() bool {
	switch s {
	case StatusFinished, StatusCreditsInsufficient, StatusCanceled:
		return true
	}
	return false
}

// Known reports whether s is one of the values above except StatusUnknown;
// the others deserve an alert.
func (s Status) Known() bool {
	switch s {
	case StatusCreated, StatusInProgress, StatusFinished, StatusCreditsInsufficient, StatusCanceled, StatusRateLimit:
		return true
	}
	return false
}

// Result is what a fetch or a webhook says about an enrichment.
type Result struct {
	// ID is the enrichment id, lower-case if it is a UUID; empty when missing.
	ID string `json:"id"`
	// Name is the name the enrichment was submitted with.
	Name   string `json:"name,omitempty"`
	Status Status `json:"status"`
	Cost   Cost   `json:"cost"`
	// Data holds a record for each contact in no particular order; match by
	// Record.Custom, then by e-mail.
	Data []Record `json:"data,omitempty"`
}

// Cost is the price of a whole enrichment; there is no price per record.
type Cost struct {
	Credits int64 `json:"credits"`
	// Known tells a cost of 0 from none given.
	Known bool `json:"known"`
}

// Record is the result for one contact.
type Record struct {
	Input Input `json:"input"`
	// Custom is what the contact was submitted with.
	Custom map[string]string `json:"custom,omitempty"`
	// Profile is nil when FullEnrich said nothing about the person. A profile
	// that is not nil may still be of nobody: see [Profile.Found].
	Profile *Profile `json:"profile,omitempty"`
	// Raw is the record as it came.
	Raw json.RawMessage `json:"-"`
	// Err is ErrBadRecord when the record, or its profile, is not an object. The
	// other fields hold what could be read.
	Err error `json:"-"`
}

// Input is what was looked up.
type Input struct {
	Email string `json:"email"`
}

// ParseResult decodes the body of a fetch or a webhook. Nothing in it is
// required. It fails with ErrMalformed when raw is not a JSON object, and with
// ErrUnsupportedShape when the records are not a list under "data"; in the
// latter case the Result still has what could be read, its ID above all.
func ParseResult(raw []byte) (Result, error) {
	body, err := parseTree(raw)
	if err != nil {
		return Result{}, err
	}
	if _, ok := body.object(); !ok {
		return Result{}, fmt.Errorf("%w: not an object", ErrMalformed)
	}
	credits, known := body.field("cost").field("credits").integer()
	result := Result{
		ID:     enrichmentID(body, "id", "enrichment_id"),
		Name:   body.field("name").text(),
		Status: Status(strings.ToUpper(strings.TrimSpace(body.field("status").text()))),
		Cost:   Cost{Credits: credits, Known: known},
	}
	data := body.field("data")
	if data.value == nil {
		if body.field("datas").value != nil {
			return result, fmt.Errorf("%w: API v1", ErrUnsupportedShape)
		}
		return result, nil
	}
	if _, isList := data.value.([]any); !isList {
		return result, fmt.Errorf("%w: data is not a list", ErrUnsupportedShape)
	}
	result.Data, err = parseRecords(raw, data.items())
	return result, err
}

// parseRecords reads the list twice: decoded, and as the bytes it came in.
func parseRecords(raw []byte, items []tree) ([]Record, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, ErrMalformed
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(top["data"], &raws); err != nil || len(raws) != len(items) {
		return nil, ErrMalformed
	}
	records := make([]Record, len(items))
	for i, item := range items {
		records[i] = parseRecord(item)
		records[i].Raw = raws[i]
	}
	return records, nil
}

func parseRecord(record tree) Record {
	if _, ok := record.object(); !ok {
		return Record{Err: fmt.Errorf("%w: not an object", ErrBadRecord)}
	}
	parsed := Record{Input: Input{Email: record.field("input").field("email").text()}}
	if custom, ok := record.field("custom").object(); ok && len(custom) > 0 {
		parsed.Custom = make(map[string]string, len(custom))
		for key, value := range custom {
			parsed.Custom[withoutNUL(key)] = tree{value}.text()
		}
	}
	profile := record.field("profile")
	fields, isObject := profile.object()
	switch {
	case isObject && len(fields) > 0:
		parsed.Profile = parseProfile(profile)
	case !isObject && !profile.empty():
		// Paid for and not understood must never look like "not found".
		parsed.Err = fmt.Errorf("%w: profile is not an object", ErrBadRecord)
	}
	return parsed
}

// empty reports whether the value says nothing: null, "", [] or false.
func (t tree) empty() bool {
	switch value := t.value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case bool:
		return !value
	}
	return false
}

var uuidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// ValidEnrichmentID reports whether s is a UUID in its usual form of 36
// characters, and not the one of all zeros.
func ValidEnrichmentID(s string) bool {
	return uuidForm.MatchString(s) && strings.Trim(s, "0-") != ""
}

// enrichmentID returns the first of the fields that holds a UUID, lower-case
// because ids are compared; without any, the first text.
func enrichmentID(body tree, names ...string) string {
	first := ""
	for _, name := range names {
		id, _ := body.field(name).value.(string)
		if id = strings.TrimSpace(id); ValidEnrichmentID(id) {
			return strings.ToLower(id)
		}
		if first == "" {
			first = body.field(name).text()
		}
	}
	return first
}
