package postgres

import (
	"cmp"
	"encoding/json"
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
	err := found.Scan(&r.id, &r.owner, &r.token, &r.dueAt, &r.seq, &r.inboxSeq, &r.startedAt, &r.endedAt, &r.endedSeq, &r.parkSince, &r.parkSeq,
		&r.attempt, &r.takeovers, &r.canceled, &r.begun, &r.status, &r.parkKind, &r.parkStep, &r.parkEvents, &r.because, &r.failure)
	return r, err
}

const updateRuns = `
	UPDATE run SET owner = u.owner, token = u.token, due_at = u.due_at, seq = u.seq, inbox_seq = u.inbox_seq, started_at = u.started_at,
		ended_at = u.ended_at, ended_seq = u.ended_seq, park_since = u.park_since, park_seq = u.park_seq, attempt = u.attempt,
		takeovers = u.takeovers, canceled = u.canceled, begun = u.begun, status = u.status, park_kind = u.park_kind,
		park_step = u.park_step, park_events = u.park_events, because = u.because, failure = u.failure
	FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
		$10::bigint[], $11::bigint[], $12::integer[], $13::integer[], $14::boolean[], $15::boolean[], $16::text[], $17::text[], $18::text[],
		$19::text[], $20::text[], $21::text[]) AS u (` + imageColumns + `)
	WHERE run.id = u.id`

// imageArgs are the columns of rows, as updateRuns takes them.
func imageArgs(rows []*row) []any {
	n := len(rows)
	ids := make([][]byte, n)
	var longs [10][]int64
	var ints [2][]int32
	var bools [2][]bool
	var texts [6][]string
	for i := range longs {
		longs[i] = make([]int64, n)
	}
	for i := range ints {
		ints[i], bools[i] = make([]int32, n), make([]bool, n)
	}
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, r := range rows {
		ids[i] = r.id
		for c, v := range [...]int64{r.owner, r.token, r.dueAt, r.seq, r.inboxSeq, r.startedAt, r.endedAt, r.endedSeq, r.parkSince, r.parkSeq} {
			longs[c][i] = v
		}
		ints[0][i], ints[1][i], bools[0][i], bools[1][i] = r.attempt, r.takeovers, r.canceled, r.begun
		for c, v := range [...]string{r.status, r.parkKind, r.parkStep, r.parkEvents, r.because, r.failure} {
			texts[c][i] = v
		}
	}
	args := []any{ids}
	for _, c := range longs {
		args = append(args, c)
	}
	args = append(args, ints[0], ints[1], bools[0], bools[1])
	for _, c := range texts {
		args = append(args, c)
	}
	return args
}

// entries are rows of the history, column by column.
type entries struct {
	runs                                 [][]byte
	seq, at, startedAt, startedSeq, next []int64
	attempt                              []int32
	begins, reconciled                   []bool
	kind, step, label, signals, failure  []string
	output                               [][]byte
}

const insertEntries = `
	INSERT INTO history (run_id, seq, at, started_at, started_seq, next_at, attempt, begins, reconciled, kind, step, label, signals, failure, output)
	SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::integer[], $8::boolean[],
		$9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[])`

func (t *entries) n() int { return len(t.runs) }

// add adds an entry as it is numbered.
func (t *entries) add(run []byte, e store.Entry, signals []string) error {
	consumed, err := names(signals)
	if err != nil {
		return err
	}
	failure, err := failureText(e.Failure)
	if err != nil {
		return err
	}
	t.runs, t.seq, t.at, t.startedAt = append(t.runs, run), append(t.seq, e.Seq), append(t.at, micros(e.At)), append(t.startedAt, micros(e.StartedAt))
	t.startedSeq, t.next, t.attempt = append(t.startedSeq, e.StartedSeq), append(t.next, micros(e.NextAt)), append(t.attempt, int32(e.Attempt))
	t.begins, t.reconciled = append(t.begins, e.Begins), append(t.reconciled, e.Reconciled)
	t.kind, t.step, t.label = append(t.kind, string(e.Kind)), append(t.step, e.Step), append(t.label, printable(e.Label))
	t.signals, t.failure, t.output = append(t.signals, consumed), append(t.failure, failure), append(t.output, e.Output)
	return nil
}

