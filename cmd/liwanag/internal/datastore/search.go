package datastore

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// behind is the end of the words that begin with one.
func behind(word string) string { return word + string(utf8.MaxRune) }

// wordsOfPerson is what a column keeps of the words by which somebody is found: a blank
// before each.
func wordsOfPerson(p liwanag.Subscriber) string {
	return " " + strings.Join(p.SearchWords(), " ")
}

// Wordless lists up to limit people of a release that knew no words, by id.
func (t SubscriberTx) Wordless(limit int) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.words IS NULL ORDER BY s.id LIMIT $1`, limit)
}

// Word notes the words of such people.
func (t SubscriberTx) Word(people []liwanag.Subscriber) error {
	r := recordsOf(people).
		id("id", func(p liwanag.Subscriber) liwanag.ID { return p.ID }).
		word("words", wordsOfPerson)
	return t.updateEach("subscriber", r.Records, "")
}

// Index brings up to limit people who came last into the index of words, oldest first,
// and tells how many: it has all when they are fewer.
func (t SubscriberTx) Index(limit int) (int, error) {
	type entry struct {
		of   liwanag.ID
		word string
	}
	people, err := list(t, func(r Row) (e entry, err error) {
		return e, r.Scan(idTo(liwanag.SubscriberKind, &e.of), textTo(&e.word))
	}, `SELECT id, words FROM subscriber WHERE id > (SELECT search_mark.subscriber_id FROM search_mark) ORDER BY id LIMIT $1`, limit)
	if err != nil || len(people) == 0 {
		return 0, err
	}
	var all []entry
	for _, p := range people {
		for word := range strings.FieldsSeq(p.word) {
			all = append(all, entry{p.of, word})
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(cmp.Compare(a.word, b.word), a.of.Compare(b.of)) })
	r := recordsOf(all).
		word("word", func(e entry) string { return e.word }).
		id("subscriber_id", func(e entry) liwanag.ID { return e.of })
	if err := t.insertAll("subscriber_word", r.Records, ""); err != nil {
		return 0, err
	}
	_, err = t.exec(`UPDATE search_mark SET subscriber_id = $1`, people[len(people)-1].of.Bytes())
	return len(people), err
}
