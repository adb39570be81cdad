package api

import (
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes that tell how things stand, and who did what.
var (
	GetOverview = runapi.Get[OverviewRequest, Overview]("/overview",
		"get-overview", "What happened, how things stand, and what needs a person")
	ListActs = runapi.Get[ActQuery, runapi.List[Act]]("/audit", "list-acts", "List manual acts, newest first")
)

// OverviewRequest says how far back an overview looks.
type OverviewRequest struct {
	Range string `query:"range" enum:"24h,7d,30d" default:"24h"`
}

// Overview is what there is to see at a glance.
type Overview struct {
	Range       string           `json:"range" enum:"24h,7d,30d"`
	Spans       []Span           `json:"spans" doc:"Oldest first: hours for 24h, else UTC days."`
	Subscribers map[string]int64 `json:"subscribers" doc:"How many, by enrichmentStatus."`
	Jobs        map[string]int64 `json:"jobs" doc:"How many, by status."`
	Runs        map[string]int64 `json:"runs" doc:"How many, by status; pending ones count as running."`
	Submissions map[string]int64 `json:"submissions" doc:"How many, by state."`
	Credits     Credits          `json:"credits"`
	Attention   []Attention      `json:"attention" doc:"What needs a person, most urgent first."`
	At          time.Time        `json:"at" doc:"When it was counted: a few seconds ago at most."`
}

// Span is what happened from one time to the next span's.
type Span struct {
	From     time.Time `json:"from"`
	SignUps  int64     `json:"signUps"`
	Enriched int64     `json:"enriched"`
	NotFound int64     `json:"notFound"`
	Failed   int64     `json:"failed"`
	Spent    int64     `json:"spent" doc:"Credits; of days only."`
}

// Attention is something that needs a person.
type Attention struct {
	Kind    string    `json:"kind" enum:"spending_paused,submission_held,found_rate,credits_low,sink_disabled,sink_failing,delivery_unmatched,source_refusing,webhooks_silent"`
	ID      string    `json:"id,omitempty" doc:"Of the thing, when it is one."`
	Count   int64     `json:"count,omitempty"`
	Message string    `json:"message" doc:"For people, with what to do."`
	Since   time.Time `json:"since,omitzero"`
}

// ActFilter selects acts; zero fields do not restrict.
type ActFilter struct {
	Subject string `query:"subject" doc:"Done to the thing with this id."`
	Act     string `query:"act" doc:"Such as run.cancel."`
}

// ActQuery asks for a page of acts.
type ActQuery struct {
	ActFilter
	runapi.Paging
}

// Act is something that somebody did by hand.
type Act struct {
	At        time.Time `json:"at"`
	Actor     string    `json:"actor" enum:"key,console,local,unknown" doc:"key: whoever has the API key. console: a browser with a session. local: somebody on this machine, while there is no key. unknown: whoever failed to prove who they are."`
	Act       string    `json:"act" doc:"Such as run.cancel; the operation's id turned around."`
	Subject   string    `json:"subject,omitempty" doc:"The id of what it was done to, if it is one thing."`
	Reason    string    `json:"reason,omitempty" doc:"As the actor gave it."`
	RequestID string    `json:"requestId,omitempty" doc:"X-Request-Id of the call, as in the log."`
	Client    string    `json:"client,omitempty" doc:"The address it came from: behind a trusted proxy the one that the proxy names."`
	Times     int64     `json:"times" doc:"How often it happened since at. Reads of personal data and failures are counted, in a row a client for ten minutes."`
}
