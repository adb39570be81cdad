package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

func readConsole(t *testing.T, s *Store, now time.Time) {
	ctx, source, sink := t.Context(), nth(liwanag.SourceIDKind, 7), nth(liwanag.SinkKind, 7)
	_, _ = s.Sources().Get(ctx, source)
	_, _ = s.Sources().ByToken(ctx, liwanag.Digest{1})
	_, _ = s.Sources().List(ctx)
	_, _ = s.Receipts().Get(ctx, nth(liwanag.ReceiptKind, 7))
	_, _ = s.Receipts().Naming(ctx, []string{"a"})
	for _, cursor := range []string{"", listing.Cursor(receiptListing, nth(liwanag.ReceiptKind, 9000).Bytes())} {
		for _, f := range []liwanag.ReceiptFilter{{}, {SourceID: source}, {States: []liwanag.ReceiptState{"refused"}}, {SourceID: source, States: []liwanag.ReceiptState{"refused"}}} {
			_, _, _ = s.Receipts().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Sinks().Get(ctx, sink)
	_, _ = s.Sinks().List(ctx)
	_, _ = s.Messages().Get(ctx, nth(liwanag.MessageKind, 7))
	_, _ = s.Messages().Attempts(ctx, nth(liwanag.MessageKind, 7))
	_, _ = s.Messages().Waiting(ctx)
	_, _ = s.Messages().Unstarted(ctx, 1)
	for _, cursor := range []string{"", listing.Cursor(messageListing, nth(liwanag.MessageKind, 9000).Bytes())} {
		for _, f := range []liwanag.MessageFilter{{}, {SinkID: sink}, {States: []liwanag.MessageState{"failed"}}, {SinkID: sink, Topic: "test"}} {
			_, _, _ = s.Messages().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Passes().Get(ctx, liwanag.Digest{1})
	for _, cursor := range []string{"", listing.Cursor(actListing, []byte{6: 30, 7: 0})} {
		for _, f := range []liwanag.ActFilter{{}, {Subject: "run_1"}, {Act: "run.cancel"}} {
			_, _, _ = s.Acts().List(ctx, f, liwanag.Page{Cursor: cursor})
		}
	}
	_, _ = s.Activity(ctx, now.Add(-2*time.Millisecond), now, time.Millisecond)
}

func useConsole(t tx, now time.Time) error {
	source := liwanag.Source{ID: liwanag.NewID(liwanag.SourceIDKind), TokenHash: liwanag.Digest{1}, CreatedAt: now, UpdatedAt: now}
	receipt := liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind), SourceID: source.ID, State: "rejected", Body: []byte("a"), ReceivedAt: now}
	sink := liwanag.Sink{ID: liwanag.NewID(liwanag.SinkKind), CreatedAt: now, UpdatedAt: now}
	message := liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: sink.ID, State: "pending", CreatedAt: now}
	all := []error{t.Sources().Insert(source), t.Receipts().Insert(receipt), t.Sinks().Insert(sink), t.Messages().Insert([]liwanag.Message{message})}
	_, _ = t.Sources().Get(source.ID)
	_ = t.Sources().Update(source)
	_, _ = t.Receipts().Get(receipt.ID)
	_ = t.Receipts().Update(receipt)
	_ = t.Receipts().DropBodies([]liwanag.ID{receipt.ID})
	_ = t.Sources().Delete(source.ID)
	all = append(all, t.Receipts().Prune(now, now, 1))
	_, _ = t.Sinks().Get(sink.ID)
	_, _ = t.Sinks().List()
	_ = t.Sinks().Update(sink)
	_, _ = t.Messages().Get(message.ID)
	_, _ = t.Messages().Busy(sink.ID, "sending")
	_, err := t.Messages().Claim(sink.ID, 1)
	all = append(all, err, t.Messages().MarkStarted([]liwanag.ID{message.ID}),
		t.Messages().Attempted(liwanag.MessageAttempt{MessageID: message.ID, N: 1, At: now}))
	_, err = t.Messages().Move(liwanag.MessageMove{ID: message.ID, From: []liwanag.MessageState{"sending"}, To: "delivered", At: now})
	all = append(all, err)
	_, err = t.Messages().Again(message.ID)
	all = append(all, err, t.Messages().DropAbout(receipt.ID, now), t.Sinks().Delete(sink.ID), t.Messages().Prune(now))
	pass := liwanag.Pass{Hash: liwanag.Digest{1}, Kind: liwanag.PassLink, CreatedAt: now, ExpiresAt: now}
	all = append(all, t.Passes().Insert(pass), t.Passes().Prune(now))
	_, err = t.Passes().Take(pass.Kind, liwanag.Digest{1})
	all = append(all, err, t.Acts().Insert(liwanag.Act{At: now}), t.Acts().Prune(now))
	people := []liwanag.ID{liwanag.NewID(liwanag.SubscriberKind)}
	_, err = t.Subscribers().Suppress(people, now)
	all = append(all, err, t.Subscribers().Delete(people))
	_, err = t.Deliveries().Rewrite(liwanag.Digest{1}, nil)
	return errors.Join(append(all, err)...)
}
