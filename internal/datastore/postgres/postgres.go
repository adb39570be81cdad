// Package postgres keeps the application's own rows in a PostgreSQL database
// that any number of nodes share. DESIGN.md beside it gives the reasons.
package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "app_migrations"

// Store is a [liwanag.Store] on PostgreSQL.
type Store struct {
	db   *pgdb.DB
	read reader
}

var _ liwanag.Store = (*Store)(nil)

// New creates the application's tables in an empty database. One whose schema
// is older or newer than this program's is refused with pgdb's sentinels: an
// older one waits for [Migrate]. The caller closes db, when nothing uses the
// store any more.
func New(ctx context.Context, db *pgdb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, files, versionTable); err != nil {
		return nil, err
	}
	return &Store{db: db, read: reader{db.Pool()}}, nil
}

// Migrate brings the application's tables up to date. Nodes of an older release
// must not run meanwhile.
func Migrate(ctx context.Context, db *pgdb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.MigrateUp(ctx, files, versionTable)
}

// Write runs fn as a part of the next group commit.
func (s *Store) Write(ctx context.Context, fn func(tx liwanag.Tx) error) error {
	var own error
	err := s.db.Write(ctx, func(raw *pgdb.Tx) error {
		own = fn(tx{writing{raw}})
		return own
	})
	var panicked *pgdb.PanicError
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
