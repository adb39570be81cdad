package api

import (
	"net/http"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes that do something to many subscribers. Whoever hangs up ends it where it is: what is done
// stays done, and asking again goes on with the rest.
var (
	UnsubscribeSubscribers = runapi.Post[ActMany, ActedMany]("/subscribers/unsubscribe",
		"unsubscribe-subscribers", "Note that many subscribers left: nothing is looked up for them any more", http.StatusOK).Scoped(operate)
	SuppressSubscribers = runapi.Post[ActMany, ActedMany]("/subscribers/suppress",
		"suppress-subscribers", "Suppress the addresses of many subscribers, who stay as unsubscribed", http.StatusOK).Scoped(operate)
	EraseSubscribers = runapi.Post[EraseMany, ActedMany]("/subscribers/erase",
		"erase-subscribers", "Erase many subscribers, with all addresses of their mailboxes", http.StatusOK).Scoped(operate)
)

// ActMany selects subscribers by id or by a filter, and says how many the caller knows of.
type ActMany struct {
	IDs    []string          `json:"ids,omitempty" maxItems:"500" doc:"These, ids or addresses; or else filter."`
	Filter *SubscriberFilter `json:"filter,omitempty" doc:"All that match; an empty one is everybody. It needs expect."`
	DryRun bool              `json:"dryRun,omitempty" doc:"Only count."`
	Expect *int64            `json:"expect,omitempty" minimum:"0" doc:"The count of a dry run: when it is another by now nothing is done, 409 count_differs."`
	Reason string            `json:"reason,omitempty" doc:"Kept in the audit trail: no personal data."`
}

// EraseMany is ActMany of an erasure.
type EraseMany struct {
	ActMany
	Suppress bool `json:"suppress,omitempty" doc:"Keep an HMAC of each address, so that whoever brings it again stores nothing and looks nobody up."`
}

// ActedMany says how many were selected, and how many changed.
type ActedMany struct {
	Count   int64 `json:"count" doc:"Subscribers that are selected."`
	Rows    int64 `json:"rows" doc:"With the other addresses of their mailboxes, which share what becomes of them."`
	Changed int64 `json:"changed" doc:"How many rows became other than they were; 0 for a dry run."`
	Missing int64 `json:"missing,omitempty" doc:"Ids that name nobody: they are passed over."`
	DryRun  bool  `json:"dryRun,omitempty"`
	// Backups are told of erasures.
	Backups []string `json:"backups,omitempty" doc:"Backups that may still hold who was erased."`
}
