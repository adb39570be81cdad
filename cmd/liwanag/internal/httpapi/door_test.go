package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/throttle"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// post sends a body of a size from an address, and says how much of it was read.
func (w *world) post(path, from string, size int64) (*httptest.ResponseRecorder, int64) {
	w.t.Helper()
	body := &counting{}
	r := request("POST", path, "")
	r.Header.Del("Authorization")
	r.Body, r.ContentLength, r.RemoteAddr = io.NopCloser(io.LimitReader(body, size)), size, from
	rec := w.do(r)
	return rec, min(body.n, size)
}

// slowly sends all but the last byte of a body over a connection of its own.
func slowly(t *testing.T, p *pipes, path, from string, size int) net.Conn {
	t.Helper()
	conn, ok := p.dial()
	if !ok {
		t.Fatal("nobody listens")
	}
	go func() {
		_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n", path, from, size)
		_, _ = io.CopyN(conn, &counting{}, int64(size-1))
	}()
	return conn
}

func TestWhatNobodyKnowsIsLeftUnread(t *testing.T) {
	w := newWorld(t)
	source := w.addSource("generic", `{"proof":"bearer"}`, longSecret)
	at := strings.TrimPrefix(source.URL, publicURL)
	for name, tc := range map[string]struct{ path, code string }{
		"a source's token":         {"/webhooks/generic/nobodys", "unknown_source"},
		"another kind's token":     {strings.Replace(at, "generic", "ghost", 1), "unknown_source"},
		"a kind":                   {"/webhooks/substack/x", "unknown_source"},
		"the contact of a token":   {"/webhooks/fullenrich/nobodys/contact", "unknown_token"},
		"a path below the sources": {at + "/more", "not_found"},
	} {
		rec, read := w.post(tc.path, "10.0.0.1:1", 1<<20)
		w.wantProblem(rec, 404, tc.code)
		if read != 0 {
			t.Errorf("%s: %d bytes were read", name, read)
		}
	}
	if _, read := w.post(at, "10.0.0.1:1", 1000); read != 1000 {
		t.Errorf("of a source's webhook %d bytes were read", read)
	}
}

func TestWhatIsRefusedIsAnsweredWithoutItsBody(t *testing.T) {
	const bearer = "Authorization: Bearer " + apiKey + "\r\n"
	for _, tc := range []struct {
		head   string
		status int
	}{
		{"POST /webhooks/kit/nobodys HTTP/1.1\r\n", 404},
		{"POST /webhooks HTTP/1.1\r\n", 404},
		{"POST /webhooks/kit/nobodys/more HTTP/1.1\r\n", 404},
		{"POST /webhooks/kit/nobodys HTTP/1.1\r\nContent-Encoding: gzip\r\n", 415},
		{"POST /api/v1/subscribers HTTP/1.1\r\n", 401},
		{"POST /api/v1/subscribers?nothing=1 HTTP/1.1\r\n" + bearer, 400},
		{"POST /api/v1/subscribers HTTP/1.1\r\nOrigin: https://elsewhere.example\r\n" + bearer, 403},
		{"PUT /api/v1/subscribers HTTP/1.1\r\n" + bearer, 405},
		{"POST /api/v1/uploads HTTP/1.1\r\n", 401},
		{"GET /healthz HTTP/1.1\r\n", 200}, // which needs none
	} {
		serving(t, nil, func(t *testing.T, _ *world, p *pipes, _ func() error) {
			conn, _ := p.dial()
			defer conn.Close()
			began := time.Now()
			go func() { _, _ = io.WriteString(conn, tc.head+"Host: localhost\r\nContent-Length: 100\r\n\r\n{") }()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("%q: %v", tc.head, err)
			}
			if took := time.Since(began); res.StatusCode != tc.status || !res.Close || took > 0 {
				t.Errorf("%q: %d, want %d; the connection is kept: %t; after %s", tc.head, res.StatusCode, tc.status, !res.Close, took)
			}
		})
	}
}

// A connection that was closed at once would take the answer with it.
func TestWhoSendsALargeBodyReadsWhyItIsRefused(t *testing.T) {
	w := newWorld(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, ln, time.Minute) }()
	defer func() { cancel(); <-served }()
	for path, status := range map[string]int{"/webhooks/kit/nobodys": 404, "/webhooks/subscribers": 413, "/api/v1/uploads": 401} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		const size = 12 << 20 // more than a connection holds
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", path, size)
		if err == nil {
			_, err = io.CopyN(conn, &counting{}, size)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != status {
			t.Errorf("%s: %v %v", path, res, err)
		}
	}
}

