package examples_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/examples"
	"github.com/liwanag/liwanag/workflow"
)

func TestAnImportToleratesTwoBadFiles(t *testing.T) {
	for name, c := range map[string]struct {
		bad    int
		status workflow.Status
		output string
	}{
		"two":   {2, workflow.StatusCompleted, `{"Rows":180,"Failed":2}`},
		"three": {3, workflow.StatusFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, st store.Store) {
				var mu sync.Mutex
				open, most, tries := 0, 0, map[string]int{}
				eng := begun(t, st, examples.ETL(func(context.Context, string) (files []string, err error) {
					for i := range 20 {
						files = append(files, fmt.Sprint(i))
					}
					return files, nil
				}, func(_ context.Context, file string) (int, error) {
					mu.Lock()
					open++
					most = max(most, open)
					tries[file]++
					mu.Unlock()
					time.Sleep(time.Second) // virtual, so that others are seen beside it
					mu.Lock()
					defer mu.Unlock()
					open--
					if slices.Contains([]string{"3", "5", "7"}[:c.bad], file) || tries[file] == 1 && file == "9" {
						return 0, errors.New("cut off")
					}
					return 10, nil
				}), examples.Import{Folder: "march"})
				if run := ended(t, eng, c.status); c.output != "" && string(run.Output) != c.output {
					t.Errorf("it loaded %s", run.Output)
				} else if c.output == "" && run.Failure.Code != workflow.CodeSubRuns {
					t.Errorf("it failed with %+v", run.Failure)
				}
				if most != 8 || tries["3"] != 4 || tries["9"] != 2 {
					t.Errorf("%d at once, tries %v", most, tries)
				}
			})
		})
	}
}

// bank is one that pays or does not, and whose books may be closed.
type bank struct {
	*diary
	state  string
	closed bool
}

func (b *bank) Reserve(_ context.Context, p examples.Payout) (string, error) {
	b.note("reserve %d", p.Cents)
	return "R-1", nil
}

func (b *bank) Release(_ context.Context, reservation string) error {
	b.note("release %s", reservation)
	return nil
}

func (b *bank) Pay(_ context.Context, key string, _ examples.Payout) (string, error) {
	b.note("pay %s", key)
	return b.state, nil
}

func (b *bank) Book(context.Context, examples.Payout) error {
	if b.closed {
		return workflow.Permanent(errors.New("the books are closed"))
	}
	b.note("book")
	return nil
}

func TestAPayoutThatIsNotPaidReleasesWhatWasReserved(t *testing.T) {
	for name, c := range map[string]struct {
		state  string
		closed bool
		status workflow.Status
		last   string
	}{
		"paid":       {"paid", false, workflow.StatusCompleted, "0h book"},
		"not paid":   {"refused", false, workflow.StatusFailed, "0h release R-1"},
		"not booked": {"paid", true, workflow.StatusFailed, "0h release R-1"},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, st store.Store) {
				b := &bank{newDiary(), c.state, c.closed}
				ended(t, begun(t, st, examples.PayOut(b), examples.Payout{To: "fay@home.example", Cents: 900}), c.status)
				b.says(t, "0h reserve 900", "0h pay run/pay", c.last)
			})
		})
	}
}

func TestMissedNightsAreMadeUpForInOrderAndOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		var closed []string
		wf := examples.Nightly(func(_ context.Context, night time.Time) error {
			time.Sleep(time.Duration(10-night.Day()) * time.Second) // virtual: the first night takes longest
			closed = append(closed, night.Format(time.DateOnly))    // one by one
			return nil
		})
		first := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
		nights := examples.Nights{First: first, Last: first.AddDate(0, 0, 2)}
		eng, _ := running(t, st, wf)
		for range 2 { // the schedule fires twice
			must(t, wf.Start(t.Context(), eng, nights.RunID(), nights))
			if _, err := workflow.Await(t.Context(), eng, "nightly-2026-03-06"); err != nil {
				t.Fatal(err)
			}
		}
		if want := []string{"2026-03-04", "2026-03-05", "2026-03-06"}; !slices.Equal(closed, want) {
			t.Errorf("closed: %v", closed)
		}
	})
}

