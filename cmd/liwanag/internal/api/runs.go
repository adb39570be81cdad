package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// RetryRuns is a bulk act that may order lookups.
var RetryRuns = runapi.Slow(runapi.Post[runapi.BulkAct, RetriedRuns]("/runs/retry",
	"retry-runs", "Retry all failed, timed-out and canceled runs that match", http.StatusOK).Scoped(operate))

// RetriedRuns says what became of the selected runs, or for a dry run what a retry
// would cost.
type RetriedRuns struct {
	runapi.BulkResult
	Lookups    *int64    `json:"lookups,omitempty" doc:"Of a dry run: how many lookups would be ordered."`
	Credits    *int64    `json:"credits,omitempty" doc:"Of a dry run: what they cost at most."`
	Balance    *float64  `json:"balance,omitempty" doc:"As FullEnrich said last; absent when it never did."`
	BalanceAt  time.Time `json:"balanceAt,omitzero"`
	BudgetLeft *int64    `json:"budgetLeft,omitempty" doc:"Credits of this UTC day; absent without a limit."`
}
