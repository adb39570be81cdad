package intake

import (
	"context"
	"io"
	"iter"
	"slices"
	"strconv"
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

// exportColumns are a promise: new ones are added at the end. What FullEnrich
// said of a person is not taken back from a file.
func exportColumns() []exportColumn {
	type s = *liwanag.Subscriber
	return []exportColumn{
		{"id", FieldIgnore, func(p s) string { return p.ID.String() }},
		{"email", FieldEmail, func(p s) string { return p.Email }},
		{"emailType", FieldIgnore, func(p s) string { return string(p.EmailType) }},
		{"source", FieldSource, func(p s) string { return p.Source }},
		{"enrichmentStatus", FieldIgnore, func(p s) string { return statusText(p.EnrichmentStatus) }},
		{"firstName", FieldFirstName, func(p s) string { return p.Summary.FirstName }},
		{"lastName", FieldLastName, func(p s) string { return p.Summary.LastName }},
		{"fullName", FieldFullName, func(p s) string { return p.Summary.FullName }},
		{"headline", FieldIgnore, func(p s) string { return p.Summary.Headline }},
		{"jobTitle", FieldIgnore, func(p s) string { return p.Summary.JobTitle }},
		{"seniority", FieldIgnore, func(p s) string { return p.Summary.Seniority }},
		{"linkedinUrl", FieldLinkedInURL, func(p s) string { return p.Summary.LinkedinURL }},
		{"location", FieldIgnore, func(p s) string { return p.Summary.Location }},
		{"companyName", FieldCompanyName, func(p s) string { return p.Summary.CompanyName }},
		{"companyDomain", FieldCompanyDomain, func(p s) string { return p.Summary.CompanyDomain }},
		{"companyLinkedinUrl", FieldIgnore, func(p s) string { return p.Summary.CompanyLinkedinURL }},
		{"headcount", FieldIgnore, func(p s) string { return countText(p.Summary.Headcount) }},
		{"industry", FieldIgnore, func(p s) string { return p.Summary.Industry }},
		{"metadata", FieldMetadataObject, func(p s) string { return string(p.Metadata) }},
		{"createdAt", FieldIgnore, func(p s) string { return timeText(p.CreatedAt) }},
		{"updatedAt", FieldIgnore, func(p s) string { return timeText(p.UpdatedAt) }},
		{"enrichedAt", FieldIgnore, func(p s) string { return timeText(p.EnrichedAt) }},
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

// exportedMapping is the mapping of a file with exactly the export's header, nil
// for any other.
func exportedMapping(columns []string) []Field {
	if !slices.Equal(columns, ExportColumns()) {
		return nil
	}
	var mapping []Field
	for _, c := range exportColumns() {
		mapping = append(mapping, c.field)
	}
	return mapping
}

// foundColumn tells in a file with exactly the export's header which rows show what
// a lookup found; -1 for any other file.
func foundColumn(columns []string) int {
	if exportedMapping(columns) == nil {
		return -1
	}
	return slices.Index(columns, "enrichedAt")
}

// Export writes subscribers as CSV that a spreadsheet never executes and that
// can be imported again. It stops at the first error of people or of w.
func Export(ctx context.Context, w io.Writer, people iter.Seq2[liwanag.Subscriber, error]) error {
	out := csvsafe.NewWriter(w)
	if err := out.Write(ExportColumns()); err != nil {
		return err
	}
	columns := exportColumns()
	record := make([]string, len(columns))
	for person, err := range people {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i, c := range columns {
			record[i] = c.value(&person)
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
