package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

const (
	// atOnce bounds the calls under way over all sinks, so that slow ones leave the
	// runner's places to paid calls.
	atOnce = 64
	// placeAfter is when a call that found no place is tried again; no attempt is
	// used for it.
	placeAfter = 2 * time.Second
	// disabledAfter is how long a sink may fail without one success.
	disabledAfter = 3 * 24 * time.Hour
	// notedEvery is how exact the time of a sink's last success is.
	notedEvery = time.Minute
)

// Sender does the work of the workflow's step. It is safe for concurrent use.
type Sender struct {
	cfg    Config
	dialer *net.Dialer
	client *http.Client
	places chan struct{}
	bell   chan struct{} // rings when messages wait
}

// NewSender returns a sender, or all faults of cfg.
func NewSender(cfg Config) (*Sender, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	cfg = cfg.withDefaults()
	dialer := newDialer(cfg.Allow)
	return &Sender{cfg: cfg, dialer: dialer, client: newClient(dialer), places: make(chan struct{}, atOnce), bell: make(chan struct{}, 1)}, nil
}

// Ring wakes the service, since there are messages. It never waits.
func (s *Sender) Ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

func (s *Sender) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

var underWay = []liwanag.MessageState{liwanag.MessageSending, liwanag.MessageRetrying}

// Send tries to send a message once. Every attempt is recorded before it returns;
// what was sent before a crash is sent again, under the same id.
func (s *Sender) Send(ctx context.Context, messageID liwanag.ID) (Sent, error) {
	m, err := s.cfg.Store.Messages.Get(ctx, messageID)
	switch {
	case gone(err):
		return Sent{Because: "gone"}, nil
	case err != nil:
		return Sent{}, err
	case m.State != liwanag.MessageSending && m.State != liwanag.MessageRetrying, m.RunID.String() != workflow.InfoFrom(ctx).RunID:
		return Sent{Because: string(m.State)}, nil // dropped, or sent by another run since
	}
	sink, err := s.cfg.Store.Sinks.Get(ctx, m.SinkID)
	switch {
	case gone(err):
		return Sent{Because: "dropped"}, s.end(ctx, m, liwanag.MessageDropped, "its sink was deleted")
	case err != nil:
		return Sent{}, err
	case sink.Disabled:
		return Sent{Because: "disabled"}, s.putBack(ctx, m)
	}
	body, err := s.Payload(ctx, m)
	if gone(err) {
		return Sent{Because: "dropped"}, s.end(ctx, m, liwanag.MessageDropped, "what it is about is gone")
	}
	if err != nil {
		return Sent{}, err
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		return Sent{}, workflow.Snooze(placeAfter)
	}
	began := s.now()
	out := s.post(ctx, sink, m.ID.String(), body)
	took := s.cfg.Now().Sub(began)
	if out.fault == "" {
		s.cfg.Meter.Message(m.Topic, "delivered", took)
		return Sent{Status: out.status}, s.delivered(ctx, m, began, took, out)
	}
	s.cfg.Meter.Message(m.Topic, "retried", took)
	return Sent{}, s.refused(ctx, m, began, took, out)
}

// attempt is the row of a call.
func attempt(m liwanag.Message, at time.Time, took time.Duration, out outcome) liwanag.MessageAttempt {
	return liwanag.MessageAttempt{MessageID: m.ID, N: m.Attempts + 1, At: at, Took: took, Status: out.status, Error: out.fault}
}

// delivered records a success. A sink that failed before takes the others again.
func (s *Sender) delivered(ctx context.Context, m liwanag.Message, at time.Time, took time.Duration, out outcome) error {
	now := s.now()
	err := s.record(ctx, func(tx *datastore.Tx) error {
		if _, err := tx.Messages.Move(liwanag.MessageMove{ID: m.ID, From: underWay, To: liwanag.MessageDelivered, Attempts: m.Attempts + 1,
			Status: out.status, At: now}); err != nil {
			return err
		}
		if err := tx.Messages.Attempted(attempt(m, at, took, out)); err != nil {
			return err
		}
		sink, err := tx.Sinks.Get(m.SinkID)
		if gone(err) || err == nil && sink.FailingSince.IsZero() && now.Sub(sink.SentAt) < notedEvery {
			return nil
		}
		if err != nil {
			return err
		}
		sink.FailingSince, sink.SentAt = time.Time{}, now
		return tx.Sinks.Update(sink)
	})
	if err == nil {
		s.Ring() // its place is free
	}
	return err
}

