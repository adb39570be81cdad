// Package store is what an engine must remember between two moves of a run: the
// interface that a database implements, its records and its sentinel errors.
//
// Package storetest is the suite that every implementation passes.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// The sentinels. A store that cannot answer returns none of them.
var (
	// ErrExists: a run with this ID exists.
	ErrExists = errors.New("store: the run exists")
	// ErrNotFound: there is no run with this ID.
	ErrNotFound = errors.New("store: no such run")
	// ErrEnded: the run has ended.
	ErrEnded = errors.New("store: the run has ended")
	// ErrNotEnded: the run is open or completed, or it changed since it was read.
	ErrNotEnded = errors.New("store: the run has not ended badly")
	// ErrLeaseLost: another node owns the run, or nobody does. Nothing was written.
	ErrLeaseLost = errors.New("store: the lease is lost")
	// ErrCanceled: the commit ends a run that was canceled after it was decided on.
	// Nothing was written; read the run again and decide anew.
	ErrCanceled = errors.New("store: the run was canceled meanwhile")
	// ErrInboxFull: the run has received as many signals as it may.
	ErrInboxFull = errors.New("store: the inbox is full")
	// ErrRefused: the database does not take what is to be written, and never will: a
	// value that it has no room for, a limit. Nothing was written.
	ErrRefused = errors.New("store: the database refuses what is to be written")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("store: closed")
	// ErrCursor: a page cursor that no listing returned.
	ErrCursor = errors.New("store: invalid cursor")
)

