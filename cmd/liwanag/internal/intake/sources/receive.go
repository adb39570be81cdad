package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// ErrUnknown: no source has this address, or it is switched off.
var ErrUnknown = liwanag.NewError(liwanag.NotFound, "unknown_source", "no source has this address")

// unknownKind is what is counted of webhooks to kinds that do not exist.
const unknownKind = "unknown"

// Answer is what the sender is told of a webhook that was taken in; a repeat is
// told the same.
type Answer struct {
	DeliveryID   liwanag.ID           `json:"deliveryId"`
	State        liwanag.ReceiptState `json:"state"`
	Created      int                  `json:"created"`
	Updated      int                  `json:"updated"`
	Unsubscribed int                  `json:"unsubscribed"`
	Failed       int                  `json:"failed"`
}

// Admit says how large a webhook to an address may be, before its body is read.
// ErrUnknown, or the store's.
func (s *Service) Admit(ctx context.Context, name liwanag.SourceKind, token string) (limit int64, err error) {
	if _, err := s.find(ctx, name, token); err != nil {
		s.refused(name, err)
		return 0, err
	}
	return MaxBody(name), nil
}

// find is the source of an address.
func (s *Service) find(ctx context.Context, name liwanag.SourceKind, token string) (liwanag.Source, error) {
	source, err := s.store.Sources.ByToken(ctx, hashOf(token))
	if errors.Is(err, liwanag.ErrNotFound) || err == nil && (source.Kind != name || source.Disabled) {
		return liwanag.Source{}, ErrUnknown
	}
	return source, err
}

// labelOf is how a kind is counted.
func labelOf(name liwanag.SourceKind) string {
	if _, known := kindOf(name); known {
		return string(name)
	}
	return unknownKind
}

func (s *Service) refused(name liwanag.SourceKind, err error) {
	if liwanag.ClassOf(err) != liwanag.Internal {
		s.cfg.Meter.WebhookRefused(labelOf(name), liwanag.CodeOf(err))
	}
}

// Receive takes a webhook in: kind and token from its path, header and body as
// they came. When it returns without an error the receipt and all that it did are
// durable. The error is ErrUnknown, one of package intake's for a proof that is
// missing or wrong (a refused receipt says so), of class Invalid when nothing of
// an authentic body could be taken (a rejected receipt keeps it), or the store's.
func (s *Service) Receive(ctx context.Context, name liwanag.SourceKind, token string, header http.Header, body []byte) (Answer, error) {
	answer, err := s.receive(ctx, name, token, header, body)
	if err != nil {
		s.refused(name, err)
		return answer, err
	}
	s.cfg.Meter.WebhookAccepted(labelOf(name))
	return answer, nil
}

func (s *Service) receive(ctx context.Context, name liwanag.SourceKind, token string, header http.Header, body []byte) (Answer, error) {
	source, err := s.find(ctx, name, token)
	if err != nil {
		return Answer{}, err
	}
	by, err := s.setUp(source)
	if err != nil {
		return Answer{}, err
	}
	verifier, err := intake.NewVerifier(by.scheme, source.Secrets, s.cfg.Now)
	if err != nil {
		return Answer{}, fmt.Errorf("sources: stored secrets of %s: %w", source.ID, err)
	}
	proof, err := verifier.Verify(header, body)
	if err != nil {
		return Answer{}, errors.Join(err, s.refuse(ctx, by, err, len(body)))
	}
	receipt := liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind), SourceID: source.ID, Body: body, Size: len(body),
		ContentType: contentType(header), ReceivedAt: s.now()}
	all, key, fault := s.understand(by, webhook{body: body, proof: proof, header: header})
	if fault != nil {
		receipt.Failed = len(all)
		return Answer{}, s.reject(ctx, by, key, receipt, fault)
	}
	return s.take(ctx, by, all, key, receipt)
}

// understand makes a body into events that were checked, and names the delivery.
// The fault is there when nothing of it can be taken.
func (s *Service) understand(by setUp, w webhook) (all said, key string, fault error) {
	read, err := by.kind.read(by.settings, w)
	if key = read.key; key == "" {
		key = "body " + string(w.body)
	}
	if err != nil {
		return nil, key, err
	}
	all = s.check(by, read.events)
	return all, key, all.hopeless()
}

