package postgres

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

// group is a transaction that changes many runs: what it read, and what it is to
// write.
type group struct {
	changes []*change
	repeats bool              // a signal of the group is there already
	rows    map[string]*row   // the runs, locked, by packed id
	alive   map[int64]bool    // the nodes whose lease holds
	late    map[sigKey]bool   // the signals that are there already, and whether they came late
	created map[string]bool   // the runs that are to be inserted
	inboxes map[string]*inbox // how full they are; nil: they were not looked at
	subs    map[string]*subs  // how far the sub-runs of runs are, locked

	creates []creation
	entries []entryOf
	signals []signalOf
	folds   []entryOf // whose Folds the entry of that number gives way to
	returns [][]byte  // runs whose late signals wait in the inbox again
	news    []*newsOf
	closed  [][]byte // runs whose sub-runs are counted no more

	attributes []attributeOf // to be set

	terminated []termination

	posts map[int64]bool // what was posted, locked
	moved []int64        // and is moved

	due   bool  // a run that nobody owns is due
	dueAt int64 // when the first of those is, or will be
}

// inbox is what a run has received.
type inbox struct{ events, bytes int }

// errUnweighed says that a run may have received too much, and how much it has must
// be read: nearly none has.
var errUnweighed = errors.New("the inbox was not looked at")

const inboxQuery = "SELECT run_id, count(*), coalesce(sum(octet_length(payload)), 0) FROM wf_signal WHERE run_id = ANY($1) GROUP BY run_id"

type sigKey struct{ run, id string }

// newsOf asks for the signals of a run that came after the one that is known.
type newsOf struct {
	change      *change
	known, upTo int64
	into        *store.News
}

func newGroup(changes []*change, repeats bool) *group {
	return &group{dueAt: math.MaxInt64, changes: changes, repeats: repeats, rows: map[string]*row{},
		alive: map[int64]bool{}, late: map[sigKey]bool{}, created: map[string]bool{}, subs: map[string]*subs{}}
}

// Rows are locked in the order of their ids, so that groups never wait in a circle.
const lockQuery = "SELECT " + imageColumns + " FROM wf_run WHERE id = ANY($1) ORDER BY id FOR UPDATE"

const aliveQuery = "SELECT epoch FROM wf_node WHERE epoch = ANY($1) AND expires > clock_timestamp()"

// Signals that are there already are looked for in a second try of the group only:
// nearly every one is new, and a key says when one is not.
const repeatedQuery = `
	SELECT run_id, id, late FROM wf_signal JOIN unnest($1::bytea[], $2::text[]) AS d (run, signal) ON run_id = d.run AND id = d.signal`

// lock reads what the changes decide on. Leases are looked at after the rows are
// locked: from then on until the commit nobody can take the runs over.
func (g *group) lock(b batch) {
	var ids, runs [][]byte
	var sigs []string
	var epochs []int64
	for _, c := range g.changes {
		ids = append(ids, c.id)
		if c.parent != nil {
			ids = append(ids, c.parent)
		}
		if c.epoch != 0 && !slices.Contains(epochs, c.epoch) {
			epochs = append(epochs, c.epoch)
		}
		if c.signal != "" {
			runs, sigs = append(runs, c.id), append(sigs, c.signal)
		}
	}
	b.Queue(lockQuery, ids).Query(func(found pgx.Rows) error {
		for found.Next() {
			r, err := scanImage(found)
			if err != nil {
				return err
			}
			g.rows[string(r.id)] = r
		}
		return found.Err()
	})
	g.lockSubs(b)
	g.lockPosts(b)
	if len(epochs) > 0 {
		b.Queue(aliveQuery, epochs).Query(func(found pgx.Rows) error {
			var epoch int64
			_, err := pgx.ForEachRow(found, []any{&epoch}, func() error { g.alive[epoch] = true; return nil })
			return err
		})
	}
	if g.inboxes != nil && len(sigs) > 0 {
		b.Queue(inboxQuery, runs).Query(func(found pgx.Rows) error {
			var run []byte
			var in inbox
			_, err := pgx.ForEachRow(found, []any{&run, &in.events, &in.bytes}, func() error {
				one := in
				g.inboxes[string(run)] = &one
				return nil
			})
			return err
		})
	}
	if g.repeats && len(sigs) > 0 {
		b.Queue(repeatedQuery, runs, sigs).Query(func(found pgx.Rows) error {
			var run []byte
			var id string
			var late bool
			_, err := pgx.ForEachRow(found, []any{&run, &id, &late}, func() error { g.late[sigKey{string(run), id}] = late; return nil })
			return err
		})
	}
}

