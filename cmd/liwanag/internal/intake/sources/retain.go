package sources

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

const (
	// keepTaken is how long the body of what was accepted or ignored is kept to be
	// replayed.
	keepTaken = 7 * 24 * time.Hour
	// keepReceipts is how long a receipt is kept, and the body of one that was
	// rejected.
	keepReceipts = 30 * 24 * time.Hour
	// keepIDs is how long the ids of deliveries and events are remembered: longer
	// than any sender repeats.
	keepIDs = 72 * time.Hour
	// refusedKept is how many refused receipts of a source are kept.
	refusedKept = 100
	// tidyEvery with what one tidying drops is more than senders bring.
	tidyEvery = time.Second
)

// Retain forgets a piece of what was kept long enough, and says whether there may be
// more: bodies of accepted and ignored receipts
// after 7 days, receipts after 30, both sooner when less is kept of everything, and all but
// the newest 100 refused ones of a source. Taking webhooks in does the same on the
// way; this is for a server that takes none.
func (s *Service) Retain(ctx context.Context) (more bool, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		more, err = s.drop(tx)
		return err
	})
	return more && err == nil, err
}

func (s *Service) drop(tx *datastore.Tx) (more bool, err error) {
	now := s.now()
	ids, err := tx.Webhooks.Forget(now.Add(-keepIDs))
	if err != nil {
		return false, err
	}
	receipts, err := tx.Receipts.Prune(now.Add(-min(keepTaken, s.cfg.Retention)), now.Add(-s.cfg.Retention), refusedKept)
	return ids+receipts > 0, err
}

// tidy drops old rows now and then, a few at a time.
func (s *Service) tidy(tx *datastore.Tx) error {
	now, last := s.now().Unix(), s.tidied.Load()
	if now-last < int64(tidyEvery/time.Second) || !s.tidied.CompareAndSwap(last, now) {
		return nil
	}
	_, err := s.drop(tx)
	return err
}
