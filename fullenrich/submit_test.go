package fullenrich

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSubmitSendsTheOrder(t *testing.T) {
	var got any
	var header http.Header
	var path string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		header, path = r.Header, r.Method+" "+r.RequestURI
		_ = json.NewDecoder(r.Body).Decode(&got)
		_, _ = io.WriteString(w, `{"enrichment_id":"`+strings.ToUpper(testID)+`"}`)
	})
	order := newOrder()
	order.WebhookURL, order.ContactWebhookURL = "https://liwanag.example/w/t", "https://liwanag.example/w/t/contact"
	order.Contacts = append(order.Contacts, Contact{Email: "second@example.net"})
	id, err := newTestClient(t, Config{BaseURL: server.URL + "/api/v2"}).Submit(t.Context(), order)
	if err != nil || id != testID {
		t.Fatalf("Submit = %q, %v, want the id in lower case", id, err)
	}
	want := map[string]any{
		"name":           "liwanag-7",
		"webhook_url":    "https://liwanag.example/w/t",
		"webhook_events": map[string]any{"contact_finished": "https://liwanag.example/w/t/contact"},
		"data": []any{
			map[string]any{"email": person, "custom": map[string]any{"lw_job": "job_01"}},
			map[string]any{"email": "second@example.net"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if path != "POST /api/v2/contact/reverse/email/bulk" {
		t.Errorf("called %s", path)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + testKey.Reveal(), "Content-Type": "application/json",
		"Accept-Encoding": "identity", "Idempotency-Key": "", "X-Idempotency-Key": "",
	} {
		if header.Get(name) != value {
			t.Errorf("header %s = %q, want %q", name, header.Get(name), value)
		}
	}
}

// answers are what a server can say to a submission and what that proves.
var answers = []struct {
	name     string
	status   int
	header   http.Header
	body     string
	outcome  Outcome
	code     string
	envelope bool
	retry    time.Duration
}{
	{name: "200 with id", status: 200, body: `{"enrichment_id":"` + testID + `"}`, outcome: OutcomeAccepted},
	{name: "201 with id", status: 201, body: `{"enrichment_id":"` + testID + `"}`, outcome: OutcomeAccepted},
	{name: "202 with id under the other name", status: 202, body: `{"id":"` + testID + `"}`, outcome: OutcomeAccepted},
	{name: "200 with unknown fields", status: 200, body: `{"id":7,"x":[{}],"enrichment_id":"` + testID + `"}`, outcome: OutcomeAccepted},
	{name: "402 with id", status: 402, body: `{"enrichment_id":"` + testID + `"}`, outcome: OutcomeAccepted},
	{name: "402 without id", status: 402, body: `{"code":"error.credits","message":"No credits"}`, outcome: OutcomeRefused, code: "error.credits", envelope: true},
	{name: "402 with an id that is none", status: 402, body: `{"enrichment_id":"7"}`, outcome: OutcomeRefused},
	{name: "200 without id", status: 200, body: `{}`, outcome: OutcomeAmbiguous},
	{name: "200 with an id that is no UUID", status: 200, body: `{"enrichment_id":"42"}`, outcome: OutcomeAmbiguous},
	{name: "200 with the UUID of zeros", status: 200, body: `{"enrichment_id":"00000000-0000-0000-0000-000000000000"}`, outcome: OutcomeAmbiguous},
	{name: "200 that is not JSON", status: 200, body: `<html>` + testID + `</html>`, outcome: OutcomeAmbiguous},
	{name: "200 cut off", status: 200, body: `{"enrichment_id":"` + testID + `"`, outcome: OutcomeAmbiguous},
	{name: "200 of nothing", status: 200, outcome: OutcomeAmbiguous},
	{name: "200 with an error in it", status: 200, body: `{"code":"error.rate.limit","message":"m"}`, outcome: OutcomeAmbiguous},
	{name: "200 too large", status: 200, body: strings.Repeat(" ", 70<<10) + `{"enrichment_id":"` + testID + `"}`, outcome: OutcomeAmbiguous},
	{name: "204", status: 204, outcome: OutcomeAmbiguous},
	{name: "400 with envelope", status: 400, body: `{"code":"error.reverse.email.invalid","message":"Email is invalid"}`, outcome: OutcomeRefused, code: CodeEmailInvalid, envelope: true},
	{name: "400 without envelope", status: 400, body: `bad request`, outcome: OutcomeRefused},
	{name: "401", status: 401, body: `{"code":"error.api.key","message":"Unknown api key"}`, outcome: OutcomeRefused, code: CodeUnknownKey, envelope: true},
	{name: "404", status: 404, outcome: OutcomeRefused},
	{name: "429 with seconds", status: 429, header: http.Header{"Retry-After": {"17"}}, body: `{"code":"error.rate.limit","message":"Too many requests. Try again in 1m"}`, outcome: OutcomeRefused, code: CodeRateLimit, envelope: true, retry: 17 * time.Second},
	{name: "429 with a date", status: 429, header: http.Header{"Retry-After": {"Sun, 22 Nov 2026 10:00:30 GMT"}, "Date": {"Sun, 22 Nov 2026 10:00:05 GMT"}}, outcome: OutcomeRefused, retry: 25 * time.Second},
	{name: "429 with a date that has passed", status: 429, header: http.Header{"Retry-After": {"Sun, 22 Nov 2026 09:00:00 GMT"}, "Date": {"Sun, 22 Nov 2026 10:00:05 GMT"}}, outcome: OutcomeRefused},
	{name: "429 with nonsense", status: 429, header: http.Header{"Retry-After": {"soon"}}, outcome: OutcomeRefused},
	{name: "429 with for ever", status: 429, header: http.Header{"Retry-After": {"999999999999"}}, outcome: OutcomeRefused, retry: 24 * time.Hour},
	{name: "500 with envelope", status: 500, body: `{"code":"error.internal","message":"m"}`, outcome: OutcomeRefused, code: "error.internal", envelope: true},
	{name: "502 without envelope", status: 502, body: `<h1>Bad gateway</h1>`, outcome: OutcomeRefused},
	{name: "503 with the envelope of a gateway", status: 503, body: `{"code":"UNAVAILABLE","message":"m"}`, outcome: OutcomeRefused, code: "UNAVAILABLE"},
	{name: "500 with a sentence for a code", status: 500, body: `{"code":"error for mara.ilagan@example.net","message":"m"}`, outcome: OutcomeRefused},
	{name: "504 with a number for a code", status: 504, body: `{"code":504,"message":"m"}`, outcome: OutcomeRefused},
	{name: "302 to nowhere", status: 302, header: http.Header{"Location": {"http://[::1"}}, outcome: OutcomeRefused},
}

func TestSubmitClassifiesAnswers(t *testing.T) {
	for _, test := range answers {
		t.Run(test.name, func(t *testing.T) {
			var posts atomic.Int32
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				posts.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				for name, values := range test.header {
					w.Header()[name] = values
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			id, err := newTestClient(t, Config{BaseURL: server.URL}).Submit(t.Context(), newOrder())
			if posts.Load() != 1 {
				t.Errorf("%d POSTs, want 1", posts.Load())
			}
			if test.outcome == OutcomeAccepted {
				if err != nil || id != testID {
					t.Fatalf("Submit = %q, %v, want accepted", id, err)
				}
				return
			}
			e := failure(t, err)
			if id != "" || e.Outcome != test.outcome || e.StatusCode() != test.status || e.Code != test.code ||
				e.Envelope != test.envelope || e.RetryAfter != test.retry {
				t.Errorf("Submit = %q, %#v", id, e)
			}
			if want := test.body[:min(len(test.body), 64<<10)]; test.status != 204 && string(e.Answer) != want {
				t.Errorf("kept %d bytes of the answer, want %d", len(e.Answer), len(want))
			}
		})
	}
}

func TestSubmitFollowsNoRedirect(t *testing.T) {
	var elsewhere atomic.Int32
	target := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL, status)
		})
		_, err := newTestClient(t, Config{BaseURL: server.URL}).Submit(t.Context(), newOrder())
		if e := failure(t, err); e.Outcome != OutcomeRefused || e.Status != status || elsewhere.Load() != 0 {
			t.Errorf("%d: %v, %d requests elsewhere", status, err, elsewhere.Load())
		}
	}
}

func TestSubmitThatNeverConnectsIsNotSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	var handled atomic.Int32
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled.Add(1) }))
	secure.Config.ErrorLog = serve(t, nil).Config.ErrorLog
	secure.StartTLS()
	defer secure.Close()
	plain := serve(t, func(http.ResponseWriter, *http.Request) { handled.Add(1) })
	silent := serveRaw(t, func(_ *rawServer, conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	noNames := &http.Transport{DialContext: (&net.Dialer{Resolver: &net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}}).DialContext}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

	for _, test := range []struct {
		name, text string
		config     Config
		cause      func(error) bool
	}{
		{"refused connection", "connection refused", Config{BaseURL: "http://" + closed}, is(syscall.ECONNREFUSED)},
		{"unknown host", "host name not resolved", Config{BaseURL: "https://api.example.invalid", Transport: noNames}, func(err error) bool {
			var dns *net.DNSError
			return errors.As(err, &dns)
		}},
		{"untrusted certificate", "TLS handshake failed", Config{BaseURL: secure.URL}, func(err error) bool {
			var certificate *tls.CertificateVerificationError
			return errors.As(err, &certificate)
		}},
		{"not TLS", "TLS handshake failed", Config{BaseURL: strings.Replace(plain.URL, "http:", "https:", 1)}, isTLS},
		{"TLS that hangs", "timed out", Config{BaseURL: strings.Replace(silent.url, "http:", "https:", 1)}, func(err error) bool {
			var timeout net.Error
			return errors.As(err, &timeout) && timeout.Timeout()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := quick()
			if test.text != "timed out" { // a busy machine takes long for a handshake
				limits.tls, limits.submit = time.Minute, time.Minute
			}
			_, err := newLimitedClient(t, test.config, limits).Submit(t.Context(), newOrder())
			e := failure(t, err)
			if e.Outcome != OutcomeNotSent || e.StatusCode() != 0 || e.Stage != stageConnect || !test.cause(err) ||
				!strings.Contains(err.Error(), test.text) {
				t.Errorf("Submit: %v\n%#v", err, e)
			}
		})
	}
	if handled.Load() != 0 {
		t.Errorf("%d requests were handled", handled.Load())
	}
}

