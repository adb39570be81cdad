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
	var all strings.Builder
	for _, r := range []runapi.RunDetail{completedRun(), waitingRun(), failedRun(), pictured("pending"), undefinedRun()} {
		lines := picture(r, second(50), 90)
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

var begin = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func second(n float64) time.Time { return begin.Add(time.Duration(n * float64(time.Second))) }

func pictured(status string) runapi.RunDetail {
	return runapi.RunDetail{Run: runapi.Run{ID: "run_1", Workflow: "subscriber-enrichment", Version: 1, Status: status, CreatedAt: begin}}
}

func completedRun() runapi.RunDetail {
	r := pictured("completed")
	r.EndedAt = second(100)
	r.Steps = []runapi.Step{
		{Name: "batch-pending-jobs", Kind: "step", Status: "completed", StartedAt: second(0), EndedAt: second(2), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: second(0), EndedAt: second(0.01)}, {N: 1, StartedAt: second(2), EndedAt: second(2)}}},
		{Name: "submit-to-fullenrich", Kind: "step", Status: "completed", StartedAt: second(2), EndedAt: second(40), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: second(2), EndedAt: second(10), Error: "fullenrich: refused with 503", NextAt: second(12)},
			{N: 2, StartedAt: second(12), EndedAt: second(40)}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "completed", StartedAt: second(40), EndedAt: second(99)},
		{Name: "process-results", Kind: "step", Status: "completed", StartedAt: second(99), EndedAt: second(100)},
	}
	r.Events = []runapi.RunEvent{{ID: "d1", Type: "enrichment-complete", ReceivedAt: second(99), ConsumedBy: "wait-for-webhook"},
		{ID: "d2", Type: "enrichment-complete", ReceivedAt: second(100), Late: true}}
	return r
}

func waitingRun() runapi.RunDetail {
	r := pictured("waiting")
	r.WaitingFor = &runapi.WaitingFor{Step: "wait-for-webhook", Kind: "event",
		Events: []string{"enrichment-complete"}, Until: second(86400), NextFetchAt: second(600)}
	r.Steps = []runapi.Step{
		{Name: "submit-to-fullenrich", Kind: "step", Status: "completed", StartedAt: second(0), EndedAt: second(1), Attempts: []workflow.Attempt{{N: 1, StartedAt: second(0), EndedAt: second(1)}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "waiting", StartedAt: second(1)},
		{Name: "process-results", Kind: "step", Status: "pending"},
	}
	return r
}

func failedRun() runapi.RunDetail {
	r := pictured("failed")
	r.EndedAt = second(10)
	r.Failure = &workflow.Failure{Step: "submit-to-fullenrich", Reason: "error", Code: "provider_unavailable",
		Message: "refused with 503"}
	r.Steps = []runapi.Step{
		{Name: "submit-to-fullenrich", Kind: "step", Status: "failed", StartedAt: second(0), EndedAt: second(10), Attempts: []workflow.Attempt{
			{N: 1, StartedAt: second(0), EndedAt: second(10), Error: "refused with 503"}}},
		{Name: "wait-for-webhook", Kind: "wait", Status: "skipped", SkippedBecause: "no-jobs-left", StartedAt: second(10), EndedAt: second(10)},
	}
	return r
}

func undefinedRun() runapi.RunDetail {
	r := pictured("waiting")
	r.NoDefinition = `the run has an outcome of step "a", which version 1 does not have`
	r.Events = []runapi.RunEvent{{ID: "d3", Type: "answer", ReceivedAt: second(3),
		SetAside: `the run takes no such event: "answer" in story version 1`}}
	return r
}
