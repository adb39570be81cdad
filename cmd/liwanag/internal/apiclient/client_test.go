package apiclient

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"

	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve answers a client on a loopback socket.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := New(Config{Server: server.URL + "/", APIKey: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func TestAddressesThatAreNoneAreRefused(t *testing.T) {
	for _, server := range []string{"", "localhost:8484", "ftp://x", "http://", "http://user:pass@host", "http://h?x=1", "://"} {
		if _, err := New(Config{Server: server}); err == nil || !strings.Contains(err.Error(), "Try: ") || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: %v", server, err)
		}
	}
}

func TestTheKeyIsSentAndNeverPrinted(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("Authorization %q", got)
		}
		_, _ = io.WriteString(w, `{"items":[]}`)
	})
	if _, err := runapi.ListWorkflows.Call(t.Context(), c, runapi.NoInput{}); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "s3cret") {
		t.Errorf("prints the key: %s", text)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/elsewhere") {
			t.Error("the key was carried elsewhere")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	var p *Problem
	if _, err := api.GetCredits.Call(t.Context(), c, runapi.NoInput{}); !errors.As(err, &p) || p.Status != 302 {
		t.Errorf("%v", err)
	}
}

func TestProblemsAreTypedAndTellWhatToKnow(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("X-Request-Id", "REQ")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(422)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"T","status":422,"detail":"cannot be taken","code":"invalid_email","errors":[{"field":"email","message":"no @"}]}`)
	})
	_, err := api.AddSubscriber.Call(t.Context(), c, api.SignUp{Email: "x"})
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	if p.Status != 422 || p.Code != "invalid_email" || p.RequestID != "REQ" || p.RetryAfter != 7*time.Second ||
		p.Errors[0] != (api.FieldFault{Field: "email", Message: "no @"}) {
		t.Errorf("%+v", p)
	}
	if got, want := err.Error(), "cannot be taken\n  email: no @ (422 invalid_email)"; got != want {
		t.Errorf("%q", got)
	}
}

func TestAnotherProgramsAnswersAreTold(t *testing.T) {
	status := 502
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html>proxy</html>")
	})
	var p *Problem
	if _, err := api.GetCredits.Call(t.Context(), c, runapi.NoInput{}); !errors.As(err, &p) || p.Status != 502 || p.Code != "unknown" ||
		strings.Contains(err.Error(), "<html>") {
		t.Errorf("%v", err)
	}
	status = 200
	if _, err := api.GetCredits.Call(t.Context(), c, runapi.NoInput{}); err == nil || errors.As(err, &p) && p.Status == 200 ||
		!strings.Contains(err.Error(), "Try: ") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatIsNotThereIsTold(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := New(Config{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runapi.GetRun.Call(t.Context(), c, runapi.ID("run_x"))
	var u *Unreachable
	if !errors.As(err, &u) || u.Server != server.URL || strings.Contains(err.Error(), "run_x") ||
		!strings.Contains(err.Error(), "Try: liwanag serve") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = runapi.GetRun.Call(ctx, c, runapi.ID("run_x")); !errors.Is(err, context.Canceled) || errors.As(err, &u) {
		t.Errorf("a canceled call: %v", err)
	}
}

func TestIDsStayOneSegment(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.EscapedPath(); w.WriteHeader(404) })
	for id, want := range map[string]string{"run_1": "/api/v1/runs/run_1", "a/b": "/api/v1/runs/a%2Fb",
		"..": "/api/v1/runs/-", "": "/api/v1/runs/-", "?x": "/api/v1/runs/%3Fx"} {
		_, _ = runapi.GetRun.Call(t.Context(), c, runapi.ID(id))
		if got != want {
			t.Errorf("%q: %s", id, got)
		}
	}
}

func TestAnExportThatIsCutOffIsAnError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
		panic(http.ErrAbortHandler)
	})
	var u *Unreachable
	if n, err := api.ExportSubscribers.Copy(t.Context(), c, api.SubscriberExport{}, io.Discard); !errors.As(err, &u) || n == 0 {
		t.Errorf("%d %v", n, err)
	}
	full := errors.New("disk full")
	if _, err := api.ExportSubscribers.Copy(t.Context(), c, api.SubscriberExport{}, failing{full}); !errors.Is(err, full) ||
		errors.As(err, &u) {
		t.Errorf("the writer's fault: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }

func TestUploadsStreamAndTellWhoseFaultItIs(t *testing.T) {
	whole := make(chan string, 3)
	var refuse atomic.Bool
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() { // before the file was read
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(422)
			_, _ = io.WriteString(w, `{"code":"no_email_column","detail":"d"}`)
			return
		}
		var got bytes.Buffer
		form, err := r.MultipartReader()
		if err != nil {
			t.Error(err)
			return
		}
		for {
			part, err := form.NextPart()
			if err != nil {
				break
			}
			fmt.Fprintf(&got, "%s %s ", part.FormName(), part.FileName())
			if _, err := io.Copy(&got, part); err != nil {
				return
			}
		}
		fmt.Fprint(&got, " ", r.URL.RawQuery)
		whole <- got.String()
		_, _ = io.WriteString(w, `{"id":"upl_1","status":"importing"}`)
	})
	up, err := c.Upload(t.Context(),
		UploadFile{Name: "a.csv", Source: "fair", Mapping: map[string]string{"a": "email"}, Confirm: true}, strings.NewReader("a\nb\n"))
	if err != nil || up.ID != "upl_1" {
		t.Errorf("%+v %v", up, err)
	}
	if sent, want := <-whole, "source  fairmapping  {\"a\":\"email\"}file a.csv a\nb\n confirm=true"; sent != want {
		t.Errorf("sent %q", sent)
	}
	unreadable := errors.New("the stick was pulled")
	if _, err = c.Upload(t.Context(), UploadFile{Name: "a.csv"},
		io.MultiReader(strings.NewReader("a\n"), failing{unreadable})); !errors.Is(err, unreadable) || errors.As(err, new(*Unreachable)) {
		t.Errorf("the file's fault: %v", err)
	}
	refuse.Store(true)
	var p *Problem
	if _, err = c.Upload(t.Context(), UploadFile{Name: "a.csv"}, io.LimitReader(endless{}, 64<<10)); !errors.As(err, &p) ||
		p.Code != "no_email_column" {
		t.Errorf("the server's word: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWatchYieldsChangesAndOutlivesAServersAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &Problem{Problem: api.Problem{Status: 503}}
		answers := []any{"waiting", "waiting", down, "running", "completed", "never read"}
		var at []time.Duration
		began, i := time.Now(), -1
		read := func(context.Context) (runapi.Run, error) {
			i++
			if err, ok := answers[i].(*Problem); ok {
				return runapi.Run{}, err
			}
			return runapi.Run{Status: answers[i].(string)}, nil
		}
		var seen []string
		for r, err := range until(Watch(t.Context(), time.Second, read), runapi.Run.Ended) {
			if err != nil {
				r.Status = "down"
			}
			seen, at = append(seen, r.Status), append(at, time.Since(began))
		}
		if got := fmt.Sprint(seen, at); got != "[waiting down running completed] [0s 2s 3s 4s]" {
			t.Error(got)
		}
		gone := 0
		for _, err := range Watch(t.Context(), time.Second, func(context.Context) (runapi.Run, error) {
			return runapi.Run{}, &Problem{Problem: api.Problem{Status: 404}}
		}) {
			if gone++; err == nil {
				t.Error("no error")
			}
		}
		if gone != 1 {
			t.Errorf("a run that is not there was asked for %d times", gone)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		began = time.Now()
		for range Watch(ctx, time.Minute, func(context.Context) (runapi.Run, error) { return runapi.Run{Status: "waiting"}, nil }) {
		}
		if took := time.Since(began); took != 90*time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestAllEndsWithTheFirstError(t *testing.T) {
	fault := errors.New("x")
	var got []string
	for v, err := range All(t.Context(), func(_ context.Context, p runapi.Paging) (runapi.List[string], error) {
		switch p.Cursor {
		case "":
			return runapi.List[string]{Items: []string{"a", "b"}, NextCursor: "2"}, nil
		case "2":
			return runapi.List[string]{Items: []string{"c"}, NextCursor: "3"}, nil
		}
		return runapi.List[string]{}, fault
	}) {
		if err != nil {
			v = err.Error()
		}
		got = append(got, v)
	}
	if fmt.Sprint(got) != "[a b c x]" {
		t.Error(got)
	}
}
