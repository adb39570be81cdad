package main

import (
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestPicturesOfRuns(t *testing.T) {
	zone := time.Local
	t.Cleanup(func() { time.Local = zone })
	time.Local = time.UTC
	begin := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	run := func(status string) runapi.RunDetail {
		return runapi.RunDetail{Run: runapi.Run{ID: "run_1", Workflow: "subscriber-enrichment", Version: 1, Status: status, CreatedAt: begin}}
	}

	completed := run("completed")
	completed.EndedAt = at(100)
	completed.Steps = []runapi.Step{
		{Name: "batch-pending-jobs", Kind: "step", Status: "completed", StartedAt: at(0), EndedAt: at(2), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: at(0), EndedAt: at(0.01)}, {N: 1, StartedAt: at(2), EndedAt: at(2)}}},
		{Name: "submit-to-fullenrich", Kind: "step", Status: "completed", StartedAt: at(2), EndedAt: at(40), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: at(2), EndedAt: at(10), Error: "fullenrich: refused with 503", NextAt: at(12)},
			{N: 2, StartedAt: at(12), EndedAt: at(40)}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "completed", StartedAt: at(40), EndedAt: at(99)},
		{Name: "process-results", Kind: "step", Status: "completed", StartedAt: at(99), EndedAt: at(100)},
	}
	completed.Events = []runapi.RunEvent{{ID: "d1", Type: "enrichment-complete", ReceivedAt: at(99), ConsumedBy: "wait-for-webhook"},
		{ID: "d2", Type: "enrichment-complete", ReceivedAt: at(100), Late: true}}

	waiting := run("waiting")
	waiting.WaitingFor = &runapi.WaitingFor{Step: "wait-for-webhook", Kind: "event",
		Events: []string{"enrichment-complete"}, Until: at(86400), NextFetchAt: at(600)}
	waiting.Steps = []runapi.Step{
		{Name: "submit-to-fullenrich", Kind: "step", Status: "completed", StartedAt: at(0), EndedAt: at(1), Attempts: []workflow.Attempt{{N: 1, StartedAt: at(0), EndedAt: at(1)}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "waiting", StartedAt: at(1)},
		{Name: "process-results", Kind: "step", Status: "pending"},
	}

	failed := run("failed")
	failed.EndedAt = at(10)
	failed.Failure = &workflow.Failure{Step: "submit-to-fullenrich", Reason: "error", Code: "provider_unavailable",
		Message: "refused with 503"}
	failed.Steps = []runapi.Step{
		{Name: "submit-to-fullenrich", Kind: "step", Status: "failed", StartedAt: at(0), EndedAt: at(10), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: at(0), EndedAt: at(10), Error: "refused with 503"}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "skipped", SkippedBecause: "no-jobs-left", StartedAt: at(10), EndedAt: at(10)},
	}

	undefined := run("waiting")
	undefined.NoDefinition = `the run has an outcome of step "a", which version 1 does not have`
	undefined.Events = []runapi.RunEvent{{ID: "d3", Type: "answer", ReceivedAt: at(3),
		SetAside: `the run takes no such event: "answer" in story version 1`}}

	var all strings.Builder
	for _, r := range []runapi.RunDetail{completed, waiting, failed, run("pending"), undefined} {
		lines := picture(r, at(50), 90)
		for _, line := range lines {
			if w := lipgloss.Width(line); w > 90 && strings.ContainsRune(line, '│') {
				t.Errorf("%s: a bar is %d cells wide", r.Status, w)
			}
			all.WriteString(line + "\n")
		}
		all.WriteString("\n")
	}
	golden(t, "timeline.txt", all.String())
}