func (t *entries) args() []any {
	return []any{t.runs, t.seq, t.at, t.startedAt, t.startedSeq, t.next, t.attempt, t.begins, t.reconciled, t.kind, t.step, t.label, t.signals, t.failure, t.output}
}

// signals are rows of the inbox, column by column.
type signals struct {
	runs    [][]byte
	ids     []string
	seq, at []int64
	event   []string
	late    []bool
	payload [][]byte
}

const insertSignals = `
	INSERT INTO signal (run_id, id, seq, event, at, late, payload)
	SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::boolean[], $7::bytea[])`

func (t *signals) n() int { return len(t.runs) }

func (t *signals) add(run []byte, s store.Signal) {
	t.runs, t.ids, t.seq, t.event = append(t.runs, run), append(t.ids, s.ID), append(t.seq, s.Seq), append(t.event, s.Event)
	t.at, t.late, t.payload = append(t.at, micros(s.At)), append(t.late, s.Late), append(t.payload, s.Payload)
}

func (t *signals) args() []any { return []any{t.runs, t.ids, t.seq, t.event, t.at, t.late, t.payload} }

// creates are new runs, column by column.
type creates struct {
	ids                                   [][]byte
	workflow                              []string
	version                               []int32
	owner, due, seq, createdAt, startedAt []int64
	input                                 [][]byte
}

// A run that is there already is left as it is; those that are new are returned.
const insertRuns = `
	INSERT INTO run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, input)
	SELECT id, workflow, version, 'open', owner, 1, due_at, seq, created_at, started_at, input
	FROM unnest($1::bytea[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[])
		AS c (id, workflow, version, owner, due_at, seq, created_at, started_at, input)
	ON CONFLICT DO NOTHING RETURNING id`

func (t *creates) n() int { return len(t.ids) }

func (t *creates) add(id []byte, r store.Run) {
	t.ids, t.workflow, t.version, t.owner = append(t.ids, id), append(t.workflow, r.Workflow), append(t.version, int32(r.Version)), append(t.owner, r.Owner)
	t.due, t.seq, t.createdAt = append(t.due, micros(r.Park.Until)), append(t.seq, r.Seq), append(t.createdAt, micros(r.CreatedAt))
	t.startedAt, t.input = append(t.startedAt, micros(r.StartedAt)), append(t.input, r.Input)
}

// args are in the order of the ids: two groups that create the same runs wait for
// each other, never in a circle.
func (t *creates) args() []any {
	order := sortedBy(t.ids)
	return []any{in(order, t.ids), in(order, t.workflow), in(order, t.version), in(order, t.owner), in(order, t.due), in(order, t.seq),
		in(order, t.createdAt), in(order, t.startedAt), in(order, t.input)}
}

func in[T any](order []int, column []T) []T {
	out := make([]T, len(order))
	for i, at := range order {
		out[i] = column[at]
	}
	return out
}

// printable is a text as the database takes it: reasons and labels are free text.
func printable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func names(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func failureText(f *workflow.Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	text, err := json.Marshal(f)
	return string(text), err
}

// awaits says whether a park is one for an event; in a list of names each stands
// between quotes.
func (r *row) awaits(quotedEvent string) bool { return strings.Contains(r.parkEvents, quotedEvent) }

// wake makes a parked run due; while a node owns the run it means nothing.
func (r *row) wake(now int64) { r.dueAt = min(r.dueAt, now) }

// park parks a run as decided, and numbers what begins with it.
func (r *row) park(p store.Park) (err error) {
	if p.Seq == 0 && (p.Kind == store.ParkWait || p.Kind == store.ParkSleep) {
		r.seq++
		p.Seq = r.seq
	}
	r.owner, r.dueAt, r.parkKind, r.parkStep, r.parkSince, r.parkSeq = 0, micros(p.Until), string(p.Kind), p.Step, micros(p.Since), p.Seq
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
