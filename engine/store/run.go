package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Status is what a store knows of a run by itself.
type Status string

// The stored statuses. Whether an open run is pending, running or waiting is
// derived from its row, so that no index follows every move.
const (
	Open      Status = "open"
	Completed Status = "completed"
	Failed    Status = "failed"
	TimedOut  Status = "timed_out"
	Canceled  Status = "canceled"
)

// Run is a run's row.
type Run struct {
	ID        string
	Workflow  string
	Version   int
	Input     json.RawMessage // none of a sub-run: it is made of what is around it
	Sub       bool            // it belongs to another run: see workflow.SubRunID
	CreatedAt time.Time
	StartedAt time.Time // of the first move: the creation, when a node owned it from then; zero: not begun

	Status Status
	Owner  int64 // epoch of the node that owns it; 0: nobody; or Paused
	Park   Park  // of an open run that nobody owns; kept as it was while one does
	// Attempt is how many attempts at the present step ended in an error or were
	// lost with their worker.
	Attempt int
	// Begun: an attempt was begun, and its end is not known. It is written before each
	// attempt of an AtMostOnce step, and of a run with Takeovers.
	Begun bool
	// Takeovers counts how often in a row a node died with this run begun, without
	// progress between; see Claimed.
	Takeovers int

	// Seq is the number of the latest history item. Everything that happens to a
	// run takes the next number or numbers, so that they have no gap.
	Seq int64
	// InboxSeq counts what came from outside: deliveries, cancels, reopenings, and in
	// units of WakeUnit the wakes that came while a node owned the run.
	InboxSeq int64
	Canceled bool // a cancel was requested since the run was (re)opened

	EndedAt  time.Time
	EndedSeq int64 // the number of the ending; 0 while open
	Failure  *workflow.Failure
	Because  string // label of an early finish

	// Attributes that a run is created with; Store.Attributes reads them.
	Attributes workflow.Attributes
	// First is an event that a run is created with: its Seq is 2, and so is the run's.
	First *workflow.Signal
}

// ParkKind is why a run is parked.
type ParkKind string

// The kinds of park.
const (
	ParkNone   ParkKind = ""       // nothing: it is due as it is
	ParkWait   ParkKind = "event"  // for one of Events, until Until
	ParkRetry  ParkKind = "retry"  // for the next attempt at Step
	ParkSnooze ParkKind = "snooze" // until Step looks again
	ParkSleep  ParkKind = "sleep"
	ParkSubs   ParkKind = "runs" // until its sub-runs have ended
)

// Numbered says whether a park of this kind is the beginning of something that the
// history tells of, which takes a number.
func (k ParkKind) Numbered() bool { return k == ParkWait || k == ParkSleep || k == ParkSubs }

// Wakes says whether a wake ends a park of this kind. A wait may look for its answer;
// whether it does, its definition says.
func (k ParkKind) Wakes() bool { return k == ParkRetry || k == ParkSnooze || k == ParkWait }

// WakeUnit is what a wake adds to the InboxSeq of a run that a node owns: more than
// all that is delivered, so that the node tells it from an event, and a row needs no
// column for it.
const WakeUnit int64 = 1 << 32

// Crowded says of a run's InboxSeq that so many signals may have come that the size
// of the inbox must be looked at: fewer cannot fill it.
func Crowded(inboxSeq int64) bool {
	return inboxSeq%WakeUnit >= workflow.MaxInboxBytes/workflow.MaxPayload
}

// Woken says whether a wake came between two values of a run's InboxSeq.
func Woken(before, after int64) bool { return before&^PausedBit/WakeUnit != after&^PausedBit/WakeUnit }

// PausedBit of a run's InboxSeq says that it is paused: whoever decided without it hears of
// it, and a row needs no column for it.
const PausedBit int64 = 1 << 60

// Paused is the Owner of a run that is parked and paused: no node.
const Paused int64 = -1

// Paused says whether the run begins no further step.
func (r Run) Paused() bool { return r.Status == Open && r.InboxSeq&PausedBit != 0 }

// Released is the owner of a run that its node parks.
func Released(inboxSeq int64) int64 {
	if inboxSeq&PausedBit != 0 {
		return Paused
	}
	return 0
}

