package postgres

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/internal/pgdb"
)

const (
	standingQuery = `SELECT name, upto, paused,
		EXISTS (SELECT 1 FROM wf_firing WHERE schedule = name AND state = 'due') FROM wf_schedule`
	knownQuery = "INSERT INTO wf_schedule (name, upto) VALUES ($1, $2) ON CONFLICT DO NOTHING"
	pauseQuery = "UPDATE wf_schedule SET paused = $2 WHERE name = $1"
	uptoQuery  = "UPDATE wf_schedule SET upto = $3 WHERE name = $1 AND upto = $2"
	// turnQuery makes the nodes take turns in a schedule.
	turnQuery = "SELECT paused FROM wf_schedule WHERE name = $1 FOR UPDATE"
	planQuery = `INSERT INTO wf_firing (schedule, at, cause, state)
		SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING`
	takenQuery      = "SELECT EXISTS (SELECT 1 FROM wf_firing WHERE schedule = $1 AND taken > 0 AND taken > $2)"
	takeFiringQuery = `UPDATE wf_firing SET taken = $3 WHERE (schedule, at) = (SELECT schedule, at FROM wf_firing
		WHERE schedule = $1 AND cause = $2 AND state = 'due' ORDER BY at LIMIT 1) RETURNING ` + firingColumns
	changeQuery = `UPDATE wf_firing SET state = $4, failure = $5, tries = $6, open = $7, taken = $8
		WHERE schedule = $1 AND at = $2 AND taken = $3`
	forgetQuery   = "DELETE FROM wf_firing WHERE at < $1 AND state <> 'due' AND NOT open"
	firingColumns = "schedule, at, cause, state, failure, tries, open, taken"
)

// Ledger is where schedules are kept: in the database, for all its nodes.
func (s *Store) Ledger() schedule.Ledger { return ledger{s} }

type ledger struct{ s *Store }

// read reads rows as they were at one moment.
func (l ledger) read(ctx context.Context, operation, query string, args []any, each func(pgx.Row) error) error {
	if err := l.s.open(operation); err != nil {
		return err
	}
	err := l.s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, l.s.schema.in(query), args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			if err := each(found); err != nil {
				return err
			}
		}
		return found.Err()
	})
	if err != nil {
		return l.s.fault(operation, err)
	}
	return nil
}

// write changes what is kept of a schedule, whose row is locked.
func (l ledger) write(ctx context.Context, operation, name string, change func(tx *pgdb.Tx, paused bool) error) error {
	if err := l.s.open(operation); err != nil {
		return err
	}
	err := l.s.db.Transact(ctx, func(tx *pgdb.Tx) error {
		var paused bool
		err := tx.QueryRow(l.s.schema.in(turnQuery), name).Scan(&paused)
		if errors.Is(err, pgx.ErrNoRows) {
			return schedule.ErrUnknown
		}
		if err == nil {
			err = change(tx, paused)
		}
		return err
	})
	if err == nil || errors.Is(err, schedule.ErrUnknown) {
		return err
	}
	return l.s.fault(operation+" the schedule "+name, err)
}

// Schedule reads a schedule, and notes one that is not known.
func (l ledger) Schedule(ctx context.Context, name string, now time.Time) (st schedule.Standing, err error) {
	operation := "read the schedule " + name
	err = l.read(ctx, operation, standingQuery+" WHERE name = $1", []any{name}, func(r pgx.Row) (err error) {
		st, err = scanStanding(r)
		return err
	})
	if err != nil || st.Name != "" {
		return st, err
	}
	err = l.s.db.Transact(ctx, func(tx *pgdb.Tx) error {
		_, err := tx.Exec(l.s.schema.in(knownQuery), name, micros(now))
		return err
	})
	if err != nil {
		return st, l.s.fault(operation, err)
	}
	return schedule.Standing{Name: name, Upto: now}, nil
}

// Schedules reads all of them.
func (l ledger) Schedules(ctx context.Context) (all []schedule.Standing, err error) {
	err = l.read(ctx, "read the schedules", standingQuery+" ORDER BY name", nil, func(r pgx.Row) error {
		st, err := scanStanding(r)
		all = append(all, st)
		return err
	})
	return all, err
}

func scanStanding(r pgx.Row) (st schedule.Standing, err error) {
	var upto int64
	err = r.Scan(&st.Name, &upto, &st.Paused, &st.Due)
	st.Upto = instant(upto)
	return st, err
}

