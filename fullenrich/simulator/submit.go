package simulator

import (
	"net/http"
	"time"
)

const (
	answerPatience = 10 * time.Second // for the webhook that comes before the answer
	gatewayPage    = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"
)

// submit is the paid POST: parse, let faults refuse, accept, answer.
func (s *Server) submit(kind string, parse func(*http.Request) (*acceptance, *apiError)) apiHandler {
	return func(w http.ResponseWriter, r *http.Request, key int) {
		accept, refusal := parse(r)
		if refusal != nil {
			refusal.write(w)
			return
		}
		accept.Key = key
		sub := subject{method: r.Method, name: accept.Name}
		for _, row := range accept.Rows {
			sub.emails = append(sub.emails, row.Email)
		}
		s.mu.Lock()
		var fault Fault
		if picked := s.pickFaults(s.cfg.Now(), classAnswer, sub); len(picked) > 0 {
			fault = picked[0]
		}
		s.mu.Unlock()
		if s.refuses(w, r, fault) {
			return
		}
		id, tried, err := s.accept(accept, sub)
		if err != nil {
			(&apiError{http.StatusInternalServerError, "error.internal", "Not accepted: the journal cannot be written"}).write(w)
			return
		}
		s.waitForWebhook(r, tried)
		s.answer(w, r, id, fault)
	}
}

// refuses carries out the faults that end a POST before it is accepted.
func (s *Server) refuses(w http.ResponseWriter, r *http.Request, f Fault) bool {
	switch f.Action {
	case ActionRefuse:
		s.countFired(f.Action)
		refusalFor(f.Status).answer(w, f)
	case ActionRefuse5xx:
		s.countFired(f.Action)
		f.Bare = f.Code == ""
		refusalFor(f.Status).answer(w, f)
	case ActionResetWithoutAccepting:
		s.countFired(f.Action)
		reset(w)
	case ActionHangWithoutAccepting:
		s.countFired(f.Action)
		s.hang(w, r, f.Delay)
	default:
		return false
	}
	return true
}

func refusalFor(status int) *apiError {
	switch status {
	case 400:
		return badRequest("error.reverse.email.invalid", "Email is invalid")
	case 401:
		return &apiError{401, "error.api.key", "Unknown api key"}
	case 402:
		return &apiError{402, "error.credits.insufficient", "Not enough credits"}
	case 429:
		return &apiError{429, "error.rate.limit", "Too many requests. Try again in 1m"}
	case 0:
		status = http.StatusInternalServerError
	}
	return &apiError{status, "error.internal", "Something went wrong"}
}

// answer writes the refusal as the fault wants it.
func (e *apiError) answer(w http.ResponseWriter, f Fault) {
	answer := *e
	if f.Status != 0 {
		answer.status = f.Status
	}
	if f.Code != "" {
		answer.code = f.Code
	}
	if f.Message != "" {
		answer.message = f.Message
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Bare {
		writeBody(w, answer.status, "text/html", []byte(gatewayPage))
		return
	}
	answer.write(w)
}

// accept makes the enrichment. It is durable when accept returns. The channel
// is closed once the batch webhook was tried, if one must come before the answer.
func (s *Server) accept(accept *acceptance, sub subject) (id string, tried <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	accept.Plan = s.pickFaults(now, classPlan, sub)
	id = s.newID()
	if err := s.record(event{Type: evAccept, At: now, ID: id, Accept: accept}); err != nil {
		return "", nil, err
	}
	e := s.st.byID[id]
	before := len(s.st.deliveries)
	s.goOn(now, e)
	s.startRows(now)
	if e.plan(ActionWebhookBeforeAnswer) == nil {
		return id, nil, nil
	}
	s.fired(now, ActionWebhookBeforeAnswer)
	for _, d := range s.st.deliveries[before:] {
		if d.e == e && d.row == batchRow {
			first := make(chan struct{})
			s.tried[d] = first
			return id, first, nil
		}
	}
	return id, nil, nil
}

func (s *Server) waitForWebhook(r *http.Request, tried <-chan struct{}) {
	if tried == nil {
		return
	}
	patience := time.NewTimer(answerPatience)
	defer patience.Stop()
	select {
	case <-tried:
	case <-patience.C:
	case <-r.Context().Done():
	case <-s.done:
	}
}

// answer tells of the acceptance, or fails to.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, id string, f Fault) {
	body := rawJSON(map[string]string{"enrichment_id": id})
	if f.Action != "" {
		s.countFired(f.Action)
	}
	switch f.Action {
	case ActionAcceptThenReset:
		reset(w)
	case ActionAcceptThen502:
		f.Bare = f.Code == ""
		(&apiError{http.StatusBadGateway, "error.internal", "Bad gateway"}).answer(w, f)
	case ActionAcceptThenHang:
		s.hang(w, r, f.Delay)
	case ActionAnswerTruncated:
		truncate(w, body)
	case ActionAnswerNonJSON:
		writeBody(w, http.StatusOK, "text/html", []byte("<html><body>Everything went well.</body></html>"))
	case ActionAnswerWithoutID:
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		writeBody(w, http.StatusOK, "application/json", body)
	}
}

