package datastoretest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func source(t *testing.T, s *datastore.Store, name string, token byte) liwanag.Source {
	t.Helper()
	one := liwanag.Source{ID: newID(liwanag.SourceIDKind), Name: name, Kind: liwanag.SourceGeneric, TokenHash: digestOf(token),
		Secrets: []string{"new", "old"}, Settings: []byte(`{"a": 1}`), CreatedAt: noon, UpdatedAt: noon}
	write(t, s, func(tx *datastore.Tx) error { return tx.Sources.Insert(one) })
	return one
}

func receipt(t *testing.T, s *datastore.Store, of liwanag.Source, state liwanag.ReceiptState, body string, at time.Time) liwanag.Receipt {
	t.Helper()
	one := liwanag.Receipt{ID: newID(liwanag.ReceiptKind), SourceID: of.ID, State: state, Code: "c", Reason: "r", ContentType: "text/plain",
		Size: len(body), Created: 1, Updated: 2, Unsubscribed: 3, Failed: 4, ReceivedAt: at}
	if body != "" {
		one.Body, one.Kept = []byte(body), true
	}
	write(t, s, func(tx *datastore.Tx) error { return tx.Receipts.Insert(one) })
	return one
}

func receiptIDs(t *testing.T, s *datastore.Store, f liwanag.ReceiptFilter) []liwanag.ID {
	t.Helper()
	var out []liwanag.ID
	for page := (liwanag.Page{Limit: 2}); ; {
		all, next, err := s.Receipts.List(t.Context(), f, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.Body != nil {
				t.Fatal("a listing holds a body")
			}
			out = append(out, r.ID)
		}
		if next == "" {
			return out
		}
		page.Cursor = next
	}
}

