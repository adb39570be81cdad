package enrichment_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// moment is when a failpoint kills the process: before its transaction commits,
// or right after.
type moment string

const (
	beforeCommit moment = "before"
	afterCommit  moment = "after"
)

// errKilled rolls back the transaction a process dies in.
var errKilled = errors.New("killed")

// mortal is a store whose process can be killed at a transaction. Every Write of
// a dead process stays where it is until the process is gone, as if it had
// stopped there.
type mortal struct {
	*datastore.Store
	mu     sync.Mutex
	kill   func(ops string) bool
	when   moment
	dead   bool
	pause  func(ops string) time.Duration
	still  bool           // it stands at a pause
	fails  map[string]int // operations that fail, and how often
	killed chan struct{}  // closed at death
	gone   chan struct{}  // closed when the process is cleared away
}

func newMortal(store *datastore.Store) *mortal {
	m := &mortal{killed: make(chan struct{}), gone: make(chan struct{})}
	m.Store = store.Through(func(db datastore.Database) datastore.Database { return mortalDatabase{db, m} })
	return m
}

// killAt arms the failpoint: the first transaction that contains the operation.
func (m *mortal) killAt(when moment, op string) {
	m.killWhen(when, func(ops string) bool { return strings.Contains(ops, " "+op+" ") })
}

func (m *mortal) killWhen(when moment, kill func(ops string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.when, m.kill = when, kill
}

// failNext makes the next n transactions that contain the operation fail.
func (m *mortal) failNext(op string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = map[string]int{op: n}
}

// pauseAfter makes the next transaction that contains the operation return late:
// it is durable, and its process stands still.
func (m *mortal) pauseAfter(op string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause = func(ops string) time.Duration {
		if !strings.Contains(ops, " "+op+" ") {
			return 0
		}
		m.pause = nil
		return d
	}
}

func (m *mortal) stand(ops string) {
	m.mu.Lock()
	d := time.Duration(0)
	if m.pause != nil {
		d = m.pause(ops)
	}
	m.still = d > 0
	m.mu.Unlock()
	time.Sleep(d)
}

// stands says whether the process stands still at a pause.
func (m *mortal) stands() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.still
}

func (m *mortal) failure(ops string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for op, n := range m.fails {
		if n > 0 && strings.Contains(ops, " "+op+" ") {
			m.fails[op]--
			return liwanag.ErrDatabase
		}
	}
	return nil
}

type mortalDatabase struct {
	datastore.Database
	m *mortal
}

func (d mortalDatabase) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	m := d.m
	m.mu.Lock()
	dead, when, kill := m.dead, m.when, m.kill
	m.mu.Unlock()
	if dead {
		return m.wait()
	}
	hit := false
	var seen *ops
	err := d.Database.Write(ctx, func(w datastore.Writer) error {
		seen = &ops{}
		if err := fn(watching{w, seen}); err != nil {
			return err
		}
		if err := m.failure(seen.String()); err != nil {
			return err
		}
		hit = kill != nil && kill(seen.String())
		if hit && when == beforeCommit {
			return errKilled
		}
		return nil
	})
	if !hit {
		m.stand(seen.String())
		return err
	}
	m.mu.Lock()
	first := !m.dead
	m.dead = true
	m.mu.Unlock()
	if first {
		close(m.killed)
	}
	return m.wait()
}

func (m *mortal) wait() error {
	<-m.gone
	return errKilled
}

// ops lists what a transaction wrote, in words.
type ops struct{ names []string }

func (o *ops) add(name string) { o.names = append(o.names, name) }
func (o *ops) String() string {
	if o == nil {
		return "" // the transaction never began
	}
	return " " + strings.Join(o.names, " ") + " "
}

// watching notes the statements that failpoints name.
type watching struct {
	datastore.Writer
	ops *ops
}

func (s watching) Query(query string, args ...any) (datastore.Rows, error) {
	s.note(query, args)
	return s.Writer.Query(query, args...)
}

func (s watching) Exec(query string, args ...any) (int64, error) {
	s.note(query, args)
	return s.Writer.Exec(query, args...)
}

func (s watching) Guarded(all ...datastore.Statement) (int64, error) {
	s.note(all[0].Query, all[0].Args)
	return s.Writer.Guarded(all...)
}

func (s watching) note(query string, args []any) {
	query = strings.Join(strings.Fields(query), " ")
	switch {
	case strings.Contains(query, "FROM submission b WHERE b.id = $1"):
		s.ops.add("submission.get")
	case strings.HasPrefix(query, "INSERT INTO submission ("):
		s.ops.add("submission.insert")
	case strings.HasPrefix(query, "UPDATE submission SET state = $2"):
		s.ops.add("submission." + args[1].(string))
	case strings.HasPrefix(query, "INSERT INTO delivery ("):
		s.ops.add("delivery.insert")
	case strings.HasPrefix(query, "UPDATE delivery SET state = $2"):
		s.ops.add("delivery." + args[1].(string))
	case strings.Contains(query, "FROM spending"):
		s.ops.add("spending")
	case strings.HasPrefix(query, "UPDATE spending SET paused = $1") && args[0] == false:
		s.ops.add("resume")
	case strings.HasPrefix(query, "INSERT INTO public_url"):
		s.ops.add("prove")
	}
}
