package datastoretest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var filterTests = map[string]func(t *testing.T, s *datastore.Store){
	"sources follow what becomes of somebody": func(t *testing.T, s *datastore.Store) {
		ana, bo := signUp("ana@gmail.com"), signUp("bo@gmail.com")
		ana.Source, bo.Source, bo.Sources = "blog", "fair", []string{`the "web", 100%`, "fair", "nul\x00"}
		upsert := func(ups ...liwanag.SignUp) {
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(ups); return err })
		}
		upsert(ana, bo)
		finds(t, s, liwanag.SubscriberFilter{Source: "blog"}, ana.ID)
		finds(t, s, liwanag.SubscriberFilter{Source: `the "web", 100%`}, bo.ID)
		finds(t, s, liwanag.SubscriberFilter{Source: "the"})
		again := ana
		again.ID, again.Source = newID(liwanag.SubscriberKind), "fair"
		upsert(again)
		finds(t, s, liwanag.SubscriberFilter{Source: "fair"}, bo.ID, ana.ID)
		finds(t, s, liwanag.SubscriberFilter{Source: "blog"}, ana.ID)
		finds(t, s, liwanag.SubscriberFilter{Source: "fair", Sort: liwanag.SortCompany, Ascending: true}, ana.ID, bo.ID)
		finds(t, s, liwanag.SubscriberFilter{Source: "fair", IDs: []liwanag.ID{ana.ID}}, ana.ID)
		write(t, s, func(tx *datastore.Tx) error { return tx.Subscribers.Delete([]liwanag.ID{ana.ID}) })
		finds(t, s, liwanag.SubscriberFilter{Source: "blog"})
		finds(t, s, liwanag.SubscriberFilter{Source: "fair"}, bo.ID)
	},

	"what many have finds them all, with other filters too": func(t *testing.T, s *datastore.Store) {
		var ups []liwanag.SignUp
		var results []liwanag.Enriched
		var all, odd []liwanag.ID
		for i := range 1_100 {
			up := signUp(fmt.Sprintf("person.%d@gmail.com", i))
			up.Source = "many"
			if i%500 == 0 {
				up.Source, up.Sources = "few", []string{"many"}
				odd = append(odd, up.ID)
			}
			ups, all = append(ups, up), append(all, up.ID)
			results = append(results, liwanag.Enriched{SubscriberID: up.ID, Found: liwanag.Finding{Country: "Österreich"},
				Profile: []byte("{}"), ResultAt: noon, At: noon})
		}
		write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(ups); return err })
		write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Enrich(results); return err })
		slices.Reverse(all)
		slices.Reverse(odd)
		for name, c := range map[string]struct {
			filter liwanag.SubscriberFilter
			want   []liwanag.ID
		}{
			"source":     {liwanag.SubscriberFilter{Source: "many"}, all},
			"country":    {liwanag.SubscriberFilter{Country: "österreich"}, all},
			"countries":  {liwanag.SubscriberFilter{Country: "österreich,germany"}, all},
			"both":       {liwanag.SubscriberFilter{Country: "ÖSTERREICH", Source: "many"}, all},
			"no job":     {liwanag.SubscriberFilter{Source: "many", Status: liwanag.NoJob}, all},
			"few of all": {liwanag.SubscriberFilter{Source: "few", Country: "Österreich", Status: liwanag.NoJob}, odd},
			"by company": {liwanag.SubscriberFilter{Source: "many", Sort: liwanag.SortCompany}, all},
		} {
			t.Run(name, func(t *testing.T) {
				var got []liwanag.ID
				for one, err := range s.Subscribers.Each(t.Context(), c.filter) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, one.ID)
				}
				equal(t, got, c.want)
				equal(t, get[int64](t)(s.Subscribers.Total(t.Context(), c.filter, 5_000)), int64(len(c.want)))
			})
		}
	},

	"metadata are found whatever else is in them": func(t *testing.T, s *datastore.Store) {
		texts := []string{`{"a":"x","b":"\u0000"}`, `{"a": "\u0078" , "c":"\ud800"}`, `{"a":7,"d":"\\u0000"}`,
			`{"a":"7"}`, `{"a":true}`, `{"x":"a"}`}
		var ups []liwanag.SignUp
		for i, text := range texts {
			ups = append(ups, signUp(fmt.Sprintf("%d@gmail.com", i)))
			ups[i].Metadata = []byte(text)
		}
		write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(ups); return err })
		for value, want := range map[string][]int{"x": {1, 0}, "7": {3, 2}, "true": {4}, "a": nil, "": nil, `\u0078`: nil} {
			var ids []liwanag.ID
			for _, i := range want {
				ids = append(ids, ups[i].ID)
			}
			finds(t, s, liwanag.SubscriberFilter{Metadata: map[string]string{"a": value}}, ids...)
		}
	},

	"searches of odd words find the same": func(t *testing.T, s *datastore.Store) {
		names := []string{"Zoë O'Brien-Łącka", "王小明", "محمد علي", "Ann 100% a_b*", "🚀 Rocket",
			"'; DROP TABLE subscriber; --", strings.Repeat("long", 40)}
		var ups []liwanag.SignUp
		for i, name := range names {
			ups = append(ups, signUp(fmt.Sprintf("%d@mail.example", i)))
			ups[i].Stated.FullName = name
		}
		write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(ups); return err })
		for range 2 {
			for query, want := range map[string][]int{"zoe": {0}, "ZOË": {0}, "o'brien": {0}, "brien-ł": {0},
				"王小": {1}, "小明": nil, "محمد": {2},
				"علي محمد": {2}, "100%": {3}, "a_b*": {3}, "%": nil, "*": nil,
				"🚀": nil, "🚀 rock": {4}, `"rocket"`: {4}, "drop table": {5},
				"'; drop": {5}, strings.Repeat("long", 40): {6}, strings.Repeat("long", 400): {6}, "long ann": nil} {
				var ids []liwanag.ID
				for _, i := range want {
					ids = append(ids, ups[i].ID)
				}
				finds(t, s, liwanag.SubscriberFilter{Query: query}, ids...)
			}
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Index(20); return err })
		}
	},
}
