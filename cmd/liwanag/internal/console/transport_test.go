package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// calling is a client whose calls go to a handler in the name of a browser.
func calling(t *testing.T, w http.ResponseWriter, handler http.HandlerFunc) *apiclient.Client {
	t.Helper()
	c, err := New(Config{API: handler})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://liwanag.example:8484/runs", nil)
	r.RemoteAddr = "192.0.2.7:1234"
	r.AddCookie(&http.Cookie{Name: "session", Value: "S1"})
	r.AddCookie(&http.Cookie{Name: "other", Value: "S2"})
	client, err := c.client(w, r)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestTheAPIIsCalledInTheNameOfTheBrowser(t *testing.T) {
	client := calling(t, httptest.NewRecorder(), func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "liwanag.example:8484" || r.RemoteAddr != "192.0.2.7:1234" || r.Header.Get("Cookie") != "session=S1; other=S2" ||
			r.Header.Get("Authorization") != "" {
			t.Errorf("%s %s %q", r.Host, r.RemoteAddr, r.Header)
		}
		if r.URL.Path != "/api/v1/runs" || r.RequestURI != "/api/v1/runs?status=failed" || r.URL.Host != "" {
			t.Errorf("%s %s", r.URL, r.RequestURI)
		}
		_, _ = io.WriteString(w, `{"items":[{"id":"run_1"}]}`)
	})
	list, err := runapi.ListRuns.Call(t.Context(), client, runapi.RunQuery{RunFilter: runapi.RunFilter{Status: "failed"}})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != "run_1" {
		t.Errorf("%+v %v", list, err)
	}
}

func TestProblemsOfTheAPIComeBackWithTheirRequestID(t *testing.T) {
	client := calling(t, httptest.NewRecorder(), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("X-Request-Id", "REQ1")
		w.WriteHeader(409)
		_, _ = io.WriteString(w, `{"code":"run_ended","detail":"the run has ended"}`)
	})
	_, err := runapi.CancelRun.Call(t.Context(), client, runapi.To("run_1", &runapi.CancelRunRequest{Reason: ""}))
	var p *apiclient.Problem
	if !errors.As(err, &p) || p.Status != 409 || p.Code != "run_ended" || p.RequestID != "REQ1" {
		t.Errorf("%v", err)
	}
}

func TestBodiesAreStreamedBothWays(t *testing.T) {
	// Each side goes on only when the other has gone on: buffering would stop both.
	heard, said := make(chan string), make(chan struct{})
	client := calling(t, httptest.NewRecorder(), func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1<<20)
		n, _ := r.Body.Read(buf)
		heard <- string(buf[:n])
		rest, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(rest), "two") {
			t.Errorf("%q", rest)
		}
		_, _ = io.WriteString(w, `{"id":"upl_1"}`)
	})
	file, pen := io.Pipe()
	go func() {
		_, _ = io.WriteString(pen, "one\n")
		<-heard
		_, _ = io.WriteString(pen, "two\n")
		_ = pen.Close()
	}()
	if up, err := client.Upload(t.Context(), apiclient.UploadFile{Name: "a.csv"}, file); err != nil || up.ID != "upl_1" {
		t.Errorf("%+v %v", up, err)
	}

	client = calling(t, httptest.NewRecorder(), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		<-said
		_, _ = io.WriteString(w, "second\n")
	})
	var got bytes.Buffer
	n, err := api.ExportSubscribers.Copy(t.Context(), client, api.SubscriberExport{}, writer(func(p []byte) {
		if got.Len() == 0 {
			close(said)
		}
		got.Write(p)
	}))
	if err != nil || n != 13 || got.String() != "first\nsecond\n" {
		t.Errorf("%d %v %q", n, err, got.String())
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"before it began": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"in the middle": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
	} {
		if _, err := api.ExportSubscribers.Copy(t.Context(), calling(t, httptest.NewRecorder(), handler),
			api.SubscriberExport{}, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheAPIHearsThatTheBrowserIsGone(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan struct{})
	client := calling(t, httptest.NewRecorder(), func(_ http.ResponseWriter, r *http.Request) {
		leave()
		<-r.Context().Done()
		close(ended)
	})
	if _, err := runapi.ListWorkflows.Call(ctx, client, runapi.NoInput{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-ended

	// Also when it only stops reading the answer.
	ended = make(chan struct{})
	client = calling(t, httptest.NewRecorder(), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "x")
		<-r.Context().Done()
		close(ended)
	})
	full := errors.New("disk full")
	if _, err := api.ExportSubscribers.Copy(t.Context(), client, api.SubscriberExport{}, refusing{full}); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
	<-ended
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

func TestTheAPISetsTheDeadlinesOfTheBrowsersConnection(t *testing.T) {
	connection := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	client := calling(t, connection, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(noon); err != nil {
			t.Error(err)
		}
	})
	_, _ = api.GetCredits.Call(t.Context(), client, runapi.NoInput{})
	if !connection.read.Equal(noon) {
		t.Errorf("%v", connection.read)
	}
}

type deadlines struct {
	*httptest.ResponseRecorder
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error { d.read = t; return nil }