var sourceTests = map[string]func(*testing.T, *datastore.Store){
	"a source is found by id and token, changed and deleted": func(t *testing.T, s *datastore.Store) {
		a, b := source(t, s, "a", 1), source(t, s, "b", 2)
		equal(t, get[liwanag.Source](t)(s.Sources.Get(t.Context(), a.ID)), a)
		equal(t, get[liwanag.Source](t)(s.Sources.ByToken(t.Context(), b.TokenHash)), b)
		equal(t, get[[]liwanag.Source](t)(s.Sources.List(t.Context())), []liwanag.Source{a, b})
		a.Name, a.Secrets, a.Settings, a.Disabled, a.TokenHash, a.UpdatedAt = "c", nil, nil, true, digestOf(3), noon.Add(time.Hour)
		write(t, s, func(tx *datastore.Tx) error { return tx.Sources.Update(a) })
		equal(t, get[liwanag.Source](t)(s.Sources.ByToken(t.Context(), a.TokenHash)), a)
		write(t, s, func(tx *datastore.Tx) error { return tx.Sources.Delete(a.ID) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Sources.Delete(a.ID) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Sources.Update(a) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { _, err := tx.Sources.Get(a.ID); return err })
		_, err := s.Sources.ByToken(t.Context(), a.TokenHash)
		notFound(t, err)
		equal(t, get[[]liwanag.Source](t)(s.Sources.List(t.Context())), []liwanag.Source{b})
	},

	"two sources never share an address": func(t *testing.T, s *datastore.Store) {
		source(t, s, "a", 1)
		refused(t, s, liwanag.ErrState, func(tx *datastore.Tx) error {
			return tx.Sources.Insert(liwanag.Source{ID: newID(liwanag.SourceIDKind), TokenHash: digestOf(1), CreatedAt: noon, UpdatedAt: noon})
		})
	},

	"receipts are listed by source and state, newest first, and replaced": func(t *testing.T, s *datastore.Store) {
		a, b := source(t, s, "a", 1), source(t, s, "b", 2)
		first := receipt(t, s, a, liwanag.ReceiptRejected, "one", noon)
		second := receipt(t, s, b, liwanag.ReceiptAccepted, "two", noon)
		third := receipt(t, s, a, liwanag.ReceiptRefused, "", noon)
		fourth := receipt(t, s, a, liwanag.ReceiptRejected, "four", noon)
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{}), []liwanag.ID{fourth.ID, third.ID, second.ID, first.ID})
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{SourceID: a.ID}), []liwanag.ID{fourth.ID, third.ID, first.ID})
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{SourceID: a.ID,
			States: []liwanag.ReceiptState{liwanag.ReceiptRejected}}), []liwanag.ID{fourth.ID, first.ID})
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{States: []liwanag.ReceiptState{liwanag.ReceiptAccepted,
			liwanag.ReceiptRefused}}), []liwanag.ID{third.ID, second.ID})
		equal(t, get[liwanag.Receipt](t)(s.Receipts.Get(t.Context(), first.ID)), first)
		first.State, first.Code, first.Reason, first.Created, first.ReplayedAt = liwanag.ReceiptAccepted, "", "", 9, noon.Add(time.Hour)
		write(t, s, func(tx *datastore.Tx) error { return tx.Receipts.Update(first) })
		equal(t, get[liwanag.Receipt](t)(s.Receipts.Get(t.Context(), first.ID)), first)
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error {
			return tx.Receipts.Update(liwanag.Receipt{ID: newID(liwanag.ReceiptKind)})
		})
		_, _, err := s.Receipts.List(t.Context(), liwanag.ReceiptFilter{}, liwanag.Page{Cursor: "x"})
		if err == nil {
			t.Fatal("a cursor of nothing was taken")
		}
	},

	"receipts that name a person are found, and their bodies forgotten": func(t *testing.T, s *datastore.Store) {
		a := source(t, s, "a", 1)
		named := receipt(t, s, a, liwanag.ReceiptAccepted, "{\"email\":\"Ada_L@x.com\",\"raw\":\"\x00\xff\"}", noon)
		escaped := receipt(t, s, a, liwanag.ReceiptRejected, "email=ada_l%40x.com", noon)
		receipt(t, s, a, liwanag.ReceiptAccepted, "adaxl@x.com", noon)
		equal(t, get[[]liwanag.ID](t)(s.Receipts.Naming(t.Context(), []string{"ada_l@x.com", "ada_l%40x.com"})),
			[]liwanag.ID{named.ID, escaped.ID})
		write(t, s, func(tx *datastore.Tx) error { return tx.Receipts.DropBodies([]liwanag.ID{named.ID, escaped.ID}) })
		equal(t, len(get[[]liwanag.ID](t)(s.Receipts.Naming(t.Context(), []string{"ada_l@x.com"}))), 0)
		if got := get[liwanag.Receipt](t)(s.Receipts.Get(t.Context(), named.ID)); got.Body != nil || got.Kept || got.Size != named.Size {
			t.Fatalf("%+v", got)
		}
	},

	"old receipts go: bodies first, then rows, and refused ones beyond a number": func(t *testing.T, s *datastore.Store) {
		a, gone := source(t, s, "a", 1), source(t, s, "gone", 2)
		oldAccepted := receipt(t, s, a, liwanag.ReceiptAccepted, "x", noon)
		oldRejected := receipt(t, s, a, liwanag.ReceiptRejected, "x", noon)
		var refusals []liwanag.ID
		for range 5 {
			refusals = append(refusals, receipt(t, s, a, liwanag.ReceiptRefused, "", noon.Add(time.Hour)).ID)
		}
		receipt(t, s, gone, liwanag.ReceiptAccepted, "y", noon.Add(time.Hour))
		write(t, s, func(tx *datastore.Tx) error { return tx.Sources.Delete(gone.ID) })
		want(t, s, int64(5), func(tx *datastore.Tx) (int64, error) { return tx.Receipts.Prune(noon.Add(time.Minute), noon, 2) })
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{}), []liwanag.ID{refusals[4], refusals[3], oldRejected.ID, oldAccepted.ID})
		if got := get[liwanag.Receipt](t)(s.Receipts.Get(t.Context(), oldAccepted.ID)); got.Body != nil {
			t.Fatal("an old accepted body is kept")
		}
		if got := get[liwanag.Receipt](t)(s.Receipts.Get(t.Context(), oldRejected.ID)); got.Body == nil {
			t.Fatal("a rejected body is gone")
		}
		want(t, s, int64(2), func(tx *datastore.Tx) (int64, error) { return tx.Receipts.Prune(noon, noon.Add(time.Minute), 2) })
		equal(t, receiptIDs(t, s, liwanag.ReceiptFilter{}), []liwanag.ID{refusals[4], refusals[3]})
	},
}

