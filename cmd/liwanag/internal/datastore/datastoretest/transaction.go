package datastoretest

import (
	"context"
	"errors"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

var transactionTests = map[string]func(*testing.T, *datastore.Store){
	"an error undoes its own write alone and comes back as it is": func(t *testing.T, s *datastore.Store) {
		mine := errors.New("over the limit")
		done := together(t, s, 100, mine, func(i int, tx *datastore.Tx) error {
			if _, err := tx.Ledger.TakeCall(1); err != nil {
				return err
			}
			if i%2 == 0 {
				return mine
			}
			return nil
		})
		equal(t, done, 50)
		if err := s.Write(t.Context(), func(*datastore.Tx) error { return mine }); err != mine {
			t.Fatalf("got %v, want the very error", err)
		}
		want(t, s, 51, func(tx *datastore.Tx) (int, error) { return tx.Ledger.TakeCall(1) })
	},

	"a panic undoes its own write alone": func(t *testing.T, s *datastore.Store) {
		err := s.Write(t.Context(), func(tx *datastore.Tx) error {
			if _, err := tx.Ledger.TakeCall(1); err != nil {
				return err
			}
			panic("a fault of the caller")
		})
		if err == nil {
			t.Fatal("the panic was swallowed")
		}
		want(t, s, 1, func(tx *datastore.Tx) (int, error) { return tx.Ledger.TakeCall(1) })
	},

	"a transaction sees its own writes, others see them when it is done": func(t *testing.T, s *datastore.Store) {
		up := signUp("mara@gmail.com")
		write(t, s, func(tx *datastore.Tx) error {
			if _, err := tx.Subscribers.Upsert([]liwanag.SignUp{up}); err != nil {
				return err
			}
			inside, err := tx.Subscribers.Get([]liwanag.ID{up.ID})
			if err != nil || len(inside) != 1 {
				t.Errorf("inside: %v, %v", inside, err)
			}
			_, err = s.Subscribers.Get(context.Background(), up.ID)
			notFound(t, err)
			return nil
		})
		get[liwanag.Subscriber](t)(s.Subscribers.Get(t.Context(), up.ID))
	},

	"a write that was cancelled before it began did nothing": func(t *testing.T, s *datastore.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.Write(ctx, func(tx *datastore.Tx) error {
			_, err := tx.Ledger.TakeCall(1)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want context.Canceled", err)
		}
		want(t, s, 1, func(tx *datastore.Tx) (int, error) { return tx.Ledger.TakeCall(1) })
	},
}

// closedDatabase asks for things that are not there: a database that cannot
// answer must not say so.
func closedDatabase(t *testing.T, s *datastore.Store) {
	ctx := t.Context()
	none := liwanag.NewID
	reads := map[string]func() error{
		"subscriber": func() error { _, err := s.Subscribers.Get(ctx, none(liwanag.SubscriberKind)); return err },
		"by e-mail":  func() error { _, err := s.Subscribers.ByEmail(ctx, "nobody@gmail.com"); return err },
		"known":      func() error { _, err := s.Subscribers.Known(ctx, []string{"nobody@gmail.com"}); return err },
		"profile":    func() error { _, err := s.Subscribers.Profile(ctx, none(liwanag.SubscriberKind)); return err },
		"subscriber list": func() error {
			_, _, err := s.Subscribers.List(ctx, liwanag.SubscriberFilter{}, liwanag.Page{})
			return err
		},
		"each subscriber": func() (err error) {
			for _, err = range s.Subscribers.Each(ctx, liwanag.SubscriberFilter{}) {
			}
			return err
		},
		"subscriber count": func() error { _, err := s.Subscribers.Count(ctx); return err },
		"job":              func() error { _, err := s.Jobs.Get(ctx, none(liwanag.JobKind)); return err },
		"jobs of run":      func() error { _, err := s.Jobs.OfRun(ctx, none(liwanag.RunKind)); return err },
		"jobs of submission": func() error {
			_, err := s.Jobs.OfSubmission(ctx, none(liwanag.SubmissionKind))
			return err
		},
		"batch":         func() error { _, err := s.Batches.Get(ctx, none(liwanag.RunKind)); return err },
		"submission":    func() error { _, err := s.Submissions.Get(ctx, none(liwanag.SubmissionKind)); return err },
		"by token":      func() error { _, err := s.Submissions.ByToken(ctx, digestOf(1)); return err },
		"by enrichment": func() error { _, err := s.Submissions.ByEnrichment(ctx, "none"); return err },
		"submission list": func() error {
			_, _, err := s.Submissions.List(ctx, liwanag.SubmissionFilter{}, liwanag.Page{})
			return err
		},
		"delivery": func() error { _, err := s.Deliveries.Get(ctx, digestOf(1)); return err },
		"delivery list": func() error {
			_, _, err := s.Deliveries.List(ctx, liwanag.DeliveryFilter{}, liwanag.Page{})
			return err
		},
		"upload":   func() error { _, err := s.Uploads.Get(ctx, none(liwanag.UploadKind)); return err },
		"progress": func() error { _, err := s.Uploads.Progress(ctx, none(liwanag.UploadKind)); return err },
		"chunk":    func() error { _, err := s.Uploads.Chunk(ctx, none(liwanag.UploadKind), 0); return err },
		"spending": func() error { _, err := s.Ledger.Spending(ctx); return err },
		"credits":  func() error { _, err := s.Ledger.Credits(ctx, 1); return err },
		"evidence": func() error { _, err := s.Ledger.Evidence(ctx, "http://127.0.0.1"); return err },
		"write":    func() error { return s.Write(ctx, func(*datastore.Tx) error { return nil }) },
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			err := read()
			if !errors.Is(err, liwanag.ErrDatabase) || errors.Is(err, liwanag.ErrNotFound) {
				t.Fatalf("got %v, want ErrDatabase", err)
			}
		})
	}
}
