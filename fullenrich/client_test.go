package fullenrich

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestFetch(t *testing.T) {
	result := func(status string) string {
		return fmt.Sprintf(`{"id":%q,"status":%q,"cost":{"credits":1},"data":[{"input":{"email":%q}}]}`, testID, status, person)
	}
	for _, test := range []struct {
		name    string
		status  int
		body    string
		want    Status // empty: an error
		records int
		is      error
	}{
		{"finished", 200, result("FINISHED"), StatusFinished, 1, nil},
		{"running, as 200", 200, `{"id":"` + testID + `","status":"IN_PROGRESS","cost":{"credits":0}}`, StatusInProgress, 0, nil},
		{"running, as 400", 400, `{"code":"error.enrichment.in_progress","message":"Enrichment not ready, try again in 30 seconds"}`, StatusInProgress, 0, nil},
		{"another 400", 400, `{"code":"error.enrichment.other","message":"m"}`, "", 0, nil},
		{"credits ran out", 402, result("CREDITS_INSUFFICIENT"), StatusCreditsInsufficient, 1, nil},
		{"402 with the envelope", 402, `{"code":"error.credits","message":"m"}`, "", 0, nil},
		{"402 of nothing", 402, ``, "", 0, nil},
		{"unknown", 404, `{"code":"error.reverse.email.not_found","message":"Reverse email ID not found"}`, "", 0, nil},
		{"id missing", 200, `{"status":"FINISHED"}`, StatusFinished, 0, nil},
		{"id under the other name", 200, `{"enrichment_id":"` + testID + `","status":"FINISHED"}`, StatusFinished, 0, nil},
		{"id of another", 200, strings.Replace(result("FINISHED"), "0c9d", "1c9d", 1), "", 1, ErrOtherEnrichment},
		{"API v1", 200, `{"id":"` + testID + `","status":"FINISHED","datas":[{}]}`, "", 0, ErrUnsupportedShape},
		{"not JSON", 200, `<html>`, "", 0, ErrMalformed},
		{"too large", 200, strings.Repeat(" ", 70<<10) + result("FINISHED"), "", 0, ErrTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls++
				if r.Method != http.MethodGet || r.URL.Path != "/contact/reverse/email/bulk/"+testID {
					t.Errorf("called %s %s", r.Method, r.URL)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			fetched, err := newTestClient(t, Config{BaseURL: server.URL}).Fetch(t.Context(), strings.ToUpper(testID))
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
			if test.want == "" {
				e := failure(t, err)
				if e.Status != test.status || (test.is != nil && !errors.Is(err, test.is)) || strings.Contains(err.Error(), person) {
					t.Errorf("Fetch: %v", err)
				}
				if len(fetched.Result.Data) != test.records {
					t.Errorf("%d records", len(fetched.Result.Data))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := fetched.Result; r.Status != test.want || r.ID != testID || len(r.Data) != test.records || string(fetched.Raw) != test.body {
				t.Errorf("Fetch = %+v", fetched)
			}
		})
	}
}

func TestFetchRefusesAnIDThatIsNoUUID(t *testing.T) {
	client := newTestClient(t, Config{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("connected")
		return nil, io.EOF
	})})
	for _, id := range []string{"", "..", "../../account/credits", testID + "/x", testID + "?a", testID + "\n"} {
		if _, err := client.Fetch(t.Context(), id); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestCallsAreRepeated(t *testing.T) {
	const good = `{"balance":"12.25"}`
	type turn struct {
		status int // 0 breaks the connection
		retry  string
	}
	for _, test := range []struct {
		name  string
		turns []turn
		calls int
		ok    bool
	}{
		{"5xx, then an answer", []turn{{500, ""}, {503, ""}, {200, ""}}, 3, true},
		{"5xx for ever", []turn{{502, ""}, {502, ""}, {502, ""}, {200, ""}}, 3, false},
		{"broken connections, then an answer", []turn{{0, ""}, {0, ""}, {200, ""}}, 3, true},
		{"429 that ends soon", []turn{{429, "0"}, {429, "1"}}, 1, false},
		{"503 with a long wait", []turn{{503, "3600"}, {200, ""}}, 1, false},
		{"401", []turn{{401, ""}, {200, ""}}, 1, false},
		{"404", []turn{{404, ""}, {200, ""}}, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls, budget int
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				turn := test.turns[min(calls, len(test.turns)-1)]
				calls++
				if turn.status == 0 {
					panic(http.ErrAbortHandler)
				}
				if turn.retry != "" {
					w.Header().Set("Retry-After", turn.retry)
				}
				w.WriteHeader(turn.status)
				_, _ = io.WriteString(w, good)
			})
			client := newTestClient(t, Config{BaseURL: server.URL, Budget: func(context.Context) error { budget++; return nil }})
			balance, err := client.Credits(t.Context())
			if (err == nil) != test.ok || (test.ok && balance != 12.25) {
				t.Errorf("Credits = %v, %v", balance, err)
			}
			if calls != test.calls || budget != calls {
				t.Errorf("%d calls, %d from the budget, want %d", calls, budget, test.calls)
			}
		})
	}
}