func sink(t *testing.T, s *datastore.Store, topics ...liwanag.Topic) liwanag.Sink {
	t.Helper()
	one := liwanag.Sink{ID: newID(liwanag.SinkKind), Name: "n", URL: "https://x.example/hook", Topics: topics, Secrets: []string{"whsec_a"},
		CreatedAt: noon, UpdatedAt: noon}
	write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Insert(one) })
	return one
}

func announced(t *testing.T, s *datastore.Store, all ...liwanag.Announcement) {
	t.Helper()
	write(t, s, func(tx *datastore.Tx) error { _, err := datastore.Announce(tx, all); return err })
}

func messagesOf(t *testing.T, s *datastore.Store, f liwanag.MessageFilter) []liwanag.Message {
	t.Helper()
	var out []liwanag.Message
	for page := (liwanag.Page{Limit: 2}); ; {
		all, next, err := s.Messages.List(t.Context(), f, page)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, all...)
		if next == "" {
			return out
		}
		page.Cursor = next
	}
}

var sinkTests = map[string]func(*testing.T, *datastore.Store){
	"a sink is stored, changed and deleted": func(t *testing.T, s *datastore.Store) {
		a, b := sink(t, s), sink(t, s, liwanag.TopicEnriched)
		equal(t, get[liwanag.Sink](t)(s.Sinks.Get(t.Context(), b.ID)), b)
		equal(t, get[[]liwanag.Sink](t)(s.Sinks.List(t.Context())), []liwanag.Sink{a, b})
		a.Name, a.URL, a.Topics, a.Secrets, a.Disabled, a.DisabledReason = "m", "https://y", []liwanag.Topic{liwanag.TopicCreditsLow},
			[]string{"1", "2"}, true, "gone"
		a.FailingSince, a.SentAt, a.UpdatedAt = noon.Add(1*time.Hour), noon.Add(2*time.Hour), noon.Add(3*time.Hour)
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Update(a) })
		want(t, s, a, func(tx *datastore.Tx) (liwanag.Sink, error) { return tx.Sinks.Get(a.ID) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Delete(a.ID) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Sinks.Update(a) })
		_, err := s.Sinks.Get(t.Context(), a.ID)
		notFound(t, err)
		want(t, s, []liwanag.Sink{b}, func(tx *datastore.Tx) ([]liwanag.Sink, error) { return tx.Sinks.List() })
	},

	"what is announced becomes a message for each sink that asks for it": func(t *testing.T, s *datastore.Store) {
		all, some, off := sink(t, s), sink(t, s, liwanag.TopicSubmissionHeld), sink(t, s)
		off.Disabled = true
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Update(off) })
		who, what, job := newID(liwanag.SubscriberKind), newID(liwanag.SubmissionKind), newID(liwanag.JobKind)
		announced(t, s, liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: who, JobID: job, Facts: `{"a":1}`, At: noon},
			liwanag.Announcement{Topic: liwanag.TopicSubmissionHeld, Subject: what, At: noon})
		got := messagesOf(t, s, liwanag.MessageFilter{SinkID: all.ID})
		if len(got) != 2 || got[1].Subject != who || got[1].JobID != job || got[1].Facts != `{"a":1}` || got[0].Subject != what ||
			got[0].State != liwanag.MessagePending || !got[0].CreatedAt.Equal(noon) {
			t.Fatalf("%+v", got)
		}
		equal(t, len(messagesOf(t, s, liwanag.MessageFilter{SinkID: some.ID})), 1)
		equal(t, len(messagesOf(t, s, liwanag.MessageFilter{SinkID: off.ID})), 0)
		equal(t, len(messagesOf(t, s, liwanag.MessageFilter{Topic: liwanag.TopicSubmissionHeld})), 2)
		equal(t, get[[]liwanag.ID](t)(s.Messages.Waiting(t.Context())), []liwanag.ID{all.ID, some.ID})
	},

	"the bell rings after each commit that stored messages": func(t *testing.T, s *datastore.Store) {
		rung := 0
		belled := s.Announcing(func() { rung++ })
		one := []liwanag.Announcement{{Topic: liwanag.TopicTest, At: noon}}
		tell := func(tx *datastore.Tx) error { _, err := datastore.Announce(tx, one); return err }
		write(t, belled, tell) // to nobody
		equal(t, rung, 0)
		a := sink(t, belled)
		equal(t, rung, 0)
		write(t, belled, tell)
		equal(t, rung, 1)
		refused(t, belled, liwanag.ErrState, func(tx *datastore.Tx) error { return errors.Join(tell(tx), liwanag.ErrState) })
		equal(t, rung, 1)
		m := messagesOf(t, s, liwanag.MessageFilter{SinkID: a.ID})[0]
		again := func(tx *datastore.Tx) error { _, err := tx.Messages.Again(m.ID); return err }
		write(t, belled, again) // it has not ended
		equal(t, rung, 1)
		write(t, belled, func(tx *datastore.Tx) error {
			_, err := tx.Messages.Move(liwanag.MessageMove{ID: m.ID, From: []liwanag.MessageState{liwanag.MessagePending},
				To: liwanag.MessageFailed, At: noon})
			return err
		})
		equal(t, rung, 1)
		write(t, belled, again)
		equal(t, rung, 2)
	},

	"messages are claimed oldest first, each once": func(t *testing.T, s *datastore.Store) {
		a := sink(t, s)
		for range 40 {
			announced(t, s, liwanag.Announcement{Topic: liwanag.TopicTest, At: noon})
		}
		claimed := make([][]liwanag.Message, 8)
		equal(t, together(t, s, 8, nil, func(i int, tx *datastore.Tx) (err error) {
			claimed[i], err = tx.Messages.Claim(a.ID, 4)
			return err
		}), 8)
		seen := map[liwanag.ID]bool{}
		for _, part := range claimed {
			equal(t, len(part), 4)
			for _, m := range part {
				if seen[m.ID] || m.RunID.IsZero() || m.State != liwanag.MessageSending {
					t.Fatalf("%+v", m)
				}
				seen[m.ID] = true
			}
		}
		want(t, s, 8, func(tx *datastore.Tx) (int, error) { return tx.Messages.Busy(a.ID, liwanag.MessagePending) })
		unstarted := get[[]liwanag.Message](t)(s.Messages.Unstarted(t.Context(), 100))
		equal(t, len(unstarted), 32)
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Messages.MarkStarted([]liwanag.ID{unstarted[0].ID, unstarted[1].ID})
		})
		equal(t, len(get[[]liwanag.Message](t)(s.Messages.Unstarted(t.Context(), 100))), 30)
	},

	"a message goes its way once, is logged, and sent again by hand": func(t *testing.T, s *datastore.Store) {
		a := sink(t, s)
		announced(t, s, liwanag.Announcement{Topic: liwanag.TopicTest, At: noon})
		var m liwanag.Message
		write(t, s, func(tx *datastore.Tx) error {
			all, err := tx.Messages.Claim(a.ID, 5)
			m = all[0]
			return err
		})
		move := liwanag.MessageMove{ID: m.ID, From: []liwanag.MessageState{liwanag.MessageSending},
			To: liwanag.MessageRetrying, Attempts: 1, Status: 500,
			Error: "server error", NextAt: noon.Add(time.Minute), At: noon}
		want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Messages.Move(move) })
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Messages.Move(move) })
		attempt := liwanag.MessageAttempt{MessageID: m.ID, N: 1, At: noon, Took: 3 * time.Millisecond, Status: 500, Error: "server error"}
		for range 2 {
			write(t, s, func(tx *datastore.Tx) error { return tx.Messages.Attempted(attempt) })
		}
		equal(t, get[[]liwanag.MessageAttempt](t)(s.Messages.Attempts(t.Context(), m.ID)), []liwanag.MessageAttempt{attempt})
		want(t, s, false, func(tx *datastore.Tx) (bool, error) { return tx.Messages.Again(m.ID) })
		move = liwanag.MessageMove{ID: m.ID, From: []liwanag.MessageState{liwanag.MessageRetrying},
			To: liwanag.MessageDelivered, Attempts: 2, Status: 204, At: noon.Add(time.Hour)}
		want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Messages.Move(move) })
		got := get[liwanag.Message](t)(s.Messages.Get(t.Context(), m.ID))
		if got.State != liwanag.MessageDelivered || got.Attempts != 2 || got.Status != 204 || !got.EndedAt.Equal(noon.Add(time.Hour)) ||
			!got.NextAt.IsZero() {
			t.Fatalf("%+v", got)
		}
		want(t, s, true, func(tx *datastore.Tx) (bool, error) { return tx.Messages.Again(m.ID) })
		got = get[liwanag.Message](t)(s.Messages.Get(t.Context(), m.ID))
		if got.State != liwanag.MessagePending || !got.RunID.IsZero() || got.Attempts != 2 || !got.EndedAt.IsZero() {
			t.Fatalf("%+v", got)
		}
	},

	"messages about a person are dropped, ended ones and those of a deleted sink go": func(t *testing.T, s *datastore.Store) {
		a, gone := sink(t, s), sink(t, s)
		who := newID(liwanag.SubscriberKind)
		announced(t, s, liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: who, At: noon},
			liwanag.Announcement{Topic: liwanag.TopicTest, At: noon})
		write(t, s, func(tx *datastore.Tx) error { return tx.Messages.DropAbout(who, noon.Add(time.Hour)) })
		equal(t, len(messagesOf(t, s, liwanag.MessageFilter{States: []liwanag.MessageState{liwanag.MessageDropped}})), 2)
		want(t, s, int64(0), func(tx *datastore.Tx) (int64, error) { return tx.Messages.Prune(noon.Add(time.Hour)) })
		equal(t, len(messagesOf(t, s, liwanag.MessageFilter{})), 4)
		write(t, s, func(tx *datastore.Tx) error { return tx.Sinks.Delete(gone.ID) })
		want(t, s, int64(3), func(tx *datastore.Tx) (int64, error) { return tx.Messages.Prune(noon.Add(2 * time.Hour)) })
		left := messagesOf(t, s, liwanag.MessageFilter{})
		if len(left) != 1 || left[0].SinkID != a.ID || left[0].Topic != liwanag.TopicTest {
			t.Fatalf("%+v", left)
		}
	},
}

