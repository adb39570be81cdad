package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

func form(fields ...[2]string) (body, contentType string) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range fields {
		if f[0] == "file" {
			part, _ := m.CreateFormFile("file", "people.csv")
			_, _ = io.WriteString(part, f[1])
			continue
		}
		_ = m.WriteField(f[0], f[1])
	}
	_ = m.Close()
	return b.String(), m.FormDataContentType()
}

// badInput is a request that is refused.
type badInput struct {
	call, body string
	status     int
	code       string
}

// refuses asks for each, and nothing is stored.
func (w *world) refuses(all []badInput) {
	w.t.Helper()
	before := w.rows()
	for _, tc := range all {
		method, target, _ := strings.Cut(tc.call, " ")
		rec := w.call(method, target, tc.body)
		p := w.wantProblem(rec, tc.status, tc.code)
		if w.t.Failed() {
			w.t.Fatalf("%s %.80s: %+v", tc.call, tc.body, p)
		}
		for _, leak := range []string{"sqlite", "SELECT", "goroutine", "/internal/", "a@gmail.com", "nobody\""} {
			if strings.Contains(rec.Body.String(), leak) {
				w.t.Errorf("%s repeats %q: %s", tc.call, leak, rec.Body)
			}
		}
	}
	if after := w.rows(); after != before {
		w.t.Errorf("stored: %s, before %s", after, before)
	}
}

var (
	deep     = strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65)
	noRun    = "/api/v1/runs/" + liwanag.NewID(liwanag.RunKind).String()
	noUpload = "/api/v1/uploads/" + liwanag.NewID(liwanag.UploadKind).String()
	nobody   = liwanag.NewID(liwanag.SubscriberKind).String()
	noCall   = "/api/v1/submissions/" + liwanag.NewID(liwanag.SubmissionKind).String()
)

func TestABadSignUpIsRefusedAndNothingIsStored(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"POST /api/v1/subscribers", ``, 415, "unsupported_media_type"},
		{"POST /api/v1/subscribers", `{`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com"} x`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", `[{"email":"a@gmail.com"}]`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", `"a@gmail.com"`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", `null`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", "{\"email\":\"a@gmail.com\xff\"}", 400, "malformed_json"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","metadata":` + deep + `}`, 400, "malformed_json"},
		{"POST /api/v1/subscribers", `{}`, 422, "invalid_email"},
		{"POST /api/v1/subscribers", `{"email":""}`, 422, "invalid_email"},
		{"POST /api/v1/subscribers", `{"email":"nobody"}`, 422, "invalid_email"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","nickname":"x"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","tags":"x"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","timestamp":"yesterday"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","linkedinUrl":"https://evil.example/in/x"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers", `{"email":"a@gmail.com","source":"` + strings.Repeat("x", door.MaxJSON) + `"}`, 413, "too_large"},
	})
}

func TestABadFilterOfSubscribersIsRefused(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"GET /api/v1/subscribers?status=unknown", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?emailType=x", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?statsu=failed", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?status=failed&status=held", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?limit=0", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?limit=501", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?limit=ten", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?cursor=nonsense", ``, 400, "invalid_cursor"},
		{"GET /api/v1/subscribers?since=yesterday", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?q=%ff", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?q=%zz", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers?q=%00", ``, 400, "invalid_filter"},
		{"GET /api/v1/subscribers?q=ann%0a", ``, 400, "invalid_filter"},
		{"GET /api/v1/subscribers?q=%20", ``, 400, "invalid_filter"},
		{"GET /api/v1/subscribers?source=%7f", ``, 400, "invalid_filter"},
		{"GET /api/v1/subscribers/export?q=%00", ``, 400, "invalid_filter"},
		{"GET /api/v1/subscribers?a;b", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers/export?status=unknown", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers/export?limit=0", ``, 400, "bad_parameter"},
		{"GET /api/v1/subscribers/" + nobody, ``, 404, "not_found"},
		{"GET /api/v1/subscribers/" + liwanag.NewID(liwanag.RunKind).String(), ``, 404, "not_found"},
		{"GET /api/v1/subscribers/nobody", ``, 404, "not_found"},
	})
}

