package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/journal"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Moved says what a copy came to.
type Moved struct {
	From, To string
	Tables   []keep.Copied // empty: it had ended before
	Journal  string        // the folder of the journal from now on; empty: there is none
}

// Copy moves a SQLite database that no server has open to an empty PostgreSQL
// database. The source is marked, and starts no more. Repeated, it ends what was cut
// short.
func Copy(ctx context.Context, from, to config.Database, k config.Keep) (m Moved, err error) {
	for _, d := range []*config.Database{&from, &to} {
		if err := d.Validate(); err != nil {
			return m, &UsageError{err}
		}
	}
	if _, ok := from.SQLitePath(); !ok {
		return m, &UsageError{errors.New("copy moves a SQLite database\n  Try: DATABASE_URL=sqlite:PATH")}
	}
	if _, ok := to.SQLitePath(); ok {
		return m, &UsageError{errors.New("copy moves to PostgreSQL\n" +
			"  Try: --to postgres://USER@HOST/NAME, or liwanag backup for a copy of the file")}
	}
	s, err := openThere(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.runs(ctx); err != nil { // which brings the engine's tables up to date
		return m, err
	}
	target, err := keep.OpenTarget(ctx, to.DatabaseURL)
	if err != nil {
		return m, err
	}
	defer target.Close()
	m = Moved{From: s.where, To: target.Where(), Journal: k.Journal}
	instance, done, err := toMove(ctx, s.rows, target)
	if err == nil && !done {
		m.Tables, err = move(ctx, s, target, instance, k.Journal)
	}
	if err != nil {
		return m, err
	}
	instance.MovedTo = m.To
	return m, setInstance(ctx, s.rows, instance)
}

// toMove is what may be moved, and whether it is there already.
func toMove(ctx context.Context, rows *datastore.Store, target keep.Target) (i liwanag.Instance, done bool, err error) {
	if i, err = rows.Instance.Get(ctx); err != nil {
		return i, false, err
	}
	if i.MovedTo != "" {
		if done, err = target.Holds(ctx, i.ID); err != nil || done {
			return i, done, err
		}
		if i.MovedTo != copying+target.Where() {
			return i, false, movedError(i.MovedTo)
		}
	}
	if i.Restored {
		return i, false, errors.New("the database was restored, and what its journal knows is not applied yet\n  Try: liwanag serve, once")
	}
	if i.ID == "" { // no server has started on it
		i.ID = uuid.NewString()
		err = setInstance(ctx, rows, i)
	}
	return i, false, err
}

// move copies. The source is marked before the copy is there, so that never two
// databases start.
func move(ctx context.Context, s *storage, target keep.Target, i liwanag.Instance, folder string) ([]keep.Copied, error) {
	marks, err := journalGoes(ctx, s, i.ID, folder)
	if err != nil {
		return nil, err
	}
	i.MovedTo = copying + target.Where()
	all, marked, err := target.Move(ctx, s.raw.SQLite, marks, func() error { return setInstance(ctx, s.rows, i) })
	if err != nil && marked && !errors.Is(err, keep.ErrDoubt) {
		i.MovedTo = ""
		err = errors.Join(err, setInstance(context.WithoutCancel(ctx), s.rows, i))
	}
	return all, err
}

func setInstance(ctx context.Context, rows *datastore.Store, i liwanag.Instance) error {
	return rows.Write(ctx, func(tx *datastore.Tx) error { return tx.Instance.Set(i) })
}

// journalGoes puts the journal's files into the folder where servers of the new
// database look for them, and returns their last lines. Without a folder none goes
// along: the database knows all that stands in them.
func journalGoes(ctx context.Context, s *storage, instance, folder string) (map[string]int64, error) {
	beside := journal.Place{Beside: s.where}
	found, err := journal.Look(beside, instance)
	if err != nil {
		return nil, err
	}
	all := maps.Clone(found.Last)
	if folder != "" {
		there, err := journal.Look(journal.Place{Folder: folder}, instance)
		if err != nil {
			return nil, err
		}
		for name, line := range there.Last {
			all[name] = max(all[name], line)
		}
	}
	marks, err := s.rows.Instance.Marks(ctx)
	if err != nil {
		return nil, err
	}
	if why := differs(all, marks); why != "" {
		return nil, fmt.Errorf("%s\n  Try: LIWANAG_JOURNAL as the server has it; then liwanag serve once, which catches up", why)
	}
	if folder == "" {
		return nil, nil
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("app: the folder of the journal: %w", err)
	}
	for name := range found.Last {
		if err := journal.Copy(beside.Path(name), journal.Place{Folder: folder}.Path(name)); err != nil {
			return nil, err
		}
	}
	return all, nil
}
