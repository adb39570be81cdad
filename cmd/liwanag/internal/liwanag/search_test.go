package liwanag

import (
	"slices"
	"strings"
	"testing"
)

func TestWordsAreWhatLettersAndDigitsLieBetweenAnythingElse(t *testing.T) {
	for text, want := range map[string]string{
		"Maria.Santos+news_2@mail.example-shop.de": "maria santos news 2 mail example shop de",
		"  VP of Sales & Marketing (EMEA)  ":       "vp of sales marketing emea",
		"Élan Müller-Lüdenscheidt":                 "elan muller ludenscheidt",
		"E\u0301lan":                               "elan",
		"O'Neil, O’Neil":                           "o neil",
		"ＡＣＭＥ ①":                                   "acme 1",
		"İstanbul":                                 "istanbul",
		"株式会社 Технологии":                          "株式会社 технологии",
		"a a A á":                                  "a",
		"% _ \\ ' \" \xff -":                       "",
		strings.Repeat("é", 100):                   strings.Repeat("e", MaxSearchWord),
	} {
		if got := strings.Join(SearchWords(text), " "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := QueryWords("san santos ma santos"); !slices.Equal(got, []string{"santos", "ma"}) {
		t.Errorf("got %q", got)
	}
}
