package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hook is a webhook as the receiver saw it.
type hook struct {
	at        time.Time
	path      string
	body      []byte
	signature string
	encoding  string
}

func (h hook) result(t testing.TB) result {
	t.Helper()
	return decode[result](t, h.body)
}

func (h hook) isContact() bool { return h.path == "/hooks/0123456789abcdef/contact" }

// receiver keeps webhooks; answer decides what it says to the nth of them.
type receiver struct {
	mu     sync.Mutex
	hooks  []hook
	answer func(n int) int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	r.hooks = append(r.hooks, hook{time.Now(), request.URL.Path, body, request.Header.Get(signatureHeader),
		request.Header.Get("Content-Encoding")})
	n, answer := len(r.hooks), r.answer
	r.mu.Unlock()
	if answer != nil {
		w.WriteHeader(answer(n))
	}
}

func (r *receiver) seen(contact bool) []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []hook
	for _, h := range r.hooks {
		if h.isContact() == contact {
			out = append(out, h)
		}
	}
	return out
}

func (r *receiver) batch() []hook { return r.seen(false) }

// bed is a simulator in memory with a receiver and a client.
type bed struct {
	testing.TB
	sim      *Server
	receiver *receiver
	client   *http.Client
	base     string
	hooks    string // where the receiver is
}

// virtual runs the test in virtual time against a simulator in memory.
func virtual(t *testing.T, cfg Config, test func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, cfg, &receiver{})
		test(b)
		if err := b.sim.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func newBed(t testing.TB, cfg Config, r *receiver) *bed {
	t.Helper()
	b := &bed{TB: t, receiver: r, base: "http://fullenrich.test", hooks: "http://liwanag.test"}
	cfg.HTTPClient = &http.Client{Transport: InMemory(b.receiver), Timeout: 10 * time.Second}
	var err error
	if b.sim, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.client = &http.Client{Transport: InMemory(b.sim)}
	return b
}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
}

func (b *bed) call(method, path, key string, body any) reply {
	b.Helper()
	var raw []byte
	switch body := body.(type) {
	case nil:
	case string:
		raw = []byte(body)
	default:
		raw = rawJSON(body)
	}
	request, err := http.NewRequestWithContext(b.Context(), method, b.base+path, bytes.NewReader(raw))
	if err != nil {
		b.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := b.client.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, got, err}
}

func (b *bed) post(name string, emails ...string) reply {
	b.Helper()
	return b.call("POST", v2+"/contact/reverse/email/bulk", DefaultKey, b.submission(name, emails...))
}

func (b *bed) submission(name string, emails ...string) map[string]any {
	var data []any
	for i, email := range emails {
		data = append(data, map[string]any{"email": email, "custom": map[string]string{
			"lw_job": fmt.Sprintf("job-%s-%d", name, i), "lw_submission": name,
		}})
	}
	return map[string]any{
		"name": name, "data": data, "webhook_url": b.hooks + "/hooks/0123456789abcdef",
		"webhook_events": map[string]string{"contact_finished": b.hooks + "/hooks/0123456789abcdef/contact"},
	}
}

// accepted posts and returns the id.
func (b *bed) accepted(name string, emails ...string) string {
	b.Helper()
	got := b.post(name, emails...)
	if got.err != nil || got.status != 200 {
		b.Fatalf("POST %s: %d %s %v", name, got.status, got.body, got.err)
	}
	id := decode[struct {
		EnrichmentID string `json:"enrichment_id"`
	}](b, got.body).EnrichmentID
	if len(id) != 36 {
		b.Fatalf("enrichment id %q is no UUID", id)
	}
	return id
}

func (b *bed) get(id string) reply {
	b.Helper()
	return b.call("GET", v2+"/contact/reverse/email/bulk/"+id, DefaultKey, nil)
}

func (b *bed) add(f Fault) {
	b.Helper()
	if _, err := b.sim.AddFault(f); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) wantCode(got reply, status int, code string) {
	b.Helper()
	if got.err != nil || got.status != status || decode[envelope](b, got.body).Code != code {
		b.Errorf("got %d %s %v, want %d %s", got.status, got.body, got.err, status, code)
	}
}

// settle lets virtual time pass.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func decode[T any](t testing.TB, raw []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("decode %.200s: %v", raw, err)
	}
	return v
}

func records(t testing.TB, raw json.RawMessage) []record {
	t.Helper()
	return decode[[]record](t, raw)
}

func emails(n int, mark string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("person.number%d%s@example.net", i, mark)
	}
	return out
}
