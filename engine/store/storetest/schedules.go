package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
)

// schedules are of stores that keep schedules, which all of ours do.
var schedules = map[string]func(t *testing.T, h Harness){
	"schedules begin when they are first read, and outlive the process": schedulesBegin,
	"a time of a schedule is noted once":                                timesAreNotedOnce,
	"a firing is one node's at a time":                                  firingsAreTaken,
	"firings are taken by cause, then by time, and not while paused":    firingsInOrder,
	"old firings are forgotten, unless they are due or open":            firingsAreForgotten,
	"firings are listed, newest first":                                  firingsAreListed,
	"many nodes take each firing once":                                  nodesTakeFirings,
}

type scheduling struct {
	*bench
	ledger schedule.Ledger
}

func ledgerOf(t *testing.T, s store.Store) schedule.Ledger {
	t.Helper()
	l, ok := s.(interface{ Ledger() schedule.Ledger })
	if !ok {
		t.Fatal("the store keeps no schedules")
	}
	return l.Ledger()
}

func openLedger(t *testing.T, h Harness) scheduling {
	b := open(t, h)
	return scheduling{b, ledgerOf(t, b.s)}
}

func (s scheduling) known(name string) schedule.Standing {
	s.t.Helper()
	st, err := s.ledger.Schedule(s.t.Context(), name, s.now)
	s.ok(err)
	return st
}

// plan notes firings, so many minutes after the beginning, without moving the schedule.
func (s scheduling) plan(name string, cause schedule.Cause, minutes ...int) (added int) {
	s.t.Helper()
	var firings []schedule.Firing
	for _, m := range minutes {
		firings = append(firings, schedule.Firing{Schedule: name, At: minute(m), Cause: cause, State: schedule.Due})
	}
	added, err := s.ledger.Plan(s.t.Context(), name, time.Time{}, time.Time{}, firings)
	s.ok(err)
	return added
}

func minute(n int) time.Time { return began.Add(time.Duration(n) * time.Minute) }

func (s scheduling) take(name string, now time.Time) (schedule.Firing, bool) {
	s.t.Helper()
	f, ok, err := s.ledger.Take(s.t.Context(), name, now, now.Add(time.Minute))
	s.ok(err)
	return f, ok
}

func (s scheduling) change(was, is schedule.Firing) bool {
	s.t.Helper()
	ok, err := s.ledger.Change(s.t.Context(), was, is)
	s.ok(err)
	return ok
}

func (s scheduling) list(q schedule.Query) (told []string) {
	s.t.Helper()
	all, err := s.ledger.Firings(s.t.Context(), q)
	s.ok(err)
	for _, f := range all {
		told = append(told, fmt.Sprintf("%s %s %s %s", f.Schedule, f.At.Sub(began), f.Cause, f.State))
	}
	return told
}

