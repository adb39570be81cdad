package httpapi

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// key makes a key of some scopes.
func (w *world) key(name string, scopes ...string) api.APIKey {
	w.t.Helper()
	made, err := api.AddKey.Call(w.t.Context(), w.client(), api.AddKeyRequest{Name: name, Scopes: scopes})
	w.must(err)
	return made
}

// with asks with a key.
func (w *world) with(key, method, target, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := request(method, target, body)
	r.Header.Set("Authorization", "Bearer "+key)
	return w.do(r)
}

// streams ends a stream when it has begun.
type streams struct {
	*httptest.ResponseRecorder
	end context.CancelFunc
}

func (s *streams) Flush() { s.end() }

// TestTheTableOfScopesAndRoutes asks for every route as whoever has one scope alone: the
// table says who may pass. A new route, or another scope of one, is a change of the table.
func TestTheTableOfScopesAndRoutes(t *testing.T) {
	p := newPeople(t)
	p.provider.QueueUser(user("bob@x.example", true, "sales"))
	viewer := p.browser(false)
	p.get(viewer, p.url+"/sign-in/provider")
	home, err := url.Parse(p.url)
	p.must(err)
	columns := append(slices.Clone(liwanag.KeyScopes), liwanag.Viewer)
	prove := map[liwanag.Scope]func(*http.Request){liwanag.Viewer: func(r *http.Request) {
		for _, c := range viewer.Jar.Cookies(home) {
			r.AddCookie(c)
		}
	}}
	for _, scope := range liwanag.KeyScopes {
		key := p.key("of "+string(scope), string(scope)).Key
		prove[scope] = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key) }
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-52s", "route")
	for _, scope := range columns {
		fmt.Fprintf(&table, " %-7s", scope)
	}
	routes := p.server.Routes()
	slices.SortFunc(routes, func(a, b string) int { return cmp.Compare(strings.Fields(a)[1]+a, strings.Fields(b)[1]+b) })
	for _, pattern := range routes {
		if p.server.Open()[pattern] || p.server.Pages()[pattern] {
			continue
		}
		if need := p.server.Scopes()[pattern]; !slices.Contains(liwanag.KeyScopes, need) {
			t.Errorf("%s declares no scope: say .Scoped(…) where it is declared", pattern)
		}
		fmt.Fprintf(&table, "\n%-52s", pattern)
		for _, scope := range columns {
			method, path := fill(pattern)
			r := httptest.NewRequest(method, strings.ReplaceAll(path, "{domain}", "x"), nil)
			r.Host = "localhost:8484"
			prove[scope](r)
			ctx, end := context.WithCancel(t.Context())
			rec := httptest.NewRecorder()
			p.server.ServeHTTP(&streams{rec, end}, r.WithContext(ctx))
			end()
			fmt.Fprintf(&table, " %-7s", map[bool]string{true: "yes", false: "-"}[rec.Code != http.StatusForbidden])
			if rec.Code == http.StatusForbidden {
				p.wantProblem(rec, 403, "missing_scope_"+string(p.server.Scopes()[pattern]))
			} else if rec.Code == http.StatusUnauthorized || rec.Code == http.StatusTooManyRequests {
				t.Errorf("%s with %s: %d %s", pattern, scope, rec.Code, rec.Body)
			}
		}
	}
	got := regexp.MustCompile(" +(\n|$)").ReplaceAllString(table.String(), "$1") + "\n"
	const golden = "testdata/scopes.golden"
	if *update {
		p.must(os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	p.must(err)
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("who may do what is not %s (-want +got); after a wanted change run it with -update:\n%s", golden, diff)
	}
}