func TestStrangersBodiesTakeASmallShareOfTheirOwn(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		body := `{"id":"0197c1e5-5a55-7a0e-9b2f-0d6f7d0f9a11","status":"FINISHED","data":[]}`
		signed := func(from string) *httptest.ResponseRecorder {
			r := request("POST", "/webhooks/fullenrich/lost", body)
			r.RemoteAddr = from
			r.Header.Set(fullenrich.SignatureHeader, fullenrich.Sign(simulator.DefaultKey, []byte(body)))
			return w.do(r)
		}
		defer slowly(t, p, "/webhooks/fullenrich/a", "10.0.0.1", maxResult).Close()
		synctest.Wait()
		began := time.Now()
		rec, read := w.post("/webhooks/fullenrich/b", "10.0.0.1:7", 100)
		w.wantProblem(rec, 404, "unknown_token")
		if read != 0 {
			t.Errorf("a second body of one address: %d bytes were read", read)
		}
		if rec, read := w.post("/webhooks/fullenrich/b", "10.0.0.2:7", 100); rec.Code != 401 || read != 100 {
			t.Errorf("a body of another address: %d, %d bytes were read", rec.Code, read)
		}
		defer slowly(t, p, "/webhooks/fullenrich/c", "10.0.0.2", maxResult).Close()
		synctest.Wait()
		rec, read = w.post("/webhooks/fullenrich/d", "10.0.0.3:7", 100)
		w.wantProblem(rec, 404, "unknown_token")
		if held := w.server.Strangers.Share.Held(); read != 0 || held != 2*(maxResult-1) {
			t.Errorf("a third body: %d bytes were read, %d are held", read, held)
		}
		if rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")); rec.Code != 202 {
			t.Errorf("a sign-up: %d %s", rec.Code, rec.Body)
		}
		if time.Since(began) > 0 {
			t.Errorf("something waited for %s", time.Since(began))
		}
		time.Sleep(door.StrangerWithin + time.Second)
		synctest.Wait()
		w.wantProblem(signed("10.0.0.3:7"), 404, "unknown_token")
		kept, _, err := w.store.Deliveries.List(context.Background(), liwanag.DeliveryFilter{}, liwanag.Page{})
		w.must(err)
		if len(kept) != 1 || !w.server.Strangers.Enter(netip.MustParseAddr("10.0.0.1")) || w.server.Strangers.Share.Held() != 0 {
			t.Errorf("after the slow ones were cut off: %d kept, %d bytes held", len(kept), w.server.Strangers.Share.Held())
		}
	})
}

func TestOneAddressCannotFillTheDoorOfSignUps(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		for range 20 {
			defer slowly(t, p, api.SubscriberWebhook.Path, "10.0.0.1", maxSignUpBody).Close()
		}
		synctest.Wait()
		if held := w.server.Bodies.Unproven.Held(); held > door.MaxUnproven/4 {
			t.Errorf("one address holds %d bytes", held)
		}
		r := sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")
		r.RemoteAddr = "10.0.0.2:1"
		if rec := w.do(r); rec.Code != 202 {
			t.Errorf("another address: %d %s", rec.Code, rec.Body)
		}
		source := w.addSource("generic", `{"proof":"bearer"}`, longSecret)
		if rec := w.deliver(source, `{"email":"b@gmail.com"}`, "Authorization", "Bearer "+longSecret); rec.Code != 202 {
			t.Errorf("a token that is known: %d %s", rec.Code, rec.Body)
		}
	})
}

