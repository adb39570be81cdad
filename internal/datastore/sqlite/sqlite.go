// Package sqlite keeps the application's own rows in the SQLite file that the
// engine's store shares. DESIGN.md beside it gives the reasons.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"io/fs"

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
func (s *Store) Subscribers() liwanag.Subscribers { return subscribers{s.read} }

// Jobs reads jobs.
func (s *Store) Jobs() liwanag.Jobs { return jobs{s.read} }

// Batches reads batches.
func (s *Store) Batches() liwanag.Batches { return batches{s.read} }

// Submissions reads submissions.
func (s *Store) Submissions() liwanag.Submissions { return submissions{s.read} }

// Deliveries reads deliveries.
func (s *Store) Deliveries() liwanag.Deliveries { return deliveries{s.read} }

// Uploads reads uploads.
func (s *Store) Uploads() liwanag.Uploads { return uploads{s.read} }

// Ledger reads the shared figures.
func (s *Store) Ledger() liwanag.Ledger { return ledger{s.read} }

type tx struct{ writing }

func (t tx) Subscribers() liwanag.SubscriberTx { return subscriberTx(t) }
func (t tx) Jobs() liwanag.JobTx               { return jobTx(t) }
func (t tx) Batches() liwanag.BatchTx          { return batchTx(t) }
func (t tx) Submissions() liwanag.SubmissionTx { return submissionTx(t) }
func (t tx) Deliveries() liwanag.DeliveryTx    { return deliveryTx(t) }
func (t tx) Uploads() liwanag.UploadTx         { return uploadTx(t) }
func (t tx) Ledger() liwanag.LedgerTx          { return ledgerTx(t) }
func (t tx) Webhooks() liwanag.WebhookTx       { return webhookTx(t) }
