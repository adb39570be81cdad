package datastore

import (
	"context"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// maxQueryWords is how many words a search may have.
const maxQueryWords = 40

// What is few: then each of them is looked at. Those whom a condition selects among more are soon met
// in the order of a listing. Words are counted along their index alone, the others cost PostgreSQL a look
// at each row.
const (
	fewWithWord = 4_000
	fewPeople   = 1_000
)

// pick is a condition that an index answers.
type pick struct {
	ids    func(w *where) string // the statement that finds whom it selects, in the index
	beyond func(w *where) string // and whom the index does not have yet; nil: it has everybody
	column string                // the index is over it and the id; empty: over sources, or something else
	texts  []string              // any of which the column has, or the source
}

// sought is a filter, and what was learned of it.
type sought struct {
	liwanag.SubscriberFilter
	words []string // of the search
	picks []pick
	few   *pick // the one that selects the fewest; nil if none selects few
	late  bool  // there are people whom the index of words does not have yet
}

func soughtBy(d Dialect, f liwanag.SubscriberFilter) sought {
	found := sought{SubscriberFilter: f, words: liwanag.QueryWords(f.Query)}
	for _, word := range found.words {
		found.picks = append(found.picks, pick{
			ids: func(w *where) string {
				return `SELECT w.subscriber_id FROM subscriber_word w WHERE w.word >= ` + w.bind(word) + ` AND w.word < ` + w.bind(behind(word))
			},
			beyond: func(w *where) string {
				return `SELECT u.id FROM subscriber u WHERE u.id > (SELECT search_mark.subscriber_id FROM search_mark) AND u.words LIKE ` +
					w.bind("% "+word+"%")
			}})
	}
	for _, by := range columnsOf(f) {
		found.picks = append(found.picks, pick{column: by.column, texts: by.texts, ids: func(w *where) string {
			return `SELECT o.id FROM subscriber o WHERE o.` + by.column + ` IS NOT NULL AND lower(o.` + by.column + `) = ANY(` +
				w.bind(d.Words(by.texts)) + `::text[])`
		}})
	}
	if f.Source != "" {
		found.picks = append(found.picks, pick{texts: []string{f.Source}, ids: func(w *where) string {
			return `SELECT x.subscriber_id FROM subscriber_source x WHERE x.source = ` + w.bind(f.Source)
		}})
	}
	if !f.FoundAfter.IsZero() {
		found.picks = append(found.picks, pick{ids: func(w *where) string {
			return `SELECT o.id FROM subscriber o WHERE o.enriched_at >= ` + w.bind(micros(f.FoundAfter))
		}})
	}
	return found
}

// columnsOf are the columns with an index of their own that a filter names, and the texts that it
// asks for, as the index has them.
func columnsOf(f liwanag.SubscriberFilter) (all []struct {
	column string
	texts  []string
}) {
	for _, by := range [...]struct{ column, text string }{
		{"company_domain", f.CompanyDomain}, {"seniority", f.Seniority}, {"country", f.Country},
	} {
		if texts := lowerForms(alternatives(by.text)); len(texts) > 0 {
			all = append(all, struct {
				column string
				texts  []string
			}{by.column, texts})
		}
	}
	return all
}

// seek checks a filter and looks for the condition that selects the fewest.
func (s Subscribers) seek(ctx context.Context, f liwanag.SubscriberFilter) (sought, error) {
	if err := f.Check(); err != nil {
		return sought{}, err
	}
	found := soughtBy(s.r, f)
	if len(found.words) > maxQueryWords {
		return sought{}, liwanag.ErrInvalidFilter
	}
	if len(found.picks) == 1 && found.driver() != nil {
		return found, nil // its index is in the order of the listing
	}
	fewest := int64(fewWithWord + 1)
	for i, p := range found.picks {
		if p.beyond == nil {
			fewest = min(fewest, fewPeople+1)
		}
		var w where
		of := p.ids(&w)
		n, err := one(s.in(ctx), scanInt, `SELECT count(*) FROM (`+of+` LIMIT `+w.bind(fewest)+`) AS matching`, w.args...)
		if err != nil {
			return sought{}, err
		}
		if n < fewest {
			fewest, found.few = n, &found.picks[i]
		}
	}
	if found.few == nil || found.few.beyond == nil {
		return found, nil
	}
	var err error
	found.late, err = one(s.in(ctx), scanBool, `SELECT coalesce((SELECT o.id FROM subscriber o ORDER BY o.id DESC LIMIT 1) >
		(SELECT search_mark.subscriber_id FROM search_mark), false)`)
	return found, err
}

// all is the statement that finds those few.
func (f sought) all(w *where) string {
	text := f.few.ids(w)
	if f.late {
		text += ` UNION ALL ` + f.few.beyond(w)
	}
	return text
}

// driver is the condition over whose index a walk goes in the order in which people were added, if few
// selects nobody and there is one.
func (f sought) driver() *pick {
	if f.few != nil || f.Status != "" && f.Status != liwanag.NoJob || subscriberOrders[f.Sort].column != "" ||
		len(f.IDs) > 0 || !f.RunID.IsZero() || !f.UploadID.IsZero() {
		return nil
	}
	if i := slices.IndexFunc(f.picks, func(p pick) bool { return len(p.texts) == 1 }); i >= 0 {
		return &f.picks[i]
	}
	return nil
}
