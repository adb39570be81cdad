package app_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
)

func TestTheSimulatorServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s, err := app.NewSimulator(ctx, app.SimulatorConfig{Addr: "127.0.0.1:0", Dir: t.TempDir(), Key: "secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for key, want := range map[string]int{"secret-key": http.StatusOK, "another": http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.BaseURL()+"/account/credits", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("key %s: status %d, want %d", key, answer.StatusCode, want)
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not stop")
	}
}

func TestAnAddressInUseIsNamedWithAWayOut(t *testing.T) {
	first, err := app.NewSimulator(t.Context(), app.SimulatorConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	defer first.Run(ctx)
	addr := strings.TrimSuffix(strings.TrimPrefix(first.BaseURL(), "http://"), "/api/v2")
	_, err = app.NewSimulator(t.Context(), app.SimulatorConfig{Addr: addr})
	if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("error %v", err)
	}
}

func TestAWrongSimulatorIsAUsageError(t *testing.T) {
	_, err := app.NewSimulator(t.Context(), app.SimulatorConfig{Addr: "127.0.0.1:0", Speed: -1})
	if usage := new(app.UsageError); !errors.As(err, &usage) {
		t.Errorf("error %v, want a UsageError", err)
	}
}
