package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// world is nodes with one ledger, in virtual time, which begins at midnight UTC.
type world struct {
	t     *testing.T
	store *memory.Store
	eng   *engine.Engine
	ahead atomic.Int64 // of the wall clock

	mu     sync.Mutex
	fired  []string
	faults []string
}

// report is the workflow that the schedules start: its input is the day, its run takes 50 minutes.
var report = func() *workflow.Workflow[string] {
	wf := workflow.New[string]("report")
	workflow.Sleep(wf, "take-long", 50*time.Minute)
	return wf
}()

func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: memory.New()}
		defer w.store.Close()
		var err error
		if w.eng, err = engine.New(engine.Config{Store: w.store, Definitions: []workflow.Definition{report}}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { _ = w.eng.Run(ctx) })
		test(t, w)
		stop()
		ended.Wait()
	})
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// started is a Start that notes when it is called for what, and starts a run of report.
func (w *world) started(ctx context.Context, on workflow.Runner, f schedule.Firing) error {
	w.note(f)
	return schedule.Run(report.Ref(), func(at time.Time) string { return at.Format(time.DateOnly) })(ctx, on, f)
}

func (w *world) note(f schedule.Firing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fired = append(w.fired, f.At.Format("02 15:04"))
}

// node runs schedules on a node of its own until it is stopped.
func (w *world) node(all ...schedule.Schedule) (l *schedule.Loop, stop func()) {
	w.t.Helper()
	l, err := schedule.New(schedule.Config{Runner: w.eng, Ledger: w.store.Ledger(), Schedules: all, Now: w.now, Fault: func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.faults = append(w.faults, err.Error())
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = l.Run(ctx) })
	return l, func() { cancel(); ended.Wait() }
}

func (w *world) wants(times ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.fired, times) {
		w.t.Errorf("fired at %q, want %q", w.fired, times)
	}
}

func (w *world) states(l *schedule.Loop) (told string) {
	w.t.Helper()
	all, err := l.Firings(w.t.Context(), schedule.Query{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(all)
	for _, f := range all {
		told += f.At.Format("15:04") + " " + string(f.State) + "; "
	}
	return strings.TrimSuffix(told, "; ")
}

func every(w *world, expression string, overlap schedule.Overlap, catchUp time.Duration) schedule.Schedule {
	return schedule.Schedule{Name: "s", Next: cron.Must(expression).Next, Start: w.started, Overlap: overlap, CatchUp: catchUp}
}

func TestRunsStartAtTheirTimesUnderTheirIDs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, stop := w.node(every(w, "30 * * * *", schedule.Beside, 0))
		defer stop()
		time.Sleep(140 * time.Minute)
		w.wants("01 00:30", "01 01:30")
		run, err := w.eng.Describe(t.Context(), "s@2000-01-01T01:30:00Z")
		if err != nil || string(run.Input) != `"2000-01-01"` || time.Since(run.CreatedAt) > 51*time.Minute {
			t.Errorf("the run: %v, input %s, created at %s", err, run.Input, run.CreatedAt)
		}
	})
}

func TestTwoNodesFireOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := every(w, "@every 20m", schedule.Beside, 0)
		_, stopA := w.node(s)
		time.Sleep(7 * time.Minute)
		_, stopB := w.node(s)
		defer stopB()
		time.Sleep(35 * time.Minute)
		stopA()
		time.Sleep(20 * time.Minute)
		w.wants("01 00:20", "01 00:40", "01 01:00")
	})
}

func TestAFiringWhoseNodeIsLostIsTakenOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := every(w, "0 * * * *", schedule.Beside, 0)
		l, err := schedule.New(schedule.Config{Runner: w.eng, Ledger: w.store.Ledger(), Schedules: []schedule.Schedule{s}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Trigger(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if _, ok, err := w.store.Ledger().Take(t.Context(), "s", at, at.Add(time.Minute)); !ok || err != nil { // and dies
			t.Fatal(ok, err)
		}
		_, stop := w.node(s)
		defer stop()
		time.Sleep(50 * time.Second)
		w.wants()
		time.Sleep(20 * time.Second)
		w.wants("01 00:00")
	})
}

