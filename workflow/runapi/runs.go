package runapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Routes of runs.
var (
	ListRuns      = Get[RunQuery, List[Run]]("/runs", "list-runs", "List runs, newest first").Scoped(ScopeRead)
	GetRun        = Get[IDPath, RunDetail]("/runs/{id}", "get-run", "One run, with steps, attempts and inbox").Scoped(ScopeRead)
	GetRunHistory = Get[IDPath, List[workflow.HistoryItem]]("/runs/{id}/history",
		"get-run-history", "What happened to a run, in order").Scoped(ScopeRead)
	SendEvent = Post[Addressed[SendEventRequest], EventReceipt]("/runs/{id}/events",
		"send-event", "Send an event to a run", http.StatusAccepted).Scoped(ScopeOperate)
	CancelRun = Post[Addressed[*CancelRunRequest], Run]("/runs/{id}/cancel",
		"cancel-run", "Cancel a run", http.StatusAccepted).Scoped(ScopeOperate)
	RetryRun = Post[Addressed[*RetryRunRequest], Run]("/runs/{id}/retry",
		"retry-run", "Reopen a run that failed, timed out or was canceled", http.StatusAccepted).Scoped(ScopeOperate)
	WakeRun = Post[IDPath, Run]("/runs/{id}/wake",
		"wake-run", "End a run's snooze or back-off now, or let its wait look now", http.StatusAccepted).Scoped(ScopeOperate)
	ResolveRun = Post[Addressed[ResolveRunRequest], Run]("/runs/{id}/resolve",
		"resolve-run", "Give a step its outcome of which nobody knows whether it ran", http.StatusAccepted).Scoped(ScopeOperate)
	PauseRun = Post[Addressed[*PauseRunRequest], Run]("/runs/{id}/pause",
		"pause-run", "Let a run begin no further step", http.StatusAccepted).Scoped(ScopeOperate)
	ResumeRun = Post[Addressed[*PauseRunRequest], Run]("/runs/{id}/resume",
		"resume-run", "Let a paused run go on", http.StatusAccepted).Scoped(ScopeOperate)
	CancelRuns = Slow(Post[BulkAct, BulkResult]("/runs/cancel",
		"cancel-runs", "Cancel all open runs that match", http.StatusOK).Scoped(ScopeOperate))
)

// Slow is a route whose answer may take minutes to begin.
func Slow[In, Out any](r Route[In, Out]) Route[In, Out] {
	r.Slow = true
	return r
}

// RunFilter selects runs; zero fields do not restrict.
type RunFilter struct {
	Workflow string    `query:"workflow"`
	Status   string    `query:"status" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Since    time.Time `query:"since" doc:"Created at or after."`
	Until    time.Time `query:"until" doc:"Created before."`
	Parent   string    `query:"parent" doc:"The runs that belong to this one, by step and index."`
	Q        string    `query:"q" doc:"A run id, or what else the server finds runs by."`
	// Attribute are attributes as key=value.
	Attribute []string `query:"attribute" maxItems:"3" doc:"key=value: of runs with this attribute; up to three times, of runs with all of them."`
}

// RunQuery asks for a page of runs.
type RunQuery struct {
	RunFilter
	Paging
}

// Run is an execution of a workflow.
type Run struct {
	ID              string             `json:"id"`
	Workflow        string             `json:"workflow"`
	Version         int                `json:"version"`
	Status          string             `json:"status" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Input           json.RawMessage    `json:"input,omitempty"`
	Output          json.RawMessage    `json:"output,omitempty" doc:"Of the last completed step."`
	Failure         *workflow.Failure  `json:"failure,omitempty"`
	WaitingFor      *WaitingFor        `json:"waitingFor,omitempty"`
	FinishedBecause string             `json:"finishedBecause,omitempty" doc:"The label of an early finish."`
	CancelRequested bool               `json:"cancelRequested,omitempty"`
	Paused          bool               `json:"paused,omitempty" doc:"It begins no further step."`
	CreatedAt       time.Time          `json:"createdAt"`
	StartedAt       time.Time          `json:"startedAt,omitzero"`
	EndedAt         time.Time          `json:"endedAt,omitzero"`
	Node            string             `json:"node,omitempty" doc:"Which executes it now."`
	Parent          string             `json:"parent,omitempty" doc:"The run that it belongs to."`
	Children        *workflow.Children `json:"children,omitempty" doc:"How far the runs are that belong to it, of the step where it stands."`
	Attributes      map[string]string  `json:"attributes,omitempty" doc:"Short facts by which runs are found."`
	NoDefinition    string             `json:"noDefinition,omitempty" doc:"Why no definition that this server holds executes the open run: it stays as it is until one is held that it fits."`
}

// Ended says whether nothing more happens to the run by itself.
func (r Run) Ended() bool {
	return r.Status != "pending" && r.Status != "running" && r.Status != "waiting"
}

// AttributeTexts are the attributes as key=value, in order.
func (r Run) AttributeTexts() (list []string) {
	for _, key := range slices.Sorted(maps.Keys(r.Attributes)) {
		list = append(list, key+"="+r.Attributes[key])
	}
	return list
}

