package datastore

import (
	"strings"
	"testing"
)

func TestSQLiteReadsPostgreSQLsWords(t *testing.T) {
	for said, want := range map[string]string{
		`SELECT a FROM b WHERE c = $1`:                              `SELECT a FROM b WHERE c = $1`,
		`FROM a /*lite CROSS*/ JOIN b`:                              `FROM a CROSS JOIN b`,
		`SELECT 1 /*lite! SELECT (2)*/`:                             `SELECT (2)`,
		`a = ANY(ARRAY(SELECT (b) FROM c WHERE (d))) AND e`:         `a IN (SELECT (b) FROM c WHERE (d)) AND e`,
		`a = ANY($2::text[]) AND b`:                                 `a IN (SELECT value FROM json_each($2)) AND b`,
		`a = ANY(ARRAY(SELECT unnest($1::text[])))`:                 `a IN (SELECT value FROM json_each($1))`,
		`a = ANY($12)`:                                              `a IN ` + strings.ReplaceAll(liteIDs, "$1", "$12"),
		`FROM unnest($3::uuid[]) AS id`:                             `FROM ` + strings.ReplaceAll(liteIDs, "$1", "$3") + ` AS id`,
		`SET a = true, b = false WHERE untrue = greatest(least, 1)`: `SET a = 1, b = 0 WHERE untrue = max(least, 1)`,
		`a ILIKE $3 OR b ILIKE $3`:                                  `a LIKE $3 ESCAPE '\' OR b LIKE $3 ESCAPE '\'`,
		`ctid = ANY(ARRAY(SELECT ctid FROM a))`:                     `rowid IN (SELECT rowid FROM a)`,
	} {
		if got := Lite(said); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s\n\tgot  %s\n\twant %s", said, got, want)
		}
	}
}