// The limit is a window of one calendar minute: trying again inside it is vain.
func TestA429WaitsForTheNextMinuteOrReturns(t *testing.T) {
	for _, test := range []struct {
		into  time.Duration // the minute
		calls int
	}{{57 * time.Second, 2}, {10 * time.Second, 1}} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + test.into)))
			var calls []time.Time
			transport := roundTripper(func(*http.Request) (*http.Response, error) {
				calls = append(calls, time.Now())
				answer := &http.Response{StatusCode: 429, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(``))}
				if len(calls) > 1 {
					answer.StatusCode, answer.Body = 200, io.NopCloser(strings.NewReader(`{"balance":1}`))
				}
				return answer, nil
			})
			client, err := New(Config{Key: testKey, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Credits(t.Context())
			if len(calls) != test.calls || (err == nil) != (test.calls == 2) {
				t.Fatalf("%d calls, %v", len(calls), err)
			}
			if test.calls == 2 && calls[1].Truncate(time.Minute).Equal(calls[0].Truncate(time.Minute)) {
				t.Errorf("called at %v and %v, the same minute", calls[0], calls[1])
			}
		})
	}
}

func TestBudgetIsAskedExceptBySubmit(t *testing.T) {
	noBudget := errors.New("snooze")
	var requests, asked atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, `{"enrichment_id":"`+testID+`"}`)
	})
	client := newTestClient(t, Config{BaseURL: server.URL, Budget: func(context.Context) error { asked.Add(1); return noBudget }})
	_, fetch := client.Fetch(t.Context(), testID)
	_, credits := client.Credits(t.Context())
	_, verify := client.VerifyKey(t.Context())
	for _, err := range []error{fetch, credits, verify} {
		if e := failure(t, err); !errors.Is(err, noBudget) || e.Outcome != OutcomeNotSent || e.StatusCode() != 0 {
			t.Errorf("%v", err)
		}
	}
	if requests.Load() != 0 || asked.Load() != 3 {
		t.Errorf("%d requests without budget, which was asked %d times", requests.Load(), asked.Load())
	}
	if _, err := client.Submit(t.Context(), newOrder()); err != nil {
		t.Errorf("Submit: %v", err)
	}
}

func TestOutcomesOfOtherCalls(t *testing.T) {
	refused := serve(t, nil)
	refused.Close()
	closing := serveRaw(t, func(s *rawServer, conn *net.TCPConn) { _, _ = s.receive(bufio.NewReader(conn)) })
	untraced := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.EOF })
	for name, test := range map[string]struct {
		config  Config
		outcome Outcome
	}{
		"refused connection":           {Config{BaseURL: refused.URL}, OutcomeNotSent},
		"closed after the request":     {Config{BaseURL: closing.url}, OutcomeAmbiguous},
		"a transport without accounts": {Config{Transport: untraced}, OutcomeAmbiguous},
	} {
		_, err := newTestClient(t, test.config).VerifyKey(t.Context())
		if e := failure(t, err); e.Outcome != test.outcome || e.StatusCode() != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccount(t *testing.T) {
	body := ""
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+testKey.Reveal() {
			t.Error("no key")
		}
		_, _ = io.WriteString(w, map[string]string{
			"/account/credits": body, "/account/keys/verify": `{"workspace_id":"w-1"}`}[r.URL.Path])
	})
	client := newTestClient(t, Config{BaseURL: server.URL})
	if id, err := client.VerifyKey(t.Context()); id != "w-1" || err != nil {
		t.Errorf("VerifyKey = %q, %v", id, err)
	}
	for _, test := range []struct {
		body    string
		balance float64
		ok      bool
	}{
		{`{"balance": 5000.75}`, 5000.75, true},
		{`{"balance": 0}`, 0, true},
		{`{}`, 0, false}, // no balance is not a balance of 0
		{`{"balance": null}`, 0, false},
		{`{"balance": "NaN"}`, 0, false},
		{`[]`, 0, false},
	} {
		body = test.body
		if balance, err := client.Credits(t.Context()); balance != test.balance || (err == nil) != test.ok {
			t.Errorf("%s: Credits = %v, %v", test.body, balance, err)
		}
	}
}

func TestGzipBombIsNotInflated(t *testing.T) {
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, _ = zip.Write(bytes.Repeat([]byte(" "), 8<<20))
	_ = zip.Close()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	for name, transport := range map[string]http.RoundTripper{"default": nil, "one that inflates": &http.Transport{}} {
		_, err := newTestClient(t, Config{BaseURL: server.URL, Transport: transport}).Fetch(t.Context(), testID)
		if e := failure(t, err); !errors.Is(err, ErrMalformed) || len(e.Answer) > bomb.Len() {
			t.Errorf("%s: %v, %d bytes", name, err, len(e.Answer))
		}
	}
}