func TestSubmitWithoutAnAnswerIsAmbiguous(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	after := func(then func(conn *net.TCPConn)) func(*rawServer, *net.TCPConn) {
		return func(s *rawServer, conn *net.TCPConn) {
			if _, err := s.receive(bufio.NewReader(conn)); err == nil {
				then(conn)
			}
		}
	}
	wait := func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }
	for _, test := range []struct {
		name   string
		handle func(*rawServer, *net.TCPConn)
		posts  int
	}{
		{"reset after the request", after(reset), 1},
		{"closed after the request", after(func(*net.TCPConn) {}), 1},
		{"hangs", after(wait), 1},
		{"answers garbage", after(func(conn *net.TCPConn) { _, _ = io.WriteString(conn, "mara.ilagan@example.net 200\r\n\r\n") }), 1},
		{"body cut off", after(func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 60\r\n\r\n{\"enrichment_id\":\"0c9d")
		}), 1},
		{"body drips", after(func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, head+"Content-Length: 60\r\n\r\n{\"enr")
			wait(conn)
		}), 1},
		{"reset in the middle of the header", after(func(conn *net.TCPConn) {
			_, _ = io.WriteString(conn, head)
			reset(conn)
		}), 1},
		{"reset after the request's header", func(_ *rawServer, conn *net.TCPConn) {
			_, _ = conn.Read(make([]byte, 1))
			reset(conn)
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serveRaw(t, test.handle)
			_, err := newTestClient(t, Config{BaseURL: server.url}).Submit(t.Context(), newOrder())
			if e := failure(t, err); e.Outcome != OutcomeAmbiguous || strings.Contains(err.Error(), "@") {
				t.Errorf("Submit: %v\n%#v", err, e)
			}
			if posts := len(server.received()); posts != test.posts {
				t.Errorf("%d POSTs arrived, want %d", posts, test.posts)
			}
		})
	}
}

