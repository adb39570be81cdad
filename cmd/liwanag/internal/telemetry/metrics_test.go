package telemetry_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/internal/groupcommit"
	"github.com/liwanag/liwanag/workflow"
)

var update = flag.Bool("update", false, "rewrite golden files")

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func expect(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestTheNamesOfMetricsAreAPromise(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	m.Listeners(func() int { return 0 })
	var b strings.Builder
	for _, d := range m.Declared() {
		fmt.Fprintf(&b, "%s %s{%s} %s\n", d.Type, d.Name, strings.Join(d.Labels, ","), d.Help)
	}
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || string(want) != b.String() {
		t.Errorf("the metrics differ from %s: %v\nTry: go test ./internal/telemetry -update, and docs/operations.md\n%s", golden, err, b.String())
	}
}

func TestTheCountersAreServedInPrometheusFormat(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	run := workflow.RunRef{ID: "run_1", Workflow: "w", Version: 1}
	m.RunEnded(run, workflow.StatusCompleted, nil, 90*time.Second)
	m.AttemptEnded(context.Background(), run, "s", 1, "completed", nil, time.Second)
	m.WaitEnded(run, "wait", "event", time.Second)
	m.WaitEnded(run, "wait", "timeout", time.Hour)
	m.RunnerFault("claim", errors.New("x"))
	m.Submission("accepted")
	m.Adopted("beacon")
	m.Resubmitted()
	m.DuplicatePaid(2)
	m.LateResults(3)
	m.Accepted()
	m.Refused("bad_signature")
	m.WebhookAccepted("ghost")
	m.WebhookRefused("kit", "unknown_source")
	m.Message(liwanag.TopicEnriched, "delivered", time.Second)
	m.Message(liwanag.TopicEnriched, "failed", 0)
	m.ImportedRows("new", 7)
	m.Call(fullenrich.Call{Op: "submit", Result: "ok", Took: time.Second})
	m.Request("GET", "/api/v1/runs", 200, time.Second)
	m.Request("GET", "/api/v1/events", 200, 0)
	var commits groupcommit.Recorder
	commits.Group(3, 3*time.Millisecond, false)
	commits.Group(2000, time.Minute, true)
	m.Commits("all", commits.Stats)
	m.Listeners(func() int { return 4 })
	text := scrape(t, m)
	expect(t, text,
		`liwanag_runs_ended_total{status="completed",workflow="w"} 1`, `liwanag_run_duration_seconds_sum{workflow="w"} 90`,
		`liwanag_step_attempts_total{step="s",then="completed",workflow="w"} 1`, `liwanag_step_duration_seconds_count{step="s",workflow="w"} 1`,
		`liwanag_waits_ended_total{how="event",step="wait",workflow="w"} 1`, `liwanag_event_lag_seconds_sum{step="wait",workflow="w"} 1`+"\n",
		`liwanag_runner_faults_total{op="claim"} 1`, `liwanag_submissions_total{outcome="accepted"} 1`, `liwanag_adopted_total{by="beacon"} 1`,
		"liwanag_resubmitted_total 1", "liwanag_duplicate_paid_total 2", "liwanag_late_results_total 3",
		`liwanag_webhooks_accepted_total{kind="fullenrich"} 1`, `liwanag_webhooks_accepted_total{kind="ghost"} 1`,
		`liwanag_webhooks_refused_total{kind="fullenrich",why="bad_signature"} 1`,
		`liwanag_webhooks_refused_total{kind="kit",why="unknown_source"} 1`,
		`liwanag_messages_total{outcome="failed",topic="subscriber.enriched"} 1`,
		`liwanag_message_duration_seconds_count{topic="subscriber.enriched"} 1`,
		`liwanag_import_rows_total{result="new"} 7`, `liwanag_fullenrich_calls_total{operation="submit",outcome="ok"} 1`,
		`liwanag_fullenrich_call_duration_seconds_sum{operation="submit"} 1`,
		`liwanag_http_requests_total{method="GET",route="/api/v1/events",status="200"} 1`,
		`liwanag_http_request_duration_seconds_count{method="GET",route="/api/v1/runs"} 1`,
		`liwanag_commit_changes_bucket{writer="all",le="4"} 1`, `liwanag_commit_changes_bucket{writer="all",le="+Inf"} 2`,
		`liwanag_commit_changes_sum{writer="all"} 2003`,
		`liwanag_commit_duration_seconds_bucket{writer="all",le="0.005"} 1`, `liwanag_commits_undone_total{writer="all"} 1`,
		"liwanag_sse_listeners 4", `liwanag_build_info{go_version="go`, "go_goroutines", "liwanag_figures_up 0")
	if strings.Contains(text, `liwanag_http_request_duration_seconds_count{method="GET",route="/api/v1/events"}`) {
		t.Error("a listener was timed")
	}
	if strings.Contains(text, "liwanag_jobs") {
		t.Error("figures that nobody read are shown")
	}
}

func TestFiguresAreShownByTheirStates(t *testing.T) {
	m := telemetry.NewMetrics("v1")
	m.Watch(func(context.Context) (telemetry.Figures, error) {
		return telemetry.Figures{
			Runs: []workflow.Count{{Workflow: "w", Version: 1, Status: workflow.StatusWaiting, Step: "a", Runs: 2},
				{Workflow: "w", Version: 2, Status: workflow.StatusWaiting, Step: "b", Runs: 3},
				{Workflow: "w", Version: 2, Status: workflow.StatusFailed, Runs: 4}},
			Overdue: 1, Jobs: map[liwanag.JobStatus]int64{liwanag.JobHeld: 5},
			Submissions: map[liwanag.SubmissionState]int64{liwanag.SubmissionHeld: 6},
			Deliveries:  map[liwanag.DeliveryState]int64{liwanag.DeliveryQuarantined: 12},
			Uploads:     map[liwanag.UploadStatus]int64{liwanag.UploadDone: 7}, Credits: liwanag.Credits{Reserved: 8, Spent: 9},
			Balance: liwanag.Balance{Credits: 10.5, At: time.Now()}, Budget: 11, Paused: liwanag.WaitingKey, Calls: 12, CallLimit: 55,
			DatabaseBytes: 13,
		}, nil
	})
	defer m.Close()
	expect(t, scrape(t, m), "liwanag_figures_up 1", `liwanag_runs{status="waiting",workflow="w"} 5`,
		`liwanag_runs{status="failed",workflow="w"} 4`,
		`liwanag_runs_waiting{step="b",workflow="w"} 3`, "liwanag_runs_overdue 1", `liwanag_jobs{status="held"} 5`,
		`liwanag_jobs{status="pending"} 0`,
		"liwanag_held_jobs 5", `liwanag_submissions{state="held"} 6`, `liwanag_uploads{status="done"} 7`, `liwanag_deliveries{state="quarantined"} 12`, "liwanag_credits_reserved 8", "liwanag_credits_spent 9",
		"liwanag_credits_balance 10.5", "liwanag_credits_budget 11", `liwanag_spending_paused{reason="key"} 1`, `liwanag_spending_paused{reason="paused"} 0`,
		"liwanag_call_budget_used 12", "liwanag_call_budget_limit 55", "liwanag_database_size_bytes 13")
}

func TestFiguresAreReadByOneReaderAtATimeAndNotOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := telemetry.NewMetrics("v1")
		reads, hangs := 0, false
		m.Watch(func(ctx context.Context) (telemetry.Figures, error) {
			if reads++; hangs {
				<-ctx.Done()
				return telemetry.Figures{}, ctx.Err()
			}
			return telemetry.Figures{Overdue: int64(reads)}, nil
		})
		see := func(want ...string) {
			t.Helper()
			began := time.Now()
			expect(t, scrape(t, m), want...)
			if took := time.Since(began); took > time.Second {
				t.Errorf("the scrape took %s", took)
			}
		}
		see("liwanag_runs_overdue 1", "liwanag_figures_up 1")
		time.Sleep(9 * time.Second)
		see("liwanag_runs_overdue 1")
		time.Sleep(time.Second)
		see("liwanag_runs_overdue 2")
		hangs = true
		time.Sleep(10 * time.Second)
		see("liwanag_runs_overdue 2", "liwanag_figures_up 1") // one that hangs is not waited for
		time.Sleep(15 * time.Second)
		see("liwanag_runs_overdue 2")
		if reads != 3 {
			t.Errorf("%d readers, want the one that hangs as the third", reads)
		}
		time.Sleep(15 * time.Second) // it is given up
		hangs = false
		see("liwanag_figures_up 1", "liwanag_runs_overdue 4")
		m.Close()
	})
}

func TestADatabaseThatFailsShowsInTheScrapeAndDoesNotFailIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := telemetry.NewMetrics("v1")
		var fault error
		m.Watch(func(context.Context) (telemetry.Figures, error) { return telemetry.Figures{Overdue: 3}, fault })
		began := time.Now()
		expect(t, scrape(t, m), "liwanag_figures_up 1")
		fault = errors.New("the disk is gone")
		time.Sleep(10 * time.Second)
		expect(t, scrape(t, m), "liwanag_figures_up 0", "liwanag_runs_overdue 3",
			fmt.Sprintf("liwanag_figures_read_timestamp_seconds %g", float64(began.Unix())))
		m.Close()
	})
}