func scanFiring(r pgx.Row) (f schedule.Firing, err error) {
	var at, taken int64
	err = r.Scan(&f.Schedule, &at, &f.Cause, &f.State, &f.Failure, &f.Tries, &f.Open, &taken)
	f.At, f.Taken = instant(at), instant(taken)
	return f, err
}

// Pause pauses a schedule, or ends its pause.
func (l ledger) Pause(ctx context.Context, name string, paused bool) error {
	return l.write(ctx, "pause", name, func(tx *pgdb.Tx, _ bool) error {
		_, err := tx.Exec(l.s.schema.in(pauseQuery), name, paused)
		return err
	})
}

// Plan notes firings.
func (l ledger) Plan(ctx context.Context, name string, from, to time.Time, firings []schedule.Firing) (added int, err error) {
	times, causes, states := make([]int64, len(firings)), make([]string, len(firings)), make([]string, len(firings))
	for i, f := range firings {
		times[i], causes[i], states[i] = micros(f.At), string(f.Cause), string(f.State)
	}
	err = l.write(ctx, "plan", name, func(tx *pgdb.Tx, _ bool) error {
		added = 0
		if !from.Equal(to) {
			if n, err := tx.Exec(l.s.schema.in(uptoQuery), name, micros(from), micros(to)); err != nil || n == 0 {
				return err
			}
		}
		if len(firings) == 0 {
			return nil
		}
		n, err := tx.Exec(l.s.schema.in(planQuery), name, times, causes, states)
		added = int(n)
		return err
	})
	return added, err
}

// Take takes the next firing that is due.
func (l ledger) Take(ctx context.Context, name string, now, until time.Time) (f schedule.Firing, ok bool, err error) {
	err = l.write(ctx, "take a firing of", name, func(tx *pgdb.Tx, paused bool) error {
		ok = false
		var taken bool
		err := tx.QueryRow(l.s.schema.in(takenQuery), name, micros(now)).Scan(&taken)
		for _, cause := range schedule.Causes {
			if err != nil || taken || ok {
				return err
			}
			if paused && cause == schedule.ByTime {
				continue
			}
			f, err = scanFiring(tx.QueryRow(l.s.schema.in(takeFiringQuery), name, cause, micros(until)))
			if ok = err == nil; errors.Is(err, pgx.ErrNoRows) {
				err = nil
			}
		}
		return err
	})
	return f, ok && err == nil, err
}

// Change writes what became of a firing.
func (l ledger) Change(ctx context.Context, was, is schedule.Firing) (ok bool, err error) {
	err = l.write(ctx, "note a firing of", was.Schedule, func(tx *pgdb.Tx, _ bool) error {
		n, err := tx.Exec(l.s.schema.in(changeQuery), was.Schedule, micros(was.At), micros(was.Taken), is.State, printable(is.Failure),
			is.Tries, is.Open, micros(is.Taken))
		ok = n > 0
		return err
	})
	return ok && err == nil, err
}

// Firings reads firings, newest first.
func (l ledger) Firings(ctx context.Context, q schedule.Query) (all []schedule.Firing, err error) {
	query, args := "SELECT "+firingColumns+" FROM wf_firing WHERE true", []any{}
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += " AND " + strings.Replace(condition, "?", "$"+strconv.Itoa(len(args)), 1)
	}
	if q.Schedule != "" {
		and("schedule = ?", q.Schedule)
	}
	if q.State == schedule.Due { // as the index says it
		query += " AND state = 'due'"
	} else if q.State != "" {
		and("state = ?", q.State)
	}
	if q.Cause != "" {
		and("cause = ?", q.Cause)
	}
	if q.Open {
		query += " AND open"
	}
	if !q.Before.IsZero() {
		and("at < ?", micros(q.Before))
	}
	args = append(args, cmp.Or(q.Limit, 50))
	query += " ORDER BY at DESC, schedule LIMIT $" + strconv.Itoa(len(args))
	err = l.read(ctx, "read the firings of schedules", query, args, func(r pgx.Row) error {
		f, err := scanFiring(r)
		all = append(all, f)
		return err
	})
	return all, err
}

// Forget forgets old firings.
func (l ledger) Forget(ctx context.Context, before time.Time) error {
	const operation = "forget the firings of schedules"
	if err := l.s.open(operation); err != nil {
		return err
	}
	err := l.s.db.Transact(ctx, func(tx *pgdb.Tx) error {
		_, err := tx.Exec(l.s.schema.in(forgetQuery), micros(before))
		return err
	})
	if err != nil {
		return l.s.fault(operation, err)
	}
	return nil
}
