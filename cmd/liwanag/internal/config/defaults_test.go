package config

import (
	"testing"
	"time"
)

func TestDefaultsIgnoreTheEnvironment(t *testing.T) {
	t.Setenv("LIWANAG_BATCH_SIZE", "7")
	t.Setenv("LIWANAG_API_KEY", "a key of the real server")
	s, err := Defaults()
	if err != nil {
		t.Fatal(err)
	}
	if s.BatchSize != 100 || s.APIKey.IsSet() || s.BatchWindow != 2*time.Second || s.PaidRetry != "standard" {
		t.Errorf("%+v", s)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}
