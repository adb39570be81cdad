package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

const (
	standingQuery = `SELECT name, upto, paused,
		EXISTS (SELECT 1 FROM wf_firing WHERE schedule = name AND state = 'due') FROM wf_schedule`
	knownQuery      = "INSERT INTO wf_schedule (name, upto) VALUES (?, ?) ON CONFLICT DO NOTHING"
	pauseQuery      = "UPDATE wf_schedule SET paused = ? WHERE name = ?"
	uptoQuery       = "UPDATE wf_schedule SET upto = ? WHERE name = ? AND upto = ?"
	pausedQuery     = "SELECT paused FROM wf_schedule WHERE name = ?"
	planQuery       = "INSERT INTO wf_firing (schedule, at, cause, state) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
	takenQuery      = "SELECT EXISTS (SELECT 1 FROM wf_firing WHERE schedule = ? AND taken > 0 AND taken > ?)"
	takeFiringQuery = `UPDATE wf_firing SET taken = ? WHERE (schedule, at) = (SELECT schedule, at FROM wf_firing
		WHERE schedule = ? AND cause = ? AND state = 'due' ORDER BY at LIMIT 1) RETURNING ` + firingColumns
	changeQuery = `UPDATE wf_firing SET state = ?, failure = ?, tries = ?, open = ?, taken = ?
		WHERE schedule = ? AND at = ? AND taken = ?`
	forgetQuery   = "DELETE FROM wf_firing WHERE at < ? AND state <> 'due' AND NOT open"
	firingColumns = "schedule, at, cause, state, failure, tries, open, taken"
)

// Ledger is where schedules are kept: in the file.
func (s *Store) Ledger() schedule.Ledger { return ledger{s} }

type ledger struct{ s *Store }

// Schedule reads a schedule, and notes one that is not known.
func (l ledger) Schedule(ctx context.Context, name string, now time.Time) (schedule.Standing, error) {
	st, err := scanStanding(l.s.db.Reader().QueryRowContext(ctx, standingQuery+" WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		st = schedule.Standing{Name: name, Upto: now}
		err = l.s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			_, err := tx.Exec(knownQuery, name, micros(now))
			return err
		})
	}
	if err != nil {
		return st, l.s.fault("read the schedule "+name, err)
	}
	return st, nil
}

// Schedules reads all of them.
func (l ledger) Schedules(ctx context.Context) (all []schedule.Standing, err error) {
	found, err := l.s.db.Reader().QueryContext(ctx, standingQuery+" ORDER BY name")
	err = each(found, err, func(r rows) error {
		st, err := scanStanding(r)
		all = append(all, st)
		return err
	})
	if err != nil {
		return nil, l.s.fault("read the schedules", err)
	}
	return all, nil
}

func scanStanding(r interface{ Scan(dest ...any) error }) (st schedule.Standing, err error) {
	err = r.Scan(&st.Name, instant{&st.Upto}, &st.Paused, &st.Due)
	return st, err
}

func scanFiring(r interface{ Scan(dest ...any) error }) (f schedule.Firing, err error) {
	err = r.Scan(&f.Schedule, instant{&f.At}, (*string)(&f.Cause), (*string)(&f.State), &f.Failure, &f.Tries, &f.Open, instant{&f.Taken})
	return f, err
}

// write changes what is kept of a schedule.
func (l ledger) write(ctx context.Context, operation, name string, change func(tx *sqlitedb.Tx) error) error {
	err := l.s.db.Write(ctx, change)
	if err == nil || errors.Is(err, schedule.ErrUnknown) {
		return err
	}
	return l.s.fault(operation+" the schedule "+name, err)
}

// Pause pauses a schedule, or ends its pause.
func (l ledger) Pause(ctx context.Context, name string, paused bool) error {
	return l.write(ctx, "pause", name, func(tx *sqlitedb.Tx) error {
		n, err := tx.Exec(pauseQuery, paused, name)
		if err == nil && n == 0 {
			return schedule.ErrUnknown
		}
		return err
	})
}

