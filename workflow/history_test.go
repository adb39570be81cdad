package workflow_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/liwanag/liwanag/workflow"
)

func TestSnoozesInARowAreFolded(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := start
	var history []workflow.HistoryItem
	add := func(change func(*workflow.HistoryItem)) workflow.HistoryItem {
		item := workflow.HistoryItem{At: at, Type: workflow.HistoryStepSnoozed, Step: "a", Attempt: 1, Data: json.RawMessage(`{"nextAt":1}`)}
		if change != nil {
			change(&item)
		}
		history = workflow.AppendHistory(history, item)
		at = at.Add(time.Second)
		return history[len(history)-1]
	}
	for range workflow.KeptApart + 5 {
		add(nil)
	}
	last := add(nil)
	want := workflow.Folded{Count: 7, First: start.Add(9 * time.Second), Latest: start.Add(15 * time.Second)}
	if got := last.Folded(); len(history) != workflow.KeptApart || got != want || last.Seq != 16 || !last.At.Equal(want.Latest) ||
		!strings.Contains(string(last.Data), `"nextAt":1`) {
		t.Errorf("%d items, the last stands for %+v: %+v %s", len(history), got, last, last.Data)
	}
	if history[0].Folded().Count != 1 {
		t.Errorf("%+v", history[0].Folded())
	}
	for name, change := range map[string]func(*workflow.HistoryItem){
		"another step":    func(i *workflow.HistoryItem) { i.Step = "b" },
		"another attempt": func(i *workflow.HistoryItem) { i.Attempt++ },
		"another type":    func(i *workflow.HistoryItem) { i.Type = workflow.HistoryStepRetrying },
		"a find":          func(i *workflow.HistoryItem) { i.Data = json.RawMessage(`{"found":true}`) },
	} {
		n := len(history)
		if got := add(change); len(history) != n+1 || got.Folded().Count != 1 {
			t.Errorf("%s is folded: %+v", name, got)
		}
		history = history[:n]
	}
}

func TestTextsAreClippedToWhatIsKept(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 20<<20), strings.Repeat("ä", 5000), strings.Repeat("\xff", 5000),
		strings.Repeat("\x00", 1000), strings.Repeat("x", 999) + "\xff\xff"} {
		got := workflow.Clip(text)
		if len(got) > workflow.MaxText || !strings.HasSuffix(got, "…") || !utf8.ValidString(got) {
			t.Errorf("%.10q: %d bytes", text, len(got))
		}
	}
	if got := workflow.Clip("short\xff\x00"); got != "short\uFFFD\uFFFD" {
		t.Errorf("%q", got)
	}
}
