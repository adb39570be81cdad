package console

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSettings() { c.handle("GET /settings", c.settings) }

// settingsView is what the page of settings shows.
type settingsView struct {
	*visit
	Settings api.Settings
}

func (c *Console) settings(v *visit) (err error) {
	view := settingsView{visit: v}
	if view.Settings, err = api.ListSettings.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
		return err
	}
	return v.show(200, frame{Title: "Settings", Nav: "/settings"}, settingsPage(view))
}
