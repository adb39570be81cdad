package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/workflow"
)

// Tx starts runs and sends events in a transaction of the program: they happen if it
// commits, and only then. It writes rows of the store's own and waits for nobody; a node
// moves them on after the commit, at once when it is told by Posted, else within a
// second. What a runner would answer is not known by then: an ID that is taken by another
// input, and an event to a run that there is not, are told to the observers of the node
// ([workflow.FaultObserver]), that an event is late or a repeat is seen in the inbox, and
// the run is there for [workflow.Await] from the commit on.
type Tx struct {
	schema *schema
	exec   func(ctx context.Context, statement string, args ...any) error
}

var (
	_ workflow.Starter  = (*Tx)(nil)
	_ workflow.Signaler = (*Tx)(nil)
)

func (s *schema) tx(tx pgx.Tx) *Tx {
	return &Tx{s, func(ctx context.Context, statement string, args ...any) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	}}
}

func (s *schema) sqlTx(tx *sql.Tx) *Tx {
	return &Tx{s, func(ctx context.Context, statement string, args ...any) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	}}
}

// In starts and signals in a transaction of the program.
func (s *Store) In(tx pgx.Tx) *Tx { return s.schema.tx(tx) }

// InSQL is In for a transaction of database/sql, by whichever driver.
func (s *Store) InSQL(tx *sql.Tx) *Tx { return s.schema.sqlTx(tx) }

const postQuery = "INSERT INTO wf_post (kind, run, workflow, version, signal, event, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)"

// postAttributedQuery posts a start with attributes, of which most have none.
const postAttributedQuery = `
	INSERT INTO wf_post (kind, run, workflow, version, signal, event, payload, attributes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`

// Start starts a run with the transaction.
func (t *Tx) Start(ctx context.Context, r workflow.StartRequest) error {
	if err := r.Validate(); err != nil {
		return err
	}
	query, args := postQuery, []any{postStart, r.RunID, r.Workflow, int64(r.Version), "", "", []byte(r.Input)}
	if len(r.Attributes) > 0 {
		text, err := json.Marshal(r.Attributes)
		if err != nil {
			return err
		}
		query, args = postAttributedQuery, append(args, string(text))
	}
	if err := t.exec(ctx, t.schema.in(query), args...); err != nil {
		return fmt.Errorf("postgres: start run %s in a transaction: %w", r.RunID, err)
	}
	return nil
}

// Signal sends an event with the transaction. The receipt says nothing.
func (t *Tx) Signal(ctx context.Context, runID string, s workflow.Signal) (workflow.Receipt, error) {
	if err := s.Validate(); err != nil {
		return workflow.Receipt{}, err
	}
	if _, some := (workflow.Query{IDs: []string{runID}}).Possible(); !some {
		return workflow.Receipt{}, fmt.Errorf("%w: %q", workflow.ErrNotFound, runID)
	}
	err := t.exec(ctx, t.schema.in(postQuery), postEvent, runID, "", int64(0), s.ID, s.Event, []byte(s.Payload))
	if err != nil {
		return workflow.Receipt{}, fmt.Errorf("postgres: send %s to run %s in a transaction: %w", s.Event, runID, err)
	}
	return workflow.Receipt{}, nil
}