func TestBodiesUnderAKnownTokenHaveRoomOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	source := w.addSource("generic", `{"proof":"bearer"}`, longSecret)
	for _, s := range []*door.Share{w.server.Bodies.Unproven, w.server.Bodies.API, w.server.Strangers.Share} {
		for i := range 8 {
			for s.Enter(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1<<20) {
				continue
			}
		}
	}
	if rec := w.deliver(source, `{"email":"b@gmail.com"}`, "Authorization", "Bearer "+longSecret); rec.Code != 202 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if held := w.server.Bodies.Known.Held(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		try := func(from, key string) (int, time.Duration) {
			r := request("GET", "/api/v1/workflows", "")
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+key)
			began := time.Now()
			return w.do(r).Code, time.Since(began)
		}
		want := func(from, key string, status int, waits time.Duration) {
			t.Helper()
			if code, took := try(from, key); code != status || took != waits {
				t.Errorf("%s with %q: %d after %s, want %d after %s", from, key, code, took, status, waits)
			}
		}
		for i := range 10 {
			want(fmt.Sprintf("10.0.0.1:%d", i), "wrong", 401, 0)
		}
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
			want("10.0.0.1:9", "wrong", 401, wait*time.Second)
		}
		want("10.0.0.1:9", apiKey, 200, 30*time.Second)
		want("10.0.0.2:9", apiKey, 200, 0)
		want("10.0.0.2:9", "wrong", 401, 0)
		// A session is no guess.
		r := request("GET", "/api/v1/workflows", "")
		r.Header.Del("Authorization")
		r.RemoteAddr = "10.0.0.1:9"
		r.AddCookie(&http.Cookie{Name: "liwanag", Value: w.signIn()})
		began := time.Now()
		if rec := w.do(r); rec.Code != 200 || time.Since(began) > 0 {
			t.Errorf("a session: %d after %s", rec.Code, time.Since(began))
		}
		time.Sleep(throttle.Forgiven)
		want("10.0.0.1:9", apiKey, 200, 0)
		want("10.0.0.1:9", "wrong", 401, 0)
	})
}

func TestGuessesAtOnceAreCountedOneByOne(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		var looked, refused atomic.Int64
		for range 2000 {
			go func() {
				r := request("GET", "/api/v1/workflows", "")
				r.Header.Set("Authorization", "Bearer wrong")
				switch rec := w.do(r); rec.Code {
				case 401:
					looked.Add(1)
				case 429:
					refused.Add(1)
				}
			}()
		}
		synctest.Wait()
		if looked.Load() != 10 {
			t.Errorf("%d were looked at without a wait", looked.Load())
		}
		time.Sleep(5 * time.Minute)
		if sum := looked.Load() + refused.Load(); sum != 2000 || looked.Load() > 45 {
			t.Errorf("%d were looked at, %d refused", looked.Load(), refused.Load())
		}
	})
}

func TestGuessesAtTheSignInAreSlowedDown(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		w.mount()
		for range 10 {
			w.browse("POST", "/sign-in", "key=wrong", "")
		}
		began := time.Now()
		if w.browse("POST", "/sign-in", "key="+apiKey, "").Header().Get("Set-Cookie") == "" || time.Since(began) != time.Second {
			t.Errorf("a right key after %s", time.Since(began))
		}
	})
}

func TestTheClientOfAProxyIsWhomItNames(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("172.18.0.0/16")} })
	for _, tc := range []struct{ peer, forwarded, want string }{
		{"127.0.0.1:1", "", "127.0.0.1"},
		{"127.0.0.1:1", "203.0.113.9", "203.0.113.9"},
		{"[::1]:1", "198.51.100.1, 203.0.113.9", "203.0.113.9"},
		{"172.18.0.3:1", "203.0.113.9", "203.0.113.9"},
		{"127.0.0.1:1", "203.0.113.9, 172.18.0.3", "203.0.113.9"},
		{"127.0.0.1:1", "203.0.113.9:4711", "203.0.113.9"},
		{"127.0.0.1:1", "[2001:db8::1]:4711", "2001:db8::1"},
		{"127.0.0.1:1", "198.51.100.1, nonsense", "127.0.0.1"},
		{"192.0.2.7:1", "203.0.113.9", "192.0.2.7"}, // nobody trusts it
		{"172.19.0.3:1", "203.0.113.9", "172.19.0.3"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.peer
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		if got := w.server.ClientOf(r).String(); got != tc.want {
			t.Errorf("%s, %q: %s, want %s", tc.peer, tc.forwarded, got, tc.want)
		}
	}
}

func TestWithoutAKeyNothingIsServedThroughAProxy(t *testing.T) {
	for _, key := range []string{"", apiKey} {
		w := newWorld(t, withKey(key))
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
			"X-Forwarded-Anything", "X-Real-IP", "via"} {
			for target, guarded := range map[string]bool{"/api/v1/workflows": true, "/docs": true, "/openapi.json": true,
				"/nothing": true, "/healthz": false, "/readyz": false,
				"/webhooks/subscribers": false} {
				r := request("GET", target, "")
				r.Header.Set(name, "")
				rec := w.do(r)
				if refused := rec.Code == 403; refused != (guarded && key == "") {
					t.Errorf("key %q, %s with %s: %d", key, target, name, rec.Code)
				}
				if rec.Code == 403 {
					w.wantProblem(rec, 403, "proxy_not_allowed")
				}
			}
		}
	}
}