// nameOf is under what a delivery or an event is remembered: of one length, and
// without the data that a sender's ids are made of.
func nameOf(what, key string) string {
	digest := sha256.Sum256([]byte(key))
	return what + " " + hex.EncodeToString(digest[:])
}

// contentType is what the sender says of its body, to be shown.
func contentType(header http.Header) string {
	value := header.Get("Content-Type")
	return strings.ToValidUTF8(value[:min(len(value), 100)], "")
}

// take stores what a body says together with its receipt, and starts the runs.
func (s *Service) take(ctx context.Context, by setUp, all said, key string, receipt liwanag.Receipt) (Answer, error) {
	leaving, err := s.leaving(ctx, all)
	if err != nil {
		return Answer{}, err
	}
	var answer Answer
	var results []intake.Result
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		fresh, err := all.unseen(tx, by.ID, receipt.ReceivedAt)
		if err != nil {
			return err
		}
		row := receipt
		if results, err = s.write(tx, fresh, leaving, &row); err != nil {
			return err
		}
		all.conclude(&row, len(fresh))
		if err := tx.Receipts.Insert(row); err != nil {
			return err
		}
		answer = Answer{row.ID, row.State, row.Created, row.Updated, row.Unsubscribed, row.Failed}
		if err := s.tidy(tx); err != nil {
			return err
		}
		return remember(tx, by.ID, key, answer, receipt.ReceivedAt)
	})
	var repeat *repeatError
	if errors.As(err, &repeat) {
		return repeat.earlier, nil
	}
	if err == nil {
		s.people.Start(ctx, results)
	}
	return answer, err
}

// repeatError rolls a repeated delivery back.
type repeatError struct{ earlier Answer }

func (*repeatError) Error() string { return "sources: the delivery was taken in before" }

// remember makes the same delivery again a repeat.
func remember(tx *datastore.Tx, source liwanag.ID, key string, answer Answer, at time.Time) error {
	raw, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("sources: answer of a webhook: %w", err)
	}
	stored, earlier, err := tx.Webhooks.Remember(source.String(), nameOf("delivery", key), raw, at)
	if err != nil || stored {
		return err
	}
	repeat := &repeatError{}
	if err := json.Unmarshal(earlier, &repeat.earlier); err != nil {
		return fmt.Errorf("sources: stored answer of a webhook: %w", err)
	}
	return repeat
}

// reject keeps an authentic body of which nothing could be taken, and returns why.
// The same body again is not kept twice, unless the source was changed meanwhile.
func (s *Service) reject(ctx context.Context, by setUp, key string, receipt liwanag.Receipt, fault error) error {
	receipt.State, receipt.Code, receipt.Reason = liwanag.ReceiptRejected, liwanag.CodeOf(fault), fault.Error()
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		once := nameOf(fmt.Sprintf("rejected %d", by.UpdatedAt.UnixMicro()), key)
		fresh, _, err := tx.Webhooks.Remember(by.ID.String(), once, nil, receipt.ReceivedAt)
		if err != nil || !fresh {
			return err
		}
		return s.note(tx, receipt)
	})
	if err != nil {
		return err
	}
	return fault
}

// refusals bounds how many refused webhooks are stored: anybody who knows a URL can
// send them.
type refusals struct {
	mu   sync.Mutex
	last map[liwanag.ID]time.Time // by source, of which there are few
}

// refusedEvery is how often a refused webhook of a source is stored.
const refusedEvery = time.Second / 3

func (r *refusals) allow(source liwanag.ID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if since := now.Sub(r.last[source]); since >= 0 && since < refusedEvery {
		return false
	}
	r.last[source] = now
	return true
}

// refuse notes that a webhook without a right proof came; nothing of it is kept.
func (s *Service) refuse(ctx context.Context, by setUp, why error, size int) error {
	now := s.now()
	if !s.refusals.allow(by.ID, now) {
		return nil
	}
	receipt := liwanag.Receipt{ID: liwanag.NewID(liwanag.ReceiptKind), SourceID: by.ID, State: liwanag.ReceiptRefused,
		Code: liwanag.CodeOf(why), Reason: why.Error(), Size: size, ReceivedAt: now}
	return s.store.Write(ctx, func(tx *datastore.Tx) error { return s.note(tx, receipt) })
}

// note stores a receipt alone.
func (s *Service) note(tx *datastore.Tx, receipt liwanag.Receipt) error {
	if err := tx.Receipts.Insert(receipt); err != nil {
		return err
	}
	return s.tidy(tx)
}
