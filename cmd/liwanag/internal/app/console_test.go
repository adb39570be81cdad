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
	browser := &http.Client{Jar: jar}
	ask := func(method, path, form string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", "text/html")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		raw, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(raw)
	}
	if answer, page := ask("GET", "/runs", ""); answer.Request.URL.RequestURI() != "/sign-in?next=%2Fruns" ||
		!strings.Contains(page, `name="key"`) {
		t.Errorf("a stranger comes to %s: %s", answer.Request.URL, page)
	}
	link, err := r.SignInLink(t.Context())
	if err != nil || !strings.HasPrefix(link, r.URL()+"/sign-in?link=") {
		t.Fatalf("%q, %v", link, err)
	}
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, page := ask("GET", at.RequestURI(), ""); !strings.Contains(page, `value="`+at.Query().Get("link")+`"`) {
		t.Errorf("the link's page has no button: %s", page)
	}
	if answer, page := ask("POST", "/sign-in", at.Query().Encode()); answer.Request.URL.Path != "/" || answer.StatusCode != 200 ||
		!strings.Contains(page, "Overview") {
		t.Errorf("signing in leads to %s: %s", answer.Request.URL, page)
	}

	request, err := http.NewRequestWithContext(t.Context(), "GET", r.URL()+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if answer, body := ask("POST", "/api/v1/enrichments", ""); answer.StatusCode != 202 {
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
	if _, page := ask("GET", "/runs", ""); !strings.Contains(page, "completed") {
		t.Errorf("the run is not shown: %s", page)
	}
	r.halt(t)
	if strings.Contains(log.String(), graceful.ErrCutOff.Error()) {
		t.Errorf("a listener holds the stop up: %s", log.String())
	}
}

func TestWithoutAKeyThereIsNoSignInLink(t *testing.T) {
	r := start(t, Config{Settings: settings(t, "http://127.0.0.1:1/api/v2")})
	if link, err := r.SignInLink(t.Context()); link != "" || err != nil {
		t.Errorf("%q, %v", link, err)
	}
	r.halt(t)
}
