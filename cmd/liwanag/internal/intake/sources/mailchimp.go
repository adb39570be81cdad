package sources

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// maxFormFields is more than a Mailchimp audience has merge fields.
const maxFormFields = 1000

// readMailchimp reads a webhook of a Mailchimp audience: a form whose brackets
// make a tree, with everything about the person below data.
func readMailchimp(s Settings, w webhook) (reading, error) {
	form, err := url.ParseQuery(string(w.body))
	if err != nil || !utf8.Valid(w.body) || form.Get("type") == "" || len(form) > maxFormFields {
		return reading{}, errNotAForm
	}
	body := tree(form)
	data, _ := body["data"].(map[string]any)
	if data == nil {
		return reading{}, errShape
	}
	fired, err := time.Parse(time.DateTime, form.Get("fired_at")) // in UTC, though nothing says so
	if err == nil {
		body["fired_at"] = fired.Format(time.RFC3339)
	}
	at := place{data, body}
	var r reading // its key are the bytes: several things happen within one second
	switch form.Get("type") {
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

// tree makes data[merges][FNAME]=Ann the text Ann at /data/merges/FNAME. What
// does not fit in, such as a text below a text, is left out.
func tree(form url.Values) map[string]any {
	root := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		values := form[name]
		path := strings.Split(strings.ReplaceAll(name, "]", ""), "[")
		if len(path) > 8 || values[0] == "" {
			continue
		}
		node := root
		for _, step := range path[:len(path)-1] {
			if node[step] == nil {
				node[step] = map[string]any{}
			}
			if node, _ = node[step].(map[string]any); node == nil {
				break
			}
		}
		if last := path[len(path)-1]; node != nil && node[last] == nil {
			node[last] = values[0]
		}
	}
	return root
}