func (s scheduling) wants(what string, got, want any) {
	s.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func schedulesBegin(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.is("pause of one that nobody knows", s.ledger.Pause(t.Context(), "a", true), schedule.ErrUnknown)
	_, err := s.ledger.Plan(t.Context(), "a", began, minute(1), nil)
	s.is("plan of one that nobody knows", err, schedule.ErrUnknown)
	_, _, err = s.ledger.Take(t.Context(), "a", began, minute(1))
	s.is("take of one that nobody knows", err, schedule.ErrUnknown)

	want := schedule.Standing{Name: "a", Upto: began}
	s.wants("at first", s.known("a"), want)
	s.now = minute(5)
	s.wants("later", s.known("a"), want)
	s.plan("a", schedule.ByTrigger, 3)
	s.ok(s.ledger.Pause(t.Context(), "a", true))
	want.Due, want.Paused = true, true
	if h.Restart != nil {
		s.ledger = ledgerOf(t, h.Restart(t, s.s))
	}
	s.wants("paused, with a firing", s.known("a"), want)
	s.known("b")
	all, err := s.ledger.Schedules(t.Context())
	s.ok(err)
	s.wants("all", all, []schedule.Standing{want, {Name: "b", Upto: minute(5)}})
}

func timesAreNotedOnce(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.known("a")
	firings := func(minutes ...int) (all []schedule.Firing) {
		for _, m := range minutes {
			all = append(all, schedule.Firing{Schedule: "a", At: minute(m), Cause: schedule.ByTime, State: schedule.Due})
		}
		return all
	}
	n, err := s.ledger.Plan(t.Context(), "a", began, minute(2), firings(1, 2))
	s.ok(err)
	s.wants("noted by the first", n, 2)
	n, err = s.ledger.Plan(t.Context(), "a", began, minute(3), firings(1, 2, 3))
	s.ok(err)
	s.wants("noted by one who is late", n, 0)
	s.wants("up to", s.known("a").Upto, minute(2))
	n, err = s.ledger.Plan(t.Context(), "a", minute(2), began, nil) // the clock is set back
	s.ok(err)
	s.wants("noted by none", n, 0)
	n, err = s.ledger.Plan(t.Context(), "a", began, minute(3), firings(1, 2, 3))
	s.ok(err)
	s.wants("noted behind what is known", n, 1)
	s.wants("backfilled", s.plan("a", schedule.ByBackfill, -2, -1, 1), 2)
	s.wants("up to", s.known("a").Upto, minute(3))
}

func firingsAreTaken(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.known("a")
	s.known("b")
	if _, ok := s.take("a", began); ok {
		t.Error("a firing was taken of a schedule that has none")
	}
	s.plan("a", schedule.ByTime, 1, 2)
	s.plan("b", schedule.ByTime, 1)
	f, ok := s.take("a", minute(5))
	s.wants("taken", []any{ok, f}, []any{true, schedule.Firing{Schedule: "a", At: minute(1), Cause: schedule.ByTime,
		State: schedule.Due, Taken: minute(6)}})
	if f, ok := s.take("a", minute(5)); ok {
		t.Errorf("%v was taken beside another of the schedule", f)
	}
	if _, ok := s.take("b", minute(5)); !ok {
		t.Error("the firing of another schedule was not taken")
	}
	again, ok := s.take("a", minute(6))
	s.wants("taken when its time is over", []any{ok, again.At}, []any{true, f.At})

	done := again
	done.State, done.Failure, done.Tries, done.Open, done.Taken = schedule.Started, "why", 3, true, time.Time{}
	if s.change(f, done) {
		t.Error("who lost a firing wrote it")
	}
	if !s.change(again, done) {
		t.Error("who has a firing did not write it")
	}
	all, err := s.ledger.Firings(t.Context(), schedule.Query{Schedule: "a", State: schedule.Started})
	s.ok(err)
	s.wants("written", all, []schedule.Firing{done})
	next, ok := s.take("a", minute(6))
	s.wants("the next", []any{ok, next.At}, []any{true, minute(2)})
}

func firingsInOrder(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.known("a")
	s.plan("a", schedule.ByBackfill, 1, 2)
	s.plan("a", schedule.ByTrigger, 7)
	s.plan("a", schedule.ByTime, 9, 8)
	s.ok(s.ledger.Pause(t.Context(), "a", true))
	var order []string
	take := func() {
		f, ok := s.take("a", minute(10))
		if !ok {
			order = append(order, "none")
			return
		}
		order = append(order, fmt.Sprint(f.Cause, " ", f.At.Sub(began)))
		done := f
		done.State, done.Taken = schedule.Started, time.Time{}
		s.change(f, done)
	}
	take()
	s.ok(s.ledger.Pause(t.Context(), "a", false))
	for range 3 {
		take()
	}
	s.ok(s.ledger.Pause(t.Context(), "a", true))
	for range 2 {
		take()
	}
	want := []string{"trigger 7m0s", "time 8m0s", "time 9m0s", "backfill 1m0s", "backfill 2m0s", "none"}
	if !slices.Equal(order, want) {
		t.Errorf("taken %v, want %v", order, want)
	}
}

func firingsAreForgotten(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.known("a")
	s.plan("a", schedule.ByTime, 1, 2, 3, 4)
	for _, open := range []bool{false, true} {
		f, _ := s.take("a", minute(5))
		is := f
		is.State, is.Open, is.Taken = schedule.Started, open, time.Time{}
		s.change(f, is)
	}
	s.ok(s.ledger.Forget(t.Context(), minute(1)))
	s.wants("kept at first", len(s.list(schedule.Query{})), 4)
	s.ok(s.ledger.Forget(t.Context(), minute(9)))
	s.wants("kept", s.list(schedule.Query{}), []string{"a 4m0s time due", "a 3m0s time due", "a 2m0s time started"})
}

func firingsAreListed(t *testing.T, h Harness) {
	s := openLedger(t, h)
	s.known("a")
	s.known("b")
	s.plan("a", schedule.ByTime, 1, 2)
	s.plan("a", schedule.ByTrigger, 4)
	s.plan("b", schedule.ByBackfill, 2, 3)
	f, _ := s.take("a", minute(5))
	is := f
	is.State, is.Open, is.Taken = schedule.Started, true, time.Time{}
	s.change(f, is)
	for _, c := range []struct {
		q    schedule.Query
		want []string
	}{
		{schedule.Query{}, []string{"a 4m0s trigger due", "b 3m0s backfill due", "a 2m0s time due", "b 2m0s backfill due", "a 1m0s time started"}},
		{schedule.Query{Schedule: "b"}, []string{"b 3m0s backfill due", "b 2m0s backfill due"}},
		{schedule.Query{State: schedule.Started}, []string{"a 1m0s time started"}},
		{schedule.Query{State: schedule.Due, Cause: schedule.ByTime}, []string{"a 2m0s time due"}},
		{schedule.Query{Open: true}, []string{"a 1m0s time started"}},
		{schedule.Query{Before: minute(3), Limit: 2}, []string{"a 2m0s time due", "b 2m0s backfill due"}},
		{schedule.Query{Schedule: "nobody"}, nil},
	} {
		s.wants(fmt.Sprintf("%+v", c.q), s.list(c.q), c.want)
	}
}

func nodesTakeFirings(t *testing.T, h Harness) {
	s := openLedger(t, h)
	ledgers := []schedule.Ledger{s.ledger, s.ledger}
	if h.Another != nil {
		ledgers[1] = ledgerOf(t, h.Another(t, s.s))
	}
	s.known("a")
	var minutes []int
	for i := range 40 {
		minutes = append(minutes, i)
	}
	s.plan("a", schedule.ByBackfill, minutes...)
	var mu sync.Mutex
	times := map[time.Time]int{}
	var nodes sync.WaitGroup
	for i := range 8 {
		nodes.Go(func() {
			on := ledgers[i%2]
			for {
				f, ok, err := on.Take(context.WithoutCancel(t.Context()), "a", minute(100), minute(101))
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					if st, err := on.Schedule(context.WithoutCancel(t.Context()), "a", began); err != nil || !st.Due {
						return
					}
					continue
				}
				mu.Lock()
				times[f.At]++
				mu.Unlock()
				is := f
				is.State, is.Taken = schedule.Started, time.Time{}
				if ok, err := on.Change(context.WithoutCancel(t.Context()), f, is); err != nil || !ok {
					t.Errorf("a firing that was taken was not written: %v", err)
				}
			}
		})
	}
	nodes.Wait()
	for at, n := range times {
		if n != 1 {
			t.Errorf("the firing of %s was taken %d times", at, n)
		}
	}
	s.wants("taken", len(times), 40)
}
