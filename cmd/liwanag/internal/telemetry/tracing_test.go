package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/fullenrich"
)

// receiver takes spans in as an OpenTelemetry collector does.
type receiver struct {
	t     *testing.T
	mu    sync.Mutex
	spans []*traces.Span
	texts []string // all that came, resources included
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	return r
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, q *http.Request) {
	raw, err := io.ReadAll(q.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &in)
	}
	if err != nil || q.URL.Path != "/v1/traces" {
		r.t.Errorf("%s: %v", q.URL.Path, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, protojson.Format(&in))
	for _, of := range in.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
}

func (r *receiver) span(name string) *traces.Span {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.spans, func(s *traces.Span) bool { return s.Name == name })
	if i < 0 {
		r.t.Fatalf("no span %s in %s", name, strings.Join(r.texts, "\n"))
	}
	return r.spans[i]
}

func tracing(t *testing.T) *telemetry.Tracing {
	t.Helper()
	traces, err := telemetry.NewTracing(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	return traces
}

func TestSpansGoWhereTheEnvironmentSaysAndHoldNoPersonalData(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	tr := tracing(t)
	q := httptest.NewRequest("GET", "/api/v1/subscribers/zoe@gmail.com?q=zoe@gmail.com", nil)
	q.Header.Set("User-Agent", "zoe@gmail.com")
	q.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, end := tr.Request(q, false)
	tr.Call(ctx, fullenrich.Call{Op: "submit", Result: "no_answer", Took: time.Second})
	end("GET", "/api/v1/subscribers/{id}", 500)
	_, end = tr.Request(q, true)
	end("POST", "/webhooks/subscribers", 200)
	tr.Commits("all")(3, time.Millisecond, true)
	if err := tr.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	request, call := r.span("GET /api/v1/subscribers/{id}"), r.span("fullenrich submit")
	if string(call.ParentSpanId) != string(request.SpanId) || call.EndTimeUnixNano-call.StartTimeUnixNano < uint64(time.Second) {
		t.Errorf("the call %v is no child of %v", call, request)
	}
	if request.TraceId[0] != 0x0a || request.Status.Code != traces.Status_STATUS_CODE_ERROR {
		t.Errorf("the request %v", request)
	}
	if s := r.span("POST /webhooks/subscribers"); len(s.ParentSpanId) > 0 || len(s.Links) != 1 {
		t.Errorf("a stranger's trace goes on: %v", s)
	}
	r.span("commit")
	all := strings.Join(r.texts, "\n")
	if strings.Contains(all, "zoe") || strings.Contains(all, "gmail") || strings.Contains(all, q.RemoteAddr) {
		t.Errorf("a span holds an address: %s", all)
	}
	for _, want := range []string{"deployment.environment.name", `"liwanag"`, `"v1"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
}

func TestTracingIsOffUnlessAnEndpointIsNamed(t *testing.T) {
	if tr := tracing(t); tr.On() || tr.Observers() != nil || tr.Close(t.Context()) != nil {
		t.Error("it is on")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	for name, value := range map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if tracing(t).On() {
				t.Error("it is on")
			}
		})
	}
	for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_TRACES_EXPORTER": "zipkin"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if _, err := telemetry.NewTracing(t.Context(), "v1"); err == nil || !strings.Contains(err.Error(), "Try: ") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if !tracing(t).On() {
		t.Error("grpc is off")
	}
}
