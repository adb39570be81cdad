package workflowtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// settle waits until every step that can go on has.
func (r *Runner) settle() { synctest.Wait() }

// Transcript prints what happened to a run, a line for each history item, with
// the time since the run's creation:
//
//	0s      started
//	0s      print-label #1 failed: out of paper; again in 1s
//	1s      print-label #2 ok
//	1s      wait-for-pickup waits
//	2h      received picked-up scan-1
//	2h      wait-for-pickup takes scan-1
//	2h      wait-for-pickup ok
//	2h      completed
func Transcript(run workflow.Run) string {
	waits := map[string]bool{}
	for _, s := range run.Steps {
		waits[s.Name] = s.Kind == workflow.KindWait || s.Kind == workflow.KindSleep
	}
	var b strings.Builder
	for _, item := range run.History {
		var what note
		if len(item.Data) > 0 && json.Unmarshal(item.Data, &what) != nil {
			what.Error = string(item.Data) // another runner's words
		}
		subject := ""
		switch {
		case waits[item.Step]:
			subject = item.Step + " "
		case item.Attempt > 0:
			subject = fmt.Sprintf("%s #%d ", item.Step, item.Attempt)
		case item.Step != "":
			subject = item.Step + " "
		}
		fmt.Fprintf(&b, "%-7s %s%s\n", short(item.At.Sub(run.CreatedAt)), subject, say(item, what))
	}
	return b.String()
}

func say(item workflow.HistoryItem, what note) string {
	why := what.Error
	if what.Failure != nil {
		why = what.Failure.Message
	}
	switch item.Type {
	case workflow.HistoryRunStarted:
		return "started"
	case workflow.HistoryStepCompleted:
		return "ok"
	case workflow.HistoryStepFailed:
		if what.Failure != nil && what.Failure.Reason == workflow.ReasonCanceled {
			return suffixed("cut short", why)
		}
		return suffixed("failed", why)
	case workflow.HistoryStepRetrying:
		return fmt.Sprintf("failed: %s; again in %s", why, short(what.NextAt.Sub(item.At)))
	case workflow.HistoryStepSnoozed:
		return repeated("snoozes for "+short(what.NextAt.Sub(item.At)), what.Count)
	case workflow.HistoryStepSkipped:
		return suffixed("skipped", what.Because)
	case workflow.HistoryWaitStarted:
		return "waits"
	case workflow.HistoryWaitTimedOut:
		return suffixed("timed out", why)
	case workflow.HistoryEventReceived:
		return "received " + what.Type + " " + what.ID
	case workflow.HistoryEventLate:
		return "received " + what.Type + " " + what.ID + ", too late"
	case workflow.HistoryEventConsumed:
		return "takes " + what.ID
	case workflow.HistoryReconcileChecked:
		if what.Found {
			return "looks and finds"
		}
		return suffixed(repeated("looks in vain", what.Count), why)
	case workflow.HistoryCancelRequested:
		return suffixed("cancel requested", what.Reason)
	case workflow.HistoryRunReopened:
		return "is where the run is reopened"
	}
	return suffixed(strings.TrimPrefix(string(item.Type), "run."), what.Finished+why) // an ending
}

func repeated(text string, count int) string {
	if count < 2 {
		return text
	}
	return fmt.Sprintf("%s (%d times)", text, count)
}

func suffixed(text, more string) string {
	if more == "" {
		return text
	}
	return text + ": " + more
}

// short prints a duration as people write it: 24h, not 24h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// updating says whether golden files are to be rewritten. The flag is the test's own:
// an import defines none.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// Golden compares a text with a golden file, and rewrites the file when the test runs
// with the flag -update, which the package under test defines:
//
//	var _ = flag.Bool("update", false, "rewrite golden files")
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if updating() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	how := ""
	if flag.Lookup("update") == nil {
		how = `, a flag that the test defines: var _ = flag.Bool("update", false, "rewrite golden files")`
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it%s", err, how)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update rewrites it%s):\n%s", path, how, difference(string(want), got))
	}
}

// difference shows the lines around the first that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	first := 0
	for first < len(w) && first < len(g) && w[first] == g[first] {
		first++
	}
	var b strings.Builder
	for i := max(0, first-2); i < first; i++ {
		fmt.Fprintf(&b, "  %s\n", w[i])
	}
	for _, line := range w[first:min(len(w), first+8)] {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, line := range g[first:min(len(g), first+8)] {
		fmt.Fprintf(&b, "+ %s\n", line)
	}
	return b.String()
}
