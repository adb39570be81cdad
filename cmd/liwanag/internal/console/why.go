package console

import (
	"net/http"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// whyOf asks why something stands where it stands; what is gone meanwhile says nothing.
func whyOf(v *visit, route runapi.Route[runapi.IDPath, api.Why], id string) (api.Why, error) {
	why, err := route.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil && faultOf(err).Status == http.StatusNotFound {
		return api.Why{}, nil
	}
	return why, err
}
