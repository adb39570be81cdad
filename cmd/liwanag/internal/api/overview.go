package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes that tell how things stand, and who did what.
var (
	GetOverview = runapi.Get[OverviewRequest, Overview]("/overview",
		"get-overview", "What happened, how things stand, and what needs a person").Scoped(read)
	ListActs = runapi.Get[ActQuery, runapi.List[Act]]("/audit", "list-acts", "List manual acts, newest first").Scoped(admin)
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
	Dismissed   []Attention      `json:"dismissed" doc:"What of it somebody has seen."`
	Onboarding  Onboarding       `json:"onboarding"`
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
	Kind string `json:"kind" enum:"key_missing,public_url_missing,spending_paused,submission_held,submission_ambiguous,found_rate,credits_low,run_failed,upload_waiting,sink_disabled,sink_failing,delivery_unmatched,source_refusing,webhooks_silent"`
	ID   string `json:"id,omitempty" doc:"Of the thing, when it is one."`
	Name string `json:"name,omitempty" doc:"What people call the thing."`
	// More than a few things of a kind are one entry that counts them.
	Count   int64     `json:"count,omitempty" doc:"How many things it stands for, when it is not one."`
	People  int64     `json:"people,omitempty" doc:"Whose lookups are at stake."`
	Credits int64     `json:"credits,omitempty" doc:"At stake, at most."`
	Message string    `json:"message" doc:"For people, with what to do."`
	Cause   string    `json:"cause" doc:"Why it is shown, for whoever dismisses it: with another cause it is shown again."`
	Since   time.Time `json:"since,omitzero"`
}

// Routes of what needs a person.
var (
	ListAttention    = runapi.Get[runapi.NoInput, Attentions]("/attention", "list-attention", "What needs a person").Scoped(read)
	DismissAttention = runapi.Post[Dismissal, Attentions]("/attention/dismiss",
		"dismiss-attention", "Show something no more until it has another cause", http.StatusOK).Scoped(operate)
	RestoreAttention = runapi.Post[Dismissal, Attentions]("/attention/restore",
		"restore-attention", "Show something that was dismissed again", http.StatusOK).Scoped(operate)
)

// Attentions are what needs a person.
type Attentions struct {
	Items      []Attention `json:"items" doc:"Most urgent first."`
	Dismissed  []Attention `json:"dismissed" doc:"What somebody has seen, as long as its cause is the same."`
	Onboarding Onboarding  `json:"onboarding"`
}

// Dismissal names something that needs a person.
type Dismissal struct {
	Kind  string `json:"kind" minLength:"1" maxLength:"100" doc:"As it was shown; onboarding for the first steps."`
	ID    string `json:"id,omitempty" maxLength:"300" doc:"As it was shown, if it had one."`
	Cause string `json:"cause,omitempty" maxLength:"300" doc:"As it was shown. Left out: the present one."`
}

// Onboarding is what a new installation needs.
type Onboarding struct {
	Done      bool             `json:"done" doc:"All steps are."`
	Dismissed bool             `json:"dismissed,omitempty"`
	Steps     []OnboardingStep `json:"steps"`
}

// OnboardingStep is one thing that a new installation needs.
type OnboardingStep struct {
	Name    string `json:"name" enum:"key,public_url,people,results"`
	Done    bool   `json:"done"`
	Message string `json:"message" doc:"For people, with what to do."`
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
	Actor     string    `json:"actor" enum:"key,console,local,unknown" doc:"key: whoever has an API key. console: a browser with a session. local: somebody on this machine, while there is no key. unknown: whoever failed to prove who they are."`
	Name      string    `json:"name,omitempty" doc:"Of the named key, or the e-mail address of who signed in at a provider; absent: the server's own key."`
	Act       string    `json:"act" doc:"Such as run.cancel; the operation's id turned around."`
	Subject   string    `json:"subject,omitempty" doc:"The id of what it was done to, if it is one thing."`
	Reason    string    `json:"reason,omitempty" doc:"As the actor gave it."`
	RequestID string    `json:"requestId,omitempty" doc:"X-Request-Id of the call, as in the log."`
	Client    string    `json:"client,omitempty" doc:"The address it came from: behind a trusted proxy the one that the proxy names."`
	Times     int64     `json:"times" doc:"How often it happened since at. Reads of personal data and failures are counted, in a row a client for ten minutes."`
}
