package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// The definition of the example in virtual time, as docs/library.md shows it.
func TestShipping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := workflowtest.Run(t, shipOrder(), Order{ID: "7"},
			workflowtest.Send(2*time.Hour, PickedUp, "scan-1", Pickup{By: "van 3"}))
		workflowtest.Golden(t, "testdata/picked-up.golden", workflowtest.Transcript(run))
	})
}