var accessTests = map[string]func(*testing.T, *datastore.Store){
	"a sign-in link is taken once": func(t *testing.T, s *datastore.Store) {
		link := liwanag.Pass{Hash: digestOf(1), Kind: liwanag.PassLink, KeyHash: digestOf(9), CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
			KeyID: newID(liwanag.KeyKind), Person: "ada@x.example", Scopes: liwanag.Scopes{liwanag.Viewer, liwanag.Export}}
		write(t, s, func(tx *datastore.Tx) error { return tx.Passes.Insert(link) })
		equal(t, get[liwanag.Pass](t)(s.Passes.Get(t.Context(), link.Hash)), link)
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { _, err := tx.Passes.Take(liwanag.PassSession, link.Hash); return err })
		equal(t, together(t, s, 20, liwanag.ErrNotFound,
			func(_ int, tx *datastore.Tx) error { _, err := tx.Passes.Take(liwanag.PassLink, link.Hash); return err }), 1)
		_, err := s.Passes.Get(t.Context(), link.Hash)
		notFound(t, err)
	},

	"passes that expired go": func(t *testing.T, s *datastore.Store) {
		write(t, s, func(tx *datastore.Tx) error {
			return tx.Passes.Insert(liwanag.Pass{Hash: digestOf(1), Kind: liwanag.PassSession, CreatedAt: noon, ExpiresAt: noon})
		})
		want(t, s, int64(0), func(tx *datastore.Tx) (int64, error) { return tx.Passes.Prune(noon) })
		_ = get[liwanag.Pass](t)(s.Passes.Get(t.Context(), digestOf(1)))
		want(t, s, int64(1), func(tx *datastore.Tx) (int64, error) { return tx.Passes.Prune(noon.Add(time.Second)) })
		_, err := s.Passes.Get(t.Context(), digestOf(1))
		notFound(t, err)
	},

	"acts are listed newest first, by subject and act": func(t *testing.T, s *datastore.Store) {
		for i := range 5 {
			write(t, s, func(tx *datastore.Tx) error {
				return tx.Acts.Insert(liwanag.Act{At: noon.Add(time.Duration(i) * time.Hour), Actor: "key", Name: "the crm",
					Act: fmt.Sprint("act.", i%2), Subject: fmt.Sprint("run_", i%3), Reason: "r", Request: "q",
					Client: "192.0.2.1"})
			})
		}
		reasons := func(f liwanag.ActFilter) (hours []int) {
			for page := (liwanag.Page{Limit: 2}); ; {
				all, next, err := s.Acts.List(t.Context(), f, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range all {
					equal(t, a, liwanag.Act{Seq: a.Seq, At: a.At, Actor: "key", Name: "the crm", Act: a.Act, Subject: a.Subject, Reason: "r", Request: "q",
						Client: "192.0.2.1", Times: 1})
					hours = append(hours, int(a.At.Sub(noon)/time.Hour))
				}
				if next == "" {
					return hours
				}
				page.Cursor = next
			}
		}
		equal(t, reasons(liwanag.ActFilter{}), []int{4, 3, 2, 1, 0})
		equal(t, reasons(liwanag.ActFilter{Subject: "run_0"}), []int{3, 0})
		equal(t, reasons(liwanag.ActFilter{Act: "act.0"}), []int{4, 2, 0})
		want(t, s, int64(3), func(tx *datastore.Tx) (int64, error) { return tx.Acts.Prune(noon.Add(3 * time.Hour)) })
		equal(t, reasons(liwanag.ActFilter{}), []int{4, 3})
	},
}

