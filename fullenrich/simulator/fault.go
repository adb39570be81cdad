package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Action names what a fault does; the package documentation has the table.
type Action string

// The fault controls.
const (
	ActionStorm429           Action = "storm-429"
	ActionStorm401           Action = "storm-401"
	ActionSlowDrip           Action = "slow-drip"
	ActionResetBeforeReading Action = "reset-before-reading"

	ActionRefuse                Action = "refuse"
	ActionRefuse5xx             Action = "refuse-5xx"
	ActionResetWithoutAccepting Action = "reset-without-accepting"
	ActionHangWithoutAccepting  Action = "hang-without-accepting"
	ActionAcceptThenReset       Action = "accept-then-reset"
	ActionAcceptThen502         Action = "accept-then-502"
	ActionAcceptThenHang        Action = "accept-then-hang"
	ActionAnswerTruncated       Action = "answer-truncated"
	ActionAnswerNonJSON         Action = "answer-non-json"
	ActionAnswerWithoutID       Action = "answer-without-id"

	ActionWebhookBeforeAnswer  Action = "webhook-before-answer"
	ActionWebhookNever         Action = "webhook-never"
	ActionWebhookLate          Action = "webhook-late"
	ActionWebhookDuplicate     Action = "webhook-duplicate"
	ActionWebhookReorder       Action = "webhook-reorder"
	ActionContactNever         Action = "contact-never"
	ActionContactAfterBatch    Action = "contact-after-batch"
	ActionSignatureWrong       Action = "signature-wrong"
	ActionSignatureMissing     Action = "signature-missing"
	ActionSignaturePreviousKey Action = "signature-previous-key"
	ActionTokenWrong           Action = "token-wrong"

	ActionShapeV1             Action = "shape-v1"
	ActionRowsMissing         Action = "rows-missing"
	ActionRowsExtra           Action = "rows-extra"
	ActionRecordBad           Action = "record-bad"
	ActionBodyHuge            Action = "body-huge"
	ActionGzipBomb            Action = "gzip-bomb"
	ActionProfileHostile      Action = "profile-hostile"
	ActionProfileHuge         Action = "profile-huge"
	ActionProfileBadDates     Action = "profile-bad-dates"
	ActionStatusUnknown       Action = "status-unknown"
	ActionStatusRateLimit     Action = "status-rate-limit"
	ActionStatusCanceled      Action = "status-canceled"
	ActionCreditsInsufficient Action = "credits-insufficient"

	ActionGet404       Action = "get-404"
	ActionGet402       Action = "get-402"
	ActionGet5xx       Action = "get-5xx"
	ActionGetReset     Action = "get-reset"
	ActionGetHang      Action = "get-hang"
	ActionGetTruncated Action = "get-truncated"
)

// class says at which point a fault is looked for, and so what it can match.
type class int

const (
	classCall   class = iota + 1 // any call, before its body is read: no name, no e-mail
	classAnswer                  // a POST that would be accepted; at most one fires
	classPlan                    // the fate of an accepted enrichment; one of each action
	classGet                     // a GET of a known enrichment; at most one fires
)

func (a Action) class() class {
	switch a {
	case ActionStorm429, ActionStorm401, ActionSlowDrip, ActionResetBeforeReading:
		return classCall
	case ActionRefuse, ActionRefuse5xx, ActionResetWithoutAccepting, ActionHangWithoutAccepting,
		ActionAcceptThenReset, ActionAcceptThen502, ActionAcceptThenHang,
		ActionAnswerTruncated, ActionAnswerNonJSON, ActionAnswerWithoutID:
		return classAnswer
	case ActionGet404, ActionGet402, ActionGet5xx, ActionGetReset, ActionGetHang, ActionGetTruncated:
		return classGet
	}
	for _, known := range planActions {
		if a == known {
			return classPlan
		}
	}
	return 0
}