// A connection that dies as soon as it is made may or may not have been written
// on: whatever is reported must be true.
func TestSubmitNeverClaimsNotSentForWhatArrived(t *testing.T) {
	for i := range 40 {
		arrived := make(chan int, 1)
		server := serveRaw(t, func(_ *rawServer, conn *net.TCPConn) {
			n := 0
			if i%2 == 0 {
				_ = conn.SetReadDeadline(time.Now().Add(time.Duration(i) * 5 * time.Microsecond))
				n, _ = conn.Read(make([]byte, 64<<10))
			}
			reset(conn)
			arrived <- n
		})
		_, err := newTestClient(t, Config{BaseURL: server.url}).Submit(t.Context(), newOrder())
		e := failure(t, err)
		bytes := <-arrived
		if e.Outcome != OutcomeAmbiguous && (e.Outcome != OutcomeNotSent || bytes > 0) {
			t.Fatalf("%d bytes arrived, reported %v", bytes, err)
		}
	}
}

func TestSubmitIsNotReplayedOnAReusedDeadConnection(t *testing.T) {
	handle := func(s *rawServer, conn *net.TCPConn) {
		reader := bufio.NewReader(conn)
		for {
			request, err := s.receive(reader)
			if err != nil || request.Method == http.MethodPost {
				return // takes the POST and closes without a word
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"balance\":5}")
		}
	}
	for _, test := range []struct {
		name      string
		transport http.RoundTripper
		conn      int // of the POST
	}{
		{"a transport that reuses connections", &http.Transport{}, 1},
		{"the default, a connection of its own", nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serveRaw(t, handle)
			client := newTestClient(t, Config{BaseURL: server.url, Transport: test.transport})
			if _, err := client.Credits(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := client.Submit(t.Context(), newOrder())
			if e := failure(t, err); e.Outcome != OutcomeAmbiguous {
				t.Errorf("Submit: %v", err)
			}
			if diff := cmp.Diff([]int{test.conn}, server.received()); diff != "" {
				t.Errorf("connections of the POSTs (-want +got):\n%s", diff)
			}
		})
	}
}

// A transport that repeats, by whatever reasoning, has nothing to send twice.
func TestSubmitCannotBeRepeatedByItsTransport(t *testing.T) {
	var bodies []string
	stubborn := roundTripper(func(r *http.Request) (*http.Response, error) {
		for range 3 {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, string(body))
			if r.GetBody != nil {
				r.Body, _ = r.GetBody()
			}
		}
		return nil, io.EOF
	})
	_, err := newTestClient(t, Config{Transport: stubborn}).Submit(t.Context(), newOrder())
	if e := failure(t, err); e.Outcome != OutcomeAmbiguous || bodies[0] == "" || bodies[1] != "" || bodies[2] != "" {
		t.Errorf("Submit: %v, bodies %q", err, bodies)
	}
}

