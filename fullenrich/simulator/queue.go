package simulator

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	retention     = 90 * 24 * time.Hour
	slowest       = 15 * time.Minute // a contact marked +slow
	throttled     = 10 * time.Minute // RATE_LIMIT or an unknown status, unless Fault.Delay says otherwise
	defaultStatus = "PAUSED"         // the unknown status, unless Fault.Value says otherwise
)

// queue is first in, first out over enrichments; a slot is held by a contact.
type queue struct {
	waiting  []*enrichment
	inFlight int
}

// goOn gives an enrichment that is not over what it waits for.
func (s *Server) goOn(now time.Time, e *enrichment) {
	switch {
	case len(e.order) == len(e.rows):
		s.conclude(now, e)
	case e.plan(ActionWebhookBeforeAnswer) != nil:
		for i := range e.rows {
			if e.rows[i].outcome == outcomePending {
				s.completeRow(now, e, i)
			}
		}
	default:
		q := s.queues[e.Kind]
		q.waiting = append(q.waiting, e)
	}
}

// startRows fills the free slots of both queues.
func (s *Server) startRows(now time.Time) {
	for _, kind := range []string{kindReverse, kindEnrich} {
		q := s.queues[kind]
		for q.inFlight < s.cfg.Queue && len(q.waiting) > 0 {
			e := q.waiting[0]
			if e.over() || e.next == len(e.rows) {
				q.waiting[0] = nil
				q.waiting = q.waiting[1:]
				continue
			}
			i := e.next
			e.next++
			if e.rows[i].outcome != outcomePending || s.cutShort(now, e) {
				continue
			}
			if s.st.balance < 1 {
				s.setStatus(now, e, statusCreditsInsufficient)
				continue
			}
			q.inFlight++
			s.at(now.Add(s.duration(e, i)), func(now time.Time) {
				q.inFlight--
				s.completeRow(now, e, i)
				s.startRows(now)
			})
		}
	}
}

// duration of a lookup: 30 to 90 s with a mean of 56 s.
func (s *Server) duration(e *enrichment, i int) time.Duration {
	if marked(e.rows[i].Email, "+slow") {
		return s.scaled(slowest)
	}
	share := math.Pow(random(s.cfg.Seed, "duration", e.id, fmt.Sprint(i)).Float64(), 1.31)
	return s.scaled(30*time.Second + time.Duration(share*float64(60*time.Second)))
}

func (s *Server) completeRow(now time.Time, e *enrichment, i int) {
	if e.over() || s.cutShort(now, e) {
		return
	}
	ev := event{Type: evRow, At: now, ID: e.id, Row: i, Outcome: s.outcome(e.rows[i].Email)}
	if ev.Outcome == outcomeFound {
		ev.Credits, ev.Avoided = s.price(e, i, now)
	}
	if s.st.balance < float64(ev.Credits) {
		s.setStatus(now, e, statusCreditsInsufficient)
		return
	}
	s.record(ev)
	s.schedule()
	if len(e.order) == len(e.rows) {
		s.conclude(now, e)
	}
}

// price is what a found contact costs, and what deduplication took off.
func (s *Server) price(e *enrichment, i int, now time.Time) (credits, avoided int64) {
	price := int64(1)
	if e.Kind == kindEnrich {
		price = 0
		for _, field := range e.rows[i].Fields {
			price += enrichFields[field]
		}
	}
	before, ok := s.st.found[e.Kind+" "+e.rows[i].Email]
	if s.cfg.Dedup == DedupDocumented && ok && before.Before(e.at) && now.Before(before.Add(s.scaled(retention))) {
		return 0, price
	}
	return price, 0
}

// cutShort ends an enrichment half-way when a fault says so.
func (s *Server) cutShort(now time.Time, e *enrichment) bool {
	if len(e.order) < len(e.rows)/2 {
		return false
	}
	action, status := ActionStatusCanceled, statusCanceled
	if e.plan(action) == nil {
		action, status = ActionCreditsInsufficient, statusCreditsInsufficient
	}
	if e.plan(action) == nil {
		return false
	}
	s.fired(now, action)
	s.setStatus(now, e, status)
	return true
}

// conclude ends an enrichment of which every row is done, perhaps after a
// pause in a status that is not final.
func (s *Server) conclude(now time.Time, e *enrichment) {
	for _, action := range []Action{ActionStatusRateLimit, ActionStatusUnknown} {
		f := e.plan(action)
		if f == nil {
			continue
		}
		status := statusRateLimit
		if action == ActionStatusUnknown {
			status = defaultStatus
			if f.Value != "" {
				status = f.Value
			}
		}
		if e.status != status {
			s.fired(now, action)
			s.setStatus(now, e, status)
		}
		if f.Delay >= 0 {
			s.at(e.statusAt.Add(s.scaled(cmpOr(f.Delay, throttled))), func(now time.Time) {
				s.setStatus(now, e, statusFinished)
			})
		}
		return
	}
	s.setStatus(now, e, statusFinished)
}

func (s *Server) setStatus(now time.Time, e *enrichment, status string) {
	if e.over() {
		return
	}
	s.record(event{Type: evStatus, At: now, ID: e.id, Status: status})
	if e.over() {
		s.countSuppressed(now, e)
	}
	s.schedule()
	s.releaseHeld(now)
}

func (s *Server) countSuppressed(now time.Time, e *enrichment) {
	if e.WebhookURL != "" {
		for _, action := range []Action{ActionWebhookNever, ActionWebhookLate, ActionWebhookDuplicate} {
			if e.plan(action) != nil {
				s.fired(now, action)
			}
		}
	}
	if e.ContactURL != "" && e.plan(ActionContactNever) != nil {
		s.fired(now, ActionContactNever)
	}
}

// outcome of an address: by its mark, else by the seed.
func (s *Server) outcome(email string) outcome {
	switch {
	case marked(email, "+notfound"), marked(email, "+null"), marked(email, "+empty"):
		return outcomeNotFound
	case marked(email, "+found"), marked(email, "+baddate"), marked(email, "+huge"), marked(email, "+hostile"):
		return outcomeFound
	case random(s.cfg.Seed, "outcome", email).Float64() < s.cfg.FoundShare:
		return outcomeFound
	}
	return outcomeNotFound
}

// marked says whether the local part carries the mark.
func marked(email, mark string) bool {
	local, _, _ := strings.Cut(email, "@")
	return strings.Contains(strings.ToLower(local), mark)
}