var planActions = [...]Action{
	ActionWebhookBeforeAnswer, ActionWebhookNever, ActionWebhookLate, ActionWebhookDuplicate, ActionWebhookReorder,
	ActionContactNever, ActionContactAfterBatch,
	ActionSignatureWrong, ActionSignatureMissing, ActionSignaturePreviousKey, ActionTokenWrong,
	ActionShapeV1, ActionRowsMissing, ActionRowsExtra, ActionRecordBad, ActionBodyHuge, ActionGzipBomb,
	ActionProfileHostile, ActionProfileHuge, ActionProfileBadDates,
	ActionStatusUnknown, ActionStatusRateLimit, ActionStatusCanceled, ActionCreditsInsufficient,
}

// Actions lists every fault control, for a nemesis that draws from them and a
// check that each has fired.
func Actions() []Action {
	return append([]Action{
		ActionStorm429, ActionStorm401, ActionSlowDrip, ActionResetBeforeReading,
		ActionRefuse, ActionRefuse5xx, ActionResetWithoutAccepting, ActionHangWithoutAccepting,
		ActionAcceptThenReset, ActionAcceptThen502, ActionAcceptThenHang,
		ActionAnswerTruncated, ActionAnswerNonJSON, ActionAnswerWithoutID,
		ActionGet404, ActionGet402, ActionGet5xx, ActionGetReset, ActionGetHang, ActionGetTruncated,
	}, planActions[:]...)
}

// Fault is one scripted fault: what it matches, and what it does. All
// conditions that are set must hold. In JSON durations are text ("25h").
type Fault struct {
	// ID is given by the simulator when empty.
	ID     string `json:"id,omitempty"`
	Action Action `json:"action"`

	// Nth fires on the nth matching call alone, counted from 1 since the
	// fault was added.
	Nth int `json:"nth,omitempty"`
	// Method restricts a fault of any call to GET or POST.
	Method string `json:"method,omitempty"`
	// Name and Email match a part of the submission's name and of any of its
	// addresses. A record or profile fault with Email touches only those records.
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	// Probability, drawn with the seed; 0 and 1 both mean always.
	Probability float64 `json:"probability,omitempty"`
	// Count is how often the fault fires at most; 0 = no limit.
	Count int `json:"count,omitempty"`
	// For is how long it is active after it was added (simulated time); 0 = until removed.
	For time.Duration `json:"-"`

	// Status, Code and Message replace those of an answer.
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Bare leaves out the envelope of ActionRefuse: an HTML page instead.
	Bare bool `json:"bare,omitempty"`
	// RetryAfter is sent as the Retry-After header.
	RetryAfter string `json:"retryAfter,omitempty"`
	// Delay: see the action. Simulated time, except for hangs and drips.
	Delay time.Duration `json:"-"`
	// Times is the number of extra copies of ActionWebhookDuplicate and of
	// rows of ActionRowsMissing and ActionRowsExtra; default 1.
	Times int `json:"times,omitempty"`
	// Size in bytes of ActionBodyHuge (20 MiB) and ActionGzipBomb (64 MiB inflated).
	Size int `json:"size,omitempty"`
	// Value: see the action.
	Value string `json:"value,omitempty"`
	// Where restricts a fault of the result object to "webhook" or "get".
	Where string `json:"where,omitempty"`
}

// Places of the result object for Fault.Where.
const (
	WhereWebhook = "webhook"
	WhereGet     = "get"
)

type faultText struct {
	*faultFields
	For   string `json:"for,omitempty"`
	Delay string `json:"delay,omitempty"`
}

type faultFields Fault

// MarshalJSON writes durations as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	text := faultText{faultFields: (*faultFields)(&f)}
	if f.For != 0 {
		text.For = f.For.String()
	}
	if f.Delay != 0 {
		text.Delay = f.Delay.String()
	}
	return json.Marshal(text)
}