func TestABadOrderOfLookupsIsRefusedAndNothingIsStored(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"since":"yesterday"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"status":"lost"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"status":5}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"emailType":"x"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"q":"\u0000"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"q":" "}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"source":"a\u0085b"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":{"nickname":"x"}}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"dryRun":true,"filter":"failed"}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/enrich", `{"filter":{"status":"failed","q":"","since":""}}`, 422, "count_needed"},
		{"POST /api/v1/subscribers/enrich", `{"filter":{},"ids":["` + nobody + `"]}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{"filter":{"q":"\u0000"},"expect":1}`, 400, "invalid_filter"},
		{"POST /api/v1/subscribers/" + nobody + "/enrich", ``, 404, "not_found"},
		{"POST /api/v1/subscribers/" + nobody + "/enrich", `{"again":"yes"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/" + nobody + "/enrich", `{"agian":true}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{"ids":["` + nobody + `"],"status":"failed"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{"ids":["x"]}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{"status":"pending"}`, 422, "invalid_field"},
		{"POST /api/v1/subscribers/enrich", `{"status":"failed","cursor":"x"}`, 400, "invalid_cursor"},
		{"GET /api/v1/enrichments/unknown", ``, 404, "not_found"},
	})
}

func TestABadCallOfUploadsIsRefused(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"POST /api/v1/uploads", `{}`, 415, "unsupported_media_type"},
		{"GET " + noUpload, ``, 404, "not_found"},
		{"POST " + noUpload + "/confirm", ``, 404, "not_found"},
		{"POST " + noUpload + "/cancel", ``, 404, "not_found"},
		{"GET " + noUpload + "/errors.csv", ``, 404, "not_found"},
		{"GET /api/v1/uploads/x/errors.csv", ``, 404, "not_found"},
		{"GET /api/v1/uploads?cursor=nonsense", ``, 400, "invalid_cursor"},
	})
}

func TestABadCallOfRunsIsRefusedAndNothingIsDone(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"GET /api/v1/runs?q=%09", ``, 400, "invalid_filter"},
		{"POST /api/v1/runs/cancel", `{"q":" ","dryRun":true}`, 400, "invalid_filter"},
		{"POST /api/v1/runs/retry", `{"q":"\u0000","dryRun":true}`, 400, "invalid_filter"},
		{"POST /api/v1/runs/retry", `{}`, 422, "count_needed"},
		{"GET /api/v1/runs?status=done", ``, 400, "bad_parameter"},
		{"GET /api/v1/runs?cursor=nonsense", ``, 400, "invalid_cursor"},
		{"GET /api/v1/runs?workflow=nothing", ``, 400, "bad_parameter"},
		{"GET " + noRun, ``, 404, "not_found"},
		{"GET /api/v1/runs/x", ``, 404, "not_found"},
		{"GET " + noRun + "/history", ``, 404, "not_found"},
		{"POST " + noRun + "/events", `{"type":"enrichment-complete"}`, 404, "not_found"},
		{"POST " + noRun + "/events", `{}`, 422, "invalid_field"},
		{"POST " + noRun + "/cancel", ``, 404, "not_found"},
		{"POST " + noRun + "/cancel", `{"force":true}`, 404, "not_found"},
		{"POST " + noRun + "/cancel", `{"reason":7}`, 422, "invalid_field"},
		{"POST " + noRun + "/retry", `{}`, 404, "not_found"},
		{"POST " + noRun + "/wake", "", 404, "not_found"},
		{"POST /api/v1/runs/nobody/wake", "", 404, "not_found"},
		{"POST " + noRun + "/pause", "", 404, "not_found"},
		{"POST " + noRun + "/resume", `{"reason":"x"}`, 404, "not_found"},
		{"POST /api/v1/runs/nobody/pause", "", 404, "not_found"},
		{"POST " + noRun + "/resolve", `{"step":"x","output":1}`, 404, "not_found"},
		{"POST " + noRun + "/resolve", `{}`, 422, "invalid_field"},
		{"POST " + noRun + "/resolve", `{"step":"x","output":1,"failure":"y"}`, 422, "invalid_field"},
		{"GET /api/v1/workflows/nothing", ``, 404, "not_found"},
		{"GET /api/v1/workflows/subscriber-enrichment?version=9", ``, 404, "not_found"},
	})
}

func TestABadCallOfSubmissionsIsRefusedAndNothingIsDone(t *testing.T) {
	newWorld(t).refuses([]badInput{
		{"GET /api/v1/submissions?cursor=nonsense", ``, 400, "invalid_cursor"},
		{"GET /api/v1/submissions?state=lost", ``, 400, "bad_parameter"},
		{"GET /api/v1/submissions?runId=x", ``, 400, "bad_parameter"},
		{"GET " + noCall, ``, 404, "not_found"},
		{"POST " + noCall + "/adopt", `{}`, 422, "invalid_field"},
		{"POST " + noCall + "/adopt", ``, 400, "malformed"},
		{"POST " + noCall + "/adopt", `{"enrichmentId":"not-a-uuid"}`, 422, "invalid_id"},
		{"POST " + noCall + "/resubmit", `{"reason":"x"}`, 404, "not_found"},
		{"POST " + noCall + "/fail", `{"reason":"x"}`, 404, "not_found"},
		{"POST /api/v1/submissions/pause", deep, 400, "malformed_json"},
		{"POST /api/v1/submissions/pause", "{\"reason\":\"\xff\"}", 400, "malformed_json"},
		{"POST /api/v1/submissions/pause", `{} {}`, 400, "malformed_json"},
		{"POST /api/v1/submissions/pause", `[]`, 422, "invalid_field"},
		{"POST /api/v1/submissions/pause", `{"file":"/etc/passwd"}`, 422, "invalid_field"},
	})
}

func TestWrongContentTypesAreRefused(t *testing.T) {
	w := newWorld(t)
	before := w.rows()
	for _, target := range []string{"/api/v1/subscribers", "/api/v1/submissions/pause", "/api/v1/subscribers/enrich"} {
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/problem+json",
			"application/jsonx", "json", "application/json; charset"} {
			r := request("POST", target, `{"email":"a@gmail.com"}`)
			r.Header.Set("Content-Type", kind)
			w.wantProblem(w.do(r), 415, "unsupported_media_type")
		}
	}
	if w.rows() != before {
		t.Error("something was stored")
	}
	r := request("POST", "/api/v1/subscribers", `{"email":"a@gmail.com"}`)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if rec := w.do(r); rec.Code != 202 {
		t.Errorf("with a charset: %d", rec.Code)
	}
}

func TestUploadsThatCannotBeTakenAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		fields [][2]string
		status int
		code   string
	}{
		"no file":        {[][2]string{{"source", "x"}}, 422, "invalid_field"},
		"unknown field":  {[][2]string{{"path", "/etc/passwd"}, {"file", "email\na@gmail.com\n"}}, 422, "invalid_field"},
		"long source":    {[][2]string{{"source", strings.Repeat("x", maxFormField+1)}, {"file", "email\n"}}, 422, "invalid_field"},
		"mapping":        {[][2]string{{"mapping", `["email"]`}, {"file", "email\n"}}, 422, "invalid_field"},
		"wrong mapping":  {[][2]string{{"mapping", `{"mail": "email"}`}, {"file", "name,age\nada,36\n"}}, 422, "bad_mapping"},
		"empty":          {[][2]string{{"file", ""}}, 422, "empty_file"},
		"no row":         {[][2]string{{"file", "email,name\r\n\r\n,\r\n"}}, 422, "no_rows"},
		"not text":       {[][2]string{{"file", "\x01\x02\x03\x04\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00email\n"}}, 422, "not_text"},
		"many columns":   {[][2]string{{"file", "email" + strings.Repeat(",x", 200) + "\n"}}, 422, "too_many_columns"},
		"gzip by itself": {[][2]string{{"file", "\x1f\x8b\x08\x00\x00\x00\x00\x00"}}, 422, "not_text"},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := form(tc.fields...)
			r := request("POST", "/api/v1/uploads", body)
			r.Header.Set("Content-Type", kind)
			w.t = t
			w.wantProblem(w.do(r), tc.status, tc.code)
		})
	}
	w.t = t
	body, kind := form([2]string{"file", "email\na@gmail.com\n"})
	for name, tc := range map[string]struct {
		change func(*http.Request)
		status int
		code   string
	}{
		"cut off": {func(r *http.Request) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)-60]), broken{}))
		}, 400, "body_incomplete"},
		"too large": {func(r *http.Request) { r.ContentLength = maxUpload + 1 }, 413, "too_large"},
		"boundary":  {func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data") }, 400, "malformed"},
		"confirm":   {func(r *http.Request) { r.URL.RawQuery = "confirm=perhaps" }, 400, "bad_parameter"},
	} {
		r := request("POST", "/api/v1/uploads", body)
		r.Header.Set("Content-Type", kind)
		tc.change(r)
		if rec := w.do(r); rec.Code != tc.status {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		} else {
			w.wantProblem(rec, tc.status, tc.code)
		}
	}
	if people := w.call("GET", "/api/v1/subscribers", "").Body.String(); strings.Contains(people, "gmail") {
		t.Errorf("stored: %s", people)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestARefusedUploadIsReadToItsEnd(t *testing.T) {
	w := newWorld(t)
	text, kind := form([2]string{"file", "%PDF-1.7\n" + strings.Repeat("ada\n", 1<<20)})
	body := strings.NewReader(text)
	r := request("POST", "/api/v1/uploads", "")
	r.Header.Set("Content-Type", kind)
	r.Body, r.ContentLength = io.NopCloser(body), int64(len(text))
	w.wantProblem(w.do(r), 422, "not_text")
	if body.Len() > 0 {
		t.Errorf("%d of %d bytes are left: a client that is still sending them sees a reset connection, not the reason", body.Len(), len(text))
	}
}

func TestBodiesAreBoundedBeforeTheyAreRead(t *testing.T) {
	w := newWorld(t)
	for target, limit := range map[string]int64{"/api/v1/subscribers": door.MaxJSON, "/api/v1/submissions/pause": door.MaxJSON,
		"/webhooks/subscribers": maxSignUpBody, "/webhooks/fullenrich/x": maxResult} {
		for _, declared := range []int64{-1, limit + 1} {
			endless := &counting{}
			r := request("POST", target, "{}")
			r.Body, r.ContentLength = io.NopCloser(endless), declared
			w.wantProblem(w.do(r), 413, "too_large")
			if endless.n > limit+64<<10 {
				t.Errorf("%s: %d bytes were read of a body of at most %d", target, endless.n, limit)
			}
			if declared > 0 && endless.n > 0 {
				t.Errorf("%s: a body that says it is too large was read", target)
			}
		}
	}
}

type counting struct{ n int64 }

func (c *counting) Read(p []byte) (int, error) {
	c.n += int64(len(p))
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestADatabaseThatFailsIsTold(t *testing.T) {
	w := newWorld(t, func(c *Config) { // as the program has it: it knows a full disk wherever it is wrapped
		c.DiskFull = func(err error) bool { return errors.Is(err, liwanag.ErrDiskFull) }
	})
	signed := func(r *http.Request) *http.Request { return sign(w, r, "msg_1") }
	for _, tc := range []struct {
		err       *liwanag.Error
		api, hook int
		code      string
	}{{liwanag.ErrDatabase, 503, 503, "database_unavailable"}, {liwanag.ErrDiskFull, 507, 503, "disk_full"}} {
		w.store.breakWith(tc.err)
		w.wantProblem(w.call("POST", "/api/v1/subscribers", `{"email":"a@gmail.com"}`), tc.api, tc.code)
		read := w.call("GET", "/api/v1/subscribers", "")
		w.wantProblem(read, tc.api, tc.code)
		if read.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		w.wantProblem(w.call("GET", "/readyz", ""), tc.api, tc.code)
		rec := w.do(signed(request("POST", "/webhooks/subscribers", `{"email":"a@gmail.com"}`)))
		w.wantProblem(rec, tc.hook, tc.code)
		if rec.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if rec := w.call("GET", "/healthz", ""); rec.Code != 200 {
			t.Errorf("health: %d", rec.Code)
		}
	}
	w.store.breakWith(nil)
	if rec := w.call("GET", "/readyz", ""); rec.Code != 200 {
		t.Errorf("ready: %d", rec.Code)
	}
	rec := w.do(signed(request("POST", "/webhooks/subscribers", `{"email":"a@gmail.com"}`)))
	if rec.Code != 202 {
		t.Errorf("when the database is back: %d %s", rec.Code, rec.Body)
	}
}

// brokenRunner fails as a runner does whose store cannot answer.
type brokenRunner struct {
	workflow.Runner
	err error
}

func (b brokenRunner) Describe(context.Context, string) (workflow.Run, error) {
	return workflow.Run{}, b.err
}
func (b brokenRunner) List(context.Context, workflow.Query) (workflow.Page, error) {
	return workflow.Page{}, b.err
}
func (b brokenRunner) Terminate(context.Context, string, string) error { return b.err }

func TestARunnersStoreThatFailsIsTold(t *testing.T) {
	gone, full := errors.New("sqlite: /secret/path is gone"), errors.New("sqlite: full")
	run := "/api/v1/runs/" + liwanag.NewID(liwanag.RunKind).String()
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{{gone, 503, "database_unavailable"}, {full, 507, "disk_full"}} {
		w := newWorld(t, func(c *Config) {
			c.Runner = brokenRunner{c.Runner, fmt.Errorf("run: %w", tc.err)}
			c.DiskFull = func(err error) bool { return errors.Is(err, full) }
		})
		for _, rec := range []*httptest.ResponseRecorder{w.call("GET", "/api/v1/runs", ""), w.call("GET", run, ""),
			w.call("GET", run+"/history", ""),
			w.call("POST", run+"/cancel", `{"force":true}`), w.call("POST", run+"/events", `{"type":"enrichment-complete"}`)} {
			w.wantProblem(rec, tc.status, tc.code)
			if strings.Contains(rec.Body.String(), "sqlite") {
				t.Errorf("tells: %s", rec.Body)
			}
		}
	}
}

func TestNotReadyHidesWhy(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Ready = func(_ context.Context) error { return fmt.Errorf("lease lost at /secret/path") }
	})
	rec := w.call("GET", "/readyz", "")
	w.wantProblem(rec, 503, "not_ready")
	if strings.Contains(rec.Body.String(), "secret") || !strings.Contains(w.log.String(), "lease lost") {
		t.Errorf("%s; log %s", rec.Body, w.log)
	}
}

func TestReadyTellsWhatAPersonShouldKnowAllTheSame(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Notices = func() []string { return []string{"2 runs of story version 1 have no definition"} }
	})
	if rec := w.call("GET", "/readyz", ""); rec.Code != 200 ||
		strings.TrimSpace(rec.Body.String()) != `{"status":"ok","detail":["2 runs of story version 1 have no definition"]}` {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func FuzzBodies(f *testing.F) {
	w := newWorld(f)
	var posts []string
	for _, pattern := range w.server.Routes() {
		if method, path := fill(pattern); method == "POST" && path != "/api/v1/enrichments" && !w.server.Pages()[pattern] {
			posts = append(posts, path)
		}
	}
	for _, seed := range []string{``, `{}`, `[]`, `null`, `{"email":"a@gmail.com"}`, `{"reason":"x"}`, `{"ids":[]}`,
		`{"type":"x","data":null}`, "\xff", `{"email":{"a":[]}}`, `{"":""}`} {
		for i := range posts {
			f.Add(uint8(i), seed, "application/json")
		}
	}
	f.Fuzz(func(t *testing.T, route uint8, body, contentType string) {
		w.t = t
		r := httptest.NewRequest("POST", posts[int(route)%len(posts)], strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+apiKey)
		r.Header.Set("Content-Type", contentType)
		rec := w.do(r)
		if rec.Code >= 500 || rec.Code < 200 || rec.Code >= 300 && rec.Code < 400 {
			t.Fatalf("%s %q: %d %s", r.URL.Path, body, rec.Code, rec.Body)
		}
		if rec.Code >= 400 && rec.Header().Get("Content-Type") != "application/problem+json" || strings.Contains(rec.Body.String(), "goroutine") {
			t.Fatalf("%s %q: %s", r.URL.Path, body, rec.Body)
		}
	})
}