// refused records a failure and says when the step is tried again. A sink that
// says it is gone, or has failed for days, is disabled.
func (s *Sender) refused(ctx context.Context, m liwanag.Message, at time.Time, took time.Duration, out outcome) error {
	now := s.now()
	failure := &refusal{out}
	disabled := ""
	err := s.record(ctx, func(tx *datastore.Tx) error {
		disabled = ""
		sink, err := tx.Sinks.Get(m.SinkID)
		if err != nil && !gone(err) {
			return err
		}
		if err == nil {
			changed := sink.FailingSince.IsZero() || out.status == http.StatusGone || now.Sub(sink.FailingSince) > disabledAfter
			if sink.FailingSince.IsZero() {
				sink.FailingSince = now
			}
			switch {
			case sink.Disabled:
				changed = false
			case out.status == http.StatusGone:
				disabled = "its receiver says that it is gone for good (HTTP 410)"
			case now.Sub(sink.FailingSince) > disabledAfter:
				disabled = "it took nothing for three days, the last time: " + out.fault
			}
			if disabled != "" {
				sink.Disabled, sink.DisabledReason = true, disabled
			}
			if changed {
				if err := tx.Sinks.Update(sink); err != nil {
					return err
				}
			}
		}
		if err := tx.Messages.Attempted(attempt(m, at, took, out)); err != nil {
			return err
		}
		_, err = tx.Messages.Move(liwanag.MessageMove{ID: m.ID, From: underWay, To: liwanag.MessageRetrying, Attempts: m.Attempts + 1,
			Status: out.status, Error: out.fault, NextAt: s.nextAt(ctx, now, out), At: now})
		return err
	})
	if err != nil {
		return err
	}
	if disabled != "" {
		s.cfg.Log.WarnContext(ctx, "a sink was disabled", "sink", m.SinkID, "reason", disabled)
		return s.putBackNow(ctx, m)
	}
	if out.retryAfter > 0 {
		return workflow.RetryAfter(failure, out.retryAfter)
	}
	return failure
}

// nextAt is about when the runner tries again.
func (s *Sender) nextAt(ctx context.Context, now time.Time, out outcome) time.Time {
	n := workflow.InfoFrom(ctx).Attempt
	if n >= attempts {
		return time.Time{}
	}
	delay, _ := retry.Delay(n, nil)
	return now.Add(cmp.Or(out.retryAfter, delay))
}

// record writes what happened, even if the step's time is over: what was sent
// must be known.
func (s *Sender) record(ctx context.Context, fn func(*datastore.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.cfg.Store.Write(ctx, fn)
}

// errPutBack ends a step whose message waits for its sink.
var errPutBack = errors.New("notify: the message waits until its sink is enabled")

// putBack makes a message wait for its sink without a run.
func (s *Sender) putBack(ctx context.Context, m liwanag.Message) error {
	return s.record(ctx, func(tx *datastore.Tx) error {
		_, err := tx.Messages.Move(liwanag.MessageMove{ID: m.ID, From: underWay, To: liwanag.MessagePending, Attempts: m.Attempts})
		return err
	})
}

// putBackNow is putBack for a step that has no outcome: its run ends.
func (s *Sender) putBackNow(ctx context.Context, m liwanag.Message) error {
	if err := s.putBack(ctx, m); err != nil {
		return err
	}
	return workflow.Permanent(errPutBack)
}

// end ends a message for good; one that ended or was put back stays as it is.
func (s *Sender) end(ctx context.Context, m liwanag.Message, to liwanag.MessageState, why string) error {
	moved := false
	err := s.record(ctx, func(tx *datastore.Tx) (err error) {
		moved, err = tx.Messages.Move(liwanag.MessageMove{ID: m.ID, From: underWay, To: to, Attempts: m.Attempts, Error: why, At: s.now()})
		return err
	})
	if err == nil && moved {
		s.cfg.Meter.Message(m.Topic, string(to), 0)
	}
	return err
}

// MarkFailed ends a message whose last attempt failed; one that was put back
// stays so.
func (s *Sender) MarkFailed(ctx context.Context, messageID liwanag.ID) error {
	return s.ended(ctx, messageID, liwanag.MessageFailed)
}

// MarkDropped ends a message whose run was canceled.
func (s *Sender) MarkDropped(ctx context.Context, messageID liwanag.ID) error {
	return s.ended(ctx, messageID, liwanag.MessageDropped)
}

func (s *Sender) ended(ctx context.Context, messageID liwanag.ID, to liwanag.MessageState) error {
	m, err := s.cfg.Store.Messages.Get(ctx, messageID)
	if gone(err) || err == nil && m.RunID.String() != workflow.InfoFrom(ctx).RunID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.end(ctx, m, to, "")
}

// refusal is a failed attempt as the step's policy and its history see it.
type refusal struct{ out outcome }

// Error says what happened, without the sink's address.
func (r *refusal) Error() string { return "the sink did not take the message: " + r.out.fault }

// ErrorCode is kept in the run's failure.
func (r *refusal) ErrorCode() string { return "sink_refused" }
