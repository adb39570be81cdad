package paid

import (
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Causes of submissions that are refused, ambiguous or held. What FullEnrich
// answered otherwise is http_ and the status.
const (
	CauseLostWorker  = "lost_worker"     // found sending by another execution
	CauseNoID        = "no_id"           // 2xx without a readable id
	CauseNoAnswer    = "no_answer"       // timeout, reset
	CauseStale       = "stale"           // the sender was paused after its commit
	CauseIDTaken     = "id_taken"        // the answer names another submission's enrichment
	CauseConnect     = "connect"         // nothing was written
	CauseInvalid     = "invalid_request" // our client refused to send it
	CauseBreaker     = "breaker_open"    // nothing was written
	CauseNothingLeft = "nothing_left"    // its jobs ended before it was sent
	CauseOverBudget  = "over_budget"     // never sent: the budget of a day has become smaller
	CauseFoundRate   = "found_rate"      // never sent: one of its sources has stopped
	CauseRunEnded    = "run_ended"       // never sent
	CauseUnproven    = "unproven"        // held: no webhook was ever seen under the public URL
	CauseUnreachable = "unreachable"     // held: the public URL was not reachable all the time
	CauseTwice       = "doubt_twice"     // held: it is the resubmission itself
	CausePolicy      = "policy"          // held: LIWANAG_ON_AMBIGUOUS=hold
	CauseRestored    = "restored"        // held: a backup was restored, and the journal knows of no answer
	CauseResubmitted = "resubmitted_by_operator"
)

// notConfirmed ends the cause of a 5xx without FullEnrich's envelope that is taken
// for a refusal: something before it may have answered, after it had accepted.
const notConfirmed = "_not_confirmed"

// MayHaveBeenTaken says whether a submission that ordered nothing, as far as we
// know, may have been accepted: the next one supersedes it.
func MayHaveBeenTaken(s liwanag.Submission) bool {
	return s.State == superseded || strings.HasSuffix(s.Cause, notConfirmed)
}
