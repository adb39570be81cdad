package temporalrunner

// differs are the scenarios of runnertest in which Temporal behaves otherwise than
// the embedded engine, and why.
var differs = map[string]string{
	"events/that come after the end are late": "Temporal takes no signal for a workflow that has ended: the sender is told that the event is late, " +
		"and the event is not kept. Keep what must not be lost before you send it.",
	"retry of runs/consumes what came too late":        "An event that came after the end was not kept, so a retried run waits for it again.",
	"views/list runs newest first, page by page":       "Temporal's index of runs follows a moment later than the runs.",
	"views/list runs by workflow, status, time and id": "Temporal's index of runs follows a moment later than the runs.",
}
