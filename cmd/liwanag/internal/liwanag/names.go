package liwanag

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// NameMatch says whether the name that was found is the one that was stated.
type NameMatch string

// What names say of each other. Unknown is also where there is too little to tell.
const (
	NamesMatch   NameMatch = "yes"
	NamesDiffer  NameMatch = "no"
	NamesUnknown NameMatch = "unknown"
)

// Names are the parts of a person's name as somebody wrote them.
type Names struct{ First, Last, Full string }

// MatchNames compares names as people compare them: order, case, accents, hyphens,
// initials, particles and common nicknames make no difference. They differ only when
// both have a given and a family name, written out in one script, and share nothing.
// One word, another script or the name of a role says nothing.
func MatchNames(a, b Names) NameMatch {
	left, right := wordsOf(a), wordsOf(b)
	left, right = left.joinedLike(right), right.joinedLike(left)
	if len(left.core) < 2 || len(right.core) < 2 || left.role || right.role {
		return NamesUnknown
	}
	shared := left.sharedWith(right)
	few, many := left, right
	if len(few.core) > len(many.core) {
		few, many = many, few
	}
	switch {
	case shared >= 2 && few.allIn(many):
		return NamesMatch
	case shared > 0, left.script == "", left.script != right.script, !left.full(), !right.full():
		return NamesUnknown
	}
	return NamesDiffer
}

// nameWords are the words of a name, folded.
type nameWords struct {
	all    []string // in their order, particles included
	core   []string // without particles, unless too few are left then
	script string   // of all letters; empty when there are several
	role   bool     // it names no person
}

func wordsOf(n Names) nameWords {
	text := n.First + " " + n.Last
	if strings.TrimSpace(n.First) == "" || strings.TrimSpace(n.Last) == "" {
		if text = n.Full; strings.TrimSpace(text) == "" {
			text = n.First + n.Last
		}
	}
	w := nameWords{script: scriptOf(text), role: strings.ContainsAny(text, "@0123456789")}
	for _, word := range strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
		w.role = w.role || slices.Contains(roleWords, word)
		if !slices.Contains(titleWords, word) {
			w.all = append(w.all, word)
		}
	}
	return w.withCore()
}

func (w nameWords) withCore() nameWords {
	w.core = nil
	for _, word := range w.all {
		if !slices.Contains(particles, word) {
			w.core = append(w.core, word)
		}
	}
	if len(w.core) < 2 {
		w.core = w.all
	}
	return w
}

// joinedLike writes neighbors as one word where the other side does: Jean Pierre is
// Jeanpierre, and van den Berg Vandenberg.
func (w nameWords) joinedLike(o nameWords) nameWords {
	var all []string
	for from := 0; from < len(w.all); {
		to := from + 1
		for end := len(w.all); end > to; end-- {
			if slices.Contains(o.all, strings.Join(w.all[from:end], "")) {
				to = end
			}
		}
		all = append(all, strings.Join(w.all[from:to], ""))
		from = to
	}
	w.all = all
	return w.withCore()
}

// fold writes a text in lower case, without accents, apostrophes and what several
// languages write in two ways.
func fold(text string) string {
	text = strings.ToLower(norm.NFKD.String(text))
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) || strings.ContainsRune("'’‘ʼ`´ʻʹ", r) {
			return -1
		}
		return r
	}, text)
	return foldLetters.Replace(text)
}

var foldLetters = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i", "æ", "a", "œ", "o",
	"ae", "a", "oe", "o", "ue", "u", "aa", "a")

// scripts are those that names are written in; a letter of none of them has no script.
var scripts = map[string]*unicode.RangeTable{"Latin": unicode.Latin, "Cyrillic": unicode.Cyrillic, "Greek": unicode.Greek,
	"Han":      unicode.Han,
	"Hiragana": unicode.Hiragana, "Katakana": unicode.Katakana, "Hangul": unicode.Hangul, "Arabic": unicode.Arabic, "Hebrew": unicode.Hebrew,
	"Thai": unicode.Thai, "Devanagari": unicode.Devanagari, "Armenian": unicode.Armenian, "Georgian": unicode.Georgian}

func scriptOf(text string) (script string) {
	for _, r := range text {
		if !unicode.IsLetter(r) || script != "" && unicode.Is(scripts[script], r) {
			continue
		}
		if script != "" {
			return ""
		}
		for name, table := range scripts {
			if unicode.Is(table, r) {
				script = name
			}
		}
		if script == "" {
			return ""
		}
	}
	return script
}

// full says whether a given and a family name are written out.
func (w nameWords) full() bool {
	long := 0
	for _, word := range w.core {
		if !isInitial(word) {
			long++
		}
	}
	return long >= 2
}

func isInitial(word string) bool { return len([]rune(word)) == 1 && word[0] < 0x80 }

// sharedWith counts words that agree with one of their own on the other side.
func (w nameWords) sharedWith(o nameWords) (n int) {
	taken := make([]bool, len(o.core))
	for pass := range 2 { // the same words first, so that an initial takes none of theirs
		for _, word := range w.core {
			for i, other := range o.core {
				same := word == other
				if !taken[i] && (pass == 0 && same || pass == 1 && !same && !o.has(word) && !w.has(other) && agree(word, other)) {
					taken[i] = true
					n++
					break
				}
			}
		}
	}
	return n
}

func (w nameWords) has(word string) bool { return slices.Contains(w.core, word) }

// allIn says whether each word agrees with one of the other side.
func (w nameWords) allIn(o nameWords) bool {
	return !slices.ContainsFunc(w.core, func(word string) bool {
		return !slices.ContainsFunc(o.core, func(other string) bool { return agree(word, other) })
	})
}

// agree compares two words: one may be the other's initial, or a nickname.
func agree(a, b string) bool {
	if a == b || isInitial(a) && strings.HasPrefix(b, a) || isInitial(b) && strings.HasPrefix(a, b) {
		return true
	}
	for _, group := range nicknames {
		if slices.Contains(group, a) && slices.Contains(group, b) {
			return true
		}
	}
	return false
}
