package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/workflow"
)

type person struct{ Email string }

type identity string

func (i identity) MarshalText() ([]byte, error) { return []byte("id_" + i), nil }

type word string

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

func newLogger(t *testing.T, c telemetry.LogConfig) *slog.Logger {
	t.Helper()
	log, err := telemetry.NewLogger(c)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestALogHoldsNoPersonalDataAndNoSecret(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		log := newLogger(t, telemetry.LogConfig{Out: &out, Format: format}).With("who", person{"ann@gmail.com"})
		log.Info("stored ann@gmail.com", "raw", []byte("ann@gmail.com"), "json", json.RawMessage(`{"a":"ann@gmail.com"}`),
			"map", map[string]string{"email": "ann@gmail.com"}, "pointer", &person{"ann@gmail.com"}, "key", secret("hunter2"),
			"error", fmt.Errorf("row 3: <ann@gmail.com>: %w", errors.New("jürgen@bücher.example refused")),
			slog.Group("deep", "person", person{"ann@gmail.com"}), "run", identity("7"), "n", 3, "reason", word("credits"),
			"odd", word("of ann@gmail.com"))
		text := out.String()
		for _, leak := range []string{"ann", "gmail", "jürgen", "bücher", "hunter2"} {
			if strings.Contains(text, leak) {
				t.Errorf("%s: %q is in the log: %s", format, leak, text)
			}
		}
		for _, kept := range []string{"id_7", "telemetry_test.person", "stored [address]", "row 3", "credits"} {
			if !strings.Contains(text, kept) {
				t.Errorf("%s: %q is missing in the log: %s", format, kept, text)
			}
		}
	}
}

func TestALogLineIsOneLineWhateverItHolds(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		newLogger(t, telemetry.LogConfig{Out: &out, Format: format}).Warn("a\nb\x1b[31m", "x", "c\r\nlevel=ERROR", "error",
			errors.New("\x1b]0;evil\x07"))
		if text := out.String(); strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\x07\r") {
			t.Errorf("%s: %q", format, text)
		}
	}
}

func TestTheFormatFollowsTheTerminal(t *testing.T) {
	for _, test := range []struct {
		format   string
		terminal bool
		json     bool
	}{{"", false, true}, {"auto", true, false}, {"json", true, true}, {"text", false, false}} {
		var out strings.Builder
		newLogger(t, telemetry.LogConfig{Out: &out, Format: test.format, Terminal: test.terminal}).Info("hello")
		if got := json.Valid([]byte(out.String())); got != test.json {
			t.Errorf("%+v: JSON is %v: %s", test, got, out.String())
		}
	}
}

func TestLevelsAndFormatsThatDoNotExistAreRefused(t *testing.T) {
	for _, c := range []telemetry.LogConfig{{Level: "loud"}, {Format: "xml"}} {
		if _, err := telemetry.NewLogger(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	var out strings.Builder
	log := newLogger(t, telemetry.LogConfig{Out: &out, Level: "warn"})
	log.Info("quiet")
	log.Warn("loud")
	if strings.Contains(out.String(), "quiet") || !strings.Contains(out.String(), "loud") {
		t.Errorf("level warn printed %s", out.String())
	}
}

func TestTheObserverLogsFailuresWithTheirClass(t *testing.T) {
	var out strings.Builder
	logs := telemetry.Logs{Log: newLogger(t, telemetry.LogConfig{Out: &out, Format: "text"})}
	run := workflow.RunRef{ID: "run_1", Workflow: "w", Version: 1}
	logs.RunEnded(run, workflow.StatusFailed,
		&workflow.Failure{Step: "submit", Reason: workflow.ReasonError, Code: "refused", Message: "no"}, 3*time.Second)
	logs.RunEnded(run, workflow.StatusCanceled, &workflow.Failure{Reason: workflow.ReasonCanceled, Message: "wrong list"}, time.Second)
	logs.AttemptEnded(context.Background(), run, "submit", 2, workflow.AfterRetry, errors.New("refused"), time.Millisecond)
	logs.AttemptEnded(context.Background(), run, "batch", 1, workflow.AfterSnooze, errors.New("window open"), time.Millisecond)
	logs.RunnerFault("commit", errors.New("disk gone"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"level=WARN", "level=INFO", "level=INFO", "level=ERROR"} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("line %d is not %s:\n%s", i, want, out.String())
		}
	}
	if len(lines) != 4 {
		t.Errorf("%d lines, want 4: a snooze is no failure:\n%s", len(lines), out.String())
	}
}
