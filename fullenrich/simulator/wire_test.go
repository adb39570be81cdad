package simulator

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wired is a simulator and a receiver on real loopback sockets, fast.
func wired(t *testing.T, cfg Config) (*bed, Control) {
	t.Helper()
	cfg.Speed = 10_000
	cfg.CallsPerMinute = 1 << 20
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{TB: t, sim: sim, receiver: &receiver{}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	api, hooks := httptest.NewServer(sim), httptest.NewServer(b.receiver)
	b.base, b.hooks = api.URL, hooks.URL
	t.Cleanup(func() {
		if err := sim.Close(); err != nil { // first: it ends hanging answers
			t.Errorf("close: %v", err)
		}
		api.Close()
		hooks.Close()
	})
	return b, Control{BaseURL: api.URL}
}

// idle waits until nothing is left to look up or to deliver.
func idle(t *testing.T, c Control) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		state, err := c.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if state.Idle() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not idle: %+v", state)
		}
	}
}

func TestWireFromPostToWebhookToResult(t *testing.T) {
	b, control := wired(t, Config{})
	id := b.accepted("wire", emails(20, "+found")...)
	idle(t, control)
	if n := len(b.receiver.seen(true)); n != 20 {
		t.Errorf("%d contact events", n)
	}
	hooks := b.receiver.batch()
	if len(hooks) != 1 || hooks[0].signature != sign(DefaultKey, hooks[0].body) {
		t.Fatalf("%d batch events", len(hooks))
	}
	if got := b.get(id); got.status != 200 || got.header.Get("Content-Type") != "application/json" || !bytes.Equal(got.body, hooks[0].body) {
		t.Errorf("%d %.200s", got.status, got.body)
	}
	ledger, err := control.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ledger.Totals.Credits != 20 || ledger.Totals.Attempts != 21 || ledger.Balance != 99_980 {
		t.Errorf("%+v, balance %v", ledger.Totals, ledger.Balance)
	}
}

func TestWireAccountAndKeys(t *testing.T) {
	b, _ := wired(t, Config{Keys: []string{"k1", "k2"}, Balance: 12.25})
	if got := b.call("GET", v2+"/account/credits", "k2", nil); string(got.body) != `{"balance":12.25}` {
		t.Errorf("%s", got.body)
	}
	if got := b.call("GET", v2+"/account/keys/verify", "k1", nil); !strings.Contains(string(got.body), `"workspace_id":"`) {
		t.Errorf("%s", got.body)
	}
	b.wantCode(b.call("GET", v2+"/account/credits", "", nil), 401, "error.authorization.not_set")
	b.wantCode(b.call("GET", v2+"/account/credits", "k3", nil), 401, "error.api.key")
	request, err := http.NewRequestWithContext(t.Context(), "GET", b.base+v2+"/account/credits", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Basic k1")
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	b.wantCode(reply{status: response.StatusCode, body: body}, 401, "error.authorization.not_bearer")
}

// The connection faults mean something on a socket that memory cannot show.
func TestWireConnectionFaults(t *testing.T) {
	b, control := wired(t, Config{})
	b.client.Timeout = 5 * time.Second
	add := func(f Fault) {
		f.Count = 1
		if _, err := control.AddFault(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	for _, action := range []Action{ActionAcceptThenReset, ActionResetWithoutAccepting} {
		add(Fault{Action: action})
		if got := b.post("n", "a@example.net"); !errors.Is(got.err, syscall.ECONNRESET) {
			t.Errorf("%s: %d %v", action, got.status, got.err)
		}
	}
	add(Fault{Action: ActionResetBeforeReading})
	if got := b.post("n", "a@example.net"); got.err == nil {
		t.Errorf("reset before reading: %d", got.status)
	}
	add(Fault{Action: ActionAnswerTruncated})
	if got := b.post("n", "a@example.net"); got.status != 200 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %d %v", got.status, got.err)
	}
	add(Fault{Action: ActionAcceptThenHang, Delay: 50 * time.Millisecond})
	if got := b.post("n", "a@example.net"); got.err == nil {
		t.Errorf("hang: %d", got.status)
	}
	add(Fault{Action: ActionSlowDrip, Delay: time.Millisecond})
	if got := b.post("n", "a@example.net"); got.status != 200 || got.err != nil {
		t.Errorf("drip: %d %v", got.status, got.err)
	}
	if n := b.sim.Ledger().Totals.Submissions; n != 4 {
		t.Errorf("%d accepted, want those of reset, truncated, hang and drip", n)
	}
}

func TestWireGzipBombReachesTheClient(t *testing.T) {
	b, control := wired(t, Config{})
	if _, err := control.AddFault(t.Context(), Fault{Action: ActionGzipBomb, Where: WhereGet, Size: 4 << 20}); err != nil {
		t.Fatal(err)
	}
	id := b.accepted("bomb", "a+found@example.net")
	idle(t, control)
	if got := b.get(id); len(got.body) < 4<<20 {
		t.Errorf("%d bytes after inflation", len(got.body))
	}
}

func TestControlPlane(t *testing.T) {
	b, control := wired(t, Config{})
	ctx := t.Context()
	want := Fault{Action: ActionWebhookLate, Email: "late", Delay: 25 * time.Hour, For: time.Minute, Times: 2}
	id, err := control.AddFault(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	state, err := control.State(ctx)
	want.ID = id
	if err != nil || len(state.Faults) != 1 || state.Faults[0].Fault != want {
		t.Errorf("%+v %v", state.Faults, err)
	}
	if _, err := control.AddFault(ctx, Fault{ID: id, Action: ActionRefuse}); err == nil {
		t.Error("the id was given twice")
	}
	if err := control.ClearFaults(ctx, id); err != nil || len(b.sim.State().Faults) != 0 {
		t.Errorf("clear: %v, %d left", err, len(b.sim.State().Faults))
	}
	if _, err := control.AddFault(ctx, Fault{Action: "explode"}); err == nil || !strings.Contains(err.Error(), "unknown action") {
		t.Errorf("unknown action: %v", err)
	}
	if err := control.SetBalance(ctx, 0); err != nil || b.sim.State().Balance != 0 {
		t.Errorf("balance: %v", err)
	}
	if err := control.SetBalance(ctx, 5); err != nil {
		t.Fatal(err)
	}
	first := b.accepted("resend", "a+found@example.net")
	idle(t, control)
	if err := control.ResendWebhook(ctx, first); err != nil {
		t.Fatal(err)
	}
	idle(t, control)
	if hooks := b.receiver.batch(); len(hooks) != 2 || !bytes.Equal(hooks[0].body, hooks[1].body) {
		t.Errorf("%d webhooks after a resend", len(hooks))
	}
	if err := control.ResendWebhook(ctx, "nobody"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("resend of nothing: %v", err)
	}
	if err := control.Rotate(ctx, "", "fe_next"); err != nil {
		t.Fatal(err)
	}
	b.wantCode(b.get(first), 401, "error.api.key")
	if err := control.Rotate(ctx, "nobody's", "fe_other"); err == nil {
		t.Error("an unknown key was rotated")
	}
}

func TestControlPlaneRefusesUnknownFieldsAndOtherOrigins(t *testing.T) {
	b, _ := wired(t, Config{})
	if got := b.call("POST", "/_sim/faults", "", `{"action":"refuse","colour":"red"}`); got.status != 400 {
		t.Errorf("unknown field: %d", got.status)
	}
	request, err := http.NewRequestWithContext(t.Context(), "DELETE", b.base+"/_sim/faults", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://attacker.example")
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := b.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("cross-origin: %d", response.StatusCode)
	}
}
