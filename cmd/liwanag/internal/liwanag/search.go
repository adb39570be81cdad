package liwanag

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MaxSearchWord is how many characters of a word are searched for: the others do not count.
const MaxSearchWord = 60

// SearchWords are the words of texts as a search compares them, each once, in the order in
// which they come: what letters and digits lie between anything else, without case, accents
// and other forms of a character. Databases part texts in ways of their own, so it is done here.
func SearchWords(texts ...string) []string {
	var all []string
	seen := map[string]bool{}
	for _, text := range texts {
		for _, word := range strings.FieldsFunc(bare(text), parts) {
			if runes := []rune(word); len(runes) > MaxSearchWord {
				word = string(runes[:MaxSearchWord])
			}
			if !seen[word] {
				seen[word] = true
				all = append(all, word)
			}
		}
	}
	return all
}

// parts says whether words lie apart at a character.
func parts(r rune) bool {
	if r < 0x80 {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}
	return !unicode.In(r, unicode.L, unicode.N, unicode.M)
}

// bare takes case, accents and other forms of characters away. Unlike fold it keeps what a word begins
// with: that of "joe" is not that of "john".
func bare(text string) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] < 0x80
	}
	if plain {
		return strings.ToLower(text)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(strings.ToValidUTF8(strings.ToLower(text), " ")))
}

// SearchWords are the words by which somebody is found: of address, name, title, company
// and industry.
func (s *Subscriber) SearchWords() []string {
	f := &s.Summary
	return SearchWords(s.EmailKey, f.FullName, f.FirstName, f.LastName, f.JobTitle, f.CompanyName, f.CompanyDomain, f.Industry)
}

// QueryWords are the words of a search: without those that another one begins with.
func QueryWords(query string) []string {
	all := SearchWords(query)
	return slices.DeleteFunc(slices.Clone(all), func(word string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != word && strings.HasPrefix(other, word) })
	})
}