func TestAStartMayTakeLongAndIsNotRepeatedMeanwhile(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := schedule.Schedule{Name: "s", Next: cron.Must("*/5 * * * *").Next, Overlap: schedule.Beside,
			Start: func(_ context.Context, _ workflow.Runner, f schedule.Firing) error {
				w.note(f)
				if f.At.Minute() == 5 {
					time.Sleep(12*time.Minute + time.Second)
				}
				return nil
			}}
		_, stopA := w.node(s)
		defer stopA()
		_, stopB := w.node(s)
		defer stopB()
		time.Sleep(21 * time.Minute)
		w.wants("01 00:05", "01 00:15", "01 00:20") // the latest of those that were missed
	})
}

func TestAStartThatFailsIsTriedAgainUntilTheNextTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tries := 0
		l, stop := w.node(schedule.Schedule{Name: "s", Next: cron.Must("*/10 * * * *").Next, Overlap: schedule.Beside,
			Start: func(_ context.Context, _ workflow.Runner, f schedule.Firing) error {
				switch tries++; {
				case f.At.Minute() == 10:
					return errors.New("database gone")
				case tries < 20 && f.At.Minute() == 20:
					panic("at the disco")
				}
				w.note(f)
				return nil
			}})
		defer stop()
		time.Sleep(29 * time.Minute)
		w.wants("01 00:20")
		if got, want := w.states(l), "00:10 missed; 00:20 started"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		all, _ := l.Firings(t.Context(), schedule.Query{State: schedule.Started})
		if len(all) != 1 || all[0].Tries < 1 || !strings.Contains(all[0].Failure, "at the disco") {
			t.Errorf("the firing: %+v", all)
		}
		if len(w.faults) < 5 || !strings.Contains(w.faults[0], "database gone") {
			t.Errorf("told: %q", w.faults)
		}
	})
}

func TestOverlap(t *testing.T) { // runs take 50 minutes, and are to begin each half hour
	for overlap, want := range map[schedule.Overlap]string{
		schedule.Skip:   "00:30 started; 01:00 skipped; 01:30 started; 02:00 skipped; 02:30 started",
		schedule.Beside: "00:30 started; 01:00 started; 01:30 started; 02:00 started; 02:30 started",
		schedule.Queue:  "00:30 started; 01:00 started; 01:30 started; 02:00 due; 02:30 due",
	} {
		inWorld(t, func(t *testing.T, w *world) {
			l, stop := w.node(every(w, "*/30 * * * *", overlap, 0))
			defer stop()
			_, stopB := w.node(every(w, "*/30 * * * *", overlap, 0))
			defer stopB()
			time.Sleep(2*time.Hour + 45*time.Minute)
			if got := w.states(l); got != want {
				t.Errorf("%q: %s, want %s", overlap, got, want)
			}
		})
	}
}

func TestWhatWasMissedWhileNobodyWasThere(t *testing.T) {
	for catchUp, want := range map[time.Duration][]string{
		0:                 {"01 00:30", "01 05:30", "01 06:30"},
		time.Minute:       {"01 00:30", "01 06:30"},
		150 * time.Minute: {"01 00:30", "01 03:30", "01 04:30", "01 05:30", "01 06:30"},
	} {
		inWorld(t, func(t *testing.T, w *world) {
			s := every(w, "30 * * * *", schedule.Beside, catchUp)
			_, stop := w.node(s)
			time.Sleep(time.Hour)
			stop()
			time.Sleep(4*time.Hour + 45*time.Minute)
			_, stop = w.node(s)
			defer stop()
			time.Sleep(time.Hour)
			w.wants(want...)
		})
	}
}

