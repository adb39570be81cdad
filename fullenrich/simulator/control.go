package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// State is what the simulator does right now.
type State struct {
	Now             time.Time      `json:"now"`
	Speed           float64        `json:"speed"`
	Balance         float64        `json:"balance"`
	Enrichments     map[string]int `json:"enrichments"` // by status
	InFlight        int            `json:"inFlight"`    // contacts being looked up
	Queued          int            `json:"queued"`      // contacts waiting for a slot
	PendingWebhooks int            `json:"pendingWebhooks"`
	Faults          []FaultState   `json:"faults"`
	Fired           map[Action]int `json:"fired"`
	JournalError    string         `json:"journalError,omitempty"`
}

// FaultState is a fault with how many calls it matched and how often it was chosen.
type FaultState struct {
	Fault Fault `json:"fault"`
	Seen  int   `json:"seen"`
	Hits  int   `json:"hits"`
}

// Idle says that nothing is left to be looked up or delivered.
func (s State) Idle() bool {
	for status, n := range s.Enrichments {
		if n > 0 && !final(status) {
			return false
		}
	}
	return s.PendingWebhooks == 0
}

// State returns what the simulator does right now.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := State{
		Now: s.cfg.Now(), Speed: s.cfg.Speed, Balance: s.st.balance,
		Enrichments: map[string]int{}, Faults: []FaultState{}, Fired: map[Action]int{},
	}
	for _, e := range s.st.order {
		out.Enrichments[e.status]++
	}
	for _, q := range s.queues {
		out.InFlight += q.inFlight
		for _, e := range q.waiting {
			if !e.over() {
				out.Queued += len(e.rows) - e.next
			}
		}
	}
	for _, d := range s.st.deliveries {
		if d.state == webhookWaiting {
			out.PendingWebhooks++
		}
	}
	for _, f := range s.st.faults {
		out.Faults = append(out.Faults, FaultState{f.Fault, f.seen, f.hits})
	}
	for action, n := range s.st.firedBy {
		out.Fired[action] = n
	}
	if s.journal != nil && s.journal.err != nil {
		out.JournalError = s.journal.err.Error()
	}
	return out
}

// AddFault adds a fault and returns its id.
func (s *Server) AddFault(f Fault) (id string, err error) {
	if err := f.Validate(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ID == "" {
		f.ID = fmt.Sprintf("fault-%d", s.st.faultCount+1)
	}
	for _, known := range s.st.faults {
		if known.ID == f.ID {
			return "", fmt.Errorf("simulator: fault id %q is taken: remove it first or leave id empty", f.ID)
		}
	}
	return f.ID, s.record(event{Type: evFault, At: s.cfg.Now(), Fault: &f})
}

// ClearFaults removes the fault with the id, or with an empty id all. What
// hangs over enrichments that were accepted already stays.
func (s *Server) ClearFaults(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record(event{Type: evFaultClear, At: s.cfg.Now(), ID: id})
}

// SetBalance sets the credits of the workspace.
func (s *Server) SetBalance(balance float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record(event{Type: evBalance, At: s.cfg.Now(), Balance: balance})
}

// Rotate replaces an API key (empty: the first) at once: calls with the old one
// are answered 401, webhooks are signed with the new one.
func (s *Server) Rotate(old, replacement string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old == "" {
		old = s.st.keys[0]
	}
	known := false
	for _, key := range s.st.keys {
		known = known || key == old
		if key == replacement {
			return errors.New("simulator: the new key is in use already")
		}
	}
	if !known || replacement == "" {
		return errors.New("simulator: rotate needs a key of the workspace and a new one")
	}
	return s.record(event{Type: evRotate, At: s.cfg.Now(), Old: old, New: replacement})
}

// ErrNoEnrichment: the simulator never accepted an enrichment with that id.
var ErrNoEnrichment = errors.New("simulator: no such enrichment")

// ResendWebhook sends the batch webhook of an enrichment once more, whatever it
// has become; it needs a webhook URL.
func (s *Server) ResendWebhook(enrichmentID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.st.byID[enrichmentID]
	if e == nil || e.WebhookURL == "" {
		return ErrNoEnrichment
	}
	err := s.record(event{Type: evResend, At: s.cfg.Now(), ID: enrichmentID})
	s.schedule()
	return err
}

type rotateRequest struct {
	Old string `json:"old,omitempty"`
	New string `json:"new"`
}

type balanceRequest struct {
	Balance *float64 `json:"balance"`
}

type resendRequest struct {
	EnrichmentID string `json:"enrichmentId"`
}

// control serves /_sim. It has no key; a browser's page of another origin is refused.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/ledger", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Ledger()) })
	mux.HandleFunc("GET /_sim/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.State()) })
	mux.HandleFunc("POST /_sim/faults", change(func(f Fault) (any, error) {
		id, err := s.AddFault(f)
		return map[string]string{"id": id}, err
	}))
	mux.HandleFunc("DELETE /_sim/faults", func(w http.ResponseWriter, r *http.Request) {
		writeChange(w, struct{}{}, s.ClearFaults(r.URL.Query().Get("id")))
	})
	mux.HandleFunc("POST /_sim/balance", change(func(b balanceRequest) (any, error) {
		if b.Balance == nil {
			return nil, errors.New("simulator: balance is missing")
		}
		return b, s.SetBalance(*b.Balance)
	}))
	mux.HandleFunc("POST /_sim/rotate", change(func(r rotateRequest) (any, error) { return struct{}{}, s.Rotate(r.Old, r.New) }))
	mux.HandleFunc("POST /_sim/webhooks/resend", change(func(r resendRequest) (any, error) {
		return struct{}{}, s.ResendWebhook(r.EnrichmentID)
	}))
	return http.NewCrossOriginProtection().Handler(mux)
}

func change[T any](do func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			writeChange(w, nil, fmt.Errorf("simulator: %w", err))
			return
		}
		answer, err := do(request)
		writeChange(w, answer, err)
	}
}

func writeChange(w http.ResponseWriter, answer any, err error) {
	switch {
	case errors.Is(err, ErrNoEnrichment):
		writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	case err != nil:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	default:
		writeJSON(w, http.StatusOK, answer)
	}
}
