package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of paid calls and of money.
var (
	ListSubmissions = runapi.Get[SubmissionQuery, runapi.List[Submission]]("/submissions",
		"list-submissions", "List paid calls, newest first").Scoped(read)
	GetSubmission   = runapi.Get[runapi.IDPath, Submission]("/submissions/{id}", "get-submission", "One paid call").Scoped(read)
	AdoptSubmission = runapi.Post[runapi.Addressed[AdoptSubmissionRequest], Submission]("/submissions/{id}/adopt",
		"adopt-submission", "Give a submission in doubt the enrichment id that FullEnrich's dashboard shows", http.StatusAccepted).Scoped(operate)
	ResubmitSubmission = runapi.Post[runapi.Addressed[*Reason], Submission]("/submissions/{id}/resubmit",
		"resubmit-submission", "Send a submission in doubt once more; it may be paid for twice", http.StatusAccepted).Scoped(operate)
	FailSubmission = runapi.Post[runapi.Addressed[*Reason], Submission]("/submissions/{id}/fail",
		"fail-submission", "Give a submission in doubt up", http.StatusAccepted).Scoped(operate)
	PauseSubmissions = runapi.Post[PauseRequest, Credits]("/submissions/pause",
		"pause-submissions", "Stop all spending", http.StatusOK).Scoped(operate)
	ResumeSubmissions = runapi.Post[runapi.NoInput, Credits]("/submissions/resume",
		"resume-submissions", "Let spending go on", http.StatusOK).Scoped(operate)
	ReleaseSubmissions = runapi.Post[ReleaseRequest, Credits]("/submissions/release",
		"release-submissions", "Let spending go on that is held since a backup was restored", http.StatusOK).Scoped(admin)
	SetBudget = runapi.Post[BudgetRequest, Credits]("/submissions/budget",
		"set-budget", "Change how many credits a day may cost that nobody confirmed", http.StatusOK).Scoped(admin)
	ListStoppedSources = runapi.Get[runapi.NoInput, runapi.List[StoppedSource]]("/stopped-sources",
		"list-stopped-sources", "Sources whose lookups wait because hardly anybody of them is found any more").Scoped(read)
	ResumeSource = runapi.Post[SourceRequest, StoppedSource]("/stopped-sources/resume",
		"resume-stopped-source", "Let the lookups of a source go on", http.StatusOK).Scoped(operate)
	DropSource = runapi.Post[SourceRequest, StoppedSource]("/stopped-sources/drop",
		"drop-stopped-source", "Cancel the lookups of a source that wait; later ones wait, too", http.StatusOK).Scoped(operate)
	GetCredits = runapi.Get[runapi.NoInput, Credits]("/credits",
		"get-credits", "Balance, and what this UTC day reserved and spent").Scoped(read)
	TriggerEnrichment = runapi.Post[runapi.NoInput, Triggered]("/enrichments",
		"trigger-enrichment", "Trigger the scheduled batch; it always starts a run", http.StatusAccepted).Scoped(operate)
	GetEnrichment = runapi.Get[EnrichmentPath, Tracked]("/enrichments/{enrichmentId}",
		"get-enrichment", "Which run an enrichment of FullEnrich belongs to").Scoped(read)
)

// SubmissionFilter selects submissions; zero fields do not restrict.
type SubmissionFilter struct {
	State string `query:"state" enum:"prepared,sending,accepted,refused,ambiguous,held,superseded,settled"`
	RunID string `query:"runId"`
}

// SubmissionQuery asks for a page of submissions.
type SubmissionQuery struct {
	SubmissionFilter
	runapi.Paging
}

// Submission is one paid call.
type Submission struct {
	ID           string    `json:"id"`
	RunID        string    `json:"runId"`
	N            int       `json:"n" doc:"1, 2, … within the run."`
	State        string    `json:"state" enum:"prepared,sending,accepted,refused,ambiguous,held,superseded,settled"`
	Name         string    `json:"name" doc:"As FullEnrich's dashboard shows it."`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Jobs         int       `json:"jobs"`
	Credits      int64     `json:"credits"`
	PreparedAt   time.Time `json:"preparedAt"`
	SendingAt    time.Time `json:"sendingAt,omitzero"`
	OutcomeAt    time.Time `json:"outcomeAt,omitzero"`
	GraceUntil   time.Time `json:"graceUntil,omitzero"`
	Supersedes   string    `json:"supersedes,omitempty"`
	Cause        string    `json:"cause,omitempty"`
}

// AdoptSubmissionRequest names the enrichment of a submission.
type AdoptSubmissionRequest struct {
	EnrichmentID string `json:"enrichmentId" minLength:"1" maxLength:"200"`
}

// Reason is why somebody does something by hand.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// PauseRequest says why spending stops.
type PauseRequest struct{ Body *Reason }

// ReleaseRequest says why spending may go on.
type ReleaseRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"500"`
}

// BudgetRequest changes the budget of a day.
type BudgetRequest struct {
	Credits *int64 `json:"credits,omitempty" minimum:"0" doc:"0: no limit. Left out: what the settings say."`
	Reason  string `json:"reason,omitempty" maxLength:"500"`
}

// SourceRequest names a source of subscribers.
type SourceRequest struct {
	Source string `json:"source,omitempty" doc:"As subscribers have it; empty for those without one."`
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// StoppedSource is a source whose lookups wait.
type StoppedSource struct {
	Source     string    `json:"source"`
	LatestRate float64   `json:"latestRate" doc:"Share of people found among the last 200 lookups."`
	BeforeRate float64   `json:"beforeRate" doc:"Share among the 500 before."`
	StoppedAt  time.Time `json:"stoppedAt,omitzero" doc:"Absent: it goes on."`
	Dropped    int64     `json:"dropped,omitempty" doc:"How many lookups were canceled just now."`
}

// Credits are the figures of the account and of the day.
type Credits struct {
	Balance   *float64  `json:"balance,omitempty" doc:"As FullEnrich said last; absent when it never did."`
	BalanceAt time.Time `json:"balanceAt,omitzero"`
	Day       string    `json:"day" doc:"The UTC day of reserved and spent."`
	Reserved  int64     `json:"reserved" doc:"By submissions whose cost is not known yet."`
	Spent     int64     `json:"spent"`
	// What a person ordered, knowing the cost, does not count against the budget.
	Budget      *int64 `json:"budget,omitempty" doc:"Credits a UTC day for lookups that nobody confirmed; absent without a limit."`
	Unconfirmed int64  `json:"unconfirmed" doc:"Reserved or spent today by lookups that nobody confirmed."`
	BudgetLeft  *int64 `json:"budgetLeft,omitempty" doc:"What the budget still allows today; absent without a limit."`
	Paused      bool   `json:"paused" doc:"All spending is stopped."`
	// The rest says why and until when.
	PausedReason string    `json:"pausedReason,omitempty" enum:"paused,credits,key"`
	PausedUntil  time.Time `json:"pausedUntil,omitzero"`
	PausedNote   string    `json:"pausedNote,omitempty"`
}

// Triggered names the runs that were started.
type Triggered struct {
	RunID  string   `json:"runId" doc:"The first of runIds."`
	RunIDs []string `json:"runIds"`
}

// EnrichmentPath is the path of an enrichment of FullEnrich.
type EnrichmentPath struct {
	EnrichmentID string `path:"enrichmentId"`
}

// Tracked says which run an enrichment belongs to.
type Tracked struct {
	RunID        string `json:"runId"`
	SubmissionID string `json:"submissionId"`
	Registered   bool   `json:"registered" doc:"Its result is still expected."`
	State        string `json:"state" doc:"Of the submission."`
}
