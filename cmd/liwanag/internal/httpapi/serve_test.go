package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
)

// pipes is a listener whose connections are in memory, so that time is virtual.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8484} }

// dial opens a connection; false when nobody takes it.
func (p *pipes) dial() (net.Conn, bool) { return p.dialFrom("127.0.0.1") }

// dialFrom opens one from an address.
func (p *pipes) dialFrom(addr string) (net.Conn, bool) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- addressed{theirs, addr}:
		return ours, true
	case <-p.closed:
		return nil, false
	case <-time.After(time.Second):
		return nil, false
	}
}

type addressed struct {
	net.Conn
	addr string
}

func (a addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(a.addr), Port: 9} }

// serving runs a server over pipes in virtual time.
func serving(t *testing.T, change func(*Config), test func(t *testing.T, w *world, p *pipes, stop func() error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) {
			if change != nil {
				change(c)
			}
		})
		p := newPipes()
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- w.server.Serve(ctx, p, 35*time.Second) }()
		stopped := false
		stop := func() error { stopped = true; cancel(); return <-served }
		test(t, w, p, stop)
		if !stopped {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		cancel()
		time.Sleep(time.Minute) // connections that were cut off linger for a moment
	})
}

func TestSlowClientsAreCutOff(t *testing.T) {
	for name, tc := range map[string]struct {
		send string
		cut  time.Duration
	}{
		"headers":   {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b", door.ReadHeaderTimeout},
		"body":      {"POST /api/v1/subscribers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + apiKey + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", door.ReadTimeout},
		"webhook":   {"POST /webhooks/subscribers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{", door.ReadTimeout},
		"idle":      {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", door.IdleTimeout},
		"no answer": {"", door.ReadHeaderTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
				conn, ok := p.dial()
				if !ok {
					t.Fatal("nobody listens")
				}
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, tc.send) }()
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(began); took < tc.cut || took > tc.cut+time.Second {
					t.Errorf("cut off after %s, want %s", took, tc.cut)
				}
			})
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		conn, _ := p.dial()
		go func() {
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "+strings.Repeat("a", 2*door.MaxHeaderBytes)+"\r\n\r\n")
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v %v", res, err)
		}
		_ = conn.Close()
	})
}

func TestNothingIsAnsweredPastTheGuard(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		conn, _ := p.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if kind := res.Header.Get("Content-Type"); res.StatusCode != 404 || kind != "application/problem+json" {
			t.Errorf("%d %s", res.StatusCode, kind)
		}
	})
}

func TestAnUploadMayTakeLongWhileItMoves(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		text, kind := form([2]string{"file", "email\n" + strings.Repeat("a@gmail.com\n", 40)})
		conn, _ := p.dial()
		defer conn.Close()
		began := time.Now()
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+
				"%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", apiKey, kind, len(text))
			for i := 0; i < len(text); i += 20 {
				time.Sleep(20 * time.Second)
				_, _ = io.WriteString(conn, text[i:min(i+20, len(text))])
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer := readAll(t, res.Body); res.StatusCode != 202 || time.Since(began) < 5*time.Minute {
			t.Errorf("after %s: %d %s", time.Since(began), res.StatusCode, answer)
		}
	})
}

func TestAnUploadThatStallsIsCutOff(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		text, kind := form([2]string{"file", "email\na@gmail.com\n"})
		conn, _ := p.dial()
		began := time.Now()
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+
				"%s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", apiKey, kind, len(text), text[:len(text)-30])
		}()
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(began); took < door.Patience || took > 3*door.Patience {
			t.Errorf("cut off after %s", took)
		}
	})
}

func TestADownloadMayTakeLongWhileItMoves(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		const chunks, size = 12, 64 << 10
		w.server.Route("GET /api/v1/test", func(rw http.ResponseWriter, r *http.Request) error {
			return w.server.Download(rw, r, "x.csv", func(to *door.Streamer) error {
				for range chunks {
					if _, err := to.Write(bytes.Repeat([]byte("x"), size)); err != nil {
						return err
					}
				}
				return nil
			})
		})
		conn, _ := p.dial()
		defer conn.Close()
		began := time.Now()
		_, _ = fmt.Fprintf(conn, "GET /api/v1/test HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", apiKey)
		res, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for total < chunks*size {
			time.Sleep(20 * time.Second)
			n, err := io.ReadFull(res.Body, make([]byte, size))
			if total += n; err != nil {
				t.Fatalf("after %s and %d bytes: %v", time.Since(began), total, err)
			}
		}
		if took := time.Since(began); took < 2*door.WriteTimeout {
			t.Errorf("the test took %s and proves nothing", took)
		}
	})
}