// write writes what was decided. That a signal is there already a key says, so that
// nothing lands.
func (g *group) write(b batch) {
	g.writeRows(b)
	g.terminateBelow(b)
	g.writeSubs(b)
	if len(g.folds) > 0 {
		deleteFolded(b, g.folds)
	}
	if len(g.entries) > 0 {
		insertEntries(b, g.entries)
	}
	if len(g.signals) > 0 {
		insertSignals(b, g.signals)
	}
	if len(g.returns) > 0 {
		b.Queue("UPDATE wf_signal SET late = false WHERE run_id = ANY($1) AND late", g.returns)
	}
	if len(g.creates) > 0 {
		insertRuns(b, g.creates)
	}
	if len(g.attributes) > 0 {
		writeAttributes(b, g.attributes)
	}
	g.writePosts(b)
	g.readNews(b)
}

// writeRows writes the rows that a change touched, each once.
func (g *group) writeRows(b batch) {
	var dirty []*row
	for _, r := range g.rows {
		if r.dirty {
			dirty = append(dirty, r)
		}
	}
	if len(dirty) == 0 {
		return
	}
	slices.SortFunc(dirty, func(a, b *row) int { return bytes.Compare(a.id, b.id) })
	updateRuns(b, dirty)
}

const newsQuery = `
	SELECT n.i, ` + signalColumns + ` FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::bigint[]) AS n (i, run, known, up_to)
	JOIN wf_signal ON run_id = n.run AND seq > n.known AND seq <= n.up_to ORDER BY n.i, seq`

// readNews reads the signals that commits are told of, after those that the group
// itself delivers are written.
func (g *group) readNews(b batch) {
	if len(g.news) == 0 {
		return
	}
	var index []int32
	var runs [][]byte
	var known, upTo []int64
	for i, n := range g.news {
		index, runs = append(index, int32(i)), append(runs, n.change.id)
		known, upTo = append(known, n.known), append(upTo, n.upTo)
	}
	b.Queue(newsQuery, index, runs, known, upTo).Query(func(found pgx.Rows) error {
		for found.Next() {
			var i int32
			_, sig, err := scanSignal(found, &i)
			n := g.news[i]
			if err != nil { // the commit landed: its repetition is answered
				n.change.verdict = err
				continue
			}
			n.into.Signals = store.Bounded(append(n.into.Signals, sig))
		}
		return found.Err()
	})
}

// append numbers an entry and notes it.
func (g *group) append(r *row, e store.Entry, signals []string) error {
	if e.Begins {
		e.StartedSeq = r.seq + 1
	}
	if e.Folds != 0 && e.Folds == r.seq {
		g.folds = append(g.folds, entryOf{run: r.id, Entry: e})
	} else {
		e = e.Alone()
	}
	r.seq += e.Width()
	e.Seq = r.seq
	g.set(r.id, e.Attributes)
	return g.note(r, e, signals)
}

// note notes an entry that has its number.
func (g *group) note(r *row, e store.Entry, signals []string) error {
	one, err := newEntry(r.id, e, signals)
	if err == nil {
		g.entries = append(g.entries, one)
	}
	return err
}

// changed notes that a row is to be written; now tells whether it is due.
func (g *group) changed(r *row, now int64) {
	r.dirty = true
	if r.status == string(store.Open) && r.owner == 0 {
		g.willBe(r.dueAt, now)
	}
}

// willBe notes that a run which nobody owns is due at the given time.
func (g *group) willBe(dueAt, now int64) {
	g.due = g.due || dueAt <= now
	g.dueAt = min(g.dueAt, dueAt)
}
