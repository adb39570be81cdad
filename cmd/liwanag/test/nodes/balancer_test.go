package nodes

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// balancer is the one address that clients and FullEnrich know: it gives each
// request to the next server that accepts its connection.
type balancer struct {
	url string

	mu    sync.Mutex
	addrs []string
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1"}) },
		Transport: &http.Transport{DialContext: b.dial, DisableKeepAlives: true, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// use names the servers that get requests from now on.
func (b *balancer) use(addrs ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs = slices.Clone(addrs)
}

// turn names the servers in the order in which this request tries them.
func (b *balancer) turn() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.addrs) == 0 {
		return nil
	}
	b.addrs = append(b.addrs[1:], b.addrs[0])
	return slices.Clone(b.addrs)
}

func (b *balancer) dial(ctx context.Context, network, _ string) (conn net.Conn, err error) {
	err = &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	for _, addr := range b.turn() {
		if conn, err = (&net.Dialer{}).DialContext(ctx, network, addr); err == nil {
			return conn, nil
		}
	}
	return nil, err
}