// UnmarshalJSON reads durations as text and refuses fields it does not know.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	text := faultText{faultFields: (*faultFields)(f)}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&text); err != nil {
		return err
	}
	var err error
	if text.For != "" {
		if f.For, err = time.ParseDuration(text.For); err != nil {
			return fmt.Errorf("for: %w", err)
		}
	}
	if text.Delay != "" {
		if f.Delay, err = time.ParseDuration(text.Delay); err != nil {
			return fmt.Errorf("delay: %w", err)
		}
	}
	return nil
}

// Validate returns everything that would keep the fault from ever firing as meant.
func (f Fault) Validate() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("simulator: fault %q: "+format, append([]any{f.Action}, args...)...))
		}
	}
	class := f.Action.class()
	need(class != 0, "unknown action")
	need(class != classCall || f.Name == "" && f.Email == "", "is decided before the body is read and cannot match name or email")
	need(class == classCall || f.Method == "", "method is for faults of any call")
	need(oneOf(f.Method, "", "GET", "POST"), "method must be GET or POST, is %q", f.Method)
	need(oneOf(f.Where, "", WhereWebhook, WhereGet), "where must be webhook or get, is %q", f.Where)
	need(f.Probability >= 0 && f.Probability <= 1, "probability must be from 0 to 1, is %v", f.Probability)
	need(f.Nth >= 0 && f.Count >= 0 && f.Times >= 0 && f.Size >= 0 && f.For >= 0, "numbers must not be negative")
	need(f.Status == 0 || f.Status >= 200 && f.Status <= 599, "status must be from 200 to 599, is %d", f.Status)
	return errors.Join(faults...)
}

func (f *Fault) appliesTo(where string) bool { return f.Where == "" || f.Where == where }

func (f *Fault) touches(email string) bool { return strings.Contains(email, f.Email) }

func (f *Fault) times() int { return max(f.Times, 1) }

// activeFault is a fault with its counters.
type activeFault struct {
	Fault
	added      time.Time
	seen, hits int
}

// subject is what a fault can match.
type subject struct {
	method string
	name   string
	emails []string
}

func (f *activeFault) matches(sub subject, now time.Time, until time.Duration) bool {
	if f.For > 0 && !now.Before(f.added.Add(until)) {
		return false
	}
	if f.Method != "" && f.Method != sub.method || f.Action == ActionResetBeforeReading && sub.method != "POST" {
		return false
	}
	if !strings.Contains(sub.name, f.Name) {
		return false
	}
	if f.Email == "" {
		return true
	}
	for _, email := range sub.emails {
		if f.touches(email) {
			return true
		}
	}
	return false
}

// pickFaults returns the faults that fire now, in the order they were added.
// Of the answer and GET classes it returns one at most, of the others one of
// each action; a fault that lost does not use up its count.
func (s *Server) pickFaults(now time.Time, c class, sub subject) []Fault {
	var picked []Fault
	won := map[Action]bool{}
	for _, f := range s.st.faults {
		if f.Action.class() != c || !f.matches(sub, now, s.scaled(f.For)) {
			continue
		}
		seen, hits := f.seen+1, f.hits
		key := f.Action
		if c == classAnswer || c == classGet {
			key = ""
		}
		if !won[key] && s.fires(f, seen) {
			won[key] = true
			hits++
			picked = append(picked, f.Fault)
		}
		s.record(event{Type: evFaultSeen, At: now, ID: f.ID, Seen: seen, Hits: hits})
	}
	return picked
}

func (s *Server) fires(f *activeFault, seen int) bool {
	if f.Nth > 0 && seen != f.Nth || f.Count > 0 && f.hits >= f.Count {
		return false
	}
	if f.Probability == 0 || f.Probability == 1 {
		return true
	}
	return random(s.cfg.Seed, "fault", f.ID, fmt.Sprint(seen)).Float64() < f.Probability
}

// fired counts the effect of a fault, at the moment it takes place.
func (s *Server) fired(now time.Time, a Action) {
	s.record(event{Type: evFired, At: now, Action: a})
}

func (s *Server) countFired(a Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fired(s.cfg.Now(), a)
}
