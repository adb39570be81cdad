package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Control speaks to the control plane of a simulator in another process.
type Control struct {
	BaseURL string       // of the simulator, without /api/v2
	Client  *http.Client // default http.DefaultClient
}

// Ledger fetches the ledger.
func (c Control) Ledger(ctx context.Context) (Ledger, error) {
	var l Ledger
	return l, c.call(ctx, http.MethodGet, "/_sim/ledger", nil, &l)
}

// State fetches the state.
func (c Control) State(ctx context.Context) (State, error) {
	var s State
	return s, c.call(ctx, http.MethodGet, "/_sim/state", nil, &s)
}

// AddFault adds a fault and returns its id.
func (c Control) AddFault(ctx context.Context, f Fault) (id string, err error) {
	var answer struct{ ID string }
	err = c.call(ctx, http.MethodPost, "/_sim/faults", f, &answer)
	return answer.ID, err
}

// ClearFaults removes the fault with the id, or with an empty id all.
func (c Control) ClearFaults(ctx context.Context, id string) error {
	path := "/_sim/faults"
	if id != "" {
		path += "?id=" + url.QueryEscape(id)
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}

// SetBalance sets the credits of the workspace.
func (c Control) SetBalance(ctx context.Context, balance float64) error {
	return c.call(ctx, http.MethodPost, "/_sim/balance", balanceRequest{&balance}, nil)
}

// Rotate replaces an API key (empty: the first).
func (c Control) Rotate(ctx context.Context, old, replacement string) error {
	return c.call(ctx, http.MethodPost, "/_sim/rotate", rotateRequest{old, replacement}, nil)
}

// ResendWebhook sends the batch webhook of an enrichment once more.
func (c Control) ResendWebhook(ctx context.Context, enrichmentID string) error {
	return c.call(ctx, http.MethodPost, "/_sim/webhooks/resend", resendRequest{enrichmentID}, nil)
}

func (c Control) call(ctx context.Context, method, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("simulator: control: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.BaseURL, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("simulator: control: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	client := c.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("simulator: control: %w", err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	if response.StatusCode != http.StatusOK {
		var refusal struct{ Error string }
		decoder.Decode(&refusal) // without it the status must do
		return fmt.Errorf("simulator: control %s %s: %s: %s", method, path, response.Status, refusal.Error)
	}
	if into == nil {
		return nil
	}
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("simulator: control %s %s: %w", method, path, err)
	}
	return nil
}
