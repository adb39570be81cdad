package api

import "github.com/liwanag/liwanag/workflow/runapi"

// ListSettings shows the settings of the server that answers.
var ListSettings = runapi.Get[runapi.NoInput, Settings]("/settings",
	"list-settings", "The settings that the server runs with, without secrets").Scoped(runapi.ScopeRead)

// Settings are what a server runs with.
type Settings struct {
	Version string    `json:"version"`
	Items   []Setting `json:"items"`
}

// Setting is one of them.
type Setting struct {
	Name     string `json:"name" doc:"As a flag, and in the configuration file."`
	Variable string `json:"variable" doc:"Of the environment."`
	Value    string `json:"value" doc:"Of a secret only whether it is set."`
	Default  bool   `json:"default,omitempty" doc:"Nobody set it."`
	Help     string `json:"help,omitempty"`
}