// WaitingFor says what a run waits for.
type WaitingFor struct {
	Step        string    `json:"step"`
	Kind        string    `json:"kind" enum:"event,retry,snooze,sleep,runs"`
	Reason      string    `json:"reason,omitempty" doc:"Why its step cannot go on yet."`
	Events      []string  `json:"events,omitempty"`
	Until       time.Time `json:"until,omitzero"`
	NextFetchAt time.Time `json:"nextFetchAt,omitzero"`
}

// RunDetail is a run with its steps and inbox.
type RunDetail struct {
	Run
	Steps  []Step     `json:"steps"`
	Events []RunEvent `json:"events"`
}

// Step is a step, wait or sleep of a run.
type Step struct {
	Name           string             `json:"name"`
	Kind           string             `json:"kind" enum:"step,wait,sleep,map,repeat,parallel,race,child,handler"`
	Status         string             `json:"status" enum:"pending,running,waiting,completed,failed,skipped,timed_out,canceled"`
	StartedAt      time.Time          `json:"startedAt,omitzero"`
	EndedAt        time.Time          `json:"endedAt,omitzero"`
	Output         json.RawMessage    `json:"output,omitempty"`
	SkippedBecause string             `json:"skippedBecause,omitempty"`
	Attempts       []workflow.Attempt `json:"attempts,omitempty"`
}

// RunEvent is an event that a run received; its data stays inside, since it may
// hold results.
type RunEvent struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	ReceivedAt time.Time `json:"receivedAt"`
	ConsumedBy string    `json:"consumedBy,omitempty"`
	Late       bool      `json:"late,omitempty"`
	SetAside   string    `json:"setAside,omitempty" doc:"Why no wait consumes it: the workflow takes no such event, or its data is of another type."`
}

// SendEventRequest is an event to send.
type SendEventRequest struct {
	ID   string          `json:"id,omitempty" maxLength:"200" doc:"Chosen by the sender: of several with one id the first wins."`
	Type string          `json:"type" minLength:"1"`
	Data json.RawMessage `json:"data,omitempty" doc:"Of the event's type; left out: {}."`
}

// EventReceipt says what became of an event.
type EventReceipt struct {
	ID        string `json:"id"`
	Duplicate bool   `json:"duplicate,omitempty" doc:"The run had an event of this id already; this one changed nothing."`
	Late      bool   `json:"late,omitempty" doc:"The run had ended."`
}

// CancelRunRequest says why and how a run is canceled.
type CancelRunRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
	Force  bool   `json:"force,omitempty" doc:"End the run at once and without its handlers: for a run whose workflow no server holds any more."`
}

// RetryRunRequest says where a run goes on.
type RetryRunRequest struct {
	From  string `json:"from,omitempty" maxLength:"200" doc:"A step; default: the one that failed."`
	Again bool   `json:"again,omitempty" doc:"Also repeat a step of which nobody knows whether its effect happened, which is refused else (409 step_unknown)."`
}

// ResolveRunRequest says what became of a step: one of output and failure, unless the step
// has no output.
type ResolveRunRequest struct {
	Step    string          `json:"step" minLength:"1" maxLength:"200"`
	Output  json.RawMessage `json:"output,omitempty" doc:"Of the step's type: its effect happened."`
	Failure string          `json:"failure,omitempty" maxLength:"500" doc:"Its effect did not happen, and why."`
	Reason  string          `json:"reason,omitempty" maxLength:"500" doc:"How that is known."`
}

// PauseRunRequest says why a run is paused or goes on, for the audit trail.
type PauseRunRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// BulkAct selects runs and says how sure the caller is.
type BulkAct struct {
	Workflow string    `json:"workflow,omitempty" maxLength:"200"`
	Status   string    `json:"status,omitempty" enum:"pending,running,waiting,completed,failed,timed_out,canceled"`
	Since    time.Time `json:"since,omitzero" doc:"Created at or after."`
	Until    time.Time `json:"until,omitzero" doc:"Created before."`
	Q        string    `json:"q,omitempty" maxLength:"500" doc:"A run id, or what else the server finds runs by."`
	// Attribute are attributes as key=value.
	Attribute []string `json:"attribute,omitempty" maxItems:"3" doc:"key=value: runs with all of these attributes."`
	Reason    string   `json:"reason,omitempty" maxLength:"500" doc:"Kept with canceled runs and in the audit trail."`
	DryRun    bool     `json:"dryRun,omitempty" doc:"Only count."`
	Expect    int64    `json:"expect,omitempty" minimum:"0" doc:"How many were counted before: when more match by now nothing is done, 409 count_differs. 0: whatever matches."`
}

// BulkResult says what became of the selected runs.
type BulkResult struct {
	Matched int64       `json:"matched" doc:"To how many the act can be done."`
	Done    int64       `json:"done"`
	Failed  []BulkFault `json:"failed" doc:"The first 100 of them."`
	DryRun  bool        `json:"dryRun,omitempty"`
}

// BulkFault is a run to which the act could not be done.
type BulkFault struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}
