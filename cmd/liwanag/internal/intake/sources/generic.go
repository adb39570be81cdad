package sources

import (
	"encoding/json"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// readGeneric reads JSON, or a form of one person, as the settings say.
func readGeneric(s Settings, w webhook) (reading, error) {
	body, err := readJSON(w.body)
	if form, isForm := readForm(w.body); err != nil && isForm {
		body = form
	} else if err != nil {
		return reading{}, err
	}
	var elements []any
	switch at := find(body, s.Items).(type) {
	case []any:
		elements = at
	case map[string]any:
		elements = []any{at}
	default:
		return reading{}, errNoItems
	}
	if len(elements) > intake.MaxSignUps {
		return reading{}, intake.ErrTooMany
	}
	r := reading{key: genericKey(w)}
	for _, element := range elements {
		r.events = append(r.events, s.genericEvent(place{element, body}))
	}
	return r, nil
}

// genericKey is the id that the sender gives its delivery: what it signs first.
func genericKey(w webhook) string {
	if w.proof.ID != "" {
		return "id " + w.proof.ID
	}
	if values := w.header.Values("Idempotency-Key"); len(values) == 1 && values[0] != "" && len(values[0]) <= maxKey {
		return "key " + values[0]
	}
	return ""
}

// maxKey bounds what a sender can call a delivery or an event.
const maxKey = 256

func (s Settings) genericEvent(at place) event {
	e := event{what: s.event(at), id: at.text(s.EventID)}
	if e.what == Ignored {
		return e
	}
	if _, ok := at.element.(map[string]any); !ok {
		e.err = errNoPerson
		return e
	}
	if len(s.Fields) > 0 {
		e.signUp = s.signUp(at)
	} else {
		e.signUp, e.err = asOurs(at.element)
	}
	object, _ := at.element.(map[string]any)
	if s.Event == nil && e.err == nil && intake.Leaves(object) {
		e.what = Unsubscribed
	}
	return e
}

// asOurs reads a person whose fields have our own names.
func asOurs(element any) (intake.SignUp, error) {
	raw, err := json.Marshal(element)
	if err != nil {
		return intake.SignUp{}, fmt.Errorf("sources: an element cannot be encoded again: %w", err)
	}
	items, _, err := intake.DecodeSignUps(raw, false)
	if err != nil {
		return intake.SignUp{}, err
	}
	return items[0].SignUp, items[0].Err
}
