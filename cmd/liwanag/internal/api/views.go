package api

import (
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of saved views.
var (
	ListViews = runapi.Get[runapi.NoInput, runapi.List[View]]("/views",
		"list-views", "List the saved views, by name").Scoped(read)
	SaveView = runapi.Post[SaveViewRequest, View]("/views",
		"save-view", "Save a filter of subscribers under a name", http.StatusCreated).Scoped(operate)
	RemoveView = runapi.Delete[runapi.IDPath]("/views/{id}",
		"remove-view", "Remove a saved view, by its id or name").Scoped(operate)
)

// View is a filter of subscribers that was saved under a name, with the order and the columns that it is shown in.
type View struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Filter    SubscriberFilter `json:"filter" doc:"As the query of GET /api/v1/subscribers."`
	Sort      string           `json:"sort,omitempty" enum:"added,found,company,headcount"`
	Order     string           `json:"order,omitempty" enum:"asc,desc" doc:"Left out: desc, and asc for company."`
	Columns   []string         `json:"columns,omitempty" doc:"That it shows, as the export names them."`
	CreatedAt time.Time        `json:"createdAt"`
	UpdatedAt time.Time        `json:"updatedAt"`
}

// SaveViewRequest is a view to save.
type SaveViewRequest struct {
	Name    string           `json:"name" minLength:"1" maxLength:"100"`
	Filter  SubscriberFilter `json:"filter" doc:"view in it takes over what another one selects."`
	Sort    string           `json:"sort,omitempty" enum:"added,found,company,headcount"`
	Order   string           `json:"order,omitempty" enum:"asc,desc" doc:"Left out: desc, and asc for company."`
	Columns []string         `json:"columns,omitempty" maxItems:"100" doc:"That it shows, as the export names them."`
	Replace bool             `json:"replace,omitempty" doc:"Take the place of a view of this name; else 409 view_exists."`
}