func TestARouteThatDeclaresNoScopeIsForAdminsAlone(t *testing.T) {
	w := newWorld(t)
	w.server.Route("GET /api/v1/new", func(rw http.ResponseWriter,
		_ *http.Request) error {
		rw.WriteHeader(200)
		return nil
	})
	all := w.key("all but admin", "ingest", "read", "export", "operate")
	w.wantProblem(w.with(all.Key, "GET", "/api/v1/new", ""), 403, "missing_scope_admin")
	w.wantProblem(w.with(all.Key, "HEAD", "/api/v1/new", ""), 403, "missing_scope_admin")
	if rec := w.call("GET", "/api/v1/new", ""); rec.Code != 200 {
		t.Errorf("the server's own key: %d", rec.Code)
	}
}

func TestTheDescriptionTellsEveryScope(t *testing.T) {
	w := newWorldWithSinks(t)
	var document struct {
		Paths map[string]map[string]struct {
			Description string
			Security    []map[string][]string
		}
	}
	w.must(json.Unmarshal(w.server.OpenAPI(), &document))
	for path, item := range document.Paths {
		for method, op := range item {
			need := string(w.server.Scopes()[strings.ToUpper(method)+" "+path])
			if need == "" {
				continue
			}
			if !slices.Equal(op.Security[0]["key"], []string{need}) || !strings.HasSuffix(op.Description,
				"Needs the scope `"+need+"`.") {
				t.Errorf("%s %s: %v %q", method, path, op.Security, op.Description)
			}
		}
	}
}

func TestAKeyIsShownOnceAndListedWithoutItself(t *testing.T) {
	w := newWorld(t)
	made := w.key(" the  crm ", "export", "read", "read")
	if made.Name != "the crm" || !slices.Equal(made.Scopes, []string{"read", "export"}) || !strings.HasPrefix(made.Key,
		"lwk_") {
		t.Errorf("%+v", made)
	}
	if rec := w.with(made.Key, "GET", "/api/v1/runs", ""); rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	rec := w.call("GET", "/api/v1/keys", "")
	if listed := answerOf[runapi.List[api.APIKey]](w, rec, 200).Items; strings.Contains(rec.Body.String(), made.Key) ||
		len(listed) != 1 ||
		listed[0].ID != made.ID || listed[0].LastUsedAt.IsZero() || listed[0].Key != "" {
		t.Errorf("%s", rec.Body)
	}
	if strings.Contains(w.log.String(), made.Key) {
		t.Error("the log has it")
	}
	for body, code := range map[string]string{
		`{"name":"a","scopes":[]}`: "invalid_field", `{"name":"a","scopes":["root"]}`: "invalid_field",
		`{"name":" ","scopes":["read"]}`:                                    "invalid_field",
		`{"name":"a","scopes":["viewer"]}`:                                  "invalid_field",
		`{"name":"a","scopes":["read"],"expiresAt":"2020-01-01T00:00:00Z"}`: "invalid_field",
		`{"name":"a"}`: "invalid_field", `{"name":"a","scopes":["read"],"key":"lwk_mine"}`: "invalid_field",
	} {
		w.wantProblem(w.call("POST", "/api/v1/keys", body), 422, code)
	}
}

func TestAKeyThatExpiredOrWasRevokedOpensNothing(t *testing.T) {
	w := newWorld(t)
	w.mount()
	made, err := api.AddKey.Call(t.Context(), w.client(), api.AddKeyRequest{Name: "crm", Scopes: []string{"read"},
		ExpiresAt: w.clock.now().Add(time.Hour)})
	w.must(err)
	revoked := w.key("crm", "read")
	session := w.browse("POST", "/sign-in", "key="+revoked.Key, "").Result().Cookies()[0].Value
	if rec := w.browse("GET", "/api/v1/runs", "", session); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	w.wantProblem(w.browse("GET", "/api/v1/audit", "", session), 403, "missing_scope_admin")
	w.clock.advance(time.Hour)
	_, err = api.RevokeKey.Call(t.Context(), w.client(), runapi.ID(revoked.ID))
	w.must(err)
	for _, key := range []string{made.Key, revoked.Key} {
		w.wantProblem(w.with(key, "GET", "/api/v1/runs", ""), 401, "unauthorized")
	}
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", session), 401, "unauthorized")
	w.wantElsewhere(w.browse("GET", "/", "", session), "/sign-in")
	w.wantProblem(w.call("DELETE", "/api/v1/keys/"+revoked.ID, ""), 404, "not_found")
	w.wantProblem(w.call("DELETE", "/api/v1/keys/x", ""), 404, "not_found")
}

