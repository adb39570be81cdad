package simulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	webhookPause = time.Minute      // between two attempts
	reorderLimit = 10 * time.Minute // how long a webhook waits for another to overtake it
)

// schedule gives every new webhook, and after a restart every unsent one, its timer.
func (s *Server) schedule() {
	for ; s.scheduled < len(s.st.deliveries); s.scheduled++ {
		if d := s.st.deliveries[s.scheduled]; d.state == webhookWaiting {
			s.at(d.due, func(now time.Time) { s.fallDue(now, d) })
		}
	}
}

func (s *Server) fallDue(now time.Time, d *delivery) {
	if s.holdsBack(now, d) {
		s.held = append(s.held, d)
		return
	}
	s.ready = append(s.ready, d)
	s.startSenders()
}

// holdsBack: contact events come before their batch event, unless a fault
// turns that around.
func (s *Server) holdsBack(now time.Time, d *delivery) bool {
	if len(d.attempts) > 0 {
		return false
	}
	late := d.e.plan(ActionContactAfterBatch) != nil
	if d.row != batchRow {
		return late && !d.e.batchSent && !(d.e.over() && (d.e.WebhookURL == "" || d.e.plan(ActionWebhookNever) != nil))
	}
	if d.e.contactsOpen > 0 && !late {
		return true
	}
	f := d.e.plan(ActionWebhookReorder)
	if f == nil || s.overtaken(d) {
		return false
	}
	limit := d.created.Add(s.scaled(cmpOr(f.Delay, reorderLimit)))
	if !d.limited {
		d.limited = true
		s.at(limit, s.releaseHeld)
	}
	return now.Before(limit)
}

// overtaken says whether the batch webhook of a later submission was sent first.
func (s *Server) overtaken(d *delivery) bool {
	for i := len(s.st.order) - 1; i >= 0 && s.st.order[i] != d.e; i-- {
		if s.st.order[i].batchSent {
			return true
		}
	}
	return false
}

// releaseHeld looks again at every webhook that is held back.
func (s *Server) releaseHeld(now time.Time) {
	held := s.held
	s.held = nil
	for _, d := range held {
		s.fallDue(now, d)
	}
}

func (s *Server) startSenders() {
	for s.sending < s.cfg.Senders && len(s.ready) > 0 && !s.closed {
		d := s.ready[0]
		s.ready = s.ready[1:]
		s.sending++
		s.background.Add(1)
		go s.send(d)
	}
}

func (s *Server) send(d *delivery) {
	defer s.background.Done()
	request, err := s.webhookRequest(d)
	status := 0
	if err == nil {
		status, err = s.post(request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending--
	if s.closed && status == 0 {
		return // cut off by Close: the next start sends it again
	}
	now := s.cfg.Now()
	ev := event{Type: evAttempt, At: now, Delivery: d.id, Answer: status}
	if err != nil {
		ev.Error = errorClass(err)
	}
	if len(d.attempts) < s.cfg.Retries {
		ev.Wait = max(s.scaled(webhookPause), 1)
	}
	s.record(ev)
	if first := s.tried[d]; first != nil {
		close(first)
		delete(s.tried, d)
	}
	if d.state == webhookWaiting {
		s.at(d.due, func(now time.Time) { s.fallDue(now, d) })
	}
	s.startSenders()
	s.releaseHeld(now)
}

func (s *Server) post(request *http.Request) (int, error) {
	response, err := s.cfg.HTTPClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}

// webhookRequest renders the webhook anew for each attempt: the same body, but
// signed with the key of that moment.
func (s *Server) webhookRequest(d *delivery) (*http.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	target := d.e.WebhookURL
	if d.row != batchRow {
		target = d.e.ContactURL
	}
	if f := d.e.plan(ActionTokenWrong); f != nil {
		target = wrongToken(target, f.Value)
		s.fired(now, f.Action)
	}
	switch {
	case d.row == batchRow && len(d.attempts) == 0 && d.e.plan(ActionWebhookReorder) != nil && s.overtaken(d):
		s.fired(now, ActionWebhookReorder)
	case d.row != batchRow && len(d.attempts) == 0 && d.e.plan(ActionContactAfterBatch) != nil:
		s.fired(now, ActionContactAfterBatch)
	}
	body, encoding := s.renderWebhook(now, d)
	request, err := http.NewRequestWithContext(s.ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "FullEnrich-Simulator")
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	key := s.st.keys[d.e.Key]
	switch {
	case d.e.plan(ActionSignatureMissing) != nil:
		s.fired(now, ActionSignatureMissing)
		return request, nil
	case d.e.plan(ActionSignatureWrong) != nil:
		s.fired(now, ActionSignatureWrong)
		key += " wrong"
	case d.e.plan(ActionSignaturePreviousKey) != nil && s.st.previous != "":
		s.fired(now, ActionSignaturePreviousKey)
		key = s.st.previous
	}
	request.Header.Set(signatureHeader, sign(key, body))
	return request, nil
}

// wrongToken replaces the longest segment of the path, which is where a
// receiver puts its secret, by the given one or one of the same length.
func wrongToken(target, token string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	segments := strings.Split(u.Path, "/")
	longest := 0
	for i, segment := range segments {
		if len(segment) > len(segments[longest]) {
			longest = i
		}
	}
	if token == "" {
		token = strings.Repeat("0", max(len(segments[longest]), 1))
	}
	segments[longest] = token
	u.Path, u.RawPath = strings.Join(segments, "/"), ""
	return u.String()
}

// errorClass names a failure without the URL in it.
func errorClass(err error) string {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		if inURL.Timeout() {
			return "timeout"
		}
		err = inURL.Err
	}
	return err.Error()
}
