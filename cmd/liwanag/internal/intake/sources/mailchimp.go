package sources

import (
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// readMailchimp reads a webhook of a Mailchimp audience: a form whose brackets
// make a tree, with everything about the person below data.
func readMailchimp(s Settings, w webhook) (reading, error) {
	body, isForm := readForm(w.body)
	if !isForm || intake.Text(body["type"]) == "" {
		return reading{}, errNotAForm
	}
	data, _ := body["data"].(map[string]any)
	if data == nil {
		return reading{}, errShape
	}
	fired, err := time.Parse(time.DateTime, intake.Text(body["fired_at"])) // in UTC, though nothing says so
	if err == nil {
		body["fired_at"] = fired.Format(time.RFC3339)
	}
	at := place{data, body}
	var r reading // its key are the bytes: several things happen within one second
	switch intake.Text(body["type"]) {
	case "subscribe":
		r.events = []event{{what: Subscribed, signUp: s.signUp(at)}}
	case "profile":
		r.events = []event{{what: Updated, signUp: s.signUp(at)}}
	case "unsubscribe", "cleaned":
		r.events = []event{{what: Unsubscribed, signUp: s.signUp(at)}}
	case "upemail":
		gone, come := s.signUp(at), s.signUp(at)
		gone.Email, come.Email = intake.Text(data["old_email"]), intake.Text(data["new_email"])
		if id := intake.Text(data["new_id"]); id != "" {
			come.ID = id
		}
		r.events = []event{{what: Unsubscribed, signUp: gone}, {what: Updated, signUp: come}}
	default:
		r.events = []event{{what: Ignored}}
	}
	for i := range r.events {
		r.events[i].at = fired
		if p := &r.events[i].signUp; r.events[i].what != Subscribed && p.Timestamp.Equal(fired) { // not when they signed up
			p.Timestamp = time.Time{}
		}
	}
	return r, nil
}
