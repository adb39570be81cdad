package simulator

import (
	"encoding/json"
	"time"
)

// Everything the simulator remembers changes by events alone: recorded in the
// journal (when there is one), then applied. A restart applies them again.
type event struct {
	Type string    `json:"t"`
	At   time.Time `json:"at"`
	ID   string    `json:"id,omitempty"` // enrichment, or fault

	Open     *opening      `json:"open,omitempty"`
	Accept   *acceptance   `json:"accept,omitempty"`
	Row      int           `json:"row,omitempty"`
	Outcome  outcome       `json:"outcome,omitempty"`
	Credits  int64         `json:"credits,omitempty"`
	Avoided  int64         `json:"avoided,omitempty"`
	Status   string        `json:"status,omitempty"`
	Delivery int           `json:"delivery,omitempty"`
	Answer   int           `json:"answer,omitempty"`
	Error    string        `json:"error,omitempty"`
	Wait     time.Duration `json:"wait,omitempty"`
	Fault    *Fault        `json:"fault,omitempty"`
	Seen     int           `json:"seen,omitempty"`
	Hits     int           `json:"hits,omitempty"`
	Action   Action        `json:"action,omitempty"`
	Balance  float64       `json:"balance,omitempty"`
	Old      string        `json:"old,omitempty"`
	New      string        `json:"new,omitempty"`
	Call     callKind      `json:"call,omitempty"`
}

const (
	evOpen       = "open"        // keys and balance of the configuration
	evAccept     = "accept"      // a paid POST was accepted
	evRow        = "row"         // a contact was looked up
	evStatus     = "status"      // an enrichment changed its status, for good or not
	evAttempt    = "attempt"     // a webhook was sent, or could not be
	evResend     = "resend"      // another batch webhook was asked for
	evCall       = "call"        // a call to the API
	evFault      = "fault"       // a fault was added
	evFaultSeen  = "fault-seen"  // a fault was matched
	evFaultClear = "fault-clear" // all were removed, or the one with the id
	evFired      = "fired"       // a fault took effect
	evBalance    = "balance"
	evRotate     = "rotate"
)

type opening struct {
	Keys     []string `json:"keys"`
	Previous string   `json:"previous,omitempty"`
	Balance  float64  `json:"balance"`
}

// acceptance is an accepted POST and its fate.
type acceptance struct {
	Kind       string     `json:"kind"`
	Name       string     `json:"name"`
	WebhookURL string     `json:"webhookUrl,omitempty"`
	ContactURL string     `json:"contactUrl,omitempty"`
	Key        int        `json:"key,omitempty"` // index into the workspace's keys: whose secret signs
	Rows       []rowInput `json:"rows"`
	Plan       []Fault    `json:"plan,omitempty"`
}

// Kinds of enrichments: each has its own queue and routes.
const (
	kindReverse = "reverse"
	kindEnrich  = "enrich"
)

type rowInput struct {
	// Email is the address; of an enrichment whatever names the contact.
	Email  string          `json:"email"`
	Input  json.RawMessage `json:"input,omitempty"` // enrichment only
	Custom json.RawMessage `json:"custom,omitempty"`
	Fields []string        `json:"fields,omitempty"` // enrichment only
}

type outcome uint8

const (
	outcomePending outcome = iota
	outcomeFound
	outcomeNotFound
)

type row struct {
	rowInput
	outcome outcome
	credits int64
	avoided int64
}

type enrichment struct {
	acceptance
	id           string
	at, ended    time.Time
	statusAt     time.Time
	status       string
	rows         []row
	order        []int32 // of completion: data comes in this order, never in the request's
	next         int     // first row that was not started
	credits      int64
	contactsOpen int // contact webhooks without a first attempt
	batchSent    bool
}

func (e *enrichment) over() bool { return final(e.status) }

func final(status string) bool {
	return status == statusFinished || status == statusCreditsInsufficient || status == statusCanceled
}

// plan returns the fault of that action that hangs over the enrichment, or nil.
func (e *enrichment) plan(a Action) *Fault {
	for i := range e.Plan {
		if e.Plan[i].Action == a {
			return &e.Plan[i]
		}
	}
	return nil
}

type delivery struct {
	id       int
	e        *enrichment
	row      int // of a contact webhook; batch: -1
	credits  int64
	created  time.Time
	due      time.Time
	status   string // of the enrichment when the webhook arose: a retry repeats the body
	state    string
	limited  bool // its longest wait for another webhook has a timer
	attempts []WebhookAttempt
}

const batchRow = -1

// States of a webhook.
const (
	webhookWaiting   = "waiting"
	webhookDelivered = "delivered"
	webhookLost      = "lost" // all attempts failed
)

type callKind string

const (
	callSubmit callKind = "submit"
	callGet    callKind = "get"
	callOther  callKind = "account"
	// Refused calls by cause.
	callLimited      callKind = "limited"
	callUnauthorized callKind = "unauthorized"
)

type state struct {
	opened     *opening
	keys       []string
	previous   string
	balance    float64
	order      []*enrichment
	byID       map[string]*enrichment
	found      map[string]time.Time // kind and input of completed lookups that were charged, for deduplication
	deliveries []*delivery
	faults     []*activeFault
	faultCount int
	firedBy    map[Action]int
	calls      []CallMinute
}