func TestARevokedKeyEndsItsStream(t *testing.T) {
	serving(t, nil, func(t *testing.T, w *world, p *pipes, _ func() error) {
		made := w.key("crm", "read")
		conn, ok := p.dial()
		if !ok {
			t.Fatal("nobody listens")
		}
		defer conn.Close()
		_, err := fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: localhost:8484\r\nAuthorization: Bearer "+
			"%s\r\n\r\n", made.Key)
		w.must(err)
		ended := make(chan time.Time, 1)
		go func() {
			if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
			}
			ended <- time.Now()
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the stream ends by itself")
		default:
		}
		w.must(revoke(w, made.ID))
		revoked := time.Now()
		if after := (<-ended).Sub(revoked); after >= time.Second {
			t.Errorf("it ends %s after its key", after)
		}
	})
}

func revoke(w *world, id string) error {
	_, err := api.RevokeKey.Call(w.t.Context(), w.client(), runapi.ID(id))
	return err
}

func TestTheAuditTrailNamesTheKey(t *testing.T) {
	w := newWorld(t)
	made := w.key("crm", "operate", "read")
	w.with(made.Key, "POST", "/api/v1/submissions/pause", "")
	w.with(made.Key, "GET", "/api/v1/subscribers", "")
	w.with(made.Key, "GET", "/api/v1/subscribers/export", "")
	w.must(revoke(w, made.ID))
	acts, err := api.ListActs.Call(t.Context(), w.client(), api.ActQuery{})
	w.must(err)
	var got []string
	for _, a := range acts.Items {
		if a.Name != "" && a.Client != "192.0.2.1" {
			t.Errorf("from %q: %+v", a.Client, a)
		}
		got = append(got, strings.TrimSpace(strings.Join([]string{a.Actor, a.Name, a.Act, a.Reason}, " ")))
	}
	slices.Sort(got)
	want := []string{"key  key.add crm", "key  key.revoke", "key crm scope.refuse", "key crm submissions.pause",
		"key crm subscribers.list"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNamedKeysAreTakenInEverySpellingOfTheHeader(t *testing.T) {
	w := newWorld(t)
	made := w.key("crm", "read")
	for header, status := range map[string]int{
		"Bearer " + made.Key: 200, "bearer " + made.Key: 200, "BEARER   " + made.Key + " ": 200,
		"Basic " + made.Key: 401, made.Key: 401, "Bearer " + made.Key + "x": 401,
		"Bearer " + made.Key + ", Bearer " + apiKey: 401,
		"Bearer" + made.Key:                         401, "Token " + made.Key: 401, "Bearer " + strings.TrimPrefix(made.Key, "lwk_"): 401,
	} {
		r := request("GET", "/api/v1/workflows", "")
		r.Header.Set("Authorization", header)
		r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", len(header))
		if rec := w.do(r); rec.Code != status {
			t.Errorf("%q: %d", header, rec.Code)
		}
	}
	r := request("GET", "/api/v1/keys", "") // the first of two counts
	r.Header.Set("Authorization", "Bearer "+made.Key)
	r.Header.Add("Authorization", "Bearer "+apiKey)
	w.wantProblem(w.do(r), 403, "missing_scope_admin")
}

func TestAServerWithoutAKeyMakesNoNamedOnes(t *testing.T) {
	w := newWorld(t, withKey(""))
	r := request("POST", "/api/v1/keys", `{"name":"crm","scopes":["read"]}`)
	w.wantProblem(w.do(r), 409, "no_server_key")
}
