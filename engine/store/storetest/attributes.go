package storetest

import (
	"maps"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var attributes = map[string]func(t *testing.T, h Harness){
	"attributes are set at the creation and by entries, once": attributesAreSet,
	"attributes find runs, newest first":                      attributesFind,
	"attributes go with their runs":                           attributesArePruned,
}

func (b *bench) has(id string, want workflow.Attributes) {
	b.t.Helper()
	all, err := b.s.Attributes(b.t.Context(), "nobody", id)
	b.ok(err)
	if got := all[id]; !maps.Equal(got, want) || len(all) > 1 || (len(want) == 0) == (len(all) == 1) {
		b.t.Errorf("attributes of %s: %v, want %v", id, all, want)
	}
}

func (b *bench) startTagged(id string, a workflow.Attributes) store.Lease {
	b.t.Helper()
	r := b.fresh(id)
	r.Owner, r.StartedAt, r.Attributes = b.node.Epoch, b.now, a
	b.ok(b.s.Create(b.t.Context(), r))
	return store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 1}
}

// sets is an entry that sets attributes.
func (b *bench) sets(a workflow.Attributes) store.Entry {
	return store.Entry{Kind: store.EntryCompleted, Step: "a", At: b.now, StartedAt: b.now, Attributes: a}
}

func attributesAreSet(t *testing.T, h Harness) {
	b := open(t, h)
	given := workflow.Attributes{"source": "a", "stage": "new"}
	l := b.startTagged("r", given)
	b.is("creation again", b.s.Create(t.Context(), store.Run{ID: "r", Workflow: "enrich", Version: 1, Status: store.Open, Seq: 1,
		Input: []byte("{}"), Attributes: workflow.Attributes{"source": "b"}}), store.ErrExists)
	b.has("r", workflow.Attributes{"source": "a", "stage": "new"})
	given["source"] = "changed by its owner"
	b.has("r", workflow.Attributes{"source": "a", "stage": "new"})
	p := store.Progress{Now: b.now, Append: []store.Entry{b.sets(workflow.Attributes{"stage": "old", "paid": "no"}),
		b.sets(workflow.Attributes{"paid": "yes", "source": "a"})}}
	for range 2 { // the second one has landed
		if _, err := b.s.Commit(t.Context(), l, p); err != nil {
			t.Fatal(err)
		}
	}
	b.has("r", workflow.Attributes{"source": "a", "stage": "old", "paid": "yes"})
	_, err := b.s.Commit(t.Context(), store.Lease{RunID: "r", Epoch: b.node.Epoch, Token: 9}, p)
	b.is("a commit without the lease", err, store.ErrLeaseLost)
	b.create("plain")
	b.has("plain", nil)
	c, err := b.s.Get(t.Context(), "r")
	b.ok(err)
	if c.History[0].Attributes != nil {
		t.Errorf("an entry that is read says %v", c.History[0].Attributes)
	}
}

func attributesFind(t *testing.T, h Harness) {
	b := open(t, h)
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		b.now = began.Add(time.Duration(i/2) * time.Second)
		b.startTagged(id, workflow.Attributes{"all": "x", "odd": string("01"[i%2])})
	}
	b.create("f")
	for _, c := range []struct {
		query store.Query
		want  []string
	}{
		{store.Query{Attributes: workflow.Attributes{"all": "x"}}, []string{"e", "d", "c", "b", "a"}},
		{store.Query{Attributes: workflow.Attributes{"all": "x", "odd": "1"}}, []string{"d", "b"}},
		{store.Query{Attributes: workflow.Attributes{"all": "y"}}, nil},
		{store.Query{Attributes: workflow.Attributes{"all": "x"}, IDs: []string{"a", "f"}}, []string{"a"}},
		{store.Query{Attributes: workflow.Attributes{"all": "x"}, Workflow: "another"}, nil},
		{store.Query{Attributes: workflow.Attributes{"all": "x"}, Status: store.Running, Now: b.now}, []string{"e", "d", "c", "b", "a"}},
	} {
		same(t, "runs", b.list(c.query), c.want)
		var got []string
		for c.query.Limit = 2; ; {
			page, next, err := b.s.List(t.Context(), c.query)
			b.ok(err)
			for _, r := range page {
				got = append(got, r.ID)
			}
			if c.query.Cursor = next; next == "" {
				break
			}
		}
		same(t, "pages", got, c.want)
	}
	_, _, err := b.s.List(t.Context(), store.Query{Attributes: workflow.Attributes{"all": "x"}, Cursor: "?", Limit: 1})
	b.is("a cursor of nobody", err, store.ErrCursor)
}

func attributesArePruned(t *testing.T, h Harness) {
	b := open(t, h)
	b.commit(b.startTagged("gone", workflow.Attributes{"a": "x"}), store.Progress{End: &store.Ending{Status: store.Completed}})
	b.startTagged("kept", workflow.Attributes{"a": "x"})
	n, err := b.s.Prune(t.Context(), b.now.Add(time.Hour), 10)
	if err != nil || n != 1 {
		t.Fatalf("pruned %d: %v", n, err)
	}
	b.has("gone", nil)
	same(t, "what is left", b.list(store.Query{Attributes: workflow.Attributes{"a": "x"}}), []string{"kept"})
}
