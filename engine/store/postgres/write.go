package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// records are the columns of rows that a statement writes.
type records []column

type column interface {
	head() (name, sqlType string)
	all() any
	one() any
}

// columnOf is a column of any number of rows.
type columnOf[T any] struct {
	name, sqlType string
	values        []T
}

func (c columnOf[T]) head() (name, sqlType string) { return c.name, c.sqlType }
func (c columnOf[T]) all() any                     { return c.values }
func (c columnOf[T]) one() any                     { return c.values[0] }

// of makes a column of what each row has in it.
func of[R, T any](name, sqlType string, rows []R, value func(R) T) column {
	c := columnOf[T]{name, sqlType, make([]T, len(rows))}
	for i, r := range rows {
		c.values[i] = value(r)
	}
	return c
}

// from is the records as a table that a statement reads, with its arguments. A
// single row is written as such: arrays of one take the server four times as long
// to plan.
func (r records) from(rows int) (table, columns string, args []any) {
	var names, params []string
	for i, c := range r {
		name, sqlType := c.head()
		names = append(names, name)
		if rows == 1 {
			params, args = append(params, fmt.Sprintf("$%d::%s", i+1, sqlType)), append(args, c.one())
		} else {
			params, args = append(params, fmt.Sprintf("$%d::%s[]", i+1, sqlType)), append(args, c.all())
		}
	}
	columns = strings.Join(names, ", ")
	if rows == 1 {
		return "(VALUES (" + strings.Join(params, ", ") + ")) AS r (" + columns + ")", columns, args
	}
	return "unnest(" + strings.Join(params, ", ") + ") AS r (" + columns + ")", columns, args
}

// updateRuns writes what may change of runs.
func updateRuns(b batch, rows []*row) {
	table, _, args := records{
		of("id", "bytea", rows, func(r *row) []byte { return r.id }),
		of("owner", "bigint", rows, func(r *row) int64 { return r.owner }),
		of("token", "bigint", rows, func(r *row) int64 { return r.token }),
		of("due_at", "bigint", rows, func(r *row) int64 { return r.dueAt }),
		of("seq", "bigint", rows, func(r *row) int64 { return r.seq }),
		of("inbox_seq", "bigint", rows, func(r *row) int64 { return r.inboxSeq }),
		of("started_at", "bigint", rows, func(r *row) int64 { return r.startedAt }),
		of("ended_at", "bigint", rows, func(r *row) int64 { return r.endedAt }),
		of("ended_seq", "bigint", rows, func(r *row) int64 { return r.endedSeq }),
		of("park_since", "bigint", rows, func(r *row) int64 { return r.parkSince }),
		of("park_seq", "bigint", rows, func(r *row) int64 { return r.parkSeq }),
		of("attempt", "integer", rows, func(r *row) int32 { return r.attempt }),
		of("takeovers", "integer", rows, func(r *row) int32 { return r.takeovers }),
		of("canceled", "boolean", rows, func(r *row) bool { return r.canceled }),
		of("begun", "boolean", rows, func(r *row) bool { return r.begun }),
		of("status", "text", rows, func(r *row) string { return r.status }),
		of("park_kind", "text", rows, func(r *row) string { return r.parkKind }),
		of("park_step", "text", rows, func(r *row) string { return r.parkStep }),
		of("park_events", "text", rows, func(r *row) string { return r.parkEvents }),
		of("because", "text", rows, func(r *row) string { return r.because }),
		of("failure", "text", rows, func(r *row) string { return r.failure }),
	}.from(len(rows))
	b.Queue(`
		UPDATE wf_run SET owner = r.owner, token = r.token, due_at = r.due_at, seq = r.seq, inbox_seq = r.inbox_seq, started_at = r.started_at,
			ended_at = r.ended_at, ended_seq = r.ended_seq, park_since = r.park_since, park_seq = r.park_seq, attempt = r.attempt,
			takeovers = r.takeovers, canceled = r.canceled, begun = r.begun, status = r.status, park_kind = r.park_kind,
			park_step = r.park_step, park_events = r.park_events, because = r.because, failure = r.failure
		FROM `+table+" WHERE wf_run.id = r.id", args...)
}

// entryOf is an entry of a run, numbered. signals are those that it consumed, or,
// of a reopening, those that it returned.
type entryOf struct {
	run []byte
	store.Entry
	signals, failure string
}

func newEntry(run []byte, e store.Entry, signals []string) (entryOf, error) {
	consumed, err := names(signals)
	if err != nil {
		return entryOf{}, err
	}
	failure, err := failureText(e.Failure)
	return entryOf{run, e, consumed, failure}, err
}

