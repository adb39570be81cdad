package simulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"
)

// Server is the pretended provider: an http.Handler that serves its API under
// /api/v2 and its control plane under /_sim.
type Server struct {
	cfg     Config
	routes  http.Handler
	done    chan struct{}
	wake    chan struct{}
	ctx     context.Context // of webhooks in flight; ends with Close
	cancel  context.CancelFunc
	started time.Time

	background sync.WaitGroup // the loop and the senders

	mu        sync.Mutex
	closed    bool
	st        *state
	journal   *journal
	timers    timerHeap
	timerSeq  int
	queues    map[string]*queue
	scheduled int // deliveries[:scheduled] have been given a timer
	held      []*delivery
	ready     []*delivery
	sending   int
	tried     map[*delivery]chan struct{} // closed at the first attempt
}

// New starts a simulator; Close ends it. With Config.Dir it goes on where the
// last one in that directory stopped. The configured keys and balance apply
// again only when they differ from those configured before.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, st: newState(), started: cfg.Now(),
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		queues: map[string]*queue{kindReverse: {}, kindEnrich: {}},
		tried:  map[*delivery]chan struct{}{},
	}
	if cfg.Dir != "" {
		var err error
		if s.journal, err = openJournal(cfg.Dir, s.apply); err != nil {
			return nil, err
		}
	}
	open := &opening{Keys: cfg.Keys, Previous: cfg.PreviousKey, Balance: cfg.Balance}
	if !reflect.DeepEqual(open, s.st.opened) {
		if err := s.record(event{Type: evOpen, At: s.started, Open: open}); err != nil {
			return nil, errors.Join(err, s.journal.close())
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.routes = s.mux()
	s.resume(s.started)
	s.background.Add(1)
	go s.loop()
	return s, nil
}

// Close stops all background work, waits for it, ends hanging answers and
// closes the journal. Call it before http.Server.Shutdown, which waits for
// answers. It returns the first failure to write the journal.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	s.cancel()
	s.mu.Unlock()
	s.background.Wait()
	s.cfg.HTTPClient.CloseIdleConnections()
	if s.journal == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.journal.err, s.journal.close())
}

// record writes the event to the journal, then applies it. When the journal
// fails, an acceptance does not happen; the rest is applied all the same,
// because it only follows from what was accepted.
func (s *Server) record(ev event) error {
	var err error
	if s.journal != nil {
		err = s.journal.append(ev)
	}
	if err != nil && (ev.Type == evAccept || ev.Type == evOpen) {
		return err
	}
	s.apply(ev)
	return err
}

// resume puts back to work what a killed simulator left.
func (s *Server) resume(now time.Time) {
	for _, e := range s.st.order {
		if !e.over() {
			s.goOn(now, e)
		}
	}
	s.startRows(now)
	s.schedule()
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		http.Error(w, "simulator: closed", http.StatusServiceUnavailable)
		return
	}
	s.routes.ServeHTTP(w, r)
}

func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+v2+"/contact/reverse/email/bulk", s.api(callSubmit, s.submit(kindReverse, s.parseReverse)))
	mux.Handle("GET "+v2+"/contact/reverse/email/bulk/{id}", s.api(callGet, s.get(kindReverse)))
	mux.Handle("POST "+v2+"/contact/enrich/bulk", s.api(callSubmit, s.submit(kindEnrich, s.parseEnrich)))
	mux.Handle("GET "+v2+"/contact/enrich/bulk/{id}", s.api(callGet, s.get(kindEnrich)))
	mux.Handle("GET "+v2+"/account/keys/verify", s.api(callOther, s.verifyKey))
	mux.Handle("GET "+v2+"/account/credits", s.api(callOther, s.credits))
	mux.Handle("/_sim/", s.control())
	return mux
}

type apiHandler func(w http.ResponseWriter, r *http.Request, key int)

// api is what every call passes: counting, the key, storms, the call window.
func (s *Server) api(kind callKind, next apiHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		now := s.cfg.Now()
		kind := kind
		key, refusal := s.authenticate(r)
		var faults []Fault
		if refusal != nil {
			kind = callUnauthorized
		} else {
			faults = s.pickFaults(now, classCall, subject{method: r.Method})
			if s.callsInWindow(now) >= s.cfg.CallsPerMinute {
				kind = callLimited
				refusal = &apiError{429, "error.rate.limit", "Too many requests. Try again in 1m"}
			}
		}
		s.record(event{Type: evCall, At: now, Call: kind})
		s.mu.Unlock()
		for _, f := range faults {
			s.countFired(f.Action)
			switch f.Action {
			case ActionResetBeforeReading:
				reset(w)
				return
			case ActionStorm429:
				refusal = &apiError{429, "error.rate.limit", "Too many requests. Try again in 1m"}
				refusal.answer(w, f)
				return
			case ActionStorm401:
				refusal = &apiError{401, "error.api.key", "Unknown api key"}
				refusal.answer(w, f)
				return
			case ActionSlowDrip:
				w = &drip{ResponseWriter: w, pause: cmpOr(f.Delay, time.Second), stop: r.Context().Done(), closed: s.done}
			}
		}
		if refusal != nil {
			refusal.write(w)
			return
		}
		next(w, r, key)
	})
}

func cmpOr(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// callsInWindow counts the calls with a known key in this calendar minute.
func (s *Server) callsInWindow(now time.Time) int {
	n := len(s.st.calls)
	if n == 0 || !s.st.calls[n-1].Start.Equal(s.windowStart(now)) {
		return 0
	}
	return s.st.calls[n-1].Total - s.st.calls[n-1].Unauthorized
}

func (s *Server) authenticate(r *http.Request) (key int, refusal *apiError) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return 0, &apiError{401, "error.authorization.not_set", "Authorization headers not set"}
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return 0, &apiError{401, "error.authorization.not_bearer", "Authorization headers do not have prefix 'bearer'"}
	}
	for i, known := range s.st.keys {
		if token == known {
			return i, nil
		}
	}
	return 0, &apiError{401, "error.api.key", "Unknown api key"}
}

func (s *Server) verifyKey(w http.ResponseWriter, _ *http.Request, _ int) {
	writeJSON(w, http.StatusOK, map[string]string{"workspace_id": uuid(s.cfg.Seed, "workspace")})
}

func (s *Server) credits(w http.ResponseWriter, _ *http.Request, _ int) {
	s.mu.Lock()
	balance := s.st.balance
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]float64{"balance": balance})
}

// newID is the id of the next enrichment. It depends on the start too: a
// simulator without a directory that is started again must not repeat the ids
// that the process under test has stored.
func (s *Server) newID() string {
	return uuid(s.cfg.Seed, "enrichment", fmt.Sprint(len(s.st.order)), s.started.String())
}