// Store remembers runs. Every call that returns nil is durable. Each method is
// one transaction; concurrent ones may share a commit. The clock is handed in
// with every call that needs it, so a store has none of its own.
type Store interface {
	Subs

	// Create inserts a run that belongs to no other. ErrExists. A run with an Owner belongs to that node
	// from the first write on (its lease has token 1), ErrLeaseLost when that node is
	// dead; one without is due from its Park's Until on, which is when it was created. After any other error the run may have been
	// created.
	Create(ctx context.Context, r Run) error

	// Claim leases runs that are due at now, as many as are wanted, of each class the
	// earliest first, ties by creation. It reads their rows, and small histories and
	// inboxes with them, see Wanted's Bytes; Get reads the others.
	// A newcomer that is claimed has begun: its StartedAt is now. Runs of dead nodes
	// are dealt with first, see Claimed. next is no later than the earliest time after
	// now at which a run of these definitions is due, zero when there is none.
	// ErrLeaseLost when the node itself is dead. After an error nothing is claimed.
	Claim(ctx context.Context, node Node, w Wanted, now time.Time) (claimed []Claimed, next time.Time, err error)

	// Commit writes what a move changed, fenced by the lease: ErrLeaseLost. A
	// commit that parks the run or ends it gives the lease back. Each one that lands
	// advances the lease's Token by one, so that its repetition, by a caller whom the
	// answer did not reach, is known: it changes nothing and is answered. See
	// Progress.
	Commit(ctx context.Context, l Lease, p Progress) (News, error)

	// Deliver puts a signal into the run's inbox, numbers it, and makes the run due
	// when it is parked at a wait for that event. ErrNotFound. To an ended run the
	// signal is kept as late. A repeat of its ID changes nothing. ErrInboxFull when
	// workflow.InboxHolds says so.
	Deliver(ctx context.Context, runID string, s workflow.Signal, now time.Time) (workflow.Receipt, error)

	// Cancel records the request as an entry of kind EntryCancel, once, and makes
	// the run due. Repeating it changes nothing. ErrNotFound, ErrEnded.
	Cancel(ctx context.Context, runID, reason string, now time.Time) error

	// Hurry makes a run that is parked for a retry, a snooze or an event due before its
	// time: its park's Until becomes zero. When a node owns the run, InboxSeq is raised
	// by WakeUnit instead, so that the park which that node decides on does not land.
	// Nothing else changes. ErrNotFound, ErrEnded.
	Hurry(ctx context.Context, runID string) error

	// Pause sets PausedBit of a run's InboxSeq, or clears it: a node that owns the run hears
	// of it with its next commit. What is parked with the bit, or is parked when it is set,
	// has the Owner Paused, and nobody claims it; cleared, it is nobody's again. A cancel
	// and a reopening clear it. ErrNotFound, ErrEnded.
	Pause(ctx context.Context, runID string, paused bool) error

	// Terminate ends an open run as canceled, whoever owns it, and fences the owner; and all
	// that is below it in the same transaction. ErrNotFound, ErrEnded.
	Terminate(ctx context.Context, runID string, f workflow.Failure, now time.Time) error

	// Reopen makes an ended run due again: see Reopening. A sub-run is reopened for the
	// group of the run around it, which counts it: ErrNotEnded when that has none that it
	// belongs to. ErrNotFound, ErrNotEnded.
	Reopen(ctx context.Context, runID string, r Reopening, now time.Time) error

	// Get reads a run whole. ErrNotFound.
	Get(ctx context.Context, runID string) (Claimed, error)

	// List reads runs without history and signals, newest first (by creation, then
	// ID): those that belong to no other, unless the query names IDs. next is the cursor
	// of the next page, empty on the last. ErrCursor.
	List(ctx context.Context, q Query) (runs []Run, next string, err error)

	// Attributes are those of runs, by ID; runs without any are left out.
	Attributes(ctx context.Context, runIDs ...string) (map[string]workflow.Attributes, error)

	// Counts counts runs that belong to no other by workflow, version, status and parked
	// step.
	Counts(ctx context.Context) ([]Count, error)

	// Enter takes the store for an engine that runs, until leave is called. false:
	// another one has it. Stores embed [Use].
	Enter() (leave func(), ok bool)

	// AwaitEnd, Ended, EndedBelow, Awaited, Sweeper and Swept keep who waits in this
	// process for runs to end. Stores embed [Use]; what is closed forsakes them.
	AwaitEnd(runID string) (ended <-chan struct{}, leave func())
	Ended(runIDs ...string)
	EndedBelow(runID string)
	Awaited() []string
	Sweeper() bool
	Swept() (gone bool)

	// Heartbeat registers a node and keeps its lease. The first call of a process,
	// and the first after its lease was lost, answers with a new epoch. On a store
	// with one process there is no lease: every other epoch is dead.
	Heartbeat(ctx context.Context, name string, lease time.Duration) (Node, error)

	// Shapes are what Note noted.
	Shapes(ctx context.Context) (map[Definition][]Shape, error)

	// Note replaces what is noted of a definition.
	Note(ctx context.Context, d Definition, shapes []Shape) error

	// Prune deletes up to n runs that belong to no other and ended before the given time,
	// with all below them, histories and signals, and returns how many it deleted.
	Prune(ctx context.Context, endedBefore time.Time, n int) (int, error)

	// OldKeys is the latest creation among the runs that are of a release with other
	// idempotency keys: see workflow.Call.OldKey. It is known since the store was
	// opened; zero: there were none.
	OldKeys() time.Time
}

// Waker is implemented by stores that learn of due runs from other processes. The
// channel also fires now and then for what nobody told, where there are others.
type Waker interface{ Wake() <-chan struct{} }

// Watcher is implemented by stores whose runs end in other processes, too: Unended are
// those of the runs that have not ended.
type Watcher interface {
	Unended(ctx context.Context, runIDs []string) ([]string, error)
}

// Poster is implemented by stores in which transactions of the program start runs and
// send events: see Posting.
type Poster interface{ OnPosts(Posting) }

// Posting is what a store knows by an engine about what transactions ask for.
type Posting struct {
	Now    func() time.Time          // the clock by which it happens
	Latest func(workflow string) int // the highest version that is held; 0: none is
	Tell   func(error)               // what comes to nothing
}

// Resigner is implemented by stores whose leases outlive a process: Resign gives
// the lease of a node up that will write nothing more, so that others need not wait
// for its end.
type Resigner interface {
	Resign(ctx context.Context, node Node) error
}

