package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/csvsafe"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// exportColumn is one column of the export and what it means when the file
// comes back.
type exportColumn struct {
	name  string
	field Field
	value func(*liwanag.Subscriber) string
}

// Column is one column of a file of subscribers.
type Column struct {
	Name string
	text func(*liwanag.Subscriber) string
}

// Text is what the column has for a person; empty without a value.
func (c Column) Text(p *liwanag.Subscriber) string { return c.text(p) }

func allColumns() (all []Column) {
	for _, c := range exportColumns() {
		all = append(all, Column{c.name, c.value})
	}
	return all
}

// ColumnsOf are the columns that are named, with commas between them: those of
// [ExportColumns], and metadata.KEY for a member of the metadata. An empty text names
// all of [ExportColumns].
func ColumnsOf(names string) ([]Column, error) {
	all := allColumns()
	if names == "" {
		return all, nil
	}
	var chosen []Column
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		at := slices.IndexFunc(all, func(c Column) bool { return c.Name == name })
		column, ok := Column{}, at >= 0
		if ok {
			column = all[at]
		}
		if key, member := strings.CutPrefix(name, "metadata."); member && key != "" {
			column, ok = Column{name, func(p *liwanag.Subscriber) string { return memberText(p.Metadata, key) }}, true
		}
		switch {
		case !ok:
			return nil, fmt.Errorf("there is no column %.60q. There are %s, and metadata.KEY", name, strings.Join(ExportColumns(), ", "))
		case slices.ContainsFunc(chosen, func(c Column) bool { return c.Name == name }):
			return nil, fmt.Errorf("the column %.60q is there twice", name)
		}
		chosen = append(chosen, column)
	}
	return chosen, nil
}

// memberText is a member of a JSON object as text: what is no text, as JSON.
func memberText(object json.RawMessage, key string) string {
	var members map[string]json.RawMessage
	if len(object) == 0 || json.Unmarshal(object, &members) != nil || string(members[key]) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(members[key], &text) == nil {
		return text
	}
	return string(members[key])
}

// exportColumns are a promise: new ones are added at the end. What FullEnrich
// found is not taken back from a file: names and company come back as they were
// stated.
func exportColumns() []exportColumn {
	type s = *liwanag.Subscriber
	return []exportColumn{
		{"id", FieldIgnore, func(p s) string { return p.ID.String() }},
		{"email", FieldEmail, func(p s) string { return p.Email }},
		{"emailType", FieldIgnore, func(p s) string { return string(p.EmailType) }},
		{"source", FieldSource, func(p s) string { return p.Source }},
		{"enrichmentStatus", FieldIgnore, func(p s) string { return statusText(p.EnrichmentStatus) }},
		{"firstName", FieldIgnore, func(p s) string { return p.Summary.FirstName }},
		{"lastName", FieldIgnore, func(p s) string { return p.Summary.LastName }},
		{"fullName", FieldIgnore, func(p s) string { return p.Summary.FullName }},
		{"headline", FieldIgnore, func(p s) string { return p.Summary.Headline }},
		{"jobTitle", FieldIgnore, func(p s) string { return p.Summary.JobTitle }},
		{"seniority", FieldIgnore, func(p s) string { return p.Summary.Seniority }},
		{"linkedinUrl", FieldIgnore, func(p s) string { return p.Summary.LinkedinURL }},
		{"location", FieldIgnore, func(p s) string { return p.Summary.Location }},
		{"companyName", FieldIgnore, func(p s) string { return p.Summary.CompanyName }},
		{"companyDomain", FieldIgnore, func(p s) string { return p.Summary.CompanyDomain }},
		{"companyLinkedinUrl", FieldIgnore, func(p s) string { return p.Summary.CompanyLinkedinURL }},
		{"headcount", FieldIgnore, func(p s) string { return countText(p.Summary.Headcount) }},
		{"industry", FieldIgnore, func(p s) string { return p.Summary.Industry }},
		{"metadata", FieldMetadataObject, func(p s) string { return string(p.Metadata) }},
		{"createdAt", FieldIgnore, func(p s) string { return timeText(p.CreatedAt) }},
		{"updatedAt", FieldIgnore, func(p s) string { return timeText(p.UpdatedAt) }},
		{"enrichedAt", FieldIgnore, func(p s) string { return timeText(p.EnrichedAt) }},
		{"statedFirstName", FieldFirstName, func(p s) string { return p.Stated.FirstName }},
		{"statedLastName", FieldLastName, func(p s) string { return p.Stated.LastName }},
		{"statedFullName", FieldFullName, func(p s) string { return p.Stated.FullName }},
		{"statedCompanyName", FieldCompanyName, func(p s) string { return p.Stated.CompanyName }},
		{"statedCompanyDomain", FieldCompanyDomain, func(p s) string { return p.Stated.CompanyDomain }},
		{"statedLinkedinUrl", FieldLinkedInURL, func(p s) string { return p.Stated.LinkedinURL }},
		{"statedAt", FieldIgnore, func(p s) string { return timeText(p.Stated.At) }},
		{"nameFrom", FieldIgnore, func(p s) string { return string(p.NameFrom()) }},
		{"companyFrom", FieldIgnore, func(p s) string { return string(p.CompanyFrom()) }},
		{"nameMatches", FieldIgnore, func(p s) string { return string(p.NameMatches) }},
		{"country", FieldIgnore, func(p s) string { return p.Summary.Country }},
		{"sources", FieldSources, func(p s) string { return listText(p.Sources) }},
		{"tags", FieldTags, func(p s) string { return listText(p.Tags.All()) }},
		{"signedUpAt", FieldTimestamp, func(p s) string { return timeText(p.SignedUpAt) }},
		{"subscribed", FieldStanding, func(p s) string { return strconv.FormatBool(p.SuppressedAt.IsZero()) }},
		{"unsubscribedAt", FieldStanding, func(p s) string { return timeText(p.SuppressedAt) }},
		{"unsubscribedBy", FieldIgnore, func(p s) string { return p.UnsubscribedBy }},
	}
}

