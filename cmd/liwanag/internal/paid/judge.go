package paid

import (
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// DeliveryGap is the time after which FullEnrich repeats a delivery: an address
// that was reachable without a longer gap has received it.
const DeliveryGap = time.Minute

// Doubtful is what is known of a submission in doubt whose grace is over.
type Doubtful struct {
	Submission liwanag.Submission
	Again      bool // it is itself the one resubmission, or comes after it
	Evidence   liwanag.Evidence
	Local      bool // FullEnrich and we are on one machine: webhooks need no proof
	Hold       bool // the policy: never send again
}

// Judge says why a submission in doubt is held; empty: it is sent once more. A
// webhook would have told us if it had been accepted; that none came proves
// something only when FullEnrich is known to reach the public URL, and could reach
// it all the time.
func Judge(d Doubtful) (cause string) {
	s := d.Submission
	switch {
	case s.Cause == CauseNoID || s.Cause == CauseIDTaken:
		return s.Cause // it answered 2xx, so it took it
	case d.Hold:
		return CausePolicy
	case d.Again:
		return CauseTwice
	case d.Evidence.ProvenAt.IsZero() && !d.Local:
		return CauseUnproven
	case !reachable(d.Evidence.Reaches, s.SendingAt, s.GraceUntil):
		return CauseUnreachable
	}
	return ""
}

// reachable says whether one unbroken reach covers the time, up to a gap at both
// ends.
func reachable(reaches []liwanag.Reach, from, to time.Time) bool {
	for _, r := range reaches {
		if !r.Since.After(from.Add(DeliveryGap)) && !r.Until.Before(to.Add(-DeliveryGap)) {
			return true
		}
	}
	return false
}
