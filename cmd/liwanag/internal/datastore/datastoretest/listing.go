package datastoretest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var listingTests = map[string]func(*testing.T, *datastore.Store){
	"subscribers page newest first, stable under inserts": func(t *testing.T, s *datastore.Store) {
		ids := people(t, s, "a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com", "e@gmail.com")
		list := func(p liwanag.Page) ([]liwanag.ID, string, error) {
			page, next, err := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{}, p)
			return identify(page, func(s liwanag.Subscriber) liwanag.ID { return s.ID }), next, err
		}
		pagesAreStable(t, ids, list, func() { person(t, s, "late@gmail.com") })
	},

	"a filter with a control character selects nobody": func(t *testing.T, s *datastore.Store) {
		person(t, s, "ann@gmail.com")
		for _, f := range []liwanag.SubscriberFilter{{Query: "\x00"}, {Query: "ann\x00"}, {Query: "\n"}, {Source: "\x00"}, {Query: "\u0085"},
			{Seniority: "vp\x00"}} {
			if got, _, err := s.Subscribers.List(t.Context(), f, liwanag.Page{}); !errors.Is(err, liwanag.ErrInvalidFilter) || len(got) > 0 {
				t.Errorf("%+v selects %d people, %v", f, len(got), err)
			}
			for _, err := range s.Subscribers.Each(t.Context(), f) {
				if !errors.Is(err, liwanag.ErrInvalidFilter) {
					t.Errorf("%+v: %v", f, err)
				}
			}
		}
	},

	"submissions page newest first, stable under inserts": func(t *testing.T, s *datastore.Store) {
		for _, f := range []liwanag.SubmissionFilter{
			{},
			{States: []liwanag.SubmissionState{liwanag.SubmissionPrepared}},
			{States: []liwanag.SubmissionState{liwanag.SubmissionHeld, liwanag.SubmissionPrepared, liwanag.SubmissionRefused}},
		} {
			run := newID(liwanag.RunKind)
			n := 0
			insert := func() liwanag.ID {
				n++
				b := preparedSubmission(run, n, 0)
				if n%2 == 0 && len(f.States) != 1 {
					b.State = liwanag.SubmissionRefused
				}
				return insertSubmission(t, s, b).ID
			}
			f.RunID = run
			insertSubmission(t, s, preparedSubmission(newID(liwanag.RunKind), 1, 0))
			list := func(p liwanag.Page) ([]liwanag.ID, string, error) {
				page, next, err := s.Submissions.List(t.Context(), f, p)
				return identify(page, func(b liwanag.Submission) liwanag.ID { return b.ID }), next, err
			}
			pagesAreStable(t, []liwanag.ID{insert(), insert(), insert(), insert(), insert()}, list, func() { insert() })
		}
		if _, _, err := s.Submissions.List(t.Context(), liwanag.SubmissionFilter{}, liwanag.Page{}); err != nil {
			t.Fatal(err)
		}
	},

	"deliveries page newest first, stable under inserts, without bodies": func(t *testing.T, s *datastore.Store) {
		n := byte(0)
		at := noon
		submission := newID(liwanag.SubmissionKind)
		insert := func() liwanag.Digest {
			n++
			d := liwanag.Delivery{Digest: digestOf(n), Source: liwanag.FromWebhook, Raw: []byte("{}"), Size: 2, State: liwanag.DeliveryStored,
				SubmissionID: submission, ReceivedAt: at}
			if n%2 == 0 { // two share an instant
				at = at.Add(time.Second)
				d.State = liwanag.DeliverySent
			}
			want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Deliveries.Insert(d) })
			return d.Digest
		}
		digests := []liwanag.Digest{insert(), insert(), insert(), insert(), insert()}
		for _, f := range []liwanag.DeliveryFilter{{}, {SubmissionID: submission},
			{States: []liwanag.DeliveryState{liwanag.DeliverySent, liwanag.DeliveryStored}}} {
			list := func(p liwanag.Page) ([]liwanag.Digest, string, error) {
				page, next, err := s.Deliveries.List(t.Context(), f, p)
				for _, d := range page {
					if d.Raw != nil {
						t.Error("a listing carries the body")
					}
				}
				return identify(page, func(d liwanag.Delivery) liwanag.Digest { return d.Digest }), next, err
			}
			pagesAreStable(t, digests, list, func() { digests = append(digests, insert()) })
		}
		got, _, err := s.Deliveries.List(t.Context(), liwanag.DeliveryFilter{SubmissionID: newID(liwanag.SubmissionKind)}, liwanag.Page{})
		if err != nil || len(got) != 0 {
			t.Fatalf("deliveries of another submission: %v, %v", got, err)
		}
	},

	"uploads page newest first, stable under inserts": func(t *testing.T, s *datastore.Store) {
		insert := func() liwanag.ID {
			u := liwanag.Upload{ID: newID(liwanag.UploadKind), FileName: "a.csv", Status: liwanag.UploadPreviewed, CreatedAt: noon}
			write(t, s, func(tx *datastore.Tx) error { return tx.Uploads.Insert(u) })
			return u.ID
		}
		list := func(p liwanag.Page) ([]liwanag.ID, string, error) {
			page, next, err := s.Uploads.List(t.Context(), p)
			return identify(page, func(u liwanag.Upload) liwanag.ID { return u.ID }), next, err
		}
		pagesAreStable(t, []liwanag.ID{insert(), insert(), insert(), insert(), insert()}, list, func() { insert() })
	},

	"every filter of subscribers selects": func(t *testing.T, s *datastore.Store) {
		mara := signUp("mara@gmail.com")
		mara.Source, mara.Sources = "blog", []string{`the "web"`}
		mara.Stated = liwanag.Statement{FullName: "Mara Ilagan", CompanyName: "100% Élan_Co"}
		mara.Tags = []string{`a "b"`, "c"}
		jon := signUp("jon@acme.example")
		jon.EmailType, jon.At = liwanag.Corporate, noon.Add(time.Hour)
		ana := signUp("ana@gmail.com")
		ana.At = noon.Add(2 * time.Hour)
		mara.SignedUpAt, mara.At = noon, noon
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Upsert([]liwanag.SignUp{mara, jon, ana})
			return err
		})
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: mara.ID, Found: liwanag.Finding{Seniority: "C-Suite_É"},
				Profile: []byte("{}"), ResultAt: noon, At: noon}})
			return err
		})
		old := pendingJob(mara.ID)
		old.Status, old.EndedAt = liwanag.JobNotFound, noon
		insertJobs(t, s, old)
		insertJobs(t, s, pendingJob(mara.ID))
		ids := func(ups ...liwanag.SignUp) []liwanag.ID {
			return identify(ups, func(u liwanag.SignUp) liwanag.ID { return u.ID })
		}
		for name, c := range map[string]struct {
			filter liwanag.SubscriberFilter
			want   []liwanag.ID
		}{
			"none":             {liwanag.SubscriberFilter{}, ids(ana, jon, mara)},
			"status":           {liwanag.SubscriberFilter{Status: liwanag.JobPending}, ids(mara)},
			"earlier status":   {liwanag.SubscriberFilter{Status: liwanag.JobNotFound}, nil},
			"no job":           {liwanag.SubscriberFilter{Status: liwanag.NoJob}, ids(ana, jon)},
			"type":             {liwanag.SubscriberFilter{EmailType: liwanag.Corporate}, ids(jon)},
			"source":           {liwanag.SubscriberFilter{Source: "blog"}, ids(mara)},
			"tag":              {liwanag.SubscriberFilter{Tag: `a "b"`}, ids(mara)},
			"last tag":         {liwanag.SubscriberFilter{Tag: "c"}, ids(mara)},
			"sender of a tag":  {liwanag.SubscriberFilter{Tag: "blog"}, nil},
			"names match":      {liwanag.SubscriberFilter{NameMatches: liwanag.NamesUnknown}, ids(ana, jon, mara)},
			"names differ":     {liwanag.SubscriberFilter{NameMatches: liwanag.NamesDiffer}, nil},
			"signed up since":  {liwanag.SubscriberFilter{SignedUpAfter: noon.Add(time.Hour)}, ids(ana, jon)},
			"another source":   {liwanag.SubscriberFilter{Source: `the "web"`}, ids(mara)},
			"part of a source": {liwanag.SubscriberFilter{Source: "web"}, nil},
			"seniority":        {liwanag.SubscriberFilter{Seniority: "c-SUITE_é"}, ids(mara)},
			"seniority, whole": {liwanag.SubscriberFilter{Seniority: "c-suite"}, nil},
			"no joker in it":   {liwanag.SubscriberFilter{Seniority: "c_suite_é"}, nil},
			"query, address":   {liwanag.SubscriberFilter{Query: "ACME"}, ids(jon)},
			"query, name":      {liwanag.SubscriberFilter{Query: "ilag"}, ids(mara)},
			"query, company":   {liwanag.SubscriberFilter{Query: "élan"}, ids(mara)},
			"after":            {liwanag.SubscriberFilter{CreatedAfter: noon}, ids(ana, jon)},
			"before":           {liwanag.SubscriberFilter{CreatedBefore: noon.Add(2 * time.Hour)}, ids(jon, mara)},
			"ids":              {liwanag.SubscriberFilter{IDs: ids(mara, ana)}, ids(ana, mara)},
			"all at once": {liwanag.SubscriberFilter{IDs: ids(mara, ana), Status: liwanag.JobPending, EmailType: liwanag.Personal, Source: "blog",
				Query: "mara", CreatedAfter: noon.Add(-1), CreatedBefore: noon.Add(time.Hour)}, ids(mara)},
		} {
			t.Run(name, func(t *testing.T) {
				page, next, err := s.Subscribers.List(t.Context(), c.filter, liwanag.Page{})
				if err != nil || next != "" {
					t.Fatalf("next %q, error %v", next, err)
				}
				equal(t, identify(page, func(s liwanag.Subscriber) liwanag.ID { return s.ID }), c.want)
				var each []liwanag.ID
				for one, err := range s.Subscribers.Each(t.Context(), c.filter) {
					if err != nil {
						t.Fatal(err)
					}
					each = append(each, one.ID)
				}
				equal(t, each, c.want)
			})
		}
	},

	"leads are found by what is known of them": func(t *testing.T, s *datastore.Store) {
		ana, bo, cid := leads(t, s)
		yes, no := true, false
		for name, c := range map[string]struct {
			filter liwanag.SubscriberFilter
			want   []liwanag.ID
		}{
			"title":                 {liwanag.SubscriberFilter{JobTitle: "FOUNDER"}, []liwanag.ID{ana}},
			"titles":                {liwanag.SubscriberFilter{JobTitle: "founder, sales"}, []liwanag.ID{bo, ana}},
			"title, literally":      {liwanag.SubscriberFilter{JobTitle: "%"}, nil},
			"title, commas only":    {liwanag.SubscriberFilter{JobTitle: " , "}, nil},
			"seniority":             {liwanag.SubscriberFilter{Seniority: "vp"}, []liwanag.ID{bo}},
			"seniorities":           {liwanag.SubscriberFilter{Seniority: "vp,C-Suite"}, []liwanag.ID{bo, ana}},
			"country":               {liwanag.SubscriberFilter{Country: "österreich"}, []liwanag.ID{ana}},
			"countries":             {liwanag.SubscriberFilter{Country: "Germany,ÖSTERREICH"}, []liwanag.ID{bo, ana}},
			"part of a country":     {liwanag.SubscriberFilter{Country: "german"}, nil},
			"industry":              {liwanag.SubscriberFilter{Industry: "technology, information and internet"}, []liwanag.ID{bo}},
			"no list of industries": {liwanag.SubscriberFilter{Industry: "Technology, Retail"}, nil},
			"size":                  {liwanag.SubscriberFilter{HeadcountMin: 50, HeadcountMax: 500}, []liwanag.ID{bo}},
			"size, its bounds":      {liwanag.SubscriberFilter{HeadcountMin: 10, HeadcountMax: 10}, []liwanag.ID{ana}},
			"company":               {liwanag.SubscriberFilter{CompanyDomain: "ACME.example"}, []liwanag.ID{bo}},
			"linkedin":              {liwanag.SubscriberFilter{HasLinkedin: &yes}, []liwanag.ID{ana}},
			"no linkedin":           {liwanag.SubscriberFilter{HasLinkedin: &no}, []liwanag.ID{cid, bo}},
			"found since":           {liwanag.SubscriberFilter{FoundAfter: noon.Add(time.Hour)}, []liwanag.ID{bo}},
			"metadata":              {liwanag.SubscriberFilter{Metadata: map[string]string{`utm "x"`: "spring"}}, []liwanag.ID{ana}},
			"metadata, a number":    {liwanag.SubscriberFilter{Metadata: map[string]string{"n": "5"}}, []liwanag.ID{bo, ana}},
			"metadata, truth":       {liwanag.SubscriberFilter{Metadata: map[string]string{"paid": "true"}}, []liwanag.ID{bo}},
			"metadata, all of it":   {liwanag.SubscriberFilter{Metadata: map[string]string{"paid": "true", `utm "x"`: "spring"}}, nil},
			"metadata, case":        {liwanag.SubscriberFilter{Metadata: map[string]string{`utm "x"`: "Spring"}}, nil},
			"together":              {liwanag.SubscriberFilter{Seniority: "VP", Country: "Germany", HeadcountMin: 50, JobTitle: "sales"}, []liwanag.ID{bo}},
		} {
			t.Run(name, func(t *testing.T) {
				page, _, err := s.Subscribers.List(t.Context(), c.filter, liwanag.Page{})
				if err != nil {
					t.Fatal(err)
				}
				equal(t, identify(page, func(s liwanag.Subscriber) liwanag.ID { return s.ID }), c.want)
				equal(t, get[int64](t)(s.Subscribers.Total(t.Context(), c.filter, 2)), int64(min(2, len(c.want))))
			})
		}
		unclear := liwanag.SubscriberFilter{Metadata: map[string]string{"a\x00": "b"}}
		if _, err := s.Subscribers.Total(t.Context(), unclear, 1); !errors.Is(err, liwanag.ErrInvalidFilter) {
			t.Errorf("a NUL in a key: %v", err)
		}
	},

	"orders go through everybody, those without a value last": func(t *testing.T, s *datastore.Store) {
		ana, bo, cid := leads(t, s)
		more := people(t, s, "x@gmail.com", "y@gmail.com")
		for name, c := range map[string]struct {
			sort liwanag.SubscriberSort
			up   bool
			want []liwanag.ID
		}{
			"added":              {liwanag.SortAdded, false, []liwanag.ID{more[1], more[0], cid, bo, ana}},
			"added, upwards":     {liwanag.SortAdded, true, []liwanag.ID{ana, bo, cid, more[0], more[1]}},
			"found":              {liwanag.SortFound, false, []liwanag.ID{bo, ana, more[1], more[0], cid}},
			"found, upwards":     {liwanag.SortFound, true, []liwanag.ID{ana, bo, cid, more[0], more[1]}},
			"company":            {liwanag.SortCompany, true, []liwanag.ID{bo, ana, cid, more[0], more[1]}},
			"company, downwards": {liwanag.SortCompany, false, []liwanag.ID{cid, ana, bo, more[1], more[0]}},
			"headcount":          {liwanag.SortHeadcount, false, []liwanag.ID{bo, ana, more[1], more[0], cid}},
			"headcount, upwards": {liwanag.SortHeadcount, true, []liwanag.ID{ana, bo, cid, more[0], more[1]}},
		} {
			t.Run(name, func(t *testing.T) {
				filter := liwanag.SubscriberFilter{Sort: c.sort, Ascending: c.up}
				for limit := 1; limit <= 5; limit++ {
					var got []liwanag.ID
					for page := (liwanag.Page{Limit: limit}); ; {
						some, next, err := s.Subscribers.List(t.Context(), filter, page)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, identify(some, func(s liwanag.Subscriber) liwanag.ID { return s.ID })...)
						if next == "" {
							break
						}
						page.Cursor = next
						other := filter
						other.Ascending = !other.Ascending
						if _, _, err := s.Subscribers.List(t.Context(), other, page); !errors.Is(err, liwanag.ErrInvalidCursor) {
							t.Fatalf("a cursor of the other direction: %v", err)
						}
					}
					equal(t, got, c.want)
					backwards(t, s, filter, limit, c.want)
				}
			})
		}
		filter := liwanag.SubscriberFilter{Sort: liwanag.SortHeadcount, Status: liwanag.JobPending}
		insertJobs(t, s, pendingJob(ana), pendingJob(cid))
		page, _, err := s.Subscribers.List(t.Context(), filter, liwanag.Page{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, identify(page, func(s liwanag.Subscriber) liwanag.ID { return s.ID }), []liwanag.ID{ana, cid})
	},

	"companies are told by those who work there": func(t *testing.T, s *datastore.Store) {
		leads(t, s)
		dan := signUp("dan@gmail.com")
		dan.Stated = liwanag.Statement{CompanyName: "zzz as said", CompanyDomain: "Acme.example"}
		dan.At = noon.Add(5 * time.Hour)
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Upsert([]liwanag.SignUp{dan})
			return err
		})
		want := []liwanag.Company{
			{Domain: "acme.example", Name: "Acme", Headcount: 200, Industry: "Technology, Information and Internet", People: 2,
				Seniorities: map[string]int64{"VP": 1}, NewestAt: dan.At},
			{Domain: "zeta.example", Name: "zeta", Headcount: 10, People: 1, Seniorities: map[string]int64{"C-Suite": 1}, NewestAt: noon},
		}
		for _, limit := range []int{1, 2} {
			var got []liwanag.Company
			for page := (liwanag.Page{Limit: limit}); ; {
				some, next, err := s.Subscribers.Companies(t.Context(), liwanag.SubscriberFilter{}, page)
				if err != nil {
					t.Fatal(err)
				}
				for i := range some {
					some[i].NewestAt = some[i].NewestAt.UTC()
				}
				got = append(got, some...)
				if page.Cursor = next; next == "" {
					break
				}
			}
			equal(t, got, want)
		}
		filter := liwanag.SubscriberFilter{CompanyDomain: "ACME.example", Seniority: "vp"}
		some, _, err := s.Subscribers.Companies(t.Context(), filter, liwanag.Page{})
		if err != nil || len(some) != 1 || some[0].People != 1 {
			t.Errorf("%+v, %v", some, err)
		}
	},

	"each goes through more than a page": func(t *testing.T, s *datastore.Store) {
		var ups []liwanag.SignUp
		var ids []liwanag.ID
		for i := range 1203 {
			ups = append(ups, signUp(fmt.Sprintf("person-%d@gmail.com", i)))
			ids = append(ids, ups[i].ID)
		}
		write(t, s, func(tx *datastore.Tx) error {
			_, err := tx.Subscribers.Upsert(ups)
			return err
		})
		slices.Reverse(ids)
		var each []liwanag.ID
		for one := range s.Subscribers.Each(t.Context(), liwanag.SubscriberFilter{}) {
			each = append(each, one.ID)
		}
		equal(t, each, ids)
		for range s.Subscribers.Each(t.Context(), liwanag.SubscriberFilter{}) {
			break // must not go on
		}
		page, next, err := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{}, liwanag.Page{Limit: 10_000})
		if err != nil || len(page) != 500 || next == "" {
			t.Fatalf("a page of %d, next %q, %v", len(page), next, err)
		}
	},

	"a cursor that no listing returned is refused": func(t *testing.T, s *datastore.Store) {
		people(t, s, "a@gmail.com", "b@gmail.com")
		_, subscriberCursor, err := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{}, liwanag.Page{Limit: 1})
		if err != nil || subscriberCursor == "" {
			t.Fatalf("cursor %q, %v", subscriberCursor, err)
		}
		for _, cursor := range []string{"?", "AAAA", subscriberCursor} {
			p := liwanag.Page{Cursor: cursor}
			_, _, err1 := s.Submissions.List(t.Context(), liwanag.SubmissionFilter{}, p)
			_, _, err2 := s.Deliveries.List(t.Context(), liwanag.DeliveryFilter{}, p)
			_, _, err3 := s.Uploads.List(t.Context(), p)
			_, _, err4 := s.Subscribers.List(t.Context(), liwanag.SubscriberFilter{}, liwanag.Page{Cursor: "u" + cursor})
			for _, err := range []error{err1, err2, err3, err4} {
				if !errors.Is(err, liwanag.ErrInvalidCursor) {
					t.Fatalf("cursor %q: got %v, want ErrInvalidCursor", cursor, err)
				}
			}
		}
	},
}