// ExportColumns are the headers of the export, in order.
func ExportColumns() []string {
	var names []string
	for _, c := range exportColumns() {
		names = append(names, c.name)
	}
	return names
}

// shownFields are those that exports of the first release had for what was said and
// what was found alike.
var shownFields = []Field{FieldFirstName, FieldLastName, FieldFullName, FieldLinkedInURL, FieldCompanyName, FieldCompanyDomain}

// isExported says whether a header is one of ours, of any release, with whatever
// columns somebody added or took away; old, whether it has none for what was stated.
func isExported(columns []string) (ours, old bool) {
	for _, name := range []string{"email", "emailType", "enrichmentStatus"} {
		if !slices.Contains(columns, name) {
			return false, false
		}
	}
	return true, !slices.ContainsFunc(columns, func(c string) bool { return strings.HasPrefix(c, "stated") })
}

// exportedMapping is the mapping of a file with a header of ours, nil for any other.
func exportedMapping(columns []string) []Field {
	ours, old := isExported(columns)
	if !ours {
		return nil
	}
	known := map[string]Field{}
	for _, c := range exportColumns() {
		known[c.name] = c.field
	}
	for _, field := range shownFields {
		if old {
			known[string(field)] = field
		}
	}
	mapping := make([]Field, len(columns))
	for i, column := range columns {
		if mapping[i] = FieldMetadata; known[column] != "" {
			mapping[i] = known[column]
		}
	}
	return mapping
}

// oldExport is what of a row of an old export of ours was said by somebody: what its
// metadata kept as stated, and else the names and the company of a person whom no
// lookup had found.
type oldExport struct{ enrichedAt int }

func oldExportOf(columns []string) *oldExport {
	if ours, old := isExported(columns); !ours || !old {
		return nil
	}
	return &oldExport{slices.Index(columns, "enrichedAt")}
}

func (o *oldExport) correct(s *SignUp, fields []string) {
	if o.enrichedAt < 0 || o.enrichedAt < len(fields) && fields[o.enrichedAt] != "" {
		for _, field := range shownFields {
			s.set(field, "", "")
		}
	}
	stated, _ := s.Metadata["stated"].(map[string]any)
	for _, field := range shownFields {
		if text, ok := stated[string(field)].(string); ok {
			s.set(field, "", text)
		}
	}
	if stated != nil {
		delete(s.Metadata, "stated")
	}
	if tags, ok := s.Metadata["tags"].([]any); ok {
		s.Tags = Texts(tags)
		delete(s.Metadata, "tags")
	}
	if text, ok := s.Metadata["timestamp"].(string); ok {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			s.Timestamp = at
			delete(s.Metadata, "timestamp")
		}
	}
	if len(s.Metadata) == 0 {
		s.Metadata = nil
	}
}

// listText is a list in one cell, as tagsOf reads it.
func listText(all []string) string {
	if slices.ContainsFunc(all, func(s string) bool { return strings.ContainsAny(s, ",;|、\"[") || strings.Contains(s, ":::") }) {
		raw, _ := json.Marshal(all) // texts
		return string(raw)
	}
	return strings.Join(all, ", ")
}

// Export writes subscribers as CSV that a spreadsheet never executes and that
// can be imported again. It has the columns given, or all of [ExportColumns] when none
// is. It stops at the first error of people or of w.
func Export(ctx context.Context, w io.Writer, people iter.Seq2[liwanag.Subscriber, error], columns ...Column) error {
	if len(columns) == 0 {
		columns = allColumns()
	}
	out := csvsafe.NewWriter(w)
	record := make([]string, len(columns))
	for i, c := range columns {
		record[i] = c.Name
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for person, err := range people {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, c := range columns {
			record[i] = c.text(&person)
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	return out.Flush()
}

func statusText(s liwanag.JobStatus) string {
	if s == "" {
		return string(liwanag.NoJob)
	}
	return string(s)
}

func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
