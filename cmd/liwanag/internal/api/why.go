package api

import (
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes that say in words why something stands where it stands.
var (
	WhyRun = runapi.Get[runapi.IDPath, Why]("/runs/{id}/why", "why-run",
		"Why a run stands where it stands, and what frees it").Scoped(runapi.ScopeRead)
	WhySubmission = runapi.Get[runapi.IDPath, Why]("/submissions/{id}/why", "why-submission",
		"Why a paid call stands where it stands, and what frees it").Scoped(runapi.ScopeRead)
	WhySubscriber = runapi.Get[runapi.IDPath, Why]("/subscribers/{id}/why", "why-subscriber",
		"Why a person was looked up, or was not, and what frees it").Scoped(runapi.ScopeRead)
	WhyUpload = runapi.Get[runapi.IDPath, Why]("/uploads/{id}/why", "why-upload",
		"Why an upload stands where it stands, and what frees it").Scoped(runapi.ScopeRead)
	WhySink = runapi.Get[runapi.IDPath, Why]("/sinks/{id}/why", "why-sink",
		"Why a sink is told nothing, and what frees it").Scoped(runapi.ScopeRead)
)

// Why says in words why something stands where it stands.
type Why struct {
	Summary string    `json:"summary" doc:"In a sentence or two, for people."`
	Facts   []WhyFact `json:"facts" doc:"What it waits for, what came near, and what stands in the way; the most telling first."`
	Acts    []WhyAct  `json:"acts" doc:"What a person can do; nothing when it goes on by itself."`
}

// WhyFact is a part of the answer.
type WhyFact struct {
	What  string    `json:"what"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero" doc:"When it ends by itself, at the latest, or is looked at again."`
}

// WhyAct is something that a person can do.
type WhyAct struct {
	Do      string `json:"do"`
	Command string `json:"command" doc:"For a shell; what is written in capitals or as … is to be filled in."`
}