// Checker is implemented by stores that can lose what they are kept in and still
// answer: Check says so, without a query.
type Checker interface{ Check() error }

// Backlog is implemented by stores that tell what nobody takes on.
type Backlog interface {
	// Overdue counts open runs that nobody owns although they were due before the
	// given time, and created.
	Overdue(ctx context.Context, before time.Time) (int64, error)
}

// Roster is implemented by stores that know the names of other nodes: Nodes are
// those that registered lately, dead ones included, without Renew.
type Roster interface {
	Nodes(ctx context.Context) ([]Node, error)
}

// Node is a process that executes runs.
type Node struct {
	Name  string
	Epoch int64 // grows with every registration; 0 is no node
	// Renew is how soon Heartbeat must be called again to keep the lease; 0: never,
	// as on a store with one process.
	Renew time.Duration
	// Dead, of a roster: its lease is over.
	Dead bool
	// Clock is the store's own clock when it answered; zero: it has none that
	// matters, since all nodes are on this machine.
	Clock time.Time
}

// Definition names what a node can execute.
type Definition struct {
	Workflow string
	Version  int
}

// Shape is what a definition was like, for runs created from a time on until that of
// the next.
type Shape struct {
	Since time.Time      `json:"since,omitzero"`
	Shape workflow.Shape `json:"shape"`
}

// Wanted is what a node has room for.
type Wanted struct {
	Definitions []Definition
	Runs        int // in all, suspects aside
	New         int // of them, newcomers: runs that have not begun
	Old         int // of them, runs that go on: by a time, an event, a lost node
	Suspects    int // beside them
	// Bytes is how much the history and inbox of a run may take, as Claimed's Rest
	// says, to be read with its row; 0: rows alone.
	Bytes int
	// Except are runs that are left to other nodes, suspects and those of dead nodes
	// aside. A store for one process need not heed it.
	Except []string
}

// Want is room for n runs of these definitions, of either class.
func Want(n int, defs ...Definition) Wanted {
	return Wanted{Definitions: defs, Runs: n, New: n, Old: n}
}

// A run whose attempts lost this many workers in a row is a suspect, and claimed as
// such alone. It is due Quarantine after its worker's death was found, so that what
// else there is begins before it.
const (
	SuspectAfter = 2
	Quarantine   = time.Second
)

// Lease is a node's claim on a run. Epoch and Token fence a node that lost it.
type Lease struct {
	RunID string
	Epoch int64
	// Token grows by one with every commit and by two with every claim, so that an
	// old lease never looks like the one before the present.
	Token int64
}

// Claimed is a run, and the lease on it (zero when it was only read).
//
// Of what a dead node owned, a run that had not begun goes back to the newcomers. One
// that had is taken over by a claim, and Takeovers is 1: nobody knows whether an
// attempt had begun. From then on its owner says so by Begun before each attempt: a
// run that dies with its node and Begun set has Takeovers raised and is nobody's from
// Quarantine later on; without Begun it is nobody's at once, and nothing is counted.
type Claimed struct {
	Lease   Lease
	Run     Run
	History []Entry  // in order of Seq
	Signals []Signal // in order of Seq, consumed and late ones included
	// Whole: History and Signals were read. Get reads them always, Claim when they
	// are small.
	Whole bool
	// Cut: Signals lacks the latest of an inbox that holds more than it may.
	Cut bool
	// TakenOver: this claim took the run from a dead node; the attempt that node
	// may have begun is lost.
	TakenOver bool
	// New: the run was a newcomer until this claim.
	New bool
}

// RowSize is what an entry or a signal takes beside its payload, about.
const RowSize = 400

// Rest is what history and signals take, in bytes, about.
func (c Claimed) Rest() (size int) {
	for _, en := range c.History {
		size += RowSize + len(en.Output)
		if en.Failure != nil {
			size += len(en.Failure.Message)
		}
	}
	for _, s := range c.Signals {
		size += RowSize + len(s.Payload)
	}
	return size
}

