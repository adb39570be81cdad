// Package sqlite keeps the application's own rows in the SQLite file that the
// engine's store shares. DESIGN.md beside it gives the reasons.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a [liwanag.Store] on SQLite.
type Store struct {
	db   *sqlitedb.DB
	read reader
}

var _ liwanag.Store = (*Store)(nil)

// New brings the application's tables in db up to date. The caller closes db,
// when nothing uses the store any more.
func New(ctx context.Context, db *sqlitedb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, files, "app_migrations"); err != nil {
		return nil, err
	}
	return &Store{db: db, read: reader{db: db.Reader(), statements: &statements{}}}, nil
}

// Write runs fn as a part of the next group commit.
func (s *Store) Write(ctx context.Context, fn func(tx liwanag.Tx) error) error {
	var own error
	err := s.db.Write(ctx, func(raw *sqlitedb.Tx) error {
		own = fn(tx{writing{raw}})
		return own
	})
	var panicked *sqlitedb.PanicError
	switch {
	case err == nil, errors.As(err, &panicked):
		return err
	case own != nil && errors.Is(err, own):
		return own
	}
	return wrap("write", err)
}

// Subscribers reads subscribers.
func (s *Store) Subscribers() liwanag.Subscribers {
	return datastore.NewStore(readers{r: s.read}).Subscribers
}

// Jobs reads jobs.
func (s *Store) Jobs() liwanag.Jobs { return datastore.NewStore(readers{r: s.read}).Jobs }

// Batches reads batches.
func (s *Store) Batches() liwanag.Batches { return batches{s.read} }

// Submissions reads submissions.
func (s *Store) Submissions() liwanag.Submissions { return submissions{s.read} }

// Deliveries reads deliveries.
func (s *Store) Deliveries() liwanag.Deliveries { return deliveries{s.read} }

// Uploads reads uploads.
func (s *Store) Uploads() liwanag.Uploads { return uploads{s.read} }

// Ledger reads the shared figures.
func (s *Store) Ledger() liwanag.Ledger { return datastore.NewStore(readers{r: s.read}).Ledger }

// Sources reads sources.
func (s *Store) Sources() liwanag.Sources { return sources{s.read} }

// Receipts reads what sources received.
func (s *Store) Receipts() liwanag.Receipts { return receipts{s.read} }

// Sinks reads sinks.
func (s *Store) Sinks() liwanag.Sinks { return sinks{s.read} }

// Messages reads messages.
func (s *Store) Messages() liwanag.Messages { return messages{s.read} }

// Passes reads sessions and sign-in links.
func (s *Store) Passes() liwanag.Passes { return passes{s.read} }

// Acts reads the audit trail.
func (s *Store) Acts() liwanag.Acts { return acts{s.read} }

type tx struct{ writing }

func (t tx) Subscribers() liwanag.SubscriberTx {
	return datastore.NewTx(writer{w: t.writing}).Subscribers
}
func (t tx) Jobs() liwanag.JobTx               { return datastore.NewTx(writer{w: t.writing}).Jobs }
func (t tx) Batches() liwanag.BatchTx          { return batchTx(t) }
func (t tx) Submissions() liwanag.SubmissionTx { return submissionTx(t) }
func (t tx) Deliveries() liwanag.DeliveryTx    { return deliveryTx(t) }
func (t tx) Uploads() liwanag.UploadTx         { return uploadTx(t) }
func (t tx) Ledger() liwanag.LedgerTx          { return datastore.NewTx(writer{w: t.writing}).Ledger }
func (t tx) Webhooks() liwanag.WebhookTx       { return webhookTx(t) }
func (t tx) Sources() liwanag.SourceTx         { return sourceTx(t) }
func (t tx) Receipts() liwanag.ReceiptTx       { return receiptTx(t) }
func (t tx) Sinks() liwanag.SinkTx             { return sinkTx(t) }
func (t tx) Messages() liwanag.MessageTx       { return messageTx(t) }
func (t tx) Passes() liwanag.PassTx            { return passTx(t) }
func (t tx) Acts() liwanag.ActTx               { return actTx(t) }
