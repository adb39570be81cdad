package datastoretest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// viewOf saves a filter.
func viewOf(t *testing.T, s *datastore.Store, name string, f liwanag.SubscriberFilter) (v liwanag.View) {
	t.Helper()
	write(t, s, func(tx *datastore.Tx) (err error) {
		v, err = tx.Views.Save(liwanag.View{ID: newID(liwanag.ViewKind), Name: name, Filter: f, CreatedAt: noon, UpdatedAt: noon}, false)
		return err
	})
	return v
}

var viewTests = map[string]func(t *testing.T, s *datastore.Store){
	"a view is saved, replaced under its id, and removed": func(t *testing.T, s *datastore.Store) {
		yes := true
		full := liwanag.SubscriberFilter{Status: "enriched", EmailType: "personal", Source: "s", JobTitle: "j", Seniority: "VP", Country: "c",
			Industry: "i", CompanyDomain: "d", HeadcountMin: 1, HeadcountMax: 2, HasLinkedin: &yes, FoundAfter: noon, Tag: "t",
			Metadata: map[string]string{"a": "b"}, NameMatches: "no", SignedUpAfter: noon, Query: "q", Standing: "any", CreatedAfter: noon,
			CreatedBefore: noon, RunID: newID(liwanag.RunKind), UploadID: newID(liwanag.UploadKind)}
		b, a := viewOf(t, s, "b", full), viewOf(t, s, "a", liwanag.SubscriberFilter{})
		equal(t, get[[]liwanag.View](t)(s.Views.List(t.Context())), []liwanag.View{a, b})
		refused(t, s, liwanag.ErrViewTaken, func(tx *datastore.Tx) error {
			_, err := tx.Views.Save(liwanag.View{ID: newID(liwanag.ViewKind), Name: "b", CreatedAt: noon, UpdatedAt: noon}, false)
			return err
		})
		b.Columns = []string{"email", "metadata.a,b"}
		b.Filter, b.UpdatedAt = liwanag.SubscriberFilter{Seniority: "CEO", Sort: liwanag.SortFound, Ascending: true}, noon.Add(time.Hour)
		want(t, s, b, func(tx *datastore.Tx) (liwanag.View, error) {
			return tx.Views.Save(liwanag.View{ID: newID(liwanag.ViewKind), Name: "b", Filter: b.Filter, Columns: b.Columns, CreatedAt: b.UpdatedAt,
				UpdatedAt: b.UpdatedAt}, true)
		})
		equal(t, get[liwanag.View](t)(s.Views.Get(t.Context(), "b")), b)
		equal(t, get[liwanag.View](t)(s.Views.Get(t.Context(), b.ID.String())), b)
		sink := liwanag.Sink{ID: newID(liwanag.SinkKind), Name: "x", URL: "https://x.example", ViewID: b.ID, CreatedAt: noon, UpdatedAt: noon}
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Insert(sink) })
		refused(t, s, liwanag.ErrViewUsed, func(tx *datastore.Tx) error { return tx.Views.Delete(b.ID) })
		sink.ViewID = a.ID
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Update(sink) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Views.Delete(b.ID) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Views.Delete(b.ID) })
		_, err := s.Views.Get(t.Context(), "b")
		notFound(t, err)
	},

	"a sink with a view is told of whom it selects, and of what is about nobody": func(t *testing.T, s *datastore.Store) {
		ana, bo, _ := leads(t, s)
		view := viewOf(t, s, "vps", liwanag.SubscriberFilter{Seniority: "vp", Query: "sales"})
		all := liwanag.Sink{ID: newID(liwanag.SinkKind), Name: "all", URL: "https://x.example", CreatedAt: noon, UpdatedAt: noon}
		vps := all
		vps.ID, vps.ViewID = newID(liwanag.SinkKind), view.ID
		write(t, s, func(tx *datastore.Tx) error {
			if err := tx.Sinks.Insert(all); err != nil {
				return err
			}
			return tx.Sinks.Insert(vps)
		})
		upload := newID(liwanag.UploadKind)
		announced(t, s, liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: ana, At: noon},
			liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: bo, At: noon},
			liwanag.Announcement{Topic: liwanag.TopicUploadCompleted, Subject: upload, At: noon})
		for sink, want := range map[liwanag.ID]map[liwanag.ID]bool{
			all.ID: {ana: true, bo: true, upload: true}, vps.ID: {bo: true, upload: true}} {
			messages, _, err := s.Messages.List(t.Context(), liwanag.MessageFilter{SinkID: sink}, liwanag.Page{})
			if err != nil {
				t.Fatal(err)
			}
			got := map[liwanag.ID]bool{}
			for _, m := range messages {
				got[m.Subject] = true
			}
			equal(t, got, want)
		}
	},
}
