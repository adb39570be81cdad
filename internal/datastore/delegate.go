package datastore

import (
	"context"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// Delegate is a Store as a liwanag.Store, for those who still ask for one.
type Delegate struct{ *Store }

var _ liwanag.Store = (*Delegate)(nil)

// Write runs fn in a transaction.
func (d *Delegate) Write(ctx context.Context, fn func(tx liwanag.Tx) error) error {
	return d.Store.Write(ctx, func(tx *Tx) error { return fn(DelegateTx{tx}) })
}

// DelegateTx is a Tx as a liwanag.Tx.
type DelegateTx struct{ *Tx }

func (d *Delegate) Subscribers() liwanag.Subscribers { return d.Store.Subscribers }
func (d *Delegate) Jobs() liwanag.Jobs               { return d.Store.Jobs }
func (d *Delegate) Batches() liwanag.Batches         { return d.Store.Batches }
func (d *Delegate) Submissions() liwanag.Submissions { return d.Store.Submissions }
func (d *Delegate) Deliveries() liwanag.Deliveries   { return d.Store.Deliveries }
func (d *Delegate) Uploads() liwanag.Uploads         { return d.Store.Uploads }
func (d *Delegate) Ledger() liwanag.Ledger           { return d.Store.Ledger }
func (d *Delegate) Sources() liwanag.Sources         { return d.Store.Sources }
func (d *Delegate) Receipts() liwanag.Receipts       { return d.Store.Receipts }
func (d *Delegate) Sinks() liwanag.Sinks             { return d.Store.Sinks }
func (d *Delegate) Messages() liwanag.Messages       { return d.Store.Messages }
func (d *Delegate) Passes() liwanag.Passes           { return d.Store.Passes }
func (d *Delegate) Acts() liwanag.Acts               { return d.Store.Acts }

func (d DelegateTx) Subscribers() liwanag.SubscriberTx { return d.Tx.Subscribers }
func (d DelegateTx) Jobs() liwanag.JobTx               { return d.Tx.Jobs }
func (d DelegateTx) Batches() liwanag.BatchTx          { return d.Tx.Batches }
func (d DelegateTx) Submissions() liwanag.SubmissionTx { return d.Tx.Submissions }
func (d DelegateTx) Deliveries() liwanag.DeliveryTx    { return d.Tx.Deliveries }
func (d DelegateTx) Uploads() liwanag.UploadTx         { return d.Tx.Uploads }
func (d DelegateTx) Ledger() liwanag.LedgerTx          { return d.Tx.Ledger }
func (d DelegateTx) Webhooks() liwanag.WebhookTx       { return d.Tx.Webhooks }
func (d DelegateTx) Sources() liwanag.SourceTx         { return d.Tx.Sources }
func (d DelegateTx) Receipts() liwanag.ReceiptTx       { return d.Tx.Receipts }
func (d DelegateTx) Sinks() liwanag.SinkTx             { return d.Tx.Sinks }
func (d DelegateTx) Messages() liwanag.MessageTx       { return d.Tx.Messages }
func (d DelegateTx) Passes() liwanag.PassTx            { return d.Tx.Passes }
func (d DelegateTx) Acts() liwanag.ActTx               { return d.Tx.Acts }
