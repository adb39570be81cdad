package runapi

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"
)

type everything struct {
	IDPath
	Words string    `query:"q"`
	At    time.Time `query:"at"`
	Sure  bool      `query:"sure"`
	Paging
	Last string `header:"Last-Event-ID"`
	Body *CancelRunRequest
}

// decoded sends a request over a wire of our own and reads it at its other end.
func decoded[In, Out any](t *testing.T, r Route[In, Out], in In) (out In, path string) {
	t.Helper()
	sent := r.Request(in)
	mux := http.NewServeMux()
	mux.HandleFunc(r.Method+" "+r.Path, func(_ http.ResponseWriter, req *http.Request) {
		path = req.URL.EscapedPath()
		if fault := Decode(req, &out, RFC3339); fault != "" {
			t.Errorf("%s cannot be read", fault)
		}
	})
	req := httptest.NewRequest(sent.Method, sent.Path+"?"+sent.Query.Encode(), nil)
	req.Header = sent.Header
	mux.ServeHTTP(httptest.NewRecorder(), req)
	return out, path
}

func TestWhatIsSentIsRead(t *testing.T) {
	route := Post[everything, None]("/things/{id}", "do-thing", "", http.StatusOK)
	in := everything{IDPath: ID("a/b ?"), Words: "ä&b=c", At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Sure: true,
		Paging: Paging{Limit: 7, Cursor: "next"}, Last: "x-1"}
	if out, path := decoded(t, route, in); out != in || path != "/api/v1/things/a%2Fb%20%3F" {
		t.Errorf("%+v at %s", out, path)
	}
	if out, _ := decoded(t, route, everything{IDPath: ID("a")}); out.Limit != 50 || out.Sure || !out.At.IsZero() {
		t.Errorf("defaults: %+v", out)
	}
	for id, want := range map[string]string{"": "-", ".": "-", "..": "-", "a": "a"} {
		if out, _ := decoded(t, route, everything{IDPath: ID(id)}); out.ID != want {
			t.Errorf("%q arrives as %q", id, out.ID)
		}
	}
}

func TestAParameterThatCannotBeReadIsNamed(t *testing.T) {
	for query, want := range map[string]string{"limit=x": "limit", "at=yesterday": "at", "sure=perhaps": "sure", "q=x": ""} {
		var in everything
		if fault := Decode(httptest.NewRequest("GET", "/?"+query, nil), &in, RFC3339); fault != want {
			t.Errorf("%s: %q", query, fault)
		}
	}
}

func TestTheBodyIsAFieldOrAllOfIt(t *testing.T) {
	if r := CancelRun.Request(To("run_1", (*CancelRunRequest)(nil))); r.Body != nil || r.Path != "/api/v1/runs/run_1/cancel" {
		t.Errorf("left out: %+v", r)
	}
	if r := CancelRun.Request(To("run_1", &CancelRunRequest{Reason: "x"})); !reflect.DeepEqual(r.Body, &CancelRunRequest{Reason: "x"}) {
		t.Errorf("a field: %+v", r)
	}
	if r := CancelRuns.Request(BulkAct{Q: "x"}); !reflect.DeepEqual(r.Body, BulkAct{Q: "x"}) || len(r.Query) != 0 || !r.Slow {
		t.Errorf("all of it: %+v", r)
	}
	if r := GetRun.Request(ID("run_1")); r.Body != nil {
		t.Errorf("none: %+v", r)
	}
	if got := Values(RunFilter{Status: "failed"}).Encode(); got != "status=failed" {
		t.Error(got)
	}
}

func TestEnumsAreThoseOfTheTag(t *testing.T) {
	if got := Enum[WaitingFor]("Kind"); !reflect.DeepEqual(got, []string{"event", "retry", "snooze", "sleep", "runs"}) {
		t.Error(got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a field that is not there has an enum")
		}
	}()
	Enum[WaitingFor]("Color")
}
