package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of whom nobody is to bring in again.
var (
	ListSuppressions = runapi.Get[SuppressionQuery, runapi.List[Suppression]]("/suppressions",
		"list-suppressions", "List suppressed addresses and domains, newest first").Scoped(read)
	AddSuppression = runapi.Post[NewSuppression, Suppression]("/suppressions",
		"add-suppression", "Suppress an address, or a domain with its subdomains", http.StatusCreated).Scoped(operate)
	RemoveSuppression = runapi.Delete[runapi.IDPath]("/suppressions/{id}",
		"remove-suppression", "Let an address or a domain in again; nobody is looked up by it").Scoped(operate)
)

// SuppressionQuery asks for a page of suppressions.
type SuppressionQuery struct{ runapi.Paging }

// NewSuppression is an address or a domain.
type NewSuppression struct {
	Email  string `json:"email,omitempty" doc:"This, or domain. At Gmail it is the whole mailbox."`
	Domain string `json:"domain,omitempty" doc:"With its subdomains."`
	Reason string `json:"reason,omitempty" doc:"No personal data."`
}

// Suppression is an address or a domain that nobody is to bring in again.
type Suppression struct {
	ID        string    `json:"id"`
	Email     string    `json:"email,omitempty" doc:"As it was given; absent when the person was erased: then only an HMAC of it is kept."`
	Domain    string    `json:"domain,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	Rows      *int      `json:"rows,omitempty" doc:"When it is added: how many subscribers it marked as unsubscribed."`
}