func TestAClockThatIsSetFiresEachTimeOnceAndGoesOn(t *testing.T) {
	for set, want := range map[time.Duration][]string{
		26 * time.Hour:  {"01 00:30", "01 01:30", "02 03:30", "02 04:30", "02 05:30"},
		-26 * time.Hour: {"01 00:30", "01 01:30", "31 00:30", "31 01:30"},
		-2 * time.Hour:  {"01 00:30", "01 01:30"}, // and the same times again, which have fired
	} {
		inWorld(t, func(t *testing.T, w *world) {
			_, stop := w.node(every(w, "30 * * * *", schedule.Beside, 0))
			defer stop()
			time.Sleep(2 * time.Hour)
			w.ahead.Store(int64(set))
			time.Sleep(100 * time.Minute)
			w.wants(want...)
		})
	}
}

func TestAClockThatWasWrongForAWhileTakesNoTimesAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, stop := w.node(every(w, "0 */6 * * *", schedule.Beside, 0))
		defer stop()
		time.Sleep(time.Hour)
		w.ahead.Store(int64(26 * time.Hour))
		time.Sleep(time.Hour)
		w.ahead.Store(0)
		time.Sleep(24 * time.Hour)
		w.wants("02 00:00", "01 06:00", "01 12:00", "01 18:00") // the next midnight was that of the wrong clock
	})
}

func TestABackfillOfAMonthFiresEachTimeOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l, stop := w.node(every(w, "0 * * * *", schedule.Beside, 0))
		defer stop()
		time.Sleep(150 * time.Minute)
		begin := time.Date(1999, 12, 1, 0, 0, 0, 0, time.UTC)
		n, err := l.Backfill(t.Context(), "s", begin, time.Now())
		if err != nil || n != 31*24+1 { // and midnight; the two times since have fired
			t.Errorf("%d firings, %v", n, err)
		}
		time.Sleep(time.Minute)
		w.mu.Lock()
		fired := slices.Clone(w.fired)
		w.mu.Unlock()
		if len(fired) != n+2 || fired[2] != "01 00:00" || fired[n+1] != "01 00:00" {
			t.Errorf("%d were fired, of them %q", len(fired), fired[:4])
		}
		if n, err = l.Backfill(t.Context(), "s", begin, time.Now()); err != nil || n != 0 {
			t.Errorf("again: %d firings, %v", n, err)
		}
		if n, err = l.Backfill(t.Context(), "s", time.Now(), time.Now().Add(240*time.Hour)); err != nil || n != 0 {
			t.Errorf("of what is to come: %d firings, %v", n, err)
		}
		if _, err = l.Backfill(t.Context(), "s", begin.AddDate(-20, 0, 0), time.Now()); err == nil {
			t.Error("a backfill of twenty years was taken")
		}
	})
}

