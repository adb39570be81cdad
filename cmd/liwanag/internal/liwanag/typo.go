package liwanag

import (
	"slices"
	"strings"
)

// bigProviders are the domains of which a mistyped one is worth a question, by
// label: what stands before the first dot, and what may stand behind it.
var bigProviders = map[string][]string{
	"gmail":      {"com"},
	"googlemail": {"com"},
	"hotmail":    {"com", "fr", "de", "it", "es", "co.uk", "be", "nl", "se", "ca"},
	"outlook":    {"com", "fr", "de", "it", "es", "jp", "com.br"},
	"yahoo":      {"com", "fr", "de", "it", "es", "ca", "in", "co.uk", "co.in", "co.jp", "com.br", "com.au", "com.mx", "com.ar"},
	"icloud":     {"com"},
	"protonmail": {"com"},
	"comcast":    {"net"},
	"verizon":    {"net"},
	"naver":      {"com"},
	"laposte":    {"net"},
	"wanadoo":    {"fr"},
	"libero":     {"it"},
}

// mistypedEnds are ends people write instead of com.
var mistypedEnds = []string{"con", "cmo", "ocm", "co", "cm", "om", "cpm", "vom", "xom", "cim", "cum", "com.com",
	"comm", "coom", "ccom", "c0m", "cob", "conm", "come", "coml", "cok", "col", "c"}

// MistypedFor is the domain of a big provider that somebody probably meant to write,
// empty when the domain looks like none of them. It is a guess to ask about, and no
// more: others may own what looks like a mistake.
func (d *Domains) MistypedFor(domain string) string {
	label, end, ok := strings.Cut(domain, ".")
	if len(label) < 4 || len(label) > 12 || d.Classify(domain) != Corporate {
		return ""
	}
	if !ok { // gmailcom
		if rest, com := strings.CutSuffix(label, "com"); com && bigProviders[rest] != nil {
			return rest + ".com"
		}
		return ""
	}
	for right, ends := range bigProviders {
		exact := label == right
		if !exact && !oneSlip(label, right) {
			continue
		}
		switch {
		case !exact && slices.Contains(ends, end):
			return right + "." + end
		case slices.Contains(ends, "com") && slices.Contains(mistypedEnds, end):
			return right + ".com"
		}
	}
	return ""
}

// oneSlip says whether a word is another one with a letter too many, too few, wrong,
// or with two in the wrong order.
func oneSlip(word, right string) bool {
	if len(word) > len(right) {
		word, right = right, word
	}
	if len(right)-len(word) > 1 {
		return false
	}
	i := 0
	for i < len(word) && word[i] == right[i] {
		i++
	}
	if len(word) < len(right) {
		return word[i:] == right[i+1:]
	}
	return i < len(word) && (word[i+1:] == right[i+1:] ||
		i+1 < len(word) && word[i] == right[i+1] && word[i+1] == right[i] && word[i+2:] == right[i+2:])
}