func identify[T, ID any](all []T, id func(T) ID) []ID {
	var ids []ID
	for _, one := range all {
		ids = append(ids, id(one))
	}
	return ids
}

// pagesAreStable reads the rows, given oldest first, in pages of two while
// newer ones come.
func pagesAreStable[ID any](t *testing.T, oldestFirst []ID, list func(liwanag.Page) ([]ID, string, error), insert func()) {
	t.Helper()
	expected := slices.Clone(oldestFirst)
	slices.Reverse(expected)
	var got []ID
	cursor := ""
	for {
		page, next, err := list(liwanag.Page{Limit: 2, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 2 {
			t.Fatalf("a page of %d", len(page))
		}
		got = append(got, page...)
		if next == "" {
			break
		}
		cursor = next
		insert()
	}
	equal(t, got, expected)
}

// leads are three people in the order of their coming: a founder and a VP who were
// found, and somebody of whom only a company's name is known.
func leads(t *testing.T, s *datastore.Store) (ana, bo, cid liwanag.ID) {
	t.Helper()
	ups := []liwanag.SignUp{signUp("ana@gmail.com"), signUp("bo@gmail.com"), signUp("cid@gmail.com")}
	ups[0].Metadata, ups[1].Metadata = []byte(`{"utm \"x\"":"spring","n":5}`), []byte(`{"n":"5","paid":true}`)
	ups[2].Stated.CompanyName = "Zoo"
	write(t, s, func(tx *datastore.Tx) error {
		_, err := tx.Subscribers.Upsert(ups)
		return err
	})
	founder := liwanag.Finding{JobTitle: "Co-Founder & CEO", Seniority: "C-Suite", Country: "Österreich", CompanyName: "zeta",
		CompanyDomain: "zeta.example", Headcount: 10, LinkedinURL: "https://www.linkedin.com/in/ana"}
	vp := liwanag.Finding{JobTitle: "VP Sales", Seniority: "VP", Country: "Germany", CompanyName: "Acme",
		CompanyDomain: "acme.example", Headcount: 200, Industry: "Technology, Information and Internet"}
	write(t, s, func(tx *datastore.Tx) error {
		_, err := tx.Subscribers.Enrich([]liwanag.Enriched{
			{SubscriberID: ups[0].ID, Found: founder, Profile: []byte("{}"), ResultAt: noon, At: noon},
			{SubscriberID: ups[1].ID, Found: vp, Profile: []byte("{}"), ResultAt: noon, At: noon.Add(time.Hour)},
		})
		return err
	})
	return ups[0].ID, ups[1].ID, ups[2].ID
}

// backwards walks from behind each of the people in want to the first, page by page.
func backwards(t *testing.T, s *datastore.Store, f liwanag.SubscriberFilter, limit int, want []liwanag.ID) {
	t.Helper()
	all, _, err := s.Subscribers.List(t.Context(), f, liwanag.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for i, from := range all {
		var got []liwanag.ID
		for page := (liwanag.Page{Limit: limit, Cursor: s.Subscribers.CursorOf(f, from)}); page.Cursor != ""; {
			some, before, err := s.Subscribers.ListBefore(t.Context(), f, page)
			if err != nil {
				t.Fatal(err)
			}
			got = append(identify(some, func(s liwanag.Subscriber) liwanag.ID { return s.ID }), got...)
			page.Cursor = before
		}
		if len(got)+i > 0 {
			equal(t, got, want[:i])
		}
	}
}
