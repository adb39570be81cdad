package fullenrich

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
)

// watched collects what Config.Observe is told, as "op result".
type watched struct {
	mu    sync.Mutex
	calls []string
}

func (w *watched) observe(_ context.Context, c Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Took <= 0 {
		c.Result += " in no time"
	}
	w.calls = append(w.calls, c.Op+" "+c.Result)
}

func TestEveryRequestIsObservedWithItsResult(t *testing.T) {
	for answer, want := range map[string]struct {
		status        int
		body          string
		submit, fetch string
	}{
		"an id":         {200, `{"enrichment_id": "` + testID + `", "id": "` + testID + `", "status": "FINISHED", "data": []}`, "ok", "ok"},
		"in progress":   {400, `{"code": "` + CodeInProgress + `", "message": "wait"}`, "in_progress", "in_progress"},
		"no credits":    {402, `{"code": "error.credits", "message": "none"}`, "no_credits", "no_credits"},
		"a wrong key":   {401, `{"code": "` + CodeUnknownKey + `", "message": "who"}`, "key_refused", "key_refused"},
		"a bad request": {422, `{}`, "refused", "refused"},
		"nonsense":      {200, `[`, "unreadable", "ok"},
	} {
		t.Run(answer, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(want.status)
				_, _ = w.Write([]byte(want.body))
			})
			var w watched
			client := newTestClient(t, Config{BaseURL: server.URL, Observe: w.observe})
			_, _ = client.Submit(t.Context(), newOrder())
			_, _ = client.Fetch(t.Context(), testID)
			all := []string{"submit " + want.submit, "fetch " + want.fetch}
			if got := slices.Compact(w.calls); !slices.Equal(got, all) {
				t.Errorf("observed were %q, want %q", w.calls, all)
			}
		})
	}
}

func TestEachTryIsObservedAndNoAnswerIsOne(t *testing.T) {
	var w watched
	server := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/account/credits":
			rw.WriteHeader(http.StatusBadGateway)
		default:
			panic(http.ErrAbortHandler)
		}
	})
	client := newTestClient(t, Config{BaseURL: server.URL, Observe: w.observe})
	_, _ = client.Credits(t.Context())
	_, _ = client.Submit(t.Context(), newOrder())
	server.Close()
	_, _ = client.Submit(t.Context(), newOrder())
	want := []string{"credits unavailable", "credits unavailable", "credits unavailable", "submit no_answer", "submit not_sent"}
	if !slices.Equal(w.calls, want) {
		t.Errorf("observed were %q, want %q", w.calls, want)
	}
}
