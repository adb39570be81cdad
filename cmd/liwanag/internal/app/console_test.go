package app

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/graceful"
)

// TestABrowserSignsInByTheLinkAndSeesWhatRuns goes the way of a person's first
// minute: the link, the console, and a page that is told when something happens.
func TestABrowserSignsInByTheLinkAndSeesWhatRuns(t *testing.T) {
	base, _ := startSimulator(t, 200)
	s := settings(t, base)
	s.APIKey = config.NewSecret("a-key-of-at-least-32-characters-x")
	var log bytes.Buffer
	r := start(t, Config{Settings: s, Log: slog.New(slog.NewTextHandler(&log, nil))})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := browser{t, &http.Client{Jar: jar}, r.URL()}
	b.signIn(r)
	request, err := http.NewRequestWithContext(t.Context(), "GET", r.URL()+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := b.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if answer, body := b.ask("POST", "/api/v1/enrichments", ""); answer.StatusCode != 202 {
		t.Fatalf("%s %s", answer.Status, body)
	}
	for lines := bufio.NewScanner(stream.Body); ; {
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if strings.Contains(lines.Text(), `"status":"completed"`) {
			break
		}
	}
	if _, page := b.ask("GET", "/runs", ""); !strings.Contains(page, "completed") {
		t.Errorf("the run is not shown: %s", page)
	}
	r.halt(t)
	if strings.Contains(log.String(), graceful.ErrCutOff.Error()) {
		t.Errorf("a listener holds the stop up: %s", log.String())
	}
}

// browser keeps cookies, and asks for the pages of a server.
type browser struct {
	t *testing.T
	*http.Client
	base string
}

func (b browser) ask(method, path, form string) (*http.Response, string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := b.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer, string(raw)
}

// signIn is shown the door, and comes in by the link that the server says.
func (b browser) signIn(r *running) {
	b.t.Helper()
	if answer, page := b.ask("GET", "/runs", ""); answer.Request.URL.RequestURI() != "/sign-in?next=%2Fruns" ||
		!strings.Contains(page, `name="key"`) {
		b.t.Errorf("a stranger comes to %s: %s", answer.Request.URL, page)
	}
	link, err := r.SignInLink(b.t.Context())
	if err != nil || !strings.HasPrefix(link, r.URL()+"/sign-in?link=") {
		b.t.Fatalf("%q, %v", link, err)
	}
	at, err := url.Parse(link)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, page := b.ask("GET", at.RequestURI(), ""); !strings.Contains(page, `value="`+at.Query().Get("link")+`"`) {
		b.t.Errorf("the link's page has no button: %s", page)
	}
	if answer, page := b.ask("POST", "/sign-in", at.Query().Encode()); answer.Request.URL.Path != "/" || answer.StatusCode != 200 ||
		!strings.Contains(page, "Overview") {
		b.t.Errorf("signing in leads to %s: %s", answer.Request.URL, page)
	}
}

func TestWithoutAKeyThereIsNoSignInLink(t *testing.T) {
	r := start(t, Config{Settings: settings(t, "http://127.0.0.1:1/api/v2")})
	if link, err := r.SignInLink(t.Context()); link != "" || err != nil {
		t.Errorf("%q, %v", link, err)
	}
	r.halt(t)
}
