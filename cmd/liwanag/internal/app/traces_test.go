package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A day's work is traced: requests, the run's turns with their steps, the paid call in its
// step, commits. Nothing of it tells on anybody.
func TestWorkIsTracedAndTellsOnNobody(t *testing.T) {
	var mu sync.Mutex
	var all strings.Builder
	names, linked := map[string]bool{}, true           // every turn of the run
	step, call := map[string]bool{}, map[string]bool{} // the spans of the submitting step, and the parents of paid calls
	otlp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		in := received(t, q)
		mu.Lock()
		defer mu.Unlock()
		all.WriteString(protojson.Format(in))
		for _, of := range in.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					names[span.Name] = true
					linked = linked && (span.Name != "run subscriber-enrichment" || len(span.Links) == 1)
					switch span.Name {
					case "step submit-to-fullenrich":
						step[string(span.SpanId)] = true
					case "fullenrich submit":
						call[string(span.ParentSpanId)] = true
					}
				}
			}
		}
	}))
	defer otlp.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.URL)
	base, _ := startSimulator(t, 200)
	r := start(t, Config{Settings: settings(t, base)})
	person := signUp(t, r, "zoe+found@gmail.com")
	awaitStatus(t, r, person.SubscriberID, "enriched")
	r.halt(t) // which exports what is left
	mu.Lock()
	defer mu.Unlock()
	if !linked {
		t.Error("a turn of the run is not linked to what was before it")
	}
	if len(call) != 1 {
		t.Errorf("%d paid calls", len(call))
	}
	for parent := range call {
		if !step[parent] {
			t.Error("the paid call is in no step")
		}
	}
	for _, name := range []string{"POST /api/v1/subscribers", "GET /api/v1/subscribers/{id}", "POST /webhooks/fullenrich/{token}",
		"start subscriber-enrichment",
		"run subscriber-enrichment", "step batch-pending-jobs", "commit"} {
		if !names[name] {
			t.Errorf("no span %s", name)
		}
	}
	tellsOnNobody(t, "traces", all.String())
	if strings.Contains(all.String(), "zoe") || strings.Contains(all.String(), "127.0.0.1") {
		t.Error("a span holds an address")
	}
}

// received is what an exporter sends.
func received(t *testing.T, q *http.Request) *collector.ExportTraceServiceRequest {
	in := &collector.ExportTraceServiceRequest{}
	raw, err := io.ReadAll(q.Body)
	if err == nil {
		err = proto.Unmarshal(raw, in)
	}
	if err != nil {
		t.Error(err)
	}
	return in
}
