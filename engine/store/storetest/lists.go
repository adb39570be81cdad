package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

var lists = map[string]func(t *testing.T, h Harness){
	"pages are newest first and neither skip nor repeat": pages,
	"filters select": filters,
	"a listed run is the run without history":            listed,
	"counts are by definition, status and step":          counts,
	"overdue is what nobody took on":                     overdue,
	"only long-ended runs are pruned, with all they had": pruned,
}

func (b *bench) list(q store.Query) (ids []string) {
	b.t.Helper()
	found, next, err := b.s.List(b.t.Context(), q)
	b.ok(err)
	if next != "" {
		b.t.Errorf("a list without a limit has another page %q", next)
	}
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids
}

func pages(t *testing.T, h Harness) {
	b := open(t, h)
	var want []string
	for i := range 23 {
		id := fmt.Sprintf("run-%02d", i)
		b.now = began.Add(time.Duration(i/3) * time.Second) // three of one moment
		b.create(id)
		want = append(want, id)
	}
	slices.Reverse(want)
	var got []string
	for q := (store.Query{Limit: 5}); ; {
		page, next, err := b.s.List(t.Context(), q)
		b.ok(err)
		for _, r := range page {
			got = append(got, r.ID)
		}
		if next == "" {
			break
		}
		if len(page) != 5 {
			t.Fatalf("a page of %d before the last", len(page))
		}
		if q.Cursor = next; len(got) == 10 {
			b.now = began.Add(time.Hour)
			b.create("newer than the pages that were read")
		}
	}
	same(t, "pages", got, want)
	_, next, err := b.s.List(t.Context(), store.Query{Limit: 24})
	if err != nil || next != "" {
		t.Errorf("a page that holds all has a next %q (%v)", next, err)
	}
	for _, cursor := range []string{"?", "eA"} {
		_, _, err := b.s.List(t.Context(), store.Query{Limit: 5, Cursor: cursor})
		b.is("cursor "+cursor, err, store.ErrCursor)
	}
}

func filters(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("pending")
	b.startWaiting("waiting", "answer")
	b.startWaiting("woken", "answer")
	b.deliver("woken", "s1", "answer")
	b.start("owned")
	for _, s := range []store.Status{store.Completed, store.Failed, store.TimedOut, store.Canceled} {
		b.startEnded(string(s), s)
	}
	other := b.fresh("other")
	other.Workflow, other.CreatedAt = "another", began.Add(time.Hour)
	b.ok(b.s.Create(t.Context(), other))
	open := []string{"other", "owned", "pending", "waiting", "woken"}
	for _, c := range []struct {
		q    store.Query
		want []string
	}{
		{store.Query{Status: store.Open}, open},
		{store.Query{Status: store.Pending}, []string{"other", "pending"}},
		{store.Query{Status: store.Waiting}, []string{"waiting"}},
		{store.Query{Status: store.Running}, []string{"owned", "woken"}},
		{store.Query{Status: store.Completed}, []string{"completed"}},
		{store.Query{Status: store.TimedOut}, []string{"timed_out"}},
		{store.Query{Status: "no such"}, nil},
		{store.Query{Status: "open\x00"}, nil},
		{store.Query{Status: "\xff"}, nil},
		{store.Query{Workflow: "another\x00"}, nil},
		{store.Query{Workflow: "\xff"}, nil},
		{store.Query{Workflow: "another\xff"}, nil},
		{store.Query{IDs: []string{"\x00", "\xff", "", "owned\x00"}}, nil},
		{store.Query{Workflow: "another"}, []string{"other"}},
		{store.Query{Since: began.Add(time.Minute)}, []string{"other"}},
		{store.Query{Since: began.Add(time.Hour)}, []string{"other"}},
		{store.Query{Until: began.Add(time.Hour), Status: store.Pending}, []string{"pending"}},
		{store.Query{IDs: []string{"owned", "nobody"}}, []string{"owned"}},
		{store.Query{IDs: []string{}}, nil},
	} {
		c.q.Now = b.now
		got := b.list(c.q)
		slices.Sort(got)
		same(t, fmt.Sprintf("%+v", c.q), got, c.want)
	}
	found, _, err := b.s.List(t.Context(), store.Query{Limit: 100})
	b.ok(err)
	for _, now := range []time.Time{b.now, b.now.Add(48 * time.Hour)} {
		for _, r := range found {
			q := store.Query{Status: r.Derived(now), Now: now}
			if !slices.Contains(b.list(q), r.ID) {
				t.Errorf("run %s is %s at %v, but not among them", r.ID, q.Status, now)
			}
		}
	}
}

