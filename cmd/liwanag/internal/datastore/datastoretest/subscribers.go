package datastoretest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var subscriberTests = map[string]func(*testing.T, *datastore.Store){
	"a sign-up keeps every field": func(t *testing.T, s *datastore.Store) {
		up := liwanag.SignUp{ID: newID(liwanag.SubscriberKind), EmailKey: "mara@gmail.com", Email: "Mara@gmail.com",
			EmailType: liwanag.Personal, Source: "blog", Sources: []string{"web"}, Tags: []string{"a\"b", "c"}, TagsOf: "src",
			Metadata: json.RawMessage(`{"plan":"free"}`), Stated: fullStatement("1"), SignedUpAt: noon.Add(-time.Hour), At: noon}
		want(t, s, []liwanag.SignedUp{{ID: up.ID, Created: true}}, upsert(up))
		expected := liwanag.Subscriber{ID: up.ID, EmailKey: up.EmailKey, Email: up.Email, EmailType: up.EmailType, Source: up.Source,
			Metadata: up.Metadata, Stated: up.Stated, Sources: []string{"blog", "web"}, Tags: liwanag.TagLists{"src": up.Tags},
			SignedUpAt: up.SignedUpAt, CreatedAt: noon, UpdatedAt: noon}
		expected.Stated.At = noon
		expected.Settle()
		equal(t, get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), up.ID)), expected)
		equal(t, get[liwanag.Subscriber](t)(s.Subscribers.ByEmail(t.Context(), up.EmailKey)), expected)
		want(t, s, []liwanag.Subscriber{expected}, func(tx *datastore.Tx) ([]liwanag.Subscriber, error) {
			return tx.Subscribers.Get([]liwanag.ID{up.ID, newID(liwanag.SubscriberKind)})
		})
	},

	"one subscriber an address: a known one is updated": func(t *testing.T, s *datastore.Store) {
		first := liwanag.SignUp{ID: newID(liwanag.SubscriberKind), EmailKey: "mara@gmail.com", Email: "Mara@gmail.com",
			EmailType: liwanag.Personal,
			Source:    "blog", Metadata: json.RawMessage(`{"a":{"x":1},"b":2}`), Stated: liwanag.Statement{FirstName: "Mara", CompanyName: "Poets"},
			At: noon}
		later := noon.Add(time.Hour)
		second := liwanag.SignUp{ID: newID(liwanag.SubscriberKind), EmailKey: "mara@gmail.com", Email: "mara@gmail.com",
			EmailType: liwanag.Corporate,
			Metadata:  json.RawMessage(`{"a":{"y":null},"c":"<3"}`), Stated: liwanag.Statement{CompanyName: "Editors"}, At: later}
		want(t, s, []liwanag.SignedUp{{ID: first.ID, Created: true}}, upsert(first))
		want(t, s, []liwanag.SignedUp{{ID: first.ID}}, upsert(second))
		got := get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), first.ID))
		equal(t, members(t, got.Metadata), members(t, json.RawMessage(`{"a":{"y":null},"b":2,"c":"<3"}`)))
		got.Metadata = nil
		expected := liwanag.Subscriber{ID: first.ID, EmailKey: "mara@gmail.com", Email: "Mara@gmail.com",
			EmailType: liwanag.Personal, Source: "blog", Sources: []string{"blog"},
			Stated: liwanag.Statement{FirstName: "Mara", CompanyName: "Editors", At: later}, CreatedAt: noon, UpdatedAt: later}
		expected.Settle()
		equal(t, got, expected)
		_, err := s.Subscribers.Get(t.Context(), second.ID)
		notFound(t, err)
	},

	"one address twice in one call: the second is an update": func(t *testing.T, s *datastore.Store) {
		ups := make([]liwanag.SignUp, 0, 150)
		expected := make([]liwanag.SignedUp, 0, 150)
		for i := range 150 {
			up := signUp(fmt.Sprintf("person-%d@gmail.com", i/2))
			up.Stated.FirstName = fmt.Sprint(i)
			ups = append(ups, up)
			expected = append(expected, liwanag.SignedUp{ID: ups[i-i%2].ID, Created: i%2 == 0})
		}
		want(t, s, expected, upsert(ups...))
		for i := 1; i < len(ups); i += 2 {
			got := get[liwanag.Subscriber](t)(s.Subscribers.ByEmail(t.Context(), ups[i].EmailKey))
			equal(t, got.Summary.FirstName, fmt.Sprint(i))
		}
	},

	"one subscriber an address under concurrent sign-ups": func(t *testing.T, s *datastore.Store) {
		created := make([]bool, 200)
		together(t, s, len(created), nil, func(i int, tx *datastore.Tx) error {
			got, err := tx.Subscribers.Upsert([]liwanag.SignUp{signUp(fmt.Sprintf("person-%d@gmail.com", i%20))})
			if err == nil {
				created[i] = got[0].Created
			}
			return err
		})
		n := 0
		for _, c := range created {
			if c {
				n++
			}
		}
		equal(t, n, 20)
		equal(t, get[map[liwanag.JobStatus]int64](t)(s.Subscribers.Count(t.Context())), map[liwanag.JobStatus]int64{liwanag.NoJob: 20})
	},

	"known addresses are told apart": func(t *testing.T, s *datastore.Store) {
		id := person(t, s, `m"ara@gmail.com`)
		known := get[[]liwanag.Subscriber](t)(s.Subscribers.Known(t.Context(), []string{"no@gmail.com", `m"ara@gmail.com`}))
		if len(known) != 1 || known[0].ID != id || known[0].EmailKey != `m"ara@gmail.com` {
			t.Errorf("%+v", known)
		}
	},

	"a profile is applied and an older one never overwrites it": func(t *testing.T, s *datastore.Store) {
		up := signUp("mara@gmail.com")
		up.Stated = liwanag.Statement{FirstName: "M.", LinkedinURL: "l"}
		want(t, s, []liwanag.SignedUp{{ID: up.ID, Created: true}}, upsert(up))
		_, err := s.Subscribers.Profile(t.Context(), up.ID)
		notFound(t, err)

		apply := func(expected []liwanag.ID, name string, resultAt, at time.Time) {
			t.Helper()
			want(t, s, expected, func(tx *datastore.Tx) ([]liwanag.ID, error) {
				return tx.Subscribers.Enrich([]liwanag.Enriched{
					{SubscriberID: newID(liwanag.SubscriberKind), Profile: json.RawMessage(`{}`), ResultAt: resultAt, At: at},
					{SubscriberID: up.ID, Found: liwanag.Finding{FirstName: name, Location: "Cebu", Country: "PH"},
						Profile: json.RawMessage(`{"name":"` + name + `"}`), ResultAt: resultAt, At: at},
				})
			})
		}
		apply([]liwanag.ID{up.ID}, "Mara", noon, noon.Add(time.Hour))
		apply(nil, "Old", noon.Add(-time.Second), noon.Add(2*time.Hour))
		got := get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), up.ID))
		equal(t, got.Summary, liwanag.Summary{FirstName: "Mara", FullName: "Mara", Location: "Cebu", Country: "PH", LinkedinURL: "l"})
		equal(t, got.Found, liwanag.Finding{FirstName: "Mara", Location: "Cebu", Country: "PH", At: noon.Add(time.Hour)})
		equal(t, []time.Time{got.ResultAt, got.EnrichedAt, got.UpdatedAt}, []time.Time{noon, noon.Add(time.Hour), noon.Add(time.Hour)})
		equal(t, string(get[[]byte](t)(s.Subscribers.Profile(t.Context(), up.ID))), `{"name":"Mara"}`)
		apply([]liwanag.ID{up.ID}, "Newer", noon.Add(time.Second), noon.Add(3*time.Hour))
		equal(t, string(get[[]byte](t)(s.Subscribers.Profile(t.Context(), up.ID))), `{"name":"Newer"}`)
	},

	"a sign-up overwrites nothing that a result brought, and a result nothing that was said": func(t *testing.T, s *datastore.Store) {
		first := signUp("mara@gmail.com")
		first.Stated = liwanag.Statement{FirstName: "M.", CompanyName: "Freelance", CompanyDomain: "mara.example"}
		want(t, s, []liwanag.SignedUp{{ID: first.ID, Created: true}}, upsert(first))
		found := liwanag.Finding{FirstName: "Mara", FullName: "Mara Ilagan", CompanyName: "Bayan", JobTitle: "Poet", Headcount: 12}
		want(t, s, []liwanag.ID{first.ID}, func(tx *datastore.Tx) ([]liwanag.ID, error) {
			return tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: first.ID, Found: found,
				Profile: json.RawMessage(`{}`), ResultAt: noon, At: noon}})
		})
		again, twice := signUp("mara@gmail.com"), signUp("mara@gmail.com")
		again.Stated = liwanag.Statement{FirstName: "Marie", CompanyName: "Acme", LinkedinURL: "https://linkedin.com/in/mara"}
		twice.Stated = liwanag.Statement{FirstName: "Maria", LinkedinURL: "https://linkedin.com/in/maria"}
		want(t, s, []liwanag.SignedUp{{ID: first.ID}, {ID: first.ID}}, upsert(again, twice))
		got := get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), first.ID))
		found.At = noon
		equal(t, got.Found, found)
		equal(t, got.Stated, liwanag.Statement{FirstName: "Maria", CompanyName: "Acme", CompanyDomain: "mara.example",
			LinkedinURL: "https://linkedin.com/in/maria", At: noon})
		equal(t, got.Summary, liwanag.Summary{FirstName: "Mara", FullName: "Mara Ilagan", CompanyName: "Bayan", JobTitle: "Poet", Headcount: 12,
			LinkedinURL: "https://linkedin.com/in/maria"})
		equal(t, []time.Time{got.EnrichedAt, got.ResultAt}, []time.Time{noon, noon})
	},

	"nobody who signs up has to be parted": func(t *testing.T, s *datastore.Store) {
		person(t, s, "mara@gmail.com")
		write(t, s, func(tx *datastore.Tx) error {
			left, err := tx.Subscribers.Unparted(10)
			equal(t, len(left), 0)
			return err
		})
	},

	"the enrichment status is that of the latest job": func(t *testing.T, s *datastore.Store) {
		mara, jon, ana := person(t, s, "mara@gmail.com"), person(t, s, "jon@gmail.com"), person(t, s, "ana@gmail.com")
		failed := pendingJob(mara)
		failed.Status, failed.EndedAt = liwanag.JobFailed, noon
		insertJobs(t, s, failed, pendingJob(jon))
		insertJobs(t, s, pendingJob(mara))
		for id, status := range map[liwanag.ID]liwanag.JobStatus{mara: liwanag.JobPending, jon: liwanag.JobPending, ana: ""} {
			equal(t, get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), id)).EnrichmentStatus, status)
		}
		equal(t, get[map[liwanag.JobStatus]int64](t)(s.Subscribers.Count(t.Context())),
			map[liwanag.JobStatus]int64{liwanag.JobPending: 2, liwanag.NoJob: 1})
		equal(t, get[map[liwanag.JobStatus]int64](t)(s.Jobs.Count(t.Context())),
			map[liwanag.JobStatus]int64{liwanag.JobPending: 2, liwanag.JobFailed: 1})
	},
}

func upsert(ups ...liwanag.SignUp) func(*datastore.Tx) ([]liwanag.SignedUp, error) {
	return func(tx *datastore.Tx) ([]liwanag.SignedUp, error) { return tx.Subscribers.Upsert(ups) }
}

func fullStatement(mark string) liwanag.Statement {
	return liwanag.Statement{FirstName: "fn" + mark, LastName: "ln" + mark, FullName: "full" + mark, LinkedinURL: "li" + mark,
		CompanyName: "cn" + mark, CompanyDomain: "cd" + mark}
}

func members(t *testing.T, object json.RawMessage) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(object, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
