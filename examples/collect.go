package examples

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

// Reading is what a sensor sends.
type Reading struct {
	Sensor string
	At     string // unique for the sensor
	Value  int
}

// Measured carries a reading.
var Measured = workflow.Event[int]{Name: "measured"}

// Daily shows StartOrSend: the first reading of a sensor's day starts the run of that day,
// and the later ones reach it, whoever comes first and however often each is sent.
func Daily(report func(ctx context.Context, sensor string, sum int) error) *workflow.Workflow[string] {
	wf := workflow.New[string]("daily-reading")
	morning := workflow.WaitFor(wf, "morning", Measured, day)
	evening := workflow.WaitFor(wf, "evening", Measured, day)
	workflow.Do(wf, "report", func(ctx context.Context, sensor string) error {
		return report(ctx, sensor, morning.Output(ctx)+evening.Output(ctx))
	})
	return wf
}

// Take takes a reading.
func Take(ctx context.Context, on workflow.Runner, wf *workflow.Workflow[string], runID string, r Reading) error {
	_, err := workflow.StartOrSend(ctx, on, wf.Ref(), runID, r.Sensor, Measured, r.At, r.Value)
	return err
}
