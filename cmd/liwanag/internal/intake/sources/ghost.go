package sources

import (
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// readGhost reads a webhook of Ghost. Neither body nor headers name the event:
// one that was added has nothing in previous, one that was deleted nothing in
// current, and one that was edited has what changed in previous. Webhooks of
// anything but members are none of ours. There is no id of a delivery, and two edits
// may share a time: its bytes tell one from another.
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
	case len(previous) == 0:
		r.events = []event{s.ghostEvent(Subscribed, current, previous)}
	default:
		now, before := s.ghostEvent(Updated, current, previous), s.signUp(place{element: previous})
		if before.Email != "" && !strings.EqualFold(before.Email, now.signUp.Email) {
			r.events = append(r.events, event{what: Unsubscribed, at: now.at, signUp: before})
		}
		r.events = append(r.events, now)
	}
	return r, nil
}

func (s Settings) ghostEvent(what What, current, previous map[string]any) event {
	at, _ := time.Parse(time.RFC3339, intake.Text(current["updated_at"]))
	return event{what: ghostStanding(what, current, previous), at: at, signUp: s.signUp(place{element: current}),
		list: intake.Text(find(current, "/newsletters/0/name"))}
}

// ghostStanding says what an event means for somebody who does or does not get
// the newsletter: who was added without it did not sign up, who was edited out of
// it left, and who was edited into it came.
func ghostStanding(what What, current, previous map[string]any) What {
	gets, known := ghostGets(current)
	got, changed := ghostGets(previous)
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

// ghostGets says whether a member gets e-mail. Ghost derives subscribed from the
// newsletters, and of what was before an edit it names the newsletters alone.
func ghostGets(member map[string]any) (gets, known bool) {
	gets, known = member["subscribed"].(bool)
	lists, there := member["newsletters"].([]any)
	if !there || known && !gets {
		return gets, known
	}
	active := slices.ContainsFunc(lists, func(list any) bool { return intake.Text(find(list, "/status")) != "archived" })
	return active, true
}
