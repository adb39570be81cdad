package why

import (
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Message is the state of a webhook out.
type Message struct {
	Message liwanag.Message
	Sink    *liwanag.Sink // nil: it is gone
}

// tell tells why a message was not taken yet; next is when it is tried again.
func (m Message) tell(s *story, next time.Time) {
	if m.Sink == nil {
		s.sum(none, none, "The sink was deleted: the webhook is dropped.")
		return
	}
	if m.Sink.Disabled {
		Sink{Sink: *m.Sink}.tell(s)
		return
	}
	s.sum(m.Message.CreatedAt, next, "The sink %s did not take the webhook (%s%s): it backs off, and is tried again "+
		"then.", m.Sink.Name,
		count(m.Message.Attempts, "attempt", "attempts"), because(m.Message.Error))
	s.act("See what it answers; mend the receiver.", "liwanag sinks show %s", m.Sink.ID)
	if !m.Message.RunID.IsZero() {
		s.act("Try it again now.", "liwanag runs wake %s", m.Message.RunID)
	}
}

// Sink is the state of a sink.
type Sink struct {
	Sink    liwanag.Sink
	Waiting int // webhooks that wait for it
	Next    time.Time
}

// Why says why a sink is told nothing, or is.
func (k Sink) Why() api.Why {
	s := tell()
	k.tell(s)
	return s.Why
}

func (k Sink) tell(s *story) {
	sink := k.Sink
	switch {
	case sink.Disabled && sink.DisabledReason != "":
		s.sum(sink.FailingSince, none, "The sink %s is disabled%s: nothing is sent to it.", sink.Name,
			because(sink.DisabledReason))
		s.act("Mend the receiver, then enable it: what waits is sent then.", "liwanag sinks set %s --on", sink.ID)
	case sink.Disabled:
		s.sum(none, none, "The sink %s was disabled by hand: nothing is sent to it.", sink.Name)
		s.act("Enable it: what waits is sent then.", "liwanag sinks set %s --on", sink.ID)
	case !sink.FailingSince.IsZero():
		s.sum(sink.FailingSince, k.Next, "The sink %s does not take webhooks: it backs off, and is tried again, at "+
			"growing intervals, for three days.", sink.Name)
		s.act("See what it answers; mend the receiver.", "liwanag sinks messages --sink %s --state retrying", sink.ID)
	default:
		s.sum(sink.SentAt, none, "The sink %s takes what is sent to it.", sink.Name)
	}
	if k.Waiting > 0 {
		s.fact(none, none, "%s for it.", count(k.Waiting, "webhook waits", "webhooks wait"))
	}
}
