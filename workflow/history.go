package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// MaxHistory is how many entries a run's history may have, folded ones counting
// once. A step or wait that would be tried again beyond it fails with
// [CodeTooLarge]; a handler may use a tenth more.
const MaxHistory = 10_000

// Folded is what the data of a history item says that stands for several of its
// kind in a row: snoozes of one attempt, or looks of a wait that found nothing.
// The item has the number and the time of the latest, and stands for as many
// numbers as it counts.
type Folded struct {
	Count  int       `json:"count"`  // how many
	First  time.Time `json:"first"`  // when the first of them happened
	Latest time.Time `json:"latest"` // when the latest did
}

// Folded says for how many happenings the item stands: mostly for one.
func (h HistoryItem) Folded() Folded {
	f := Folded{Count: 1, First: h.At, Latest: h.At}
	if h.foldable() {
		_ = json.Unmarshal(h.Data, &f) // data of other words stands for one
	}
	return f
}

func (h HistoryItem) foldable() bool {
	return h.Type == HistoryStepSnoozed || h.Type == HistoryReconcileChecked
}

// KeptApart is how many snoozes or looks in a row stand each for itself; those that
// follow are folded into the last of them. Waits of a usual length are told in full,
// and polling for months takes no more room.
const KeptApart = 10

// AppendHistory numbers an item and adds it to a history, or folds it into the last
// item: only what is of the same step and attempt is folded, and only directly
// behind each other.
func AppendHistory(history []HistoryItem, next HistoryItem) []HistoryItem {
	next.Seq = 1
	n := len(history)
	if n > 0 {
		next.Seq += history[n-1].Seq
	}
	apart := 0
	for apart < KeptApart && apart < n && history[n-1-apart].like(next) {
		apart++
	}
	if apart < KeptApart || !history[n-1].fold(next) {
		return append(history, next)
	}
	return history
}

func (h HistoryItem) like(o HistoryItem) bool {
	return h.foldable() && h.Type == o.Type && h.Step == o.Step && h.Attempt == o.Attempt
}

func (h *HistoryItem) fold(next HistoryItem) bool {
	fields := map[string]any{}
	if json.Unmarshal(next.Data, &fields) != nil || fields["found"] == true {
		return false
	}
	f := h.Folded()
	f.Count, f.Latest = f.Count+1, next.At
	maps.Copy(fields, f.Fields())
	*h = next
	h.Data, _ = json.Marshal(fields) // what was decoded encodes
	return true
}

// Fields are what a folded item's data has beside that of its latest.
func (f Folded) Fields() map[string]any {
	return map[string]any{"count": f.Count, "first": f.First, "latest": f.Latest}
}

// HistoryFull is the failure of a step or wait whose run has gone on for too long.
func (n *Node) HistoryFull(attempts int) Failure {
	return Failure{Step: n.Name, Reason: ReasonError, Code: CodeTooLarge, Attempts: attempts,
		Message: fmt.Sprintf("the run's history has %d entries, no more are allowed: wait longer between "+
			"attempts, or go on in another run", MaxHistory)}
}
