package datastore

import (
	"regexp"
	"strings"
	"sync"
)

// Lite is a statement as SQLite wants it. DESIGN.md explains each rule:
//
//	/*lite X*/                    X: an index to use, an order of joins
//	/*lite! X*/                   X instead of the whole statement
//	lower(s.country) =            s.country COLLATE NOCASE =, and so for seniority and company_domain
//	= ANY(ARRAY(SELECT ...))      IN (SELECT ...)
//	= ANY($n::text[])             IN the words of a JSON array
//	= ANY($n), unnest($n::uuid[]) the 16-byte ids that lie side by side in $n
//	true, false                   1, 0
//	ILIKE $n                      LIKE $n ESCAPE '\', which ignores the case of ASCII letters
//	metadata_has(x, key, value)   whether a member of a JSON object has the text
//	greatest(, strpos(, ctid      max(, instr(, rowid
func Lite(query string) string {
	if kept, ok := lites.Load(query); ok {
		return kept.(string)
	}
	text := query
	if whole := liteWhole.FindStringSubmatch(text); whole != nil {
		text = whole[1]
	}
	text = withoutArrays(text)
	for _, rule := range liteRules {
		text = rule.said.ReplaceAllString(text, rule.lite)
	}
	kept, _ := lites.LoadOrStore(query, text)
	return kept.(string)
}

var (
	lites     sync.Map // texts are fixed or built from a few fixed parts, so their number is small
	liteWhole = regexp.MustCompile(`(?s)/\*lite! (.*)\*/`)
	liteRules = []struct {
		said *regexp.Regexp
		lite string
	}{
		{regexp.MustCompile(`(?s)/\*lite (.*?)\*/`), "$1"},
		{regexp.MustCompile(`\blower\((\w\.(?:country|seniority|company_domain))\) =`), "$1 COLLATE NOCASE ="},
		{regexp.MustCompile(`GROUP BY lower\((\w\.company_domain)\)`), "GROUP BY $1 COLLATE NOCASE"},
		{regexp.MustCompile(`= ANY\((\$\d+)::text\[\]\)`), "IN (SELECT value FROM json_each($1))"},
		{regexp.MustCompile(`unnest\((\$\d+)::text\[\]\)`), "value FROM json_each($1)"},
		{regexp.MustCompile(`= ANY\((\$\d+)\)`), "IN " + liteIDs},
		{regexp.MustCompile(`unnest\((\$\d+)::uuid\[\]\)`), liteIDs},
		{regexp.MustCompile(`\btrue\b`), "1"},
		{regexp.MustCompile(`\bfalse\b`), "0"},
		{regexp.MustCompile(`ILIKE (\$\d+)`), `LIKE $1 ESCAPE '\'`},
		{regexp.MustCompile(`metadata_has\(([\w.]+), (\$\d+), (\$\d+)\)`), liteMember},
		{regexp.MustCompile(`\bgreatest\(`), "max("},
		{regexp.MustCompile(`\bstrpos\(`), "instr("},
		{regexp.MustCompile(`\bctid\b`), "rowid"},
	}
)

// liteMember says whether a member of a JSON object has a text.
const liteMember = `EXISTS (SELECT 1 FROM json_each($1) WHERE key = $2
	AND CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(value AS text) END = $3)`

// liteIDs are the ids that lie side by side in an argument: one text and one
// argument, however many there are.
const liteIDs = `(WITH RECURSIVE at (i) AS (
	SELECT 1 WHERE length($1) > 0 UNION ALL SELECT i + 16 FROM at WHERE i + 16 <= length($1)
) SELECT substr($1, i, 16) AS id FROM at)`

// withoutArrays makes "= ANY(ARRAY(SELECT ...))" into "IN (SELECT ...)".
func withoutArrays(text string) string {
	const array = "= ANY(ARRAY("
	for {
		before, after, found := strings.Cut(text, array)
		if !found {
			return text
		}
		depth, end := 1, 0
		for ; depth > 0; end++ {
			switch after[end] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		text = before + "IN (" + after[:end] + after[end+1:] // ANY closes right behind
	}
}