// get answers a GET of an enrichment: the result, or that it is not there yet.
func (s *Server) get(kind string) apiHandler {
	code, message := "error.reverse.email.not_found", "Reverse email ID not found"
	if kind == kindEnrich {
		code, message = "error.enrichment.not_found", "Enrichment ID not found"
	}
	notFound := &apiError{http.StatusNotFound, code, message}
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		s.mu.Lock()
		now := s.cfg.Now()
		e := s.st.byID[r.PathValue("id")]
		if e == nil || e.Kind != kind || e.over() && !now.Before(e.ended.Add(s.scaled(retention))) {
			s.mu.Unlock()
			notFound.write(w)
			return
		}
		sub := subject{method: r.Method, name: e.Name}
		for i := range e.rows {
			sub.emails = append(sub.emails, e.rows[i].Email)
		}
		var fault Fault
		if picked := s.pickFaults(now, classGet, sub); len(picked) > 0 {
			fault = picked[0]
			s.fired(now, fault.Action)
		}
		partial := kind == kindEnrich && r.URL.Query().Get("forceResults") == "true"
		answer := s.getAnswer(now, e, fault, partial)
		s.mu.Unlock()
		switch fault.Action {
		case ActionGet404:
			notFound.answer(w, fault)
		case ActionGet5xx:
			fault.Bare = fault.Code == ""
			(&apiError{http.StatusServiceUnavailable, "error.internal", "Something went wrong"}).answer(w, fault)
		case ActionGetReset:
			reset(w)
		case ActionGetHang:
			s.hang(w, r, fault.Delay)
		case ActionGetTruncated:
			truncate(w, answer.body)
		default:
			if answer.encoding != "" {
				w.Header().Set("Content-Encoding", answer.encoding)
			}
			writeBody(w, answer.status, "application/json", answer.body)
		}
	}
}

type getAnswer struct {
	status   int
	body     []byte
	encoding string
}

func (s *Server) getAnswer(now time.Time, e *enrichment, f Fault, partial bool) getAnswer {
	status, show := http.StatusOK, e.status
	if show == statusCreated && e.next > 0 {
		show = statusInProgress
	}
	switch {
	case f.Action == ActionGet402:
		status, show = http.StatusPaymentRequired, statusCreditsInsufficient
	case e.status == statusCreditsInsufficient:
		status = http.StatusPaymentRequired
	case e.status != statusCreated && e.status != statusInProgress, partial:
	case s.cfg.RunningStyle == RunningAs400:
		return getAnswer{status: http.StatusBadRequest, body: rawJSON(envelope{
			"error.enrichment.in_progress", "Enrichment not ready, try again in 30 seconds",
		})}
	default:
		return getAnswer{status: status, body: rawJSON(result{ID: e.id, Name: e.Name, Status: show})}
	}
	body, encoding := s.renderResult(now, e, WhereGet, show)
	return getAnswer{status, body, encoding}
}
