package door

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnAnswerToAPageDoesNotEndTheConnectionOfItsBrowser(t *testing.T) {
	for from, want := range map[*scope]string{{}: "close", {id: "of the page"}: ""} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/keys", strings.NewReader("{}"))
		w := httptest.NewRecorder()
		newBody(r.WithContext(context.WithValue(r.Context(), scopeKey{}, from))).leave(w)
		if got := w.Header().Get("Connection"); got != want {
			t.Errorf("asked by %q, an unread body leads to Connection %q, want %q", from.id, got, want)
		}
	}
}
