package door

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

// full attacks as docs/security.md says, and measures. Without it the same is done with
// fewer connections and requests, and counted alone.
var full = flag.Bool("full", false, "attack with all there is, and measure")

func TestMain(m *testing.M) { os.Exit(process.Main(m.Run)) }

const (
	key      = "a-key-of-the-operator-of-32-bytes"
	memory   = 192 << 20
	large    = 8 << 20
	attacker = "127.0.0.1"
	victim   = "127.0.0.2"
	proxy    = "127.0.0.3"
)

// counts are how much of each attack there is, and how often a victim asks.
type counts struct{ sockets, idle, slow, guesses, rounds int }

func (c counts) String() string {
	return fmt.Sprintf("%d sockets of 8 MiB, %d idle connections, %d slow bodies, %d guesses", c.sockets, c.idle, c.slow, c.guesses)
}

func TestAnAttackFromOneAddressKeepsNobodyElseOut(t *testing.T) {
	c := counts{sockets: 60, idle: 2000, slow: 100, guesses: 1000, rounds: 30}
	if *full {
		c = counts{sockets: 60, idle: 8400, slow: 400, guesses: 20_000, rounds: 400}
	}
	w := newWorld(t)
	quiet := w.ask(c.rounds, 0)
	attack := w.attack(c)
	loud := w.ask(c.rounds, c.rounds)
	attack()
	for name, took := range loud {
		t.Logf("%-22s p99 %8s without the attack, %8s with it", name, p99(quiet[name]), p99(took))
		if *full && p99(took) > 3*p99(quiet[name]) {
			t.Errorf("%s: more than three times as long", name)
		}
	}
	t.Logf("%s; %d MiB at most", c, w.peak.Load()>>20)
	if peak := w.peak.Load(); peak > memory {
		t.Errorf("the server took %d MiB, and may take %d", peak>>20, memory>>20)
	}
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100].Round(100 * time.Microsecond)
}

// world is a server, a proxy before it, and a source of sign-ups.
type world struct {
	t      *testing.T
	addr   string
	proxy  string
	source string // the path of a webhook that is known
	secret string
	peak   atomic.Int64 // bytes of the server's memory
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, addr: process.FreeAddr(t)}
	server := process.Start(t, []string{"LIWANAG_ADDR=" + w.addr, "LIWANAG_ADMIN_ADDR=off", "LIWANAG_API_KEY=" + key,
		"DATABASE_URL=sqlite:" + t.TempDir() + "/liwanag.db", "FULLENRICH_API_KEY=k", "FULLENRICH_BASE_URL=http://127.0.0.1:1",
		"LIWANAG_LOG_LEVEL=error", fmt.Sprint("GOMEMLIMIT=", memory)}, "serve")
	w.until(func() bool {
		return w.status(clientFrom(victim), w.request("GET", "http://"+w.addr+"/readyz", "")) == 200
	})
	made := w.make("/api/v1/sources", `{"name":"list","kind":"generic","settings":{"proof":"bearer"}}`)
	at, err := url.Parse(made["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	w.source, w.secret = at.Path, made["secret"].(string)
	before := &httputil.ReverseProxy{Transport: transportFrom(proxy), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: w.addr})
		r.Out.Header.Set("X-Forwarded-For", "203.0.113.7")
	}}
	front := httptest.NewServer(before)
	t.Cleanup(front.Close)
	w.proxy = front.URL
	go w.weigh(server)
	return w
}

func (w *world) until(done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("the server does not come up")
		}
	}
}

// weigh notes the most memory that the server takes, until it ends.
func (w *world) weigh(server *process.Process) {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-server.Ended:
			tick.Stop()
			return
		case <-tick.C:
			raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Cmd.Process.Pid)) // it may have ended
			for _, line := range strings.Split(string(raw), "\n") {
				if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
					kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
					w.peak.Store(max(w.peak.Load(), kib<<10))
				}
			}
		}
	}
}

func transportFrom(addr string) *http.Transport {
	dialer := &net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	return &http.Transport{MaxIdleConnsPerHost: 64, DialContext: dialer.DialContext}
}