func TestReadinessIsToldInTime(t *testing.T) {
	hung := func(c *Config) {
		c.Ready = func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("database: %w", ctx.Err()) }
	}
	serving(t, hung, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		began := time.Now()
		w.wantProblem(w.call("GET", "/readyz", ""), 503, "timeout")
		if took := time.Since(began); took != readyWithin {
			t.Errorf("answered after %s", took)
		}
	})
}

// hung is a database that does not answer.
type hung struct{ Enrichment }

func (hung) Receive(ctx context.Context, _ string, _ bool, _ string, _ []byte) error {
	<-ctx.Done()
	return fmt.Errorf("database: %w", ctx.Err())
}

func (hung) Knows(ctx context.Context, _ string) (bool, error) {
	<-ctx.Done()
	return false, fmt.Errorf("database: %w", ctx.Err())
}

type hungSignUps struct{ SignUps }

func (hungSignUps) Receive(ctx context.Context, _ string, _ intake.Proof, _ []intake.Item) ([]intake.Result, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("database: %w", ctx.Err())
}

func (hungSignUps) Add(ctx context.Context, _ []intake.Item) ([]intake.Result, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("database: %w", ctx.Err())
}

func TestWhatComesInIsAnsweredInTimeWhenTheDatabaseHangs(t *testing.T) {
	serving(t, func(c *Config) {
		c.Enrichment, c.SignUps = hung{c.Enrichment}, hungSignUps{c.SignUps}
	}, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		for _, r := range []*http.Request{request("POST", "/webhooks/fullenrich/x", "{}"),
			request("POST", "/webhooks/fullenrich/x/contact", "{}"),
			sign(w, request("POST", "/webhooks/subscribers", `{"email":"a@gmail.com"}`), "msg_1"),
			request("POST", "/api/v1/subscribers", `{"email":"a@gmail.com"}`)} {
			began := time.Now()
			w.wantProblem(w.do(r), 503, "timeout")
			if took := time.Since(began); took != door.HookWithin {
				t.Errorf("%s: answered after %s", r.URL, took)
			}
		}
	})
}

func TestStoppingLetsRequestsEnd(t *testing.T) {
	ready := make(chan struct{})
	slow := func(c *Config) {
		c.Ready = func(context.Context) error { ready <- struct{}{}; time.Sleep(4 * time.Second); return nil }
	}
	ready = nil
	serving(t, func(c *Config) { ready = make(chan struct{}); slow(c) }, func(t *testing.T, w *world, p *pipes, stop func() error) {
		conn, _ := p.dial()
		defer conn.Close()
		answer := make(chan int, 1)
		go func() {
			_, _ = io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{URL: &url.URL{}})
			if err != nil {
				t.Error(err)
				answer <- 0
				return
			}
			answer <- res.StatusCode
		}()
		<-ready
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := <-answer; got != 200 || time.Since(began) < 4*time.Second || time.Since(began) > 6*time.Second {
			t.Errorf("answer %d, stopped after %s", got, time.Since(began))
		}
		if _, ok := p.dial(); ok {
			t.Error("a connection was taken after the stop")
		}
	})
}

func TestIdleServerStopsAtOnceAndTooLongRequestsAreCutOff(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, stop func() error) {
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
	var begun chan struct{}
	serving(t, func(c *Config) {
		begun = make(chan struct{})
		c.Ready = func(ctx context.Context) error { close(begun); time.Sleep(time.Minute); return ctx.Err() }
	}, func(t *testing.T, w *world, p *pipes, stop func() error) {
		conn, _ := p.dial()
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		<-begun
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) != 35*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if !strings.Contains(w.log.String(), "cut off") {
			t.Error("nobody was told")
		}
		time.Sleep(time.Minute)
	})
}

func TestAConnectionThatNobodyUsesDoesNotHoldUpAStop(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, stop func() error) {
		silent, _ := p.dial()
		defer silent.Close()
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if strings.Contains(w.log.String(), "cut off") {
			t.Error("a request is said to have been cut off, and there was none")
		}
	})
}
