package enrichment_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
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
	liwanag.Store
	mu     sync.Mutex
	kill   func(ops string) bool
	when   moment
	dead   bool
	pause  func(ops string) time.Duration
	fails  map[string]int // operations that fail, and how often
	killed chan struct{}  // closed at death
	gone   chan struct{}  // closed when the process is cleared away
}

func newMortal(store liwanag.Store) *mortal {
	return &mortal{Store: store, killed: make(chan struct{}), gone: make(chan struct{})}
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
	m.mu.Unlock()
	time.Sleep(d)
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

func (m *mortal) Write(ctx context.Context, fn func(liwanag.Tx) error) error {
	m.mu.Lock()
	dead, when, kill := m.dead, m.when, m.kill
	m.mu.Unlock()
	if dead {
		return m.wait()
	}
	hit := false
	var seen *ops
	err := m.Store.Write(ctx, func(tx liwanag.Tx) error {
		seen = &ops{}
		if err := fn(spyTx{tx, seen}); err != nil {
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

type spyTx struct {
	liwanag.Tx
	ops *ops
}

func (t spyTx) Submissions() liwanag.SubmissionTx { return spySubmissions{t.Tx.Submissions(), t.ops} }
func (t spyTx) Deliveries() liwanag.DeliveryTx    { return spyDeliveries{t.Tx.Deliveries(), t.ops} }
func (t spyTx) Ledger() liwanag.LedgerTx          { return spyLedger{t.Tx.Ledger(), t.ops} }

type spySubmissions struct {
	liwanag.SubmissionTx
	ops *ops
}

func (s spySubmissions) Get(id liwanag.ID) (liwanag.Submission, error) {
	s.ops.add("submission.get")
	return s.SubmissionTx.Get(id)
}

func (s spySubmissions) Insert(sub liwanag.Submission, jobs []liwanag.ID) error {
	s.ops.add("submission.insert")
	return s.SubmissionTx.Insert(sub, jobs)
}

func (s spySubmissions) Send(sending liwanag.Sending) (bool, error) {
	s.ops.add("submission.send")
	return s.SubmissionTx.Send(sending)
}

func (s spySubmissions) Move(m liwanag.SubmissionMove) (bool, error) {
	s.ops.add("submission." + string(m.To))
	return s.SubmissionTx.Move(m)
}

type spyDeliveries struct {
	liwanag.DeliveryTx
	ops *ops
}

func (s spyDeliveries) Insert(d liwanag.Delivery) (bool, error) {
	s.ops.add("delivery.insert")
	return s.DeliveryTx.Insert(d)
}

func (s spyDeliveries) Move(m liwanag.DeliveryMove) (bool, error) {
	s.ops.add("delivery." + string(m.To))
	return s.DeliveryTx.Move(m)
}

type spyLedger struct {
	liwanag.LedgerTx
	ops *ops
}

func (s spyLedger) Prove(url string, at time.Time) error {
	s.ops.add("prove")
	return s.LedgerTx.Prove(url, at)
}