func clientFrom(addr string) *http.Client {
	return &http.Client{Transport: transportFrom(addr), Timeout: 40 * time.Second}
}

func (w *world) request(method, address, body string) *http.Request {
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+key)
	return r
}

func (w *world) status(client *http.Client, r *http.Request) int {
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func (w *world) make(path, body string) map[string]any {
	w.t.Helper()
	answer, err := clientFrom(victim).Do(w.request("POST", "http://"+w.addr+path, body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	made := map[string]any{}
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || answer.StatusCode != 201 {
		w.t.Fatalf("%d %v %v", answer.StatusCode, made, err)
	}
	return made
}

// ask lets victims ask, each what they need from the server, and says how long that
// took. Nothing may be refused.
func (w *world) ask(rounds, from int) map[string][]time.Duration {
	w.t.Helper()
	took, mu := map[string][]time.Duration{}, sync.Mutex{}
	var all sync.WaitGroup
	for _, one := range []struct {
		name, base string
		client     *http.Client
	}{{"direct", "http://" + w.addr, clientFrom(victim)}, {"by the proxy", w.proxy, clientFrom(victim)}} {
		all.Go(func() {
			for i := range rounds {
				hook := w.request("POST", one.base+w.source, fmt.Sprintf(`{"email":"%s-%d@gmail.com"}`, one.name[:2], from+i))
				hook.Header.Set("Authorization", "Bearer "+w.secret)
				for _, ask := range []struct {
					what string
					r    *http.Request
				}{{"a webhook", hook}, {"the API", w.request("GET", one.base+"/api/v1/runs?limit=1", "")},
					{"health", w.request("GET", one.base+"/healthz", "")}} {
					began := time.Now()
					if status := w.status(one.client, ask.r); status/100 != 2 {
						w.t.Errorf("%s %s, round %d: %d", ask.what, one.name, i, status)
					}
					mu.Lock()
					took[ask.what+" "+one.name] = append(took[ask.what+" "+one.name], time.Since(began))
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return took
}

// attack does it all at once, from one address; the function that it returns ends it.
func (w *world) attack(c counts) (end func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var all, there sync.WaitGroup
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(attacker)}}
	hold := func(head string, body func(net.Conn)) {
		conn, err := dialer.DialContext(ctx, "tcp", w.addr)
		if err != nil {
			return // refused, as it should be
		}
		there.Add(1)
		all.Go(func() {
			defer conn.Close()
			_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(conn, head)
			there.Done()
			body(conn)
			<-ctx.Done()
		})
	}
	head := func(path string, size int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, size)
	}
	for i := range c.sockets {
		path, size := "/webhooks/fullenrich/unknown"+strconv.Itoa(i), large
		if i%2 == 1 {
			path, size = "/webhooks/subscribers", 5<<20
		}
		hold(head(path, size), func(conn net.Conn) { _, _ = conn.Write(bytes.Repeat([]byte(" "), size-1)) })
	}
	for range c.slow {
		hold(head("/webhooks/subscribers", 1000), func(conn net.Conn) { drip(ctx, conn) })
	}
	for range c.idle {
		hold("", func(net.Conn) {})
	}
	there.Wait()
	var left atomic.Int64
	left.Store(int64(c.guesses))
	for range 16 {
		all.Go(func() { w.guess(ctx, clientFrom(attacker), &left) })
	}
	return func() { cancel(); all.Wait() }
}

// drip sends a byte now and then, for as long as it is taken.
func drip(ctx context.Context, conn net.Conn) {
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
		}
	}
}

// guess tries keys until none are left.
func (w *world) guess(ctx context.Context, client *http.Client, left *atomic.Int64) {
	for ctx.Err() == nil && left.Add(-1) >= 0 {
		r := w.request("GET", "http://"+w.addr+"/api/v1/runs", "").WithContext(ctx)
		r.Header.Set("Authorization", "Bearer a-guess-"+strconv.FormatInt(left.Load(), 10))
		if status := w.status(client, r); status == 200 {
			w.t.Error("a guess is taken")
		}
	}
}