func newState() *state {
	return &state{byID: map[string]*enrichment{}, found: map[string]time.Time{}, firedBy: map[Action]int{}}
}

func (s *Server) apply(ev event) {
	st := s.st
	e := st.byID[ev.ID]
	switch ev.Type {
	case evOpen:
		st.opened = ev.Open
		st.keys, st.previous, st.balance = append([]string(nil), ev.Open.Keys...), ev.Open.Previous, ev.Open.Balance
	case evAccept:
		s.applyAccept(ev)
	case evRow:
		s.applyRow(e, ev)
	case evStatus:
		s.applyStatus(e, ev)
	case evAttempt:
		s.applyAttempt(st.deliveries[ev.Delivery], ev)
	case evResend:
		s.addDelivery(e, batchRow, ev.At, 0)
	case evCall:
		s.applyCall(ev)
	case evFault:
		st.faultCount++
		st.faults = append(st.faults, &activeFault{Fault: *ev.Fault, added: ev.At})
	case evFaultSeen:
		for _, f := range st.faults {
			if f.ID == ev.ID {
				f.seen, f.hits = ev.Seen, ev.Hits
			}
		}
	case evFaultClear:
		var kept []*activeFault
		for _, f := range st.faults {
			if ev.ID != "" && f.ID != ev.ID {
				kept = append(kept, f)
			}
		}
		st.faults = kept
	case evFired:
		st.firedBy[ev.Action]++
	case evBalance:
		st.balance = ev.Balance
	case evRotate:
		for i, key := range st.keys {
			if key == ev.Old {
				st.keys[i], st.previous = ev.New, ev.Old
			}
		}
	}
}

func (s *Server) applyAccept(ev event) {
	e := &enrichment{acceptance: *ev.Accept, id: ev.ID, at: ev.At, status: statusCreated}
	e.rows = make([]row, len(e.Rows))
	for i, input := range e.Rows {
		e.rows[i].rowInput = input
	}
	e.Rows = nil // kept once: there may be a million
	s.st.order = append(s.st.order, e)
	s.st.byID[e.id] = e
}

func (s *Server) applyRow(e *enrichment, ev event) {
	r := &e.rows[ev.Row]
	r.outcome, r.credits, r.avoided = ev.Outcome, ev.Credits, ev.Avoided
	e.order = append(e.order, int32(ev.Row))
	e.credits += ev.Credits
	s.st.balance -= float64(ev.Credits)
	if e.status == statusCreated {
		e.status = statusInProgress
	}
	if ev.Credits > 0 {
		s.st.found[e.Kind+" "+r.Email] = ev.At
	}
	if e.ContactURL != "" && e.plan(ActionContactNever) == nil {
		e.contactsOpen++
		s.addDelivery(e, ev.Row, ev.At, 0)
	}
}

func (s *Server) applyStatus(e *enrichment, ev event) {
	e.status, e.statusAt = ev.Status, ev.At
	if e.over() {
		e.ended = ev.At
	}
	if e.WebhookURL == "" || ev.Status == statusRateLimit || ev.Status == statusInProgress || e.plan(ActionWebhookNever) != nil {
		return
	}
	var late time.Duration
	if f := e.plan(ActionWebhookLate); f != nil {
		late = f.Delay
	}
	copies := 1
	if f := e.plan(ActionWebhookDuplicate); f != nil {
		copies += f.times()
	}
	for range copies {
		s.addDelivery(e, batchRow, ev.At, late)
	}
}

func (s *Server) addDelivery(e *enrichment, row int, at time.Time, after time.Duration) {
	s.st.deliveries = append(s.st.deliveries, &delivery{
		id: len(s.st.deliveries), e: e, row: row, credits: e.credits, status: e.status,
		created: at, due: at.Add(s.scaled(after)), state: webhookWaiting,
	})
}

func (s *Server) applyAttempt(d *delivery, ev event) {
	if len(d.attempts) == 0 {
		if d.row == batchRow {
			d.e.batchSent = true
		} else {
			d.e.contactsOpen--
		}
	}
	d.attempts = append(d.attempts, WebhookAttempt{At: ev.At, Status: ev.Answer, Error: ev.Error})
	switch {
	case ev.Answer >= 200 && ev.Answer <= 299:
		d.state = webhookDelivered
	case ev.Wait == 0:
		d.state = webhookLost
	default:
		d.due = ev.At.Add(ev.Wait)
	}
}

func (s *Server) applyCall(ev event) {
	start := s.windowStart(ev.At)
	if n := len(s.st.calls); n == 0 || s.st.calls[n-1].Start.Before(start) {
		s.st.calls = append(s.st.calls, CallMinute{Start: start})
	}
	minute := &s.st.calls[len(s.st.calls)-1]
	minute.Total++
	switch ev.Call {
	case callSubmit:
		minute.Submits++
	case callGet:
		minute.Gets++
	case callLimited:
		minute.Limited++
	case callUnauthorized:
		minute.Unauthorized++
	}
}