func insertEntries(b batch, entries []entryOf) {
	table, columns, args := records{
		of("run_id", "bytea", entries, func(e entryOf) []byte { return e.run }),
		of("seq", "bigint", entries, func(e entryOf) int64 { return e.Seq }),
		of("at", "bigint", entries, func(e entryOf) int64 { return micros(e.At) }),
		of("started_at", "bigint", entries, func(e entryOf) int64 { return micros(e.StartedAt) }),
		of("started_seq", "bigint", entries, func(e entryOf) int64 { return e.StartedSeq }),
		of("next_at", "bigint", entries, func(e entryOf) int64 { return micros(e.NextAt) }),
		// #nosec G115 -- a count that the column holds
		of("attempt", "integer", entries, func(e entryOf) int32 { return int32(e.Attempt) }),
		of("begins", "boolean", entries, func(e entryOf) bool { return e.Begins }),
		of("reconciled", "boolean", entries, func(e entryOf) bool { return e.Reconciled }),
		of("kind", "text", entries, func(e entryOf) string { return string(e.Kind) }),
		of("step", "text", entries, func(e entryOf) string { return e.Step }),
		of("label", "text", entries, func(e entryOf) string { return printable(e.FoldText()) }),
		of("signals", "text", entries, func(e entryOf) string { return e.signals }),
		of("failure", "text", entries, func(e entryOf) string { return e.failure }),
		of("output", "bytea", entries, func(e entryOf) []byte { return e.Output }),
	}.from(len(entries))
	b.Queue("INSERT INTO wf_history ("+columns+") SELECT * FROM "+table, args...)
}

// deleteFolded takes away the entries that others stand for.
func deleteFolded(b batch, folds []entryOf) {
	table, _, args := records{
		of("run_id", "bytea", folds, func(e entryOf) []byte { return e.run }),
		of("seq", "bigint", folds, func(e entryOf) int64 { return e.Folds }),
		of("after", "bigint", folds, func(e entryOf) int64 { return e.Folds + 1 - int64(e.Count) }),
	}.from(len(folds))
	b.Queue("DELETE FROM wf_history AS h USING "+table+" WHERE h.run_id = r.run_id AND h.seq > r.after AND h.seq <= r.seq", args...)
}

// signalOf is a signal on its way to a run.
type signalOf struct {
	run []byte
	store.Signal
}

func insertSignals(b batch, signals []signalOf) {
	table, columns, args := records{
		of("run_id", "bytea", signals, func(s signalOf) []byte { return s.run }),
		of("id", "text", signals, func(s signalOf) string { return s.ID }),
		of("seq", "bigint", signals, func(s signalOf) int64 { return s.Seq }),
		of("event", "text", signals, func(s signalOf) string { return s.Event }),
		of("at", "bigint", signals, func(s signalOf) int64 { return micros(s.At) }),
		of("late", "boolean", signals, func(s signalOf) bool { return s.Late }),
		of("payload", "bytea", signals, func(s signalOf) []byte { return s.Payload }),
	}.from(len(signals))
	b.Queue("INSERT INTO wf_signal ("+columns+") SELECT * FROM "+table, args...)
}

// creation is a run to be inserted.
type creation struct {
	id []byte
	store.Run
}

// input is what a run keeps, which only a sub-run has none of.
func (r creation) input() []byte {
	if r.Sub {
		return nil
	}
	return append([]byte{}, r.Input...)
}

// insertRuns inserts runs in the order of their ids: two groups that create the same
// ones wait for each other, never in a circle.
func insertRuns(b batch, runs []creation) {
	slices.SortFunc(runs, func(a, b creation) int { return bytes.Compare(a.id, b.id) })
	table, columns, args := records{
		of("id", "bytea", runs, func(r creation) []byte { return r.id }),
		of("workflow", "text", runs, func(r creation) string { return r.Workflow }),
		of("version", "bigint", runs, func(r creation) int64 { return int64(r.Version) }),
		of("owner", "bigint", runs, func(r creation) int64 { return r.Owner }),
		of("due_at", "bigint", runs, func(r creation) int64 { return micros(r.Park.Until) }),
		of("seq", "bigint", runs, func(r creation) int64 { return r.Seq }),
		of("created_at", "bigint", runs, func(r creation) int64 { return micros(r.CreatedAt) }),
		of("started_at", "bigint", runs, func(r creation) int64 { return micros(r.StartedAt) }),
		of("input", "bytea", runs, func(r creation) []byte { return r.input() }),
	}.from(len(runs))
	b.Queue("INSERT INTO wf_run ("+columns+", status, token) SELECT *, 'open', 1 FROM "+table, args...)
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
