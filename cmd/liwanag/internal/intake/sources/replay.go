package sources

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// errNoBody: there is nothing to replay.
var errNoBody = liwanag.NewError(liwanag.Conflict, "not_replayable",
	"the body of this delivery is not kept: it was refused, or too much time has passed")

// Replay takes a receipt in once more, as its source is set up now, and says in
// the receipt what became of it; one that cannot be taken is rejected anew, which
// is no error. It is idempotent for people: nobody is looked up twice, and who
// unsubscribed after it came stays so. ErrNotFound, or of class Conflict when its
// body is gone.
func (s *Service) Replay(ctx context.Context, id liwanag.ID) (liwanag.Receipt, error) {
	receipt, err := s.store.Receipts.Get(ctx, id)
	if err != nil {
		return liwanag.Receipt{}, err
	}
	if receipt.Body == nil {
		return liwanag.Receipt{}, errNoBody
	}
	source, err := s.store.Sources.Get(ctx, receipt.SourceID)
	if err != nil {
		return liwanag.Receipt{}, err
	}
	by, err := s.setUp(source)
	if err != nil {
		return liwanag.Receipt{}, err
	}
	receipt.Created, receipt.Updated, receipt.Unsubscribed, receipt.Failed = 0, 0, 0, 0
	receipt.ReplayedAt = s.now()
	all, _, fault := s.understand(by, webhook{body: receipt.Body})
	if fault != nil {
		receipt.State, receipt.Code, receipt.Reason, receipt.Failed = liwanag.ReceiptRejected, liwanag.CodeOf(fault), fault.Error(), len(all)
		return receipt, s.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Receipts.Update(receipt) })
	}
	return s.again(ctx, all, receipt)
}

// again does to people what a receipt says.
func (s *Service) again(ctx context.Context, all said, receipt liwanag.Receipt) (row liwanag.Receipt, err error) {
	leaving, err := s.leaving(ctx, all)
	if err != nil {
		return liwanag.Receipt{}, err
	}
	taken := all.takeable()
	var results []intake.Result
	err = s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		row = receipt
		if results, err = s.write(tx, taken, leaving, &row); err != nil {
			return err
		}
		all.conclude(&row, len(taken))
		return tx.Receipts.Update(row)
	})
	if err != nil {
		return liwanag.Receipt{}, err
	}
	s.people.Start(ctx, results)
	return row, nil
}
