package notify

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	maxSinks = 50
	maxURL   = 2000 // bytes
	maxName  = 100  // bytes
)

// Change changes a sink; nil fields leave what is there.
type Change struct {
	Name, URL *string
	Topics    []liwanag.Topic // nil: as they are; empty: all
	Disabled  *bool
	View      *liwanag.ID // zero: of all people
}

// Made is a sink, and its secret when it was just made.
type Made struct {
	liwanag.Sink
	Secret string
}

var errDisabled = liwanag.NewError(liwanag.Conflict, "sink_disabled", "the sink is disabled: enable it first")

func invalid(field, message string) error {
	return liwanag.NewError(liwanag.Invalid, "invalid_sink", field+": "+message)
}

// Add makes a sink; an empty name is its host, and a view, if there is one, selects of whom it is told. The secret is shown once. Errors
// are of class invalid, or the store's.
func (s *Sender) Add(ctx context.Context, name, address string, topics []liwanag.Topic, view liwanag.ID) (Made, error) {
	now := s.now()
	sink := liwanag.Sink{ID: liwanag.NewID(liwanag.SinkKind), Name: strings.TrimSpace(name),
		URL: strings.TrimSpace(address), Topics: topics, ViewID: view, CreatedAt: now, UpdatedAt: now}
	if u, err := url.Parse(sink.URL); err == nil && sink.Name == "" {
		sink.Name = u.Hostname()
	}
	if err := s.check(sink); err != nil {
		return Made{}, err
	}
	secret := newSecret()
	sink.Secrets = []string{secret}
	return Made{sink, secret}, s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		all, err := tx.Sinks.List()
		if err == nil && len(all) >= maxSinks {
			err = liwanag.NewError(liwanag.Conflict, "too_many_sinks", fmt.Sprintf("there are %d sinks already: delete one first", len(all)))
		}
		if err != nil {
			return err
		}
		return tx.Sinks.Insert(sink)
	})
}

// Change changes a sink. Enabling one forgets its failures, and what waits is
// sent.
func (s *Sender) Change(ctx context.Context, id liwanag.ID, c Change) (sink liwanag.Sink, err error) {
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if sink, err = tx.Sinks.Get(id); err != nil {
			return err
		}
		if c.Name != nil {
			sink.Name = strings.TrimSpace(*c.Name)
		}
		if c.URL != nil {
			sink.URL = strings.TrimSpace(*c.URL)
		}
		if c.Topics != nil {
			sink.Topics = c.Topics
		}
		if c.View != nil {
			sink.ViewID = *c.View
		}
		if c.Disabled != nil {
			sink.Disabled, sink.DisabledReason = *c.Disabled, ""
			if !sink.Disabled {
				sink.FailingSince = time.Time{}
			}
		}
		if err := s.check(sink); err != nil {
			return err
		}
		sink.UpdatedAt = s.now()
		return tx.Sinks.Update(sink)
	})
	if err == nil {
		s.Ring()
	}
	return sink, err
}

// Rotate makes a new secret, shown once. Messages carry a signature of the one
// before, too, until the next rotation.
func (s *Sender) Rotate(ctx context.Context, id liwanag.ID) (made Made, err error) {
	secret := newSecret()
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		sink, err := tx.Sinks.Get(id)
		if err != nil {
			return err
		}
		sink.Secrets = append([]string{secret}, sink.Secrets[:min(1, len(sink.Secrets))]...)
		sink.UpdatedAt = s.now()
		made = Made{sink, secret}
		return tx.Sinks.Update(sink)
	})
	return made, err
}

// Delete deletes a sink; what was to be sent to it is dropped.
func (s *Sender) Delete(ctx context.Context, id liwanag.ID) error {
	return s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error { return tx.Sinks.Delete(id) })
}

// Test makes a message of topic test for one sink. A disabled one takes none.
func (s *Sender) Test(ctx context.Context, id liwanag.ID) (m liwanag.Message, err error) {
	err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		sink, err := tx.Sinks.Get(id)
		if err != nil {
			return err
		}
		if sink.Disabled {
			return errDisabled
		}
		m = liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: id, Topic: liwanag.TopicTest,
			State: liwanag.MessagePending, CreatedAt: s.now()}
		return tx.Messages.Insert([]liwanag.Message{m})
	})
	if err == nil {
		s.Ring()
	}
	return m, err
}

// Resend sends a message that ended once more, under the same id. ErrNotFound;
// ErrState for one that has not ended.
func (s *Sender) Resend(ctx context.Context, id liwanag.ID) error {
	err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		if _, err := tx.Messages.Get(id); err != nil {
			return err
		}
		again, err := tx.Messages.Again(id)
		if err == nil && !again {
			return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the message is still being sent")
		}
		return err
	})
	if err == nil {
		s.Ring()
	}
	return err
}

func (s *Sender) check(sink liwanag.Sink) error {
	switch {
	case sink.Name == "" || len(sink.Name) > maxName || !utf8.ValidString(sink.Name) || strings.ContainsFunc(sink.Name, unicode.IsControl):
		return invalid("name", fmt.Sprintf("1 to %d bytes of text are needed", maxName))
	case len(sink.URL) > maxURL:
		return invalid("url", fmt.Sprintf("it is longer than %d bytes", maxURL))
	}
	for _, topic := range sink.Topics {
		if !slices.Contains(liwanag.Topics(), topic) {
			return invalid("topics", fmt.Sprintf("each is one of %v", liwanag.Topics()))
		}
	}
	u, err := url.Parse(sink.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return invalid("url", "an address of the form https://host/path is needed, without user and password")
	}
	addr, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]"))
	inside := err == nil && allowed(s.cfg.Allow, addr) || u.Hostname() == "localhost" &&
		allowed(s.cfg.Allow, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	switch {
	case u.Scheme == "http" && !inside:
		return invalid("url", "https is needed: what is sent is personal data (http only inside of LIWANAG_SINK_ALLOW)")
	case err == nil && !inside && !s.public(addr, u.Port(), u.Scheme):
		return invalid("url", "the address is inside of a network of our own, or its port is none of 80, 443, "+
			"8080 and 8443; LIWANAG_SINK_ALLOW names networks that may be called")
	}
	return nil
}

// public says whether the guard of connections lets an address pass, so that the
// fault is told when the sink is made. Names are looked at when they are called.
func (s *Sender) public(addr netip.Addr, port, scheme string) bool {
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	network := "tcp4"
	if addr.Is6() {
		network = "tcp6"
	}
	return s.dialer.Control(network, net.JoinHostPort(addr.String(), port), nil) == nil
}
