package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

// client is a connection that stays open between requests.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (p *pipes) client(t *testing.T, from string) *client {
	t.Helper()
	conn, ok := p.dialFrom(from)
	if !ok {
		t.Fatalf("no connection of %s is taken", from)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn, bufio.NewReader(conn)}
}

// asks sends a request and returns the status; 0: the connection is closed.
func (c *client) asks(head string) int {
	c.t.Helper()
	_, _ = fmt.Fprintf(c.conn, "%s HTTP/1.1\r\nHost: localhost\r\n\r\n", head)
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	synctest.Wait() // the server notes that it is idle
	return res.StatusCode
}

// closed says whether the server has closed it.
func (c *client) closed() bool {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.in.Peek(1)
	_ = c.conn.SetReadDeadline(time.Time{})
	return err == io.EOF
}

func count(all []*client, what func(*client) bool) (n int) {
	for _, one := range all {
		if what(one) {
			n++
		}
	}
	return n
}

func TestWhoHoldsConnectionsOpenTakesTheRoomFromThemselvesAlone(t *testing.T) {
	serving(t, func(c *Config) { c.MaxConnections = 64 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		victim := p.client(t, "10.0.0.2")
		if victim.asks("GET /healthz") != 200 {
			t.Fatal("not served")
		}
		var attack []*client
		for range 200 {
			attack = append(attack, p.client(t, "10.0.0.1"))
		}
		synctest.Wait()
		if open := count(attack, func(c *client) bool { return !c.closed() }); open != 8 {
			t.Errorf("one address holds %d of 64", open)
		}
		if victim.asks("GET /healthz") != 200 || p.client(t, "10.0.0.2").asks("GET /healthz") != 200 {
			t.Error("another address is not served")
		}
		if p.client(t, "10.0.0.1").asks("GET /healthz") != 200 {
			t.Error("the same address is not served any more")
		}
	})
}

func TestAProxyMayHoldMoreConnectionsAndTheNewestIsServed(t *testing.T) {
	serving(t, func(c *Config) { c.MaxConnections = 64 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		used := p.client(t, "127.0.0.1") // as a proxy keeps one
		if used.asks("GET /healthz") != 200 {
			t.Fatal("not served")
		}
		var idle []*client
		for range 100 {
			idle = append(idle, p.client(t, "127.0.0.1"))
		}
		synctest.Wait()
		if open := count(idle, func(c *client) bool { return !c.closed() }); open != 31 {
			t.Errorf("%d of those that asked nothing are open", open)
		}
		if used.asks("GET /healthz") != 200 {
			t.Error("the one that is used was closed before those that are not")
		}
	})
}

func TestManyAddressesMakeRoomForOthers(t *testing.T) {
	serving(t, func(c *Config) { c.MaxConnections = 64 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		victim := p.client(t, "10.1.0.1")
		if victim.asks("GET /healthz") != 200 {
			t.Fatal("not served")
		}
		for i := range 20 {
			for range 10 {
				p.client(t, fmt.Sprintf("10.0.0.%d", i+1))
			}
		}
		if victim.asks("GET /healthz") != 200 || p.client(t, "10.1.0.2").asks("GET /healthz") != 200 {
			t.Error("another address is not served")
		}
	})
}

func TestSlowBodiesMakeRoomForOthers(t *testing.T) {
	serving(t, func(c *Config) { c.MaxConnections = 16 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		for range 20 { // by a proxy, which may hold 8
			defer slowly(t, p, api.SubscriberWebhook.Path, "10.0.0.1", 1000).Close()
			synctest.Wait()
		}
		if got := p.client(t, "127.0.0.1").asks("GET /docs"); got != 200 {
			t.Errorf("another client of the proxy: %d", got)
		}
	})
}

func TestHealthIsToldWhenNothingElseHasRoom(t *testing.T) {
	serving(t, func(c *Config) { c.MaxConnections = 16 }, func(t *testing.T, w *world, p *pipes, stop func() error) {
		held, cancel := context.WithCancel(context.Background())
		w.server.Route("GET /api/v1/held", func(http.ResponseWriter, *http.Request) error { <-held.Done(); return nil })
		for range 8 {
			one := p.client(t, "127.0.0.1")
			_, _ = fmt.Fprint(one.conn, "GET /api/v1/held HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+apiKey+"\r\n\r\n")
			go func() { _, _ = io.Copy(io.Discard, one.conn) }()
			synctest.Wait()
		}
		for range 200 { // they ask nothing, and go again
			p.client(t, "127.0.0.1")
		}
		if got := p.client(t, "127.0.0.1").asks("GET /healthz"); got != 200 {
			t.Errorf("health: %d", got)
		}
		if got := p.client(t, "127.0.0.1").asks("GET /docs"); got != 503 {
			t.Errorf("anything else: %d", got)
		}
		if got := p.client(t, "10.0.0.1").asks("GET /docs"); got != 200 {
			t.Errorf("another address: %d", got)
		}
		cancel()
		synctest.Wait()
		if got := p.client(t, "127.0.0.1").asks("GET /docs"); got != 200 {
			t.Errorf("when there is room again: %d", got)
		}
	})
}

func TestWhatBodiesTakeFollowsTheMemory(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Memory = 192 << 20 })
	known, unproven := w.server.Bodies.Known, w.server.Bodies.Unproven
	for name, tc := range map[string]struct {
		share interface{ Limit() int64 }
		least int64
		most  int64
	}{"known": {known, 16 << 20, 20 << 20}, "unproven": {unproven, 10 << 20, 16 << 20}} {
		if got := tc.share.Limit(); got < tc.least || got > tc.most {
			t.Errorf("%s: %d", name, got)
		}
	}
	if rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")); rec.Code != 202 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