func listed(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	found, _, err := b.s.List(t.Context(), store.Query{Limit: 1})
	b.ok(err)
	same(t, "run", found, []store.Run{b.get("run-1").Run})
}

func counts(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("a")
	b.startWaiting("b", "answer")
	b.startWaiting("c", "answer")
	b.start("d")
	b.startEnded("e", store.Failed)
	v2 := b.fresh("f")
	v2.Version = 2
	b.ok(b.s.Create(t.Context(), v2))
	b.startWaiting("g", "answer")
	b.deliver("g", "s1", "answer")
	b.claimOneOf("g")
	got, err := b.s.Counts(t.Context())
	b.ok(err)
	same(t, "counts", got, []store.Count{
		{Workflow: "enrich", Version: 1, Status: store.Failed, Runs: 1},
		{Workflow: "enrich", Version: 1, Status: store.Open, Runs: 3},
		{Workflow: "enrich", Version: 1, Status: store.Open, Step: "wait", Runs: 2},
		{Workflow: "enrich", Version: 2, Status: store.Open, Runs: 1},
	})
}

func overdue(t *testing.T, h Harness) {
	b := open(t, h)
	backlog, ok := b.s.(store.Backlog)
	if !ok {
		return // what is optional is not promised
	}
	count := func(want int64) {
		t.Helper()
		n, err := backlog.Overdue(t.Context(), b.now)
		b.ok(err)
		same(t, "overdue", n, want)
	}
	b.create("due")
	b.startWaiting("waiting", "answer")
	b.startEnded("ended", store.Failed)
	b.start("owned")
	count(0) // it was due at this very moment
	b.now = b.now.Add(time.Hour)
	count(1)
	b.now = b.now.Add(48 * time.Hour)
	count(2)
	b.claimOneOf("due")
	count(0)
}

// claimOneOf claims all that are due and expects id among them.
func (b *bench) claimOneOf(id string) {
	b.t.Helper()
	if got := idsOf(b.claim(10)); !slices.Contains(got, id) {
		b.t.Fatalf("claimed %v without %s", got, id)
	}
}

func pruned(t *testing.T, h Harness) {
	b := open(t, h)
	for i := range 5 {
		id := fmt.Sprintf("old-%d", i)
		lease := b.start(id)
		b.deliver(id, "s1", "answer")
		b.commit(lease, store.Progress{Decided: 1, Append: []store.Entry{completed("a", "1")}, End: &store.Ending{Status: store.Completed}})
	}
	b.startWaiting("open", "answer")
	b.now = began.Add(time.Hour)
	b.startEnded("young", store.Failed)
	prune := func(n int) int {
		deleted, err := b.s.Prune(t.Context(), began.Add(time.Hour), n)
		b.ok(err)
		return deleted
	}
	same(t, "bounded", prune(3), 3)
	same(t, "the rest", prune(3), 2)
	same(t, "nothing", prune(3), 0)
	got := b.list(store.Query{})
	slices.Sort(got)
	same(t, "left", got, []string{"open", "young"})
	b.create("old-0")
	c := b.get("old-0")
	same(t, "what a pruned run left behind", len(c.History)+len(c.Signals), 0)
}
