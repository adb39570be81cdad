package fullenrich

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const (
	testKey = Secret("fe_test_0123456789abcdef")
	testID  = "0c9d6c1e-5a55-4a0e-9b2f-0d6f7d0f9a11"
	person  = "mara.ilagan@example.net"
)

// quick are limits for loopback.
func quick() limits {
	return limits{
		connect: 2 * time.Second, tls: 500 * time.Millisecond, header: 2 * time.Second,
		submit: time.Second, call: time.Second,
		tries: 3, pause: time.Millisecond, longestPause: 50 * time.Millisecond,
		body: 64 << 10,
	}
}

func newTestClient(t *testing.T, config Config) *Client {
	t.Helper()
	return newLimitedClient(t, config, quick())
}

func newLimitedClient(t *testing.T, config Config, l limits) *Client {
	t.Helper()
	if config.Key == "" {
		config.Key = testKey
	}
	client, err := newClient(config, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func newOrder() SubmitRequest {
	return SubmitRequest{
		Name:        "liwanag-7",
		Contacts:    []Contact{{Email: person, Custom: map[string]string{"lw_job": "job_01"}}},
		CommittedAt: time.Now(),
	}
}

// serve is an HTTP server on loopback whose own complaints are not of interest.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// rawServer is a TCP server that speaks HTTP by hand and counts what arrived
// whole. Its handler returns when it is done with the connection.
type rawServer struct {
	url   string
	mu    sync.Mutex
	conns int
	posts []int // the number of the connection of each POST that came whole
}

func serveRaw(t *testing.T, handle func(s *rawServer, conn *net.TCPConn)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &rawServer{url: "http://" + listener.Addr().String()}
	var handlers sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		handlers.Wait()
	})
	handlers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server.mu.Lock()
			server.conns++
			server.mu.Unlock()
			handlers.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				handle(server, conn.(*net.TCPConn))
			})
		}
	})
	return server
}

// receive reads one request whole.
func (s *rawServer) receive(reader *bufio.Reader) (*http.Request, error) {
	s.mu.Lock()
	conn := s.conns
	s.mu.Unlock()
	request, err := http.ReadRequest(reader)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadAll(request.Body); err != nil {
		return nil, err
	}
	if request.Method == http.MethodPost {
		s.mu.Lock()
		s.posts = append(s.posts, conn)
		s.mu.Unlock()
	}
	return request, nil
}

func (s *rawServer) received() (posts []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(posts, s.posts...)
}

// reset ends a connection with RST in place of FIN.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// failure is the *Error that every failed call must return.
func failure(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("err = %v (%T), want an *Error", err, err)
	}
	return e
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
