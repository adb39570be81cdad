package sqlite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// rows is what the writer's and the readers' results have in common.
type rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

// querier reads within a transaction.
type querier func(query string, args ...any) (rows, error)

// each calls scan for every row and closes the rows.
func each(r rows, err error, scan func(r rows) error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := scan(r); err != nil {
			return err
		}
	}
	return r.Err()
}

func micros(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 9999:
		return math.MaxInt64
	}
	return t.UnixMicro()
}

// instant scans microseconds into a time.
type instant struct{ t *time.Time }

func (i instant) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is a %T", v)
	}
	*i.t = time.Time{}
	if n != 0 {
		*i.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// document scans a JSON column, which may be NULL. What cannot be decoded is no
// error of the query, in which other runs are read too: it is noted in fault.
type document struct {
	v     any
	fault *error
}

func (d document) Scan(v any) error {
	switch text := v.(type) {
	case nil:
	case string:
		if err := json.Unmarshal([]byte(text), d.v); err != nil {
			*d.fault = err
		}
	default:
		*d.fault = fmt.Errorf("a JSON column is a %T", v)
	}
	return nil
}

// illegible is the failure of what cannot be decoded.
func illegible(step string, err error) *workflow.Failure {
	return &workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
		Message: fmt.Sprintf("what is stored of it cannot be read: %v", err)}
}

// kindText is how the kind of an entry is kept: most steps complete, and what completed
// has no kind. Rows of earlier releases say it.
func kindText(k store.EntryKind) string {
	if k == store.EntryCompleted {
		return ""
	}
	return string(k)
}

// kind scans the kind of an entry.
type kind struct{ k *store.EntryKind }

func (k kind) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a kind is a %T", v)
	}
	*k.k = cmp.Or(store.EntryKind(text), store.EntryCompleted)
	return nil
}

func names(list []string) (any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func failureText(f *workflow.Failure) (any, error) {
	if f == nil {
		return nil, nil
	}
	text, err := json.Marshal(f)
	return string(text), err
}

// runID scans a packed id.
type runID struct{ id *string }

func (r runID) Scan(v any) error {
	packed, ok := v.([]byte)
	if !ok {
		return fmt.Errorf("a run id is a %T", v)
	}
	*r.id = store.UnpackID(packed)
	return nil
}

type atomicInt struct{ n *atomic.Int64 }

func newInt(n *atomic.Int64) atomicInt { return atomicInt{n} }

func (a atomicInt) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a number is a %T", v)
	}
	a.n.Store(n)
	return nil
}

const runColumns = `id, workflow, version, status, owner, token, due_at, seq, inbox_seq, canceled, attempt, begun,
	takeovers, created_at, started_at, ended_at, ended_seq, park_kind, park_step, park_events, park_since, park_seq,
	because, failure, input`

// scanRun reads runColumns, and what follows them. Events that cannot be decoded are left out: the run wakes
// at the end of its park, and parks anew.
func scanRun(row interface{ Scan(dest ...any) error }, rest ...any) (r store.Run, token int64, err error) {
	var lost, fault error
	err = row.Scan(append([]any{runID{&r.ID}, &r.Workflow, &r.Version, &r.Status, &r.Owner, &token, instant{&r.Park.Until}, &r.Seq,
		&r.InboxSeq, &r.Canceled, &r.Attempt, &r.Begun, &r.Takeovers, instant{&r.CreatedAt}, instant{&r.StartedAt},
		instant{&r.EndedAt}, &r.EndedSeq, &r.Park.Kind, &r.Park.Step, document{&r.Park.Events, &lost}, instant{&r.Park.Since},
		&r.Park.Seq, &r.Because, document{&r.Failure, &fault}, (*[]byte)(&r.Input)}, rest...)...)
	if fault != nil {
		r.Failure = illegible("", fault)
	}
	if r.Sub = r.Input == nil; len(r.Input) == 0 {
		r.Input = nil
	}
	return r, token, err
}
