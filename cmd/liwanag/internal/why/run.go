package why

import (
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Run is the state of a run.
type Run struct {
	World
	Run      workflow.Run
	Standing Standing
	Timeout  time.Duration // of an attempt of the step that executes; 0: not known
	Batch    *liwanag.Batch
	People   int         // of the batch
	Latest   *Submission // the run's latest paid call
	Message  *Message    // that the run sends
}

// Standing is what the runner knows of an open run besides; the zero value where it
// cannot tell.
type Standing struct {
	Node    string
	Dead    bool // the node that has it does not live any more
	Before  int64
	Lost    int
	Suspect bool
	Latest  time.Time // when anything happened to it last
	// Attempt is since when an attempt of a step is under way in this process; zero:
	// none is here.
	Attempt time.Time
}

// Why says why a run stands where it stands.
func (r Run) Why() api.Why {
	s := tell()
	if r.Run.Paused {
		s.sum(none, none, "It is paused: it begins no further step, whatever comes; events are kept for it.")
		s.act("Let it go on.", "liwanag runs resume %s", r.Run.ID)
	}
	switch {
	case r.Run.Status.Ended():
		r.ended(s)
		return s.Why
	case r.Message == nil:
		r.blocked(s)
	}
	r.hindered(s)
	switch r.Run.Status {
	case workflow.StatusWaiting:
		r.waiting(s)
	case workflow.StatusPending:
		r.inLine(s)
		s.sum(r.Run.CreatedAt, none, "It has not begun: a node begins it in a moment.")
	default:
		r.executes(s)
	}
	r.inbox(s)
	return s.Why
}

// ended tells how a run came to its end.
func (r Run) ended(s *story) {
	id := r.Run.ID
	switch f := r.Run.Failure; {
	case r.Run.Status == workflow.StatusCompleted && r.Run.FinishedBecause != "":
		s.sum(r.Run.EndedAt, none, "It is done, early: %s. Nothing is waited for.",
			strings.ReplaceAll(r.Run.FinishedBecause, "-", " "))
	case r.Run.Status == workflow.StatusCompleted:
		s.sum(r.Run.EndedAt, none, "It is done: nothing is waited for.")
	case r.Run.Status == workflow.StatusCanceled:
		reason := ""
		if f != nil {
			reason = f.Message
		}
		s.sum(r.Run.EndedAt, none, "It was canceled%s.", because(reason))
		s.act("Let it go on after all.", "liwanag runs retry %s", id)
	case r.Run.Status == workflow.StatusTimedOut:
		s.sum(r.Run.EndedAt, none, "It timed out%s: what it waited for did not come in time.", at(f))
		s.act("Try it again, if it may come now.", "liwanag runs retry %s", id)
	case f != nil && f.Code == workflow.CodeSubRuns:
		s.sum(r.Run.EndedAt, none, "It failed%s: more of its sub-runs failed than are tolerated%s.", at(f),
			because(f.Message))
		s.act("See which failed.", "liwanag runs list --parent %s --status failed", id)
		s.act("Try it again when the cause is gone: those that completed stay.", "liwanag runs retry %s", id)
	default:
		why := ""
		if f != nil {
			why = f.Message
		}
		s.sum(r.Run.EndedAt, none, "It failed%s%s.", at(f), because(why))
		s.act("Try it again when the cause is gone.", "liwanag runs retry %s", id)
	}
	if r.Latest != nil && r.Run.Status != workflow.StatusCompleted {
		s.include(r.Latest.story())
	}
}

func at(f *workflow.Failure) string {
	if f == nil || f.Step == "" {
		return ""
	}
	return " at " + f.Step
}

// hindered tells what keeps this run from going on, wherever it stands.
func (r Run) hindered(s *story) {
	id, st := r.Run.ID, r.Standing
	if r.Run.NoDefinition != "" {
		s.sum(none, none, "No server holds the definition it was begun with: %s. It stays as it is until one does.",
			r.Run.NoDefinition)
		s.act("Start a server of the release that it was begun with; or give it up, without its handlers.",
			"liwanag runs cancel %s --force", id)
	}
	if r.Run.CancelRequested {
		s.sum(none, none, "It is being canceled: the step that is under way may end first.")
		s.act("End it at once, without its handlers.", "liwanag runs cancel %s --force", id)
	}
	if st.Dead {
		node := st.Node
		if node == "" {
			node = "a node that is gone"
		}
		s.sum(st.Latest, none, "It belongs to %s, whose lease is over: another node takes it on as soon as there is one.",
			node)
		s.act("Start a server on this database, if none runs.", "liwanag serve")
	}
	switch {
	case st.Suspect:
		s.sum(st.Latest, none, "It is a suspect: %d servers in a row were lost while they executed it. It is executed "+
			"alone, after everything else, "+
			"so that it takes no other run down.", st.Lost)
		s.act("See what it did last; give it up if it is what kills the server.", "liwanag runs cancel %s --force", id)
	case st.Lost > 0:
		s.fact(st.Latest, none, "%s lost while executing it, and it was taken over.", count(st.Lost, "server was",
			"servers were"))
	}
}

// inLine tells what stands before a run that is due.
func (r Run) inLine(s *story) {
	if r.Standing.Before > 0 {
		s.sum(r.Run.CreatedAt, none, "It is due, and stands in line behind %s: all places of the servers are taken.",
			count(int(r.Standing.Before), "run", "runs"))
		s.act("Let more steps run at once, or start another server on the same database.",
			"LIWANAG_CONCURRENCY=… liwanag serve")
	}
}

// executes tells of a run of which a step executes, or is due.
func (r Run) executes(s *story) {
	step := ""
	for _, st := range r.Run.Steps {
		if st.Status == workflow.StatusRunning {
			step = st.Name
		}
	}
	since, st := r.Standing.Attempt, r.Standing
	if since.IsZero() {
		since = st.Latest
	}
	switch {
	case st.Before > 0:
		r.inLine(s)
	case r.Timeout > 0 && !since.IsZero() && r.Now.Sub(since) > r.Timeout && (!st.Attempt.IsZero() || st.Node != ""):
		s.sum(since, since.Add(r.Timeout), "The step %s is past its timeout of %s and goes on all the same: it does not "+
			"heed that its time is over. "+
			"Nothing interrupts it; the run goes on when it returns, or when its server ends.", step, r.Timeout)
		s.act("End the server that executes it; another one, or the same after a start, takes the run over.",
			"liwanag runs show %s", r.Run.ID)
	case step != "" && (st.Node != "" || !st.Attempt.IsZero()):
		until := none
		if r.Timeout > 0 && !since.IsZero() {
			until = since.Add(r.Timeout)
		}
		s.sum(since, until, "The step %s is being executed%s.", step, by(st.Node))
	case step != "":
		s.sum(since, none, "The step %s is due: a node executes it in a moment.", step)
	default:
		s.sum(since, none, "It is being executed%s.", by(st.Node))
	}
	if r.Latest != nil {
		s.include(r.Latest.story())
	}
}

func by(node string) string {
	if node == "" {
		return ""
	}
	return " by node " + node
}

// inbox tells of events that came near, and why they did not count.
func (r Run) inbox(s *story) {
	events, bytes := 0, 0
	for _, e := range r.Run.Events {
		events, bytes = events+1, bytes+len(e.Data)
		if e.SetAside != "" && e.ConsumedBy == "" {
			s.fact(e.ReceivedAt, none, "An event %s (%s) came and was set aside: %s. The right one can follow.", e.Type, e.ID,
				e.SetAside)
			s.act("Send the right event, under another id.", "liwanag runs event %s %s", r.Run.ID, e.Type+" '{…}'")
		}
	}
	if !workflow.InboxHolds(events, bytes, nil) || events >= workflow.MaxInbox {
		s.sum(none, none, "Its inbox is full, with %s: further events are refused.", count(events, "event", "events"))
		s.act("Find out who sends so many. The run takes what it has; or give it up.", "liwanag runs cancel %s", r.Run.ID)
	}
}
