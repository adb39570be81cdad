package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/observe/otel"
	"github.com/liwanag/liwanag/workflow"
)

// Tracing makes OpenTelemetry spans of requests, calls of FullEnrich, groups of changes
// and, as an observer, of steps. No address of a person or a client stands in them.
type Tracing struct {
	tracer   trace.Tracer
	runs     *otel.Observer
	provider *sdk.TracerProvider // nil: it is off
}

// NewTracing reads OpenTelemetry's own variables. Without an endpoint it is off: the
// spans are made by nobody.
func NewTracing(ctx context.Context, version string) (*Tracing, error) {
	kind, err := TracesTo()
	if err != nil || kind == "" {
		return &Tracing{tracer: noop.NewTracerProvider().Tracer("")}, err
	}
	var exporter sdk.SpanExporter
	if kind == "grpc" {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("telemetry: export traces: %w", err)
	}
	// What the environment says comes last, and wins.
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "liwanag"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return Traced(sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(who))), nil
}

// Traced makes spans with a provider, which Close shuts down.
func Traced(provider *sdk.TracerProvider) *Tracing {
	return &Tracing{tracer: provider.Tracer("github.com/liwanag/liwanag/cmd/liwanag"), runs: otel.New(provider), provider: provider}
}

// TracesTo is the protocol by which traces are exported; empty: they are off.
func TracesTo() (protocol string, err error) {
	first := func(names ...string) (value string) {
		for _, name := range names {
			value = cmp.Or(value, os.Getenv(name))
		}
		return value
	}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" ||
		first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return "", nil
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return "", fmt.Errorf("OTEL_TRACES_EXPORTER is %q\n  Try: otlp, or none", exporter)
	}
	protocol = cmp.Or(first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf")
	if protocol != "http/protobuf" && protocol != "grpc" {
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q\n  Try: http/protobuf, or grpc", protocol)
	}
	return protocol, nil
}

// On says whether spans are exported.
func (t *Tracing) On() bool { return t.provider != nil }

// Observers are those of the runner: none when it is off.
func (t *Tracing) Observers() []workflow.Observer {
	if !t.On() {
		return nil
	}
	return []workflow.Observer{t.runs}
}

// Close exports what is left.
func (t *Tracing) Close(ctx context.Context) error {
	if !t.On() {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Request begins a span of a request, which end ends by its route's pattern. A trace that
// the client is in goes on; one of a stranger is linked, and does not decide whether ours
// is exported. What the span may not hold: paths, queries, addresses, headers.
func (t *Tracing) Request(r *http.Request, stranger bool) (ctx context.Context, end func(method, route string, status int)) {
	ctx = r.Context()
	if !t.On() {
		return ctx, func(string, string, int) {}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	if !trace.SpanContextFromContext(ctx).IsValid() { // a page asks in its own span
		theirs := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
		if from := trace.SpanContextFromContext(theirs); !stranger {
			ctx = theirs
		} else if from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	ctx, span := t.tracer.Start(ctx, "request", options...)
	return ctx, func(method, route string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Call makes a span of a call of FullEnrich that is over.
func (t *Tracing) Call(ctx context.Context, c fullenrich.Call) {
	now := time.Now()
	_, span := t.tracer.Start(ctx, "fullenrich "+c.Op, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(now.Add(-c.Took)),
		trace.WithAttributes(attribute.String("fullenrich.operation", c.Op), attribute.String("fullenrich.result", c.Result)))
	if c.Result != "ok" && c.Result != "in_progress" {
		span.SetStatus(codes.Error, c.Result)
	}
	span.End(trace.WithTimestamp(now))
}

// Commits makes spans of groups of changes that were committed together: traces of their
// own, since many wait for each.
func (t *Tracing) Commits(writer string) func(changes int, took time.Duration, undone bool) {
	return func(changes int, took time.Duration, undone bool) {
		now := time.Now()
		_, span := t.tracer.Start(context.Background(), "commit", trace.WithTimestamp(now.Add(-took)),
			trace.WithAttributes(attribute.String("liwanag.writer", writer), attribute.Int("liwanag.changes", changes)))
		if undone {
			span.SetStatus(codes.Error, "undone")
		}
		span.End(trace.WithTimestamp(now))
	}
}
