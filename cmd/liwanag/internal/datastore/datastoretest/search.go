package datastoretest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// searches are searches of the people of [leads], and whom they find: 0 is Ana, 1 Bo, 2 Cid.
var searches = map[string][]int{
	"ana": {0}, "ANA": {0}, "an": {1, 0}, "na": nil, "bo@gmail.com": {1}, "gmail": {2, 1, 0}, "@gm": {2, 1, 0}, "mail": nil,
	"co-founder": {0}, "found": {0}, "VP": {1}, "sales vp": {1}, "sal technology": {1}, "info int": {1}, "founder acme": nil,
	"zeta": {0}, "zeta.example": {0}, "example": {1, 0}, "z": {2, 0}, "zoo": {2}, "ana zoo": nil,
	"%": nil, "_": nil, "-": nil, "a_a": {1, 0}, "a%": {1, 0}, " ana ": {0}, "österreich": nil, "ana ana an": {0}, "\U0010FFFF": nil,
}

var searchTests = map[string]func(t *testing.T, s *datastore.Store){
	"each word is the beginning of one, whatever the index has": func(t *testing.T, s *datastore.Store) {
		ana, bo, cid := leads(t, s)
		people := []liwanag.ID{ana, bo, cid}
		for indexed := range 5 { // the last time nobody is left
			for query, want := range searches {
				var ids []liwanag.ID
				for _, i := range want {
					ids = append(ids, people[i])
				}
				finds(t, s, liwanag.SubscriberFilter{Query: query}, ids...)
			}
			want(t, s, min(1, max(0, 3-indexed)), func(tx *datastore.Tx) (int, error) { return tx.Subscribers.Index(1) })
		}
		_, _, err := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{Query: words(100)}, liwanag.Page{})
		if !errors.Is(err, liwanag.ErrInvalidFilter) {
			t.Errorf("a hundred words: %v", err)
		}
	},

	"words follow what becomes of somebody": func(t *testing.T, s *datastore.Store) {
		ids := people(t, s, "mara@gmail.com", "nora@gmail.com", "olga@gmail.com")
		want(t, s, 2, func(tx *datastore.Tx) (int, error) { return tx.Subscribers.Index(2) })
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{
				{SubscriberID: ids[0], Found: liwanag.Finding{JobTitle: "Welder"}, Profile: []byte("{}"), ResultAt: noon, At: noon},
				{SubscriberID: ids[2], Found: liwanag.Finding{JobTitle: "Welder"}, Profile: []byte("{}"), ResultAt: noon, At: noon}})
			return err
		})
		finds(t, s, liwanag.SubscriberFilter{Query: "weld"}, ids[2], ids[0])
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: ids[0], Found: liwanag.Finding{JobTitle: "Poet"},
				Profile: []byte("{}"), ResultAt: noon.Add(time.Hour), At: noon}})
			return err
		})
		finds(t, s, liwanag.SubscriberFilter{Query: "weld"}, ids[2])
		finds(t, s, liwanag.SubscriberFilter{Query: "poet gmail"}, ids[0])
		write(t, s, func(tx *datastore.Tx) error { return tx.Subscribers.Delete([]liwanag.ID{ids[0]}) })
		finds(t, s, liwanag.SubscriberFilter{Query: "poet"})
		finds(t, s, liwanag.SubscriberFilter{Query: "gmail"}, ids[2], ids[1])
	},

	// The id of a person is made before their row: another one's may be in the index by then.
	"who comes behind the mark is found": func(t *testing.T, s *datastore.Store) {
		late := signUp("late@gmail.com")
		early := people(t, s, "early@gmail.com")
		want(t, s, 1, func(tx *datastore.Tx) (int, error) { return tx.Subscribers.Index(9) })
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Upsert([]liwanag.SignUp{late})
			return err
		})
		finds(t, s, liwanag.SubscriberFilter{Query: "late"}, late.ID)
		finds(t, s, liwanag.SubscriberFilter{Query: "gmail"}, early[0], late.ID)
	},

	"a search goes with filters, orders and pages": func(t *testing.T, s *datastore.Store) {
		ana, bo, cid := leads(t, s)
		insertJobs(t, s, pendingJob(ana), pendingJob(cid))
		for range 2 {
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Status: liwanag.JobPending}, cid, ana)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Status: liwanag.NoJob}, bo)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Country: "germany"}, bo)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", IDs: []liwanag.ID{ana, bo}}, bo, ana)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Sort: liwanag.SortHeadcount}, bo, ana, cid)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Sort: liwanag.SortCompany, Ascending: true}, bo, ana, cid)
			finds(t, s, liwanag.SubscriberFilter{Query: "gmail", Standing: liwanag.StandingLeft})
			companies, _, err := s.Subscribers.Companies(t.Context(), liwanag.SubscriberFilter{Query: "sales"}, liwanag.Page{})
			if err != nil || len(companies) != 1 || companies[0].Domain != "acme.example" {
				t.Errorf("%+v, %v", companies, err)
			}
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Index(9); return err })
		}
	},

	"a word that many have finds them too": func(t *testing.T, s *datastore.Store) {
		var ups []liwanag.SignUp
		var odd []liwanag.ID
		for i := range 10_200 {
			up := signUp(fmt.Sprintf("person.%d@gmail.com", i))
			if i%5000 == 0 {
				up.Stated.CompanyName = "Odd Ones"
				odd = append(odd, up.ID)
			}
			ups = append(ups, up)
		}
		for some := range slices.Chunk(ups, 1000) {
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Upsert(some); return err })
			write(t, s, func(tx *datastore.Tx) error { _, err := tx.Subscribers.Index(1000); return err })
		}
		slices.Reverse(odd)
		finds(t, s, liwanag.SubscriberFilter{Query: "gmail odd"}, odd...)
		finds(t, s, liwanag.SubscriberFilter{Query: "pers gm 10199"}, ups[10_199].ID)
		equal(t, get[int64](t)(s.Subscribers.Total(t.Context(), liwanag.SubscriberFilter{Query: "gmail person"}, 20_000)), int64(10_200))
	},
}

func words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("w%03d", i)
	}
	return strings.Join(all, " ")
}

// finds compares whom a filter selects, in pages of two and as a total.
func finds(t *testing.T, s *datastore.Store, f liwanag.SubscriberFilter, want ...liwanag.ID) {
	t.Helper()
	var got []liwanag.ID
	for page := (liwanag.Page{Limit: 2}); ; {
		some, next, err := s.Subscribers.List(t.Context(), f, page)
		if err != nil {
			t.Fatalf("%q: %v", f.Query, err)
		}
		got = append(got, identify(some, func(s liwanag.Subscriber) liwanag.ID { return s.ID })...)
		if page.Cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q: got %v, want %v", f.Query, got, want)
	}
	equal(t, get[int64](t)(s.Subscribers.Total(t.Context(), f, 100)), int64(len(want)))
}