// Progress is everything that one move changed, written in one fenced
// transaction: the run's row first, its count checked before the rest.
type Progress struct {
	// Decided is the InboxSeq the move was decided on, and Known the Seq of the
	// latest signal it knew of. When the InboxSeq differs by now, a commit does not
	// park: the rest is written, the node keeps the run, and News tells what came,
	// so that nothing is slept over. One that ends the run is refused with
	// ErrCanceled when a cancel came that Canceled does not know of.
	Decided  int64
	Known    int64
	Canceled bool

	Append []Entry // numbered by the store, in order; consumed signals are marked; the first may fold

	// Park gives the lease back, unless something came. A park of a Numbered kind with Seq 0 begins one:
	// it takes a number after Append, and the store keeps it as the park's Seq.
	Park *Park
	// End ends the run and gives the lease back. Of a sub-run, it is counted in the group
	// of the run around it, which begins another one while there is room, and is woken
	// when it has something to decide.
	End *Ending

	// Close forgets the group of a step that has its outcome. Open begins sub-runs, after
	// that. Stop lets no more begin.
	Close bool
	Open  *Opening
	Stop  bool

	// The row's counters after this commit.
	Attempt   int
	Begun     bool
	Takeovers int
	StartedAt time.Time // written when the row has none

	Now time.Time
}

// Ending is how a run ends.
type Ending struct {
	Status  Status
	Failure *workflow.Failure
	Because string
}

// News is what the run's row says after a commit: what came from outside
// meanwhile, for a run that its node keeps.
type News struct {
	InboxSeq int64
	Canceled bool
	// Signals are those after Known, in order of Seq, when InboxSeq is not what the
	// move was decided on.
	Signals []Signal
}

// Reopening makes an ended run due again. The present ending becomes an entry
// EntryEnded with its number, followed by an EntryReopened. When the row's park is
// that of a wait or sleep (Seq is not 0), EntryEnded carries its Step, Seq and Since
// as Step, StartedSeq and StartedAt, so that its number is not lost. Counters, Begun and
// Canceled are reset; signals that came late wait in the inbox again.
type Reopening struct {
	From   string
	Return []string // IDs of consumed signals that go back to the inbox
	Seq    int64    // the run's Seq when this was decided; ErrNotEnded when it differs
	Undo   bool     // a sub-run that completed is reopened, to undo its steps
	// Resolved is the outcome that a person gave the step From, behind EntryReopened.
	Resolved *Entry
}

// Takes says whether a run of this status is one to reopen.
func (o Reopening) Takes(s Status) bool { return s != Open && (s == Completed) == o.Undo }

// Query selects runs; zero fields select all.
type Query struct {
	Workflow string
	Status   Status    // stored status, or one of the derived ones below
	Now      time.Time // the time at which a derived Status is judged; else unused
	Since    time.Time
	Until    time.Time
	IDs      []string // nil: all
	Parent   string   // the sub-runs of this run, by step and index; empty: runs that belong to no other
	// Attributes that runs have, all of them.
	Attributes workflow.Attributes
	Cursor     string
	Limit      int // of a page; 0: all
}

// Derived statuses that a Query may ask for: an open run that was never owned,
// that is owned or due, that is parked until later.
const (
	Pending Status = "pending"
	Running Status = "running"
	Waiting Status = "waiting"
)

// Derived is the status of a run as people see it, at now: the one definition of
// pending, running and waiting, which a List by derived status follows.
func (r Run) Derived(now time.Time) Status {
	switch {
	case r.Status != Open:
		return r.Status
	case r.Owner <= 0 && r.Park.Kind != ParkNone && r.Park.Until.After(now):
		return Waiting
	case r.Owner <= 0 && r.StartedAt.IsZero():
		return Pending
	}
	return Running
}

// Count is a number of runs.
type Count struct {
	Workflow string
	Version  int
	Status   Status // open, or an ending
	Step     string // of an open run: the step it is parked at, else empty
	Runs     int64
}
