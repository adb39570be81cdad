//go:build temporal

package temporalrunner

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/liwanag/liwanag/workflow"
)

// TestTheRecordedShapesEndAsTheyShould runs the definitions whose histories are
// kept, at a pace that a busy machine keeps; with -update it records them.
func TestTheRecordedShapesEndAsTheyShould(t *testing.T) {
	space := recording(t)
	tick := tick
	if !*update {
		tick *= 10
	}
	r, stop := running(t, Config{Client: space, Definitions: recorded(tick)})
	defer stop()
	begin := func(name, kind string, n int) {
		t.Helper()
		err := r.Start(t.Context(), workflow.StartRequest{Workflow: kind, RunID: name, Input: json.RawMessage(fmt.Sprintf(`{"id":%d}`, n))})
		if err != nil {
			t.Fatal(err)
		}
	}
	send := func(name, id, payload string) {
		t.Helper()
		if _, err := answered.Send(t.Context(), r, name, id, payload); err != nil {
			t.Fatal(err)
		}
	}
	ends := func(name string, want workflow.Status, executions int) {
		t.Helper()
		if run := until(t, r, name, "ended", ended); run.Status != want {
			t.Errorf("%s is %s, want %s; failure %+v", name, run.Status, want, run.Failure)
		}
		keep(t, space, name, executions)
	}
	for name, n := range map[string]int{"answered": 7, "found": 8, "nothing-to-do": 0, "failed": 13, "canceled": 7,
		"timed-out": 7, "reopened": 9} {
		begin(name, "enriching", n)
	}
	send("answered", "e1", "early")
	send("answered", "e1", "twice")
	send("reopened", "e1", "bad")
	until(t, r, "canceled", "waiting", func(run workflow.Run) bool { return waiting(run) && run.WaitingFor.Step == "wait" })
	if err := r.Cancel(t.Context(), "canceled", "recorded"); err != nil {
		t.Fatal(err)
	}
	ends("answered", workflow.StatusCompleted, 1)
	ends("found", workflow.StatusCompleted, 1)
	ends("nothing-to-do", workflow.StatusCompleted, 1)
	ends("failed", workflow.StatusFailed, 1)
	ends("canceled", workflow.StatusCanceled, 1)
	ends("timed-out", workflow.StatusTimedOut, 1)
	until(t, r, "reopened", "ended", ended)
	if err := r.Retry(t.Context(), "reopened", "submit"); err != nil {
		t.Fatal(err)
	}
	until(t, r, "reopened", "open", func(run workflow.Run) bool { return !run.Status.Ended() })
	ends("reopened", workflow.StatusFailed, 2)

	begin("continued", "dozing", 1)
	send("continued", "e1", "begin")
	send("continued", "e2", "for the end")
	ends("continued", workflow.StatusCompleted, 2)
}

// recording is a client of a server that soon suggests to continue as new.
func recording(t *testing.T) client.Client {
	server, err := startServer(t.TempDir(), "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=100")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.stop() })
	space, err := client.Dial(client.Options{HostPort: server.address, Namespace: server.newNamespace(t),
		Identity: "recorder", Logger: log.NewStructuredLogger(quiet())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(space.Close)
	return space
}

// keep writes the histories of a run's executions when -update is given, and else
// sees only that there are as many.
func keep(t *testing.T, c client.Client, runID string, executions int) {
	t.Helper()
	var runs []string
	filter := fmt.Sprintf("WorkflowId = '%s'", runID)
	for deadline := time.Now().Add(2 * time.Minute); len(runs) != executions; time.Sleep(250 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("run %s has %d executions, want %d", runID, len(runs), executions)
		}
		answer, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: filter})
		if err != nil {
			t.Fatal(err)
		}
		runs = nil
		for _, e := range answer.GetExecutions() {
			runs = append([]string{e.GetExecution().GetRunId()}, runs...)
		}
	}
	if !*update {
		return
	}
	for i, run := range runs {
		name := runID + ".json"
		if executions > 1 {
			name = fmt.Sprintf("%s-%d.json", runID, i+1)
		}
		var h historypb.History
		events := c.GetWorkflowHistory(t.Context(), runID, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			e, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			h.Events = append(h.Events, e)
		}
		raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(histories, upcoming)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
