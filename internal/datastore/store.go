package datastore

import (
	"context"
)

// Database runs the statements.
type Database interface {
	Reader
	// Write runs fn as a part of the next group commit.
	Write(ctx context.Context, fn func(w Writer) error) error
	// Scrub leaves as little as the database can of rows that were deleted.
	Scrub(ctx context.Context) error
}

// Store keeps the application's rows.
//
// Reads outside of a transaction see what is committed. Every error that is not
// one of package liwanag's sentinels matches ErrDatabase or ErrDiskFull; reads of
// one thing return ErrNotFound only when the row is not there.
type Store struct {
	db Database

	Subscribers Subscribers
	Jobs        Jobs
	Batches     Batches
	Submissions Submissions
	Deliveries  Deliveries
	Uploads     Uploads
	Ledger      Ledger
	Sources     Sources
	Receipts    Receipts
	Sinks       Sinks
	Messages    Messages
	Passes      Passes
	Acts        Acts
}

// New is a store over a database.
func New(db Database) *Store {
	in := reader{db}
	return &Store{db, Subscribers{in}, Jobs{in}, Batches{in}, Submissions{in}, Deliveries{in}, Uploads{in}, Ledger{in},
		Sources{in}, Receipts{in}, Sinks{in}, Messages{in}, Passes{in}, Acts{in}}
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
	return s.db.Write(ctx, func(w Writer) error { return fn(NewTx(w)) })
}

// Scrub leaves as little as the database can of rows that were deleted.
func (s *Store) Scrub(ctx context.Context) error { return s.db.Scrub(ctx) }

// Tx is a transaction. It may be used only until the function that it was given
// to returns, and by one goroutine at a time.
type Tx struct {
	Subscribers SubscriberTx
	Jobs        JobTx
	Batches     BatchTx
	Submissions SubmissionTx
	Deliveries  DeliveryTx
	Uploads     UploadTx
	Ledger      LedgerTx
	Webhooks    WebhookTx
	Sources     SourceTx
	Receipts    ReceiptTx
	Sinks       SinkTx
	Messages    MessageTx
	Passes      PassTx
	Acts        ActTx
}

// NewTx is a transaction over what runs its statements.
func NewTx(w Writer) *Tx {
	in := writing{w}
	return &Tx{SubscriberTx{in}, JobTx{in}, BatchTx{in}, SubmissionTx{in}, DeliveryTx{in}, UploadTx{in}, LedgerTx{in}, WebhookTx{in},
		SourceTx{in}, ReceiptTx{in}, SinkTx{in}, MessageTx{in}, PassTx{in}, ActTx{in}}
}