// Park is what an open run waits for. The zero Park is due at once.
type Park struct {
	Kind   ParkKind
	Step   string
	Events []string  // event names that make it due early
	Until  time.Time // when it is due in any case; zero with a Kind: woken
	Since  time.Time // when the wait or the step's first attempt began
	Seq    int64     // the number of the beginning of what it waits for (wait.started)
}

// EntryKind is what an entry of a history says.
type EntryKind string

// The kinds of entry. The beginning and the present ending of a run are not
// entries: they stand in the run's row.
const (
	EntryCompleted EntryKind = "completed"
	EntryFailed    EntryKind = "failed"
	EntrySkipped   EntryKind = "skipped"
	EntryRetrying  EntryKind = "retrying"
	EntrySnoozed   EntryKind = "snoozed"
	EntryChecked   EntryKind = "checked"  // a look of an open wait that found nothing
	EntryCancel    EntryKind = "cancel"   // Label is the reason
	EntryEnded     EntryKind = "ended"    // an ending that a reopening undid; Label is its status
	EntryReopened  EntryKind = "reopened" // Step is where the run goes on from
	// EntryResolved: a person gave the step an outcome, Output or Failure; Label says who.
	EntryResolved EntryKind = "resolved"
)

// Entry is one row of a run's history. It stands for Width numbered history
// items; Seq is the last of them.
type Entry struct {
	Seq       int64
	Kind      EntryKind
	Step      string
	Attempt   int
	At        time.Time // when it was decided
	StartedAt time.Time // when the attempt, wait or sleep began
	// StartedSeq is the number of a wait's or sleep's beginning (wait.started). An
	// entry with Begins takes that number itself, as the first of its width: the
	// wait was over as soon as it began. Otherwise it was taken by the park, and
	// the engine copies it from there.
	StartedSeq int64
	Begins     bool
	Output     json.RawMessage // nil for a wait that consumed signals: they are its output
	Failure    *workflow.Failure
	NextAt     time.Time // of retrying and snoozed
	Label      string
	Consumed   []string // IDs of the signals that a wait consumed
	// Reconciled: the wait was ended by its own look.
	Reconciled bool
	// Attributes are set on the run with the entry, and are no part of what is read of it.
	Attributes workflow.Attributes

	// Count is how many happenings in a row an entry of kind snoozed or checked
	// stands for, and First when the first of them was decided; zero: one, at At. Seq,
	// At and what else it says are those of the latest, StartedAt that of the first.
	Count int
	First time.Time
	// Folds, of the first entry of a commit, is the number of the entry before it,
	// which it goes on with: same kind, step and attempt. When nothing has happened
	// to the run since, it takes that entry's place, and the next number; else Count,
	// First and Folds count for nothing, and it stands for itself.
	Folds int64
}

// Alone is the entry when it is not folded.
func (e Entry) Alone() Entry {
	if e.Folds != 0 {
		e.Count, e.First, e.Folds = 0, time.Time{}, 0
	}
	return e
}

// FoldText is how stores keep Count and First: as the label, which such an entry
// has no other use for.
func (e Entry) FoldText() string {
	if e.Count < 2 {
		return e.Label
	}
	return fmt.Sprintf("%d %d", e.Count, e.First.UnixMicro())
}

// Unfold is the inverse of FoldText, of an entry whose label was read.
func (e *Entry) Unfold() {
	if e.Kind != EntrySnoozed && e.Kind != EntryChecked {
		return
	}
	var micros int64
	if n, _ := fmt.Sscanf(e.Label, "%d %d", &e.Count, &micros); n == 2 {
		e.Label, e.First = "", time.UnixMicro(micros).UTC()
	}
}

// Width is how many history items the entry stands for: what a commit adds to
// the run's Seq.
func (e Entry) Width() int64 {
	width := int64(1 + len(e.Consumed))
	if e.Reconciled {
		width++
	}
	if e.Begins {
		width++
	}
	return width
}

// Signal is an event in a run's inbox.
type Signal struct {
	workflow.Signal
	Seq        int64
	At         time.Time
	ConsumedBy string // the wait that consumed it
	Late       bool   // it came after the run had ended
}
