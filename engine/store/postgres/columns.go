package postgres

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

func micros(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 9999:
		return math.MaxInt64
	}
	return t.UnixMicro()
}

// instant is the inverse of micros.
func instant(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// decoded reads a JSON column, which may be empty. What cannot be decoded is no
// error of the query, in which other runs are read too: it is noted in fault.
func decoded(text string, into any, fault *error) {
	if text == "" {
		return
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		*fault = err
	}
}

// illegible is the failure of what cannot be decoded.
func illegible(step string, err error) *workflow.Failure {
	return &workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
		Message: fmt.Sprintf("what is stored of it cannot be read: %v", err)}
}

// scanner is a row of a query.
type scanner interface{ Scan(dest ...any) error }

const runColumns = `id, workflow, version, status, owner, token, due_at, seq, inbox_seq, canceled, attempt, begun,
	takeovers, created_at, started_at, ended_at, ended_seq, park_kind, park_step, park_events, park_since, park_seq,
	because, failure, input`

// scanRun reads runColumns, and what follows them. Events that cannot be decoded
// are left out: the run wakes at the end of its park, and parks anew.
func scanRun(row scanner, rest ...any) (r store.Run, token int64, err error) {
	var id []byte
	var due, created, started, ended, since int64
	var events, failed string
	dest := []any{&id, &r.Workflow, &r.Version, &r.Status, &r.Owner, &token, &due, &r.Seq, &r.InboxSeq, &r.Canceled, &r.Attempt, &r.Begun,
		&r.Takeovers, &created, &started, &ended, &r.EndedSeq, &r.Park.Kind, &r.Park.Step, &events, &since, &r.Park.Seq,
		&r.Because, &failed, (*[]byte)(&r.Input)}
	if err := row.Scan(append(dest, rest...)...); err != nil {
		return r, 0, err
	}
	r.ID = store.UnpackID(id)
	if r.Sub = r.Input == nil; len(r.Input) == 0 {
		r.Input = nil
	}
	r.Park.Until, r.Park.Since = instant(due), instant(since)
	r.CreatedAt, r.StartedAt, r.EndedAt = instant(created), instant(started), instant(ended)
	var lost, fault error
	decoded(events, &r.Park.Events, &lost)
	decoded(failed, &r.Failure, &fault)
	if fault != nil {
		r.Failure = illegible("", fault)
	}
	return r, token, nil
}

const entryColumns = "seq, kind, step, attempt, at, started_at, started_seq, begins, next_at, reconciled, label, signals, failure, output"

// scanEntry reads an entry behind its run. What a reopening returned stands where
// others have what they consumed, until the history is whole.
func scanEntry(row scanner) (run string, e store.Entry, err error) {
	var id []byte
	var at, started, next int64
	var signals, failed string
	if err := row.Scan(&id, &e.Seq, &e.Kind, &e.Step, &e.Attempt, &at, &started, &e.StartedSeq, &e.Begins, &next, &e.Reconciled,
		&e.Label, &signals, &failed, (*[]byte)(&e.Output)); err != nil {
		return "", e, err
	}
	e.At, e.StartedAt, e.NextAt = instant(at), instant(started), instant(next)
	e.Unfold()
	var fault error
	decoded(signals, &e.Consumed, &fault)
	decoded(failed, &e.Failure, &fault)
	if fault != nil { // the step cannot be said to be done: its run fails, and no other
		e.Kind, e.Failure, e.Consumed = store.EntryFailed, illegible(e.Step, fault), nil
	}
	return string(id), e, nil
}

// arrange puts what was read of a run in order.
func arrange(c *store.Claimed) {
	history, signals := c.History, c.Signals
	slices.SortFunc(history, func(a, b store.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	slices.SortFunc(signals, func(a, b store.Signal) int { return cmp.Compare(a.Seq, b.Seq) })
	c.History, c.Signals = history[:0], signals[:0]
	reading := store.Into(c)
	for _, e := range history {
		reading.Entry(e, e.Consumed)
	}
	for _, s := range signals {
		reading.Signal(s)
	}
}

const signalColumns = "run_id, id, seq, event, at, late, payload"

// scanSignal reads a signal behind its run, and what precedes both; it does not
// know what consumed it.
func scanSignal(row scanner, before ...any) (run string, s store.Signal, err error) {
	var id []byte
	var at int64
	err = row.Scan(append(before, &id, &s.ID, &s.Seq, &s.Event, &at, &s.Late, (*[]byte)(&s.Payload))...)
	s.At = instant(at)
	return string(id), s, err
}