func TestAFamilyIsWaitedForAndCanceledTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		region, sum := examples.RegionReport(func(_ context.Context, r examples.Region) (int, error) {
			return len(r.Name), nil
		}, func(r examples.Region) error { d.note("forget %s", r.Name); return nil })
		wf := examples.Family(region, sum)
		regions := []examples.Region{{"north"}, {"south"}, {"west"}}
		eng := begun(t, st, wf, regions, region)
		if run := ended(t, eng, workflow.StatusCompleted); string(run.Output) != "14" {
			t.Errorf("the total is %s", run.Output)
		}
		must(t, wf.Start(t.Context(), eng, "second", regions))
		pass(time.Minute)
		must(t, eng.Cancel(t.Context(), "second", "not needed"))
		if run, err := workflow.Await(t.Context(), eng, "second"); err != nil || run.Status != workflow.StatusCanceled {
			t.Errorf("the second is %s, %v", run.Status, err)
		}
		d.says(t, "1h forget north", "1h forget south", "1h forget west")
	})
}

func TestAPartnerIsAskedUntilItSaysDoneOrFailed(t *testing.T) {
	for name, c := range map[string]struct {
		states []string
		status workflow.Status
		after  time.Duration
	}{
		"done":   {[]string{"RUNNING", "RUNNING", "DONE"}, workflow.StatusCompleted, 10 * time.Minute},
		"failed": {[]string{"RUNNING", "FAILED"}, workflow.StatusFailed, 3 * time.Minute},
		"silent": {slices.Repeat([]string{"RUNNING"}, 8), workflow.StatusTimedOut, day},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, st store.Store) {
				asked, began := 0, time.Now()
				eng := begun(t, st, examples.Poll(func(_ context.Context, d examples.Document) (string, error) {
					return "J-" + d.ID, nil
				}, func(_ context.Context, job string) (string, string, error) {
					asked++
					return c.states[asked-1], "text of " + job, nil
				}), examples.Document{ID: "4"})
				run := ended(t, eng, c.status)
				if took := time.Since(began); asked != len(c.states) || took < c.after || took > c.after+time.Minute {
					t.Errorf("asked %d times in %s", asked, took)
				}
				if c.status == workflow.StatusCompleted && string(run.Output) != `"text of J-4"` {
					t.Errorf("it found %s", run.Output)
				}
			})
		})
	}
}

func TestTenCallsASecondAreMade(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		var mu sync.Mutex
		var next time.Time
		var calls []time.Time
		turn := func() (wait time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if wait = time.Until(next); wait <= 0 {
				next = time.Now().Add(time.Second / 10)
			}
			return wait
		}
		eng := begun(t, st, examples.Rate(turn, func(_ context.Context, item int) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, time.Now())
			return fmt.Sprint(item), nil
		}), slices.Repeat([]int{7}, 30))
		ended(t, eng, workflow.StatusCompleted)
		if len(calls) != 30 {
			t.Fatalf("%d calls", len(calls))
		}
		for i := 10; i < len(calls); i++ {
			if apart := calls[i].Sub(calls[i-10]); apart < time.Second {
				t.Errorf("eleven calls in %s", apart)
			}
		}
	})
}

func TestADigestIsSentEachNightAndTheMonthBeforeIsMadeUpFor(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d, began := newDiary(), time.Now()
		wf := examples.Digest(func(_ context.Context, day string) error {
			d.note("%s", day)
			return nil
		})
		eng, stop := running(t, st, wf)
		loop, err := schedule.New(schedule.Config{Runner: eng, Ledger: ledgerOf(st),
			Schedules: []schedule.Schedule{examples.Clockwork(wf.Ref())}})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ticking := make(chan error)
		go func() { ticking <- loop.Run(ctx) }()
		pass(26 * time.Hour)
		n, err := loop.Backfill(t.Context(), "digest", began.AddDate(0, -1, 0), began)
		must(t, err)
		pass(30 * time.Minute)
		cancel()
		must(t, <-ticking)
		stop()
		wanted := []string{"1h 1999-12-31", "25h 2000-01-01"} // one in the morning, UTC
		for night := range 31 {
			wanted = append(wanted, "26h "+began.AddDate(0, -1, night-1).Format(time.DateOnly))
		}
		if n != 31 {
			t.Errorf("%d nights are made up for", n)
		}
		d.says(t, wanted...)
	})
}
