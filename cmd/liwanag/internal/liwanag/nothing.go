package liwanag

import (
	"slices"
	"strings"
	"unicode"
)

// nothings are what programs and people write where there is no value, whatever the
// field. Null and Na are names.
var nothings = []string{"NULL", "null", `\N`, "undefined", "N/A", "n/a", "N/a", "#N/A", "#N/A!", "n.a.", "N.A.",
	"(null)", "<null>", "[null]",
	"NaN", "nan", "#REF!", "#VALUE!", "#NULL!", "-", "--", "---", "–", "—"}

// nobodies are what people write into a field of a name because it may not stay empty.
var nobodies = []string{"none", "nil", "(none)", "<none>", "[none]", "no name", "noname", "unknown", "(unknown)", "not available",
	"not applicable",
	"not provided", "not specified", "not set", "empty", "(empty)", "blank", "(blank)", "n.v.t.", "k.a.", "k. a.", "keine angabe", "keine",
	"ninguno", "ninguna", "aucun", "aucune", "nessuno", "nessuna", "なし", "无", "없음"}

// IsNothing is true of a value that is there only because something has to be.
func IsNothing(s string) bool { return slices.Contains(nothings, s) }

// IsNoName is true of a text that names nobody and no company: one of nothing but
// marks, too.
func IsNoName(s string) bool {
	names := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPunct(r) && !unicode.IsSpace(r) })
	return !names || IsNothing(s) || slices.Contains(nobodies, strings.ToLower(s))
}