// Plan notes firings.
func (l ledger) Plan(ctx context.Context, name string, from, to time.Time, firings []schedule.Firing) (added int, err error) {
	err = l.write(ctx, "plan", name, func(tx *sqlitedb.Tx) error {
		added = 0
		var paused bool
		if err := tx.QueryRow(pausedQuery, name).Scan(&paused); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return schedule.ErrUnknown
			}
			return err
		}
		if !from.Equal(to) {
			if n, err := tx.Exec(uptoQuery, micros(to), name, micros(from)); err != nil || n == 0 {
				return err
			}
		}
		for _, f := range firings {
			n, err := tx.Exec(planQuery, name, micros(f.At), string(f.Cause), string(f.State))
			if err != nil {
				return err
			}
			added += int(n)
		}
		return nil
	})
	return added, err
}

// Take takes the next firing that is due.
func (l ledger) Take(ctx context.Context, name string, now, until time.Time) (f schedule.Firing, ok bool, err error) {
	err = l.write(ctx, "take a firing of", name, func(tx *sqlitedb.Tx) error {
		ok = false
		var paused, taken bool
		err := tx.QueryRow(pausedQuery, name).Scan(&paused)
		if errors.Is(err, sql.ErrNoRows) {
			return schedule.ErrUnknown
		}
		if err == nil {
			err = tx.QueryRow(takenQuery, name, micros(now)).Scan(&taken)
		}
		for _, cause := range schedule.Causes {
			if err != nil || taken || ok {
				return err
			}
			if paused && cause == schedule.ByTime {
				continue
			}
			f, err = scanFiring(tx.QueryRow(takeFiringQuery, micros(until), name, string(cause)))
			if ok = err == nil; errors.Is(err, sql.ErrNoRows) {
				err = nil
			}
		}
		return err
	})
	return f, ok && err == nil, err
}

// Change writes what became of a firing.
func (l ledger) Change(ctx context.Context, was, is schedule.Firing) (ok bool, err error) {
	err = l.write(ctx, "note a firing of", was.Schedule, func(tx *sqlitedb.Tx) error {
		n, err := tx.Exec(changeQuery, string(is.State), is.Failure, is.Tries, is.Open, micros(is.Taken),
			was.Schedule, micros(was.At), micros(was.Taken))
		ok = n > 0
		return err
	})
	return ok && err == nil, err
}

// Firings reads firings, newest first.
func (l ledger) Firings(ctx context.Context, q schedule.Query) (all []schedule.Firing, err error) {
	query, args := "SELECT "+firingColumns+" FROM wf_firing WHERE true", []any{}
	if q.Schedule != "" {
		query, args = query+" AND schedule = ?", append(args, q.Schedule)
	}
	switch q.State {
	case "":
	case schedule.Due:
		query += " AND state = 'due'" // as the index says it
	default:
		query, args = query+" AND state = ?", append(args, string(q.State))
	}
	if q.Cause != "" {
		query, args = query+" AND cause = ?", append(args, string(q.Cause))
	}
	if q.Open {
		query += " AND open"
	}
	if !q.Before.IsZero() {
		query, args = query+" AND at < ?", append(args, micros(q.Before))
	}
	found, err := l.s.db.Reader().QueryContext(ctx, query+" ORDER BY at DESC, schedule LIMIT ?", append(args, cmp.Or(q.Limit, 50))...)
	err = each(found, err, func(r rows) error {
		f, err := scanFiring(r)
		all = append(all, f)
		return err
	})
	if err != nil {
		return nil, l.s.fault("read the firings of schedules", err)
	}
	return all, nil
}

// Forget forgets old firings.
func (l ledger) Forget(ctx context.Context, before time.Time) error {
	err := l.s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(forgetQuery, micros(before))
		return err
	})
	if err != nil {
		return l.s.fault("forget the firings of schedules", err)
	}
	return nil
}
