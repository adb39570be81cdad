// Package otel makes OpenTelemetry spans of what a runner does. It needs the API alone:
// which spans are exported, and where to, the program decides with its TracerProvider.
//
// A run may wait for weeks, so it is many traces: one for each time that a node takes it
// up. Each is linked to the one before, the first to the span in which the run was
// started. What ties them is the attribute [Key] of the run, which goes with it through
// waits, restarts and to other nodes.
//
// A span holds ids, names, numbers and codes, and nothing that steps are given or say.
package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/liwanag/liwanag/workflow"
)

// Key is the attribute of a run that says where its trace goes on, as W3C's header
// traceparent does.
const Key = "traceparent"

// Observer makes spans; it is for the observers of a runner.
type Observer struct{ tracer trace.Tracer }

var (
	_ workflow.Observer      = (*Observer)(nil)
	_ workflow.StepObserver  = (*Observer)(nil)
	_ workflow.TraceObserver = (*Observer)(nil)
)

// New returns an observer whose spans go to a provider.
func New(provider trace.TracerProvider) *Observer {
	return &Observer{provider.Tracer("github.com/liwanag/liwanag/observe/otel")}
}

// Starting makes a span of a run's start, in the trace of who starts it.
func (o *Observer) Starting(ctx context.Context, run workflow.RunRef) (carried string) {
	ctx, span := o.tracer.Start(ctx, "start "+run.Workflow, trace.WithSpanKind(trace.SpanKindProducer), of(run))
	defer span.End()
	return inject(ctx)
}

// TurnStarted begins a trace of what a node does with a run until it waits or ends.
func (o *Observer) TurnStarted(ctx context.Context, run workflow.RunRef, carried string) (turn context.Context, carry string) {
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer), of(run)}
	if before := extract(carried); before.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: before}))
	}
	turn, _ = o.tracer.Start(ctx, "run "+run.Workflow, options...)
	return turn, inject(turn)
}

// TurnEnded ends it.
func (o *Observer) TurnEnded(turn context.Context, _ workflow.RunRef) {
	trace.SpanFromContext(turn).End()
}

// AttemptStarted begins a span of an attempt.
func (o *Observer) AttemptStarted(ctx context.Context, run workflow.RunRef, step string, attempt int) context.Context {
	ctx, _ = o.tracer.Start(ctx, "step "+step, of(run),
		trace.WithAttributes(attribute.String("workflow.step", step), attribute.Int("workflow.attempt", attempt)))
	return ctx
}

// AttemptEnded ends it. What the error says is not told: nobody knows what is in it.
func (o *Observer) AttemptEnded(ctx context.Context, _ workflow.RunRef, _ string, _ int, then string, err error, _ time.Duration) {
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("workflow.then", then))
	if err != nil && then != workflow.AfterSnooze {
		span.SetStatus(codes.Error, then)
	}
	span.End()
}

// RunEnded makes no span: the last turn was one.
func (o *Observer) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

func of(run workflow.RunRef) trace.SpanStartEventOption {
	return trace.WithAttributes(attribute.String("workflow.name", run.Workflow), attribute.Int("workflow.version", run.Version),
		attribute.String("workflow.run", run.ID))
}

var format propagation.TraceContext

func inject(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	format.Inject(ctx, carrier)
	return carrier[Key]
}

func extract(text string) trace.SpanContext {
	return trace.SpanContextFromContext(format.Extract(context.Background(), propagation.MapCarrier{Key: text}))
}