var countedTests = map[string]func(*testing.T, *datastore.Store){
	"what is counted has one row": func(t *testing.T, s *datastore.Store) {
		act := liwanag.Act{At: noon, Actor: "unknown", Act: "key.refuse", Client: "192.0.2.1", Times: 3}
		count := func(tx *datastore.Tx) (err error) { act.Seq, err = tx.Acts.Count(act); return err }
		write(t, s, count)
		write(t, s, count)
		want := act
		want.Times = 6
		all, _, err := s.Acts.List(t.Context(), liwanag.ActFilter{}, liwanag.Page{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, all, []liwanag.Act{want})
		write(t, s, func(tx *datastore.Tx) error {
			n, err := tx.Acts.Prune(noon.Add(time.Second))
			equal(t, n, int64(1))
			return err
		})
		write(t, s, count) // it is gone: nothing is left to add to
	},
	"what is counted is listed where its time is, though it is stored later": func(t *testing.T, s *datastore.Store) {
		write(t, s, func(tx *datastore.Tx) error {
			for _, at := range []int{5, 0, 7, 5} {
				if err := tx.Acts.Insert(liwanag.Act{At: noon.Add(time.Duration(at) * time.Second), Actor: "key", Act: "a"}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, f := range []liwanag.ActFilter{{}, {Act: "a"}} {
			var seconds []int
			for page := (liwanag.Page{Limit: 1}); ; {
				all, next, err := s.Acts.List(t.Context(), f, page)
				if err != nil {
					t.Fatal(err)
				}
				seconds = append(seconds, int(all[0].At.Sub(noon)/time.Second))
				if page.Cursor = next; next == "" {
					break
				}
			}
			equal(t, seconds, []int{7, 5, 5, 0})
		}
	},
	"a key is retired once": func(t *testing.T, s *datastore.Store) {
		for i := range 3 {
			write(t, s, func(tx *datastore.Tx) error {
				since, err := tx.Ledger.Retired(digestOf(1), noon.Add(time.Duration(i)*time.Hour))
				equal(t, since.UTC(), noon)
				return err
			})
		}
	},
	"a key is kept by its hash and goes with its passes": func(t *testing.T, s *datastore.Store) {
		key := func(i byte, name string) liwanag.APIKey {
			return liwanag.APIKey{ID: newID(liwanag.KeyKind), Name: name, Hash: digestOf(i), Scopes: liwanag.Scopes{liwanag.Read, liwanag.Export},
				CreatedAt: noon, ExpiresAt: noon.Add(time.Duration(i) * time.Hour)}
		}
		first, second := key(1, "a"), key(2, "a")
		for _, k := range []liwanag.APIKey{first, second} {
			write(t, s, func(tx *datastore.Tx) error { return tx.Keys.Insert(k) })
		}
		refused(t, s, liwanag.ErrTooManyKeys, func(tx *datastore.Tx) error { return tx.Keys.Insert(key(3, "a")) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Keys.Used(first.ID, noon, noon) })
		write(t, s, func(tx *datastore.Tx) error { return tx.Keys.Used(first.ID, noon.Add(time.Hour), noon.Add(-1)) })
		first.UsedAt = noon
		equal(t, get[liwanag.APIKey](t)(s.Keys.ByHash(t.Context(), first.Hash)), first)
		equal(t, get[[]liwanag.APIKey](t)(s.Keys.List(t.Context())), []liwanag.APIKey{second, first})
		for i, id := range []liwanag.ID{first.ID, second.ID} {
			write(t, s, func(tx *datastore.Tx) error {
				return tx.Passes.Insert(liwanag.Pass{Hash: digestOf(byte(i)), Kind: liwanag.PassSession, KeyID: id, CreatedAt: noon, ExpiresAt: noon})
			})
		}
		write(t, s, func(tx *datastore.Tx) error { return tx.Keys.Delete(first.ID) })
		refused(t, s, liwanag.ErrNotFound, func(tx *datastore.Tx) error { return tx.Keys.Delete(first.ID) })
		_, err := s.Keys.Get(t.Context(), first.ID)
		notFound(t, err)
		_, err = s.Passes.Get(t.Context(), digestOf(0))
		notFound(t, err)
		_ = get[liwanag.Pass](t)(s.Passes.Get(t.Context(), digestOf(1)))
	},

	"passes of another key go": func(t *testing.T, s *datastore.Store) {
		for i := range byte(2) {
			write(t, s, func(tx *datastore.Tx) error {
				return tx.Passes.Insert(liwanag.Pass{Hash: digestOf(i), KeyHash: digestOf(i), Kind: liwanag.PassSession,
					CreatedAt: noon, ExpiresAt: noon})
			})
		}
		write(t, s, func(tx *datastore.Tx) error { return tx.Passes.KeepOnly([2]liwanag.Digest{digestOf(1), digestOf(7)}) })
		_ = get[liwanag.Pass](t)(s.Passes.Get(t.Context(), digestOf(1)))
		_, err := s.Passes.Get(t.Context(), digestOf(0))
		notFound(t, err)
	},
}
