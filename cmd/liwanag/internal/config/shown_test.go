package config

import (
	"strings"
	"testing"
)

func TestShownSettingsHoldNoSecret(t *testing.T) {
	t.Setenv("LIWANAG_API_KEY", "hunter2-hunter2-hunter2")
	t.Setenv("DATABASE_URL", "postgres://liwanag:hunter2@db/liwanag")
	g, err := parseArgs(t, "serve", "--batch-size", "7", "--fetch-schedule", "5m,1h30m")
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Shown{}
	for _, s := range g.Serve.Show() {
		if strings.Contains(s.Value, "hunter2") || s.Name == "" || s.Variable == "" {
			t.Errorf("%+v", s)
		}
		byName[s.Name] = s
	}
	for name, want := range map[string]Shown{
		"api-key": {Value: "set"}, "database-url": {Value: "set"}, "batch-size": {Value: "7"}, "fetch-schedule": {Value: "5m,1h30m"},
		"fullenrich-api-key": {Default: true}, "webhook-timeout": {Value: "24h", Default: true}, "lease": {Value: "15s", Default: true},
		"addr": {Value: "127.0.0.1:8484", Default: true},
	} {
		if got := byName[name]; got.Value != want.Value || got.Default != want.Default {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
