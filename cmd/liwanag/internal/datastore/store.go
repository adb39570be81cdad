package datastore

import (
	"context"
)

// Database runs the statements.
type Database interface {
	Reader
	// Write runs fn as a part of the next group commit.
	Write(ctx context.Context, fn func(w Writer) error) error
	// Scrub overwrites what deleted rows left behind, as far as it can.
	Scrub(ctx context.Context) error
}

// Store keeps the application's rows.
//
// Reads outside of a transaction see what is committed. Every error that is not
// one of package liwanag's sentinels matches ErrDatabase or ErrDiskFull; reads of
// one thing return ErrNotFound only when the row is not there.
type Store struct {
	db   Database
	made func()  // after each commit that stored messages
	keep Journal // nil: there is none

	Subscribers  Subscribers
	Jobs         Jobs
	Batches      Batches
	Submissions  Submissions
	Deliveries   Deliveries
	Uploads      Uploads
	Ledger       Ledger
	Sources      Sources
	Receipts     Receipts
	Sinks        Sinks
	Messages     Messages
	Passes       Passes
	Acts         Acts
	Suppressions Suppressions
	Dismissals   Dismissals
	Views        Views
	Keys         Keys
	Instance     Instance
}

// New is a store over a database.
func New(db Database) *Store {
	in := reader{db}
	return &Store{db, func() {}, nil, Subscribers{in}, Jobs{in}, Batches{in}, Submissions{in}, Deliveries{in}, Uploads{in}, Ledger{in},
		Sources{in}, Receipts{in}, Sinks{in}, Messages{in}, Passes{in}, Acts{in}, Suppressions{in}, Dismissals{in}, Views{in}, Keys{in},
		Instance{in}}
}

// Through is the store over its database as wrap makes it, for tests that watch
// and disturb it.
func (s *Store) Through(wrap func(Database) Database) *Store {
	through := New(wrap(s.db))
	through.made, through.keep = s.made, s.keep
	return through
}

// Announcing is the store that also calls made after each commit that stored
// messages, so that they are sent at once.
func (s *Store) Announcing(made func()) *Store {
	announcing := *s
	announcing.made = made
	return &announcing
}

// Write runs fn in a transaction and returns when it is durable. Writes that
// are called at the same time share one commit. No two of them overlap, on
// whatever nodes: what fn reads is so until it writes. fn may run twice, so it
// assigns its results afresh each time and touches nothing but tx; it holds
// the database's only writer, so it stays below 10 ms: no I/O, at most a few
// hundred rows. An error or panic of fn rolls back this fn alone; Write
// returns the error as it is. ctx counts only until fn is picked up: from
// then on Write returns the true result.
func (s *Store) Write(ctx context.Context, fn func(tx *Tx) error) error {
	made, written := false, pages{to: s.keep}
	err := s.db.Write(ctx, func(w Writer) error {
		made, written.lines = false, nil
		return fn(newTx(w, &made, &written))
	})
	if err == nil && made {
		s.made()
	}
	if err == nil && len(written.lines) > 0 {
		err = s.keep.Append(written.lines)
	}
	return err
}

// Scrub overwrites what deleted rows left behind in the database's files, as far
// as the database can: an erasure ends with it.
func (s *Store) Scrub(ctx context.Context) error { return s.db.Scrub(ctx) }

// Tx is one transaction. It sees its own writes. All operations of a resource
// are small and set-based; none decides anything.
type Tx struct {
	Subscribers  SubscriberTx
	Jobs         JobTx
	Batches      BatchTx
	Submissions  SubmissionTx
	Deliveries   DeliveryTx
	Uploads      UploadTx
	Ledger       LedgerTx
	Webhooks     WebhookTx
	Sources      SourceTx
	Receipts     ReceiptTx
	Sinks        SinkTx
	Messages     MessageTx
	Passes       PassTx
	Acts         ActTx
	Suppressions SuppressionTx
	Dismissals   DismissalTx
	Views        ViewTx
	Keys         KeyTx
	Instance     InstanceTx
	Journal      JournalTx
}

func newTx(w Writer, made *bool, pages *pages) *Tx {
	in := writing{w}
	return &Tx{SubscriberTx{in}, JobTx{in}, BatchTx{in}, SubmissionTx{in}, DeliveryTx{in}, UploadTx{in}, LedgerTx{in}, WebhookTx{in},
		SourceTx{in}, ReceiptTx{in}, SinkTx{in}, MessageTx{in, made}, PassTx{in}, ActTx{in}, SuppressionTx{in}, DismissalTx{in},
		ViewTx{in}, KeyTx{in}, InstanceTx{in}, JournalTx{in, pages}}
}
