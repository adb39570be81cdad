package enrichment

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestTheProbeFollowsNoRedirectAndNoProxy(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	redirects := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/healthz", http.StatusFound))
	defer redirects.Close()
	if err := probeOver(probeClient(), redirects.URL)(t.Context()); err == nil || asked.Load() != 0 {
		t.Errorf("a redirect: %v, followed %d times", err, asked.Load())
	}
	if transport, ok := probeClient().Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("a proxy of the environment is asked")
	}
	if err := probeOver(probeClient(), elsewhere.URL)(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("an answer of its own: %v", err)
	}
}
