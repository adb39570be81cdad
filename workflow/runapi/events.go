package runapi

import "net/http"

// Listen tells what runs are doing, as server-sent events.
var Listen = Route[ListenRequest, Stream]{Operation{
	Method: http.MethodGet, Path: Root + "/events", ID: "listen", Summary: "What runs are doing, as server-sent events",
	Description: "Events of type run with data {run, status}: a hint that the run looks different by now. Last-Event-ID goes on where a " +
		"listener was, over the last 1,000 hints; when that is not possible one event of type reset says so.",
	Status: http.StatusOK, Content: "text/event-stream", Scope: ScopeRead,
}}

// ListenRequest says where a listener was.
type ListenRequest struct {
	LastEventID string `header:"Last-Event-ID"`
}

// RunHint is the data of an event of type run.
type RunHint struct {
	Run    string `json:"run"`
	Status string `json:"status"`
}