func TestDefaultTransport(t *testing.T) {
	client, err := New(Config{Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	submits, calls := client.submits.(*http.Transport), client.calls.(*http.Transport)
	for _, transport := range []*http.Transport{submits, calls} {
		if transport.Proxy != nil || transport.Protocols.HTTP2() || !transport.DisableCompression ||
			transport.TLSHandshakeTimeout != 5*time.Second || transport.ResponseHeaderTimeout != 20*time.Second {
			t.Errorf("transport = %+v", transport)
		}
	}
	if !submits.DisableKeepAlives || calls.DisableKeepAlives {
		t.Error("submissions must have connections of their own, other calls need not")
	}
	if client.limits.submit != 20*time.Second || client.limits.body != 16<<20 {
		t.Errorf("limits = %+v", client.limits)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		url, key string
		faults   int
	}{
		{"", "k", 0},
		{"https://app.fullenrich.com/api/v2", "k", 0},
		{"http://127.0.0.1:8080/api/v2/", "k", 0},
		{"http://[::1]:8080", "k", 0},
		{"http://localhost", "k", 0},
		{"", "", 1},
		{"", "k\n", 1},
		{"", "k k", 1},
		{"http://app.fullenrich.com", "k", 1},
		{"http://127.0.0.1.example.com", "k", 1},
		{"http://localhost.example.com", "k", 1},
		{"ftp://127.0.0.1", "k", 1},
		{"/api/v2", "k", 2},
		{"https://", "k", 1},
		{"https://user:hunter2@app.fullenrich.com", "k", 1},
		{"https://app.fullenrich.com?", "k", 1},
		{"https://app.fullenrich.com?a=hunter2", "k", 1},
		{"https://app.fullenrich.com#a", "k", 1},
		{"https://user:hunter2@app.fullenrich.com/%zz", "k", 1},
		{"http://user:hunter2@app.fullenrich.com?a", "", 4},
	} {
		config := Config{BaseURL: test.url, Key: Secret(test.key)}
		err := config.Validate()
		text := fmt.Sprint(err)
		if faults := strings.Count(text, "fullenrich: "); faults != test.faults || strings.Contains(text, "hunter2") {
			t.Errorf("%q: %d faults, want %d: %v", test.url, faults, test.faults, err)
		}
		if _, newErr := New(config); (newErr == nil) != (err == nil) {
			t.Errorf("%q: Validate %v, New %v", test.url, err, newErr)
		}
	}
}

func TestErrorsTellNothingPersonal(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"code":%q,"message":"\u001b[31mEmail <%s> of key %s\nis invalid %s"}`,
			testKey.Reveal(), person, testKey.Reveal(), strings.Repeat("long ", 100))
	})
	_, err := newTestClient(t, Config{BaseURL: server.URL}).Submit(t.Context(), newOrder())
	for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v", err, err, err),
		fmt.Sprintf("%+v %#v", *failure(t, err), *failure(t, err))} {
		if strings.Contains(text, "ilagan") || strings.Contains(text, testKey.Reveal()) {
			t.Errorf("personal: %s", text)
		}
	}
	const want = "fullenrich: submit: refused: status 400 [redacted]: [31mEmail [address] of key [redacted] is invalid long"
	if text := err.Error(); !strings.HasPrefix(text, want) || len(text) > 400 {
		t.Errorf("err = %q", text)
	}

	garbage := serveRaw(t, func(s *rawServer, conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = io.WriteString(conn, "HTTP/1.1 "+person+"\r\n\r\n")
	})
	_, err = newTestClient(t, Config{BaseURL: garbage.url}).Fetch(t.Context(), testID)
	if e := failure(t, err); strings.Contains(err.Error(), "ilagan") || e.Err == nil {
		t.Errorf("err = %v", err)
	}
}

func TestAHeaderOfOnesOwnGoesAlongUnlessItIsOurs(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Sub-Account"); got != "a-1" || r.Header.Get("Authorization") == "" {
			t.Errorf("%s %s with %q", r.Method, r.URL.Path, r.Header)
		}
		_, _ = io.WriteString(w, `{"balance":5}`)
	})
	client := newTestClient(t, Config{BaseURL: server.URL, Header: http.Header{"x-sub-account": {"a-1"}}})
	if _, err := client.Credits(t.Context()); err != nil {
		t.Error(err)
	}
	for name, value := range map[string]string{"authorization": "Bearer x", "Idempotency-Key": "1", "x-idempotency-key": "1", "Host": "a",
		"X Y": "1", "": "1", "X-A": "", "X-B": "a\r\nX-C: 1", "X-D": "é"} {
		if err := ValidHeader(name, value); err == nil {
			t.Errorf("%q: %q is taken", name, value)
		}
	}
}
