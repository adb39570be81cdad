package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// Stands in until the tables are there.

func (s *Store) Sources() liwanag.Sources   { return nil }
func (s *Store) Receipts() liwanag.Receipts { return nil }
func (s *Store) Sinks() liwanag.Sinks       { return nil }
func (s *Store) Messages() liwanag.Messages { return nil }
func (s *Store) Passes() liwanag.Passes     { return nil }
func (s *Store) Acts() liwanag.Acts         { return nil }
func (s *Store) Activity(context.Context, time.Time, time.Time, time.Duration) ([]liwanag.Activity, error) {
	return nil, liwanag.ErrState
}
func (s *Store) Scrub(context.Context) error { return liwanag.ErrState }

func (t tx) Sources() liwanag.SourceTx   { return nil }
func (t tx) Receipts() liwanag.ReceiptTx { return nil }
func (t tx) Sinks() liwanag.SinkTx       { return nil }
func (t tx) Messages() liwanag.MessageTx { return nil }
func (t tx) Passes() liwanag.PassTx      { return nil }
func (t tx) Acts() liwanag.ActTx         { return nil }

func (t subscriberTx) Suppress([]liwanag.ID, time.Time) ([]liwanag.ID, error) {
	return nil, liwanag.ErrState
}
func (t subscriberTx) Delete([]liwanag.ID) error                  { return liwanag.ErrState }
func (t deliveryTx) Rewrite(liwanag.Digest, []byte) (bool, error) { return false, liwanag.ErrState }
