package listing

import (
	"bytes"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Names says whether a body holds one of the texts, whatever its case.
func Names(body []byte, texts []string) bool {
	body = bytes.ToLower(body)
	return slices.ContainsFunc(texts, func(t string) bool { return bytes.Contains(body, []byte(strings.ToLower(t))) })
}

// Named are the ids that are not zero, in order.
func Named(all []liwanag.ID) []liwanag.ID {
	all = slices.DeleteFunc(all, liwanag.ID.IsZero)
	slices.SortFunc(all, liwanag.ID.Compare)
	return all
}
