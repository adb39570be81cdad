package console

import (
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// snoozes say why a step is not done now, by the API's reason, and what to do.
var snoozes = map[string][2]string{
	"budget":      {"today’s credit budget is used up", "It goes on after midnight UTC, or with a higher LIWANAG_CREDIT_BUDGET."},
	"credits":     {"the FullEnrich account has no credits left", "Buy credits at FullEnrich; it goes on by itself."},
	"key":         {"there is no FullEnrich key, or FullEnrich refuses it", "Set FULLENRICH_API_KEY and start the server again."},
	"capacity":    {"as many people are being looked up as LIWANAG_MAX_IN_FLIGHT allows", "It goes on when results come in."},
	"calls":       {"this minute’s calls to FullEnrich are used up", "It goes on with the next minute."},
	"paused":      {"spending is paused", "Resume spending on the overview."},
	"unavailable": {"FullEnrich keeps failing", "It is tried again by itself."},
}

// waitingWords say in a few words what a run waits for.
func waitingWords(w runapi.WaitingFor) string {
	switch w.Kind {
	case "event":
		return w.Step + ": waits for " + strings.Join(w.Events, ", ")
	case "retry":
		return w.Step + ": tries again"
	case "sleep":
		return w.Step + ": sleeps"
	}
	if why, ok := snoozes[w.Reason]; ok {
		return w.Step + ": " + why[0]
	}
	return w.Step + ": not now" + map[bool]string{true: " (" + w.Reason + ")"}[w.Reason != ""]
}

// waitingAdvice says what resumes a run that waits.
func waitingAdvice(w runapi.WaitingFor) string {
	switch w.Kind {
	case "event":
		if !w.NextFetchAt.IsZero() {
			return "The event resumes it; should it not come, the step looks for the result by itself."
		}
		return "The event resumes it."
	case "retry":
		return "An attempt failed; the next one is made after a pause, as the step’s retry policy says."
	case "sleep":
		return "It goes on by itself."
	}
	if why, ok := snoozes[w.Reason]; ok {
		return why[1]
	}
	return "It looks again by itself."
}

// untilWords name what happens at the end of a wait.
func untilWords(kind string) string {
	switch kind {
	case "event":
		return "Waits at most until"
	case "sleep":
		return "Sleeps until"
	}
	return "Next try"
}

// failureAdvice says what to do about a run that did not end well.
func failureAdvice(r runapi.RunDetail) string {
	switch {
	case r.Status == "canceled":
		return "Retry it to let it go on from where it stopped."
	case r.Status == "timed_out":
		return "What it waited for did not come in time. When it is there now, send the event or retry the run: it goes on from that step."
	case r.Failure != nil && strings.Contains(r.Failure.Code, "ambiguous"), r.Failure != nil && strings.Contains(r.Failure.Code, "held"):
		return "A paid call is in doubt: decide about its submission first."
	}
	return "Look at the step’s attempts below. When the cause is gone, retry the run: it goes on from the " +
		"step that failed; a paid call that was accepted is not made again."
}

// eventFate says what became of an event.
func eventFate(e runapi.RunEvent) string {
	switch {
	case e.Late:
		return "late: the run had ended"
	case e.ConsumedBy != "":
		return "resumed " + e.ConsumedBy
	case e.SetAside != "":
		return "set aside: " + e.SetAside
	}
	return "not consumed yet"
}

// stepNote says what there is to know about a step besides its status.
func stepNote(s runapi.Step) string {
	if s.SkippedBecause != "" {
		return "skipped: " + words(s.SkippedBecause)
	}
	return ""
}

// took is how long something took, or takes by now.
func took(from, to, now time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = now
	}
	return length(to.Sub(from))
}

// offset is a time as seen from the run's begin.
func offset(t, from time.Time) string {
	if t.IsZero() {
		return ""
	}
	if d := t.Sub(from); d > 0 {
		return "+" + length(d)
	}
	return "+0 s"
}

// failureFacts are what programs know a failure by.
func failureFacts(f workflow.Failure) string {
	var facts []string
	for _, fact := range []string{string(f.Reason), f.Code} {
		if fact != "" && !slices.Contains(facts, fact) {
			facts = append(facts, fact)
		}
	}
	if f.Attempts > 1 {
		facts = append(facts, plural(int64(f.Attempts), "attempt", "attempts"))
	}
	return strings.Join(facts, " · ")
}

// endWords say how a run ended that did not end well.
func endWords(r runapi.Run) string {
	why := runNow(r)
	if why == "" {
		return capital(words(r.Status))
	}
	return capital(words(r.Status)) + ": " + why
}
