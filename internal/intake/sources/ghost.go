package sources

import "strings"

// readGhost reads a webhook of Ghost. Neither body nor headers name the event:
// one that was added has nothing in previous, one that was deleted nothing in
// current, and one that was edited has what changed in previous. Webhooks of
// anything but members are none of ours.
func readGhost(s Settings, w webhook) (reading, error) {
	body, err := readJSON(w.body)
	if err != nil {
		return reading{}, err
	}
	object, ok := body.(map[string]any)
	if !ok {
		return reading{}, errShape
	}
	if object["member"] == nil {
		return reading{events: []event{{what: Ignored}}}, nil
	}
	current, _ := find(body, "/member/current").(map[string]any)
	previous, _ := find(body, "/member/previous").(map[string]any)
	var r reading
	switch {
	case len(current) == 0 && len(previous) == 0:
		return reading{}, errShape
	case len(current) == 0:
		r.events = []event{{what: Unsubscribed, signUp: s.signUp(place{element: previous})}}
		r.key = ghostKey("deleted", previous)
	case len(previous) == 0:
		r.events = []event{s.ghostEvent(Subscribed, current, previous)}
		r.key = ghostKey("added", current)
	default:
		now, before := s.ghostEvent(Updated, current, previous), s.signUp(place{element: previous})
		r.key = ghostKey("edited", current)
		if before.Email != "" && !strings.EqualFold(before.Email, now.signUp.Email) {
			r.events = append(r.events, event{what: Unsubscribed, signUp: before})
		}
		r.events = append(r.events, now)
	}
	return r, nil
}

func (s Settings) ghostEvent(what What, current, previous map[string]any) event {
	return event{what: ghostStanding(what, current, previous), signUp: s.signUp(place{element: current}),
		list: text(find(current, "/newsletters/0/name"))}
}

// ghostStanding says what an event means for somebody who does or does not get
// the newsletter: who was added without it did not sign up, who was edited out of
// it left, and who was edited into it came.
func ghostStanding(what What, current, previous map[string]any) What {
	gets, known := current["subscribed"].(bool)
	got, changed := previous["subscribed"].(bool)
	switch {
	case known && !gets && what == Subscribed:
		return Updated
	case known && !gets:
		return Unsubscribed
	case changed && !got:
		return Subscribed
	}
	return what
}

// ghostKey: Ghost gives its deliveries no id.
func ghostKey(what string, member map[string]any) string {
	id, at := text(member["id"]), text(member["updated_at"])
	if id == "" || at == "" {
		return ""
	}
	return what + " " + id + " " + at
}
