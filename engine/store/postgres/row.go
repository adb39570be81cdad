package postgres

import (
	"cmp"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// row is what may change of a run's row, while a group holds its lock. Times are
// microseconds.
type row struct {
	id                                                       []byte
	owner, token, dueAt, seq, inboxSeq                       int64
	startedAt, endedAt, endedSeq, parkSince, parkSeq         int64
	attempt, takeovers                                       int32
	canceled, begun                                          bool
	status, parkKind, parkStep, parkEvents, because, failure string
	dirty                                                    bool
}

const imageColumns = `id, owner, token, due_at, seq, inbox_seq, started_at, ended_at, ended_seq, park_since, park_seq,
	attempt, takeovers, canceled, begun, status, park_kind, park_step, park_events, because, failure`

func scanImage(found pgx.Rows) (*row, error) {
	r := &row{}
	err := found.Scan(&r.id, &r.owner, &r.token, &r.dueAt, &r.seq, &r.inboxSeq, &r.startedAt, &r.endedAt, &r.endedSeq,
		&r.parkSince, &r.parkSeq,
		&r.attempt, &r.takeovers, &r.canceled, &r.begun, &r.status, &r.parkKind, &r.parkStep, &r.parkEvents, &r.because, &r.failure)
	return r, err
}

// awaits says whether a park is one for an event; in a list of names each stands
// between quotes.
func (r *row) awaits(quotedEvent string) bool { return strings.Contains(r.parkEvents, quotedEvent) }

// wake makes a parked run due; while a node owns the run it means nothing.
func (r *row) wake(now int64) { r.dueAt = min(r.dueAt, now) }

// park parks a run as decided, and numbers what begins with it.
func (r *row) park(p store.Park) (err error) {
	if p.Seq == 0 && p.Kind.Numbered() {
		r.seq++
		p.Seq = r.seq
	}
	r.owner = store.Released(r.inboxSeq)
	r.dueAt, r.parkKind, r.parkStep, r.parkSince, r.parkSeq = micros(p.Until), string(p.Kind), p.Step, micros(p.Since), p.Seq
	r.parkEvents, err = names(p.Events)
	return err
}

// end ends a run.
func (r *row) end(e store.Ending, now int64) (err error) {
	r.seq++
	r.status, r.because, r.owner, r.endedAt, r.endedSeq = string(e.Status), printable(e.Because), 0, now, r.seq
	r.failure, err = failureText(e.Failure)
	return err
}

// begin notes when a run began, once.
func (r *row) begin(at int64) { r.startedAt = cmp.Or(r.startedAt, at) }

// failureOf is how an ended run failed.
func (r *row) failureOf() (f *workflow.Failure) {
	var fault error
	if decoded(r.failure, &f, &fault); fault != nil {
		return illegible("", fault)
	}
	return f
}