func TestSubmitTakesTheTransportsWordOnlyWithProof(t *testing.T) {
	for _, test := range []struct {
		name    string
		trip    func(*http.Request)
		outcome Outcome
	}{
		{"body untouched", func(*http.Request) {}, OutcomeNotSent},
		{"one byte read", func(r *http.Request) { _, _ = r.Body.Read(make([]byte, 1)) }, OutcomeAmbiguous},
		{"header written", func(r *http.Request) { httptrace.ContextClientTrace(r.Context()).WroteHeaders() }, OutcomeAmbiguous},
		{"nil answer", nil, OutcomeNotSent},
	} {
		t.Run(test.name, func(t *testing.T) {
			var late io.Reader
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				late = r.Body
				if test.trip == nil {
					return nil, nil
				}
				test.trip(r)
				return nil, errors.New("no network")
			})
			_, err := newTestClient(t, Config{Transport: transport}).Submit(t.Context(), newOrder())
			if e := failure(t, err); e.Outcome != test.outcome {
				t.Errorf("Submit: %v", err)
			}
			if n, err := late.Read(make([]byte, 100)); test.outcome == OutcomeNotSent && (n > 0 || err == nil) {
				t.Errorf("%d bytes could be sent after not_sent was reported", n)
			}
		})
	}
}

func TestSubmitRefusesWhatMustNotBeSent(t *testing.T) {
	many := make([]Contact, MaxBatch+1)
	for i := range many {
		many[i].Email = fmt.Sprintf("p%d@example.net", i)
	}
	custom := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint(i)] = ""
		}
		return m
	}
	transport := roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("connected")
		return nil, io.EOF
	})
	client := newTestClient(t, Config{Transport: transport})
	for name, change := range map[string]func(*SubmitRequest){
		"no name":             func(r *SubmitRequest) { r.Name = " " },
		"no commit":           func(r *SubmitRequest) { r.CommittedAt = time.Time{} },
		"no contacts":         func(r *SubmitRequest) { r.Contacts = nil },
		"too many contacts":   func(r *SubmitRequest) { r.Contacts = many },
		"webhook URL":         func(r *SubmitRequest) { r.WebhookURL = "liwanag.example" },
		"contact webhook URL": func(r *SubmitRequest) { r.ContactWebhookURL = "ftp://liwanag.example" },
		"no address":          func(r *SubmitRequest) { r.Contacts[0].Email = "" },
		"no @":                func(r *SubmitRequest) { r.Contacts[0].Email = "secret.example.net" },
		"nothing before @":    func(r *SubmitRequest) { r.Contacts[0].Email = "@secret.example.net" },
		"nothing after @":     func(r *SubmitRequest) { r.Contacts[0].Email = "secret@" },
		"line break":          func(r *SubmitRequest) { r.Contacts[0].Email = "secret\n@example.net" },
		"not UTF-8":           func(r *SubmitRequest) { r.Contacts[0].Email = "secret\xff@example.net" },
		"255 bytes":           func(r *SubmitRequest) { r.Contacts[0].Email = strings.Repeat("s", 243) + "@example.net" },
		"the same twice":      func(r *SubmitRequest) { r.Contacts = append(r.Contacts, Contact{Email: strings.ToUpper(person)}) },
		"11 custom keys":      func(r *SubmitRequest) { r.Contacts[0].Custom = custom(11) },
		"long custom key":     func(r *SubmitRequest) { r.Contacts[0].Custom = map[string]string{strings.Repeat("k", 41): ""} },
		"long custom value":   func(r *SubmitRequest) { r.Contacts[0].Custom = map[string]string{"k": strings.Repeat("é", 101)} },
	} {
		order := newOrder()
		change(&order)
		_, err := client.Submit(t.Context(), order)
		if e := failure(t, err); e.Outcome != OutcomeNotSent || !errors.Is(err, ErrInvalidRequest) ||
			strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ilagan") {
			t.Errorf("%s: %v", name, err)
		}
	}
	order := newOrder()
	order.Contacts[0].Custom = custom(10)
	order.Contacts[0].Custom["0"] = strings.Repeat("é", 100)
	order.Contacts[0].Email = strings.Repeat("s", 242) + "@example.net"
	if faults := order.faults(); faults != nil {
		t.Errorf("an order at the limits is refused: %v", faults)
	}
}
