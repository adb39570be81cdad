package sources

import (
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// maxKitEvents is how many events Kit puts into one delivery.
const maxKitEvents = 100

// errTooManyEvents: more events than Kit sends.
var errTooManyEvents = liwanag.NewError(liwanag.Invalid, intake.ErrTooMany.Code, "the delivery has more than 100 events")

// readKit reads a delivery of Kit's webhook endpoints. A delivery that is repeated
// keeps its delivery_id; an event keeps its id in whatever delivery.
func readKit(s Settings, w webhook) (reading, error) {
	body, err := readJSON(w.body)
	if err != nil {
		return reading{}, err
	}
	events, ok := find(body, "/events").([]any)
	switch {
	case !ok:
		return reading{}, errShape
	case len(events) > maxKitEvents:
		return reading{}, errTooManyEvents
	}
	var r reading
	if id := intake.Text(find(body, "/delivery_id")); id != "" {
		r.key = "delivery " + id
	}
	for _, element := range events {
		r.events = append(r.events, s.kitEvent(element))
	}
	return r, nil
}

func (s Settings) kitEvent(element any) event {
	name, aboutPeople := strings.CutPrefix(intake.Text(find(element, "/type")), "subscriber.")
	if !aboutPeople {
		return event{what: Ignored}
	}
	e := event{id: intake.Text(find(element, "/id"))}
	person, ok := find(element, "/data/subscriber").(map[string]any)
	if !ok {
		e.err = errShape
		return e
	}
	e.what, e.signUp = kitWhat(name, intake.Text(person["state"])), s.signUp(place{element: person})
	return e
}

// kitWhat goes by the state, which says how the person stands whatever the event
// is called. Inactive is who has not confirmed yet: an event of its own tells when
// they do, and whoever never does costs nothing.
func kitWhat(name, state string) What {
	switch state {
	case "cancelled", "bounced", "complained":
		return Unsubscribed
	case "inactive":
		return Ignored
	}
	if strings.Contains(name, "unsubscribe") || strings.Contains(name, "deleted") {
		return Unsubscribed
	}
	if strings.HasSuffix(name, "created") || strings.HasSuffix(name, "activated") || strings.HasSuffix(name, "subscribed") ||
		strings.HasSuffix(name, "confirmed") {
		return Subscribed
	}
	return Updated
}