// What somebody asked for is not skipped: it queues, and times go before it.
func TestABackfillBesideRunsThatMayNotOverlap(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l, stop := w.node(every(w, "0 6 * * *", schedule.Skip, 0))
		defer stop()
		time.Sleep(4*time.Hour + 30*time.Minute)
		if n, err := l.Backfill(t.Context(), "s", time.Now().AddDate(0, 0, -4), time.Now()); err != nil || n != 4 {
			t.Errorf("%d firings, %v", n, err)
		}
		time.Sleep(6 * time.Hour)
		w.wants("28 06:00", "29 06:00", "30 06:00", "31 06:00")
		if got, want := w.states(l), "06:00 started; 06:00 started; 06:00 started; 06:00 started; 06:00 skipped"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestAPauseLetsTimesPass(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := every(w, "0 * * * *", schedule.Beside, 0)
		l, stop := w.node(s)
		defer stop()
		_, stopB := w.node(s)
		defer stopB()
		time.Sleep(90 * time.Minute)
		if err := l.Pause(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if _, err := l.Trigger(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if all, err := l.Schedules(t.Context()); err != nil || len(all) != 1 || !all[0].Paused {
			t.Errorf("schedules %v, %v", all, err)
		}
		if err := l.Resume(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		w.wants("01 01:00", "01 03:30", "01 05:00")
		next, err := l.Next("s")
		if err != nil || next.Format("15:04") != "06:00" {
			t.Errorf("next at %s, %v", next, err)
		}
	})
}

func TestTriggersAtOneMomentAreTwoFirings(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l, stop := w.node(every(w, "0 0 1 1 *", schedule.Beside, 0))
		defer stop()
		first, err := l.Trigger(t.Context(), "s")
		second, err2 := l.Trigger(t.Context(), "s")
		if err := errors.Join(err, err2); err != nil || first.RunID() == second.RunID() {
			t.Errorf("%s and %s, %v", first.RunID(), second.RunID(), err)
		}
		w.wants("01 00:00", "01 00:00")
		for _, f := range []schedule.Firing{first, second} {
			if run, err := workflow.Await(t.Context(), w.eng, f.RunID()); err != nil || run.Status != workflow.StatusCompleted {
				t.Errorf("run %s: %s, %v", f.RunID(), run.Status, err)
			}
		}
	})
}

func TestWhatNobodyHoldsIsUnknown(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l, stop := w.node()
		defer stop()
		_, trigger := l.Trigger(t.Context(), "nobody")
		_, backfill := l.Backfill(t.Context(), "nobody", time.Now(), time.Now())
		_, next := l.Next("nobody")
		for what, err := range map[string]error{"trigger": trigger, "backfill": backfill, "next": next,
			"pause": l.Pause(t.Context(), "nobody"), "resume": l.Resume(t.Context(), "nobody")} {
			if !errors.Is(err, schedule.ErrUnknown) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestWrongSchedulesAreRefusedAllAtOnce(t *testing.T) {
	start := func(context.Context, workflow.Runner, schedule.Firing) error { return nil }
	next := cron.Must("@hourly").Next
	err := schedule.Validate([]schedule.Schedule{
		{Name: "twice", Next: next, Start: start}, {Name: "twice", Next: next, Start: start},
		{Name: "a\nb", Next: next, Start: start}, {Name: strings.Repeat("x", 101), Next: next, Start: start},
		{Name: "no-time", Start: start}, {Name: "no-start", Next: next},
		{Name: "late", Next: next, Start: start, CatchUp: -1}, {Name: "over", Next: next, Start: start, Overlap: "wait"},
	})
	for _, want := range []string{`"twice": there are two`, `"a\nb": a name`, `x": a name`, `"no-time": Next and Start`,
		`"no-start": Next and Start`, `"late": CatchUp -1ns`, `"over": Overlap "wait"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if _, err := schedule.New(schedule.Config{}); err == nil {
		t.Error("a loop without runner and ledger was made")
	}
}

func TestAMinuteOfEverySecondCostsNoMoreThanItsFirings(t *testing.T) {
	calls := 0
	inWorld(t, func(t *testing.T, w *world) {
		e := cron.Must("@every 1s")
		_, stop := w.node(schedule.Schedule{Name: "s", Overlap: schedule.Beside,
			Next:  func(after time.Time) time.Time { calls++; return e.Next(after) },
			Start: func(context.Context, workflow.Runner, schedule.Firing) error { return nil }})
		time.Sleep(10 * time.Second)
		stop()
		time.Sleep(48 * time.Hour)
		calls = 0
		_, stop = w.node(schedule.Schedule{Name: "s", Overlap: schedule.Beside,
			Next:  func(after time.Time) time.Time { calls++; return e.Next(after) },
			Start: func(context.Context, workflow.Runner, schedule.Firing) error { return nil }})
		time.Sleep(time.Millisecond)
		stop()
		if calls > 200 {
			t.Error(fmt.Sprint("after two days it asked for ", calls, " times"))
		}
	})
}
