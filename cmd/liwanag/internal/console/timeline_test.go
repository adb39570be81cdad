package console

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestAScaleIsInProportionWhenEverythingCanBeSeen(t *testing.T) {
	s := newTimescale([]time.Time{noon, noon.Add(time.Minute), noon.Add(4 * time.Minute)}, 800)
	if s.Power != 1 || s.x(noon.Add(time.Minute)) != 200 || s.x(noon.Add(2*time.Minute)) != 400 {
		t.Errorf("%v %v", s.Power, s.at)
	}
}

func TestMillisecondsAndADayStandOnOneScale(t *testing.T) {
	marks := []time.Time{noon, noon.Add(2 * time.Millisecond), noon.Add(30 * time.Millisecond), noon.Add(time.Minute),
		noon.Add(24 * time.Hour)}
	s := newTimescale(marks, 640)
	if s.Power >= 1 {
		t.Errorf("in proportion: the shortest has %v", s.x(marks[1]))
	}
	for i := 1; i < len(marks); i++ {
		if span := s.x(marks[i]) - s.x(marks[i-1]); span < 3 {
			t.Errorf("span %d has %v", i, span)
		}
	}
	if day := 640 - s.x(marks[3]); day < s.x(marks[3])-s.x(marks[2]) {
		t.Errorf("a day is drawn shorter than a minute: %v", day)
	}
}

func TestAScaleKeepsTheOrderOfTimesAndItsWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offsets := rapid.SliceOfN(rapid.Int64Range(0, int64(48*time.Hour)), 1, 30).Draw(t, "marks")
		var marks []time.Time
		for _, o := range offsets {
			marks = append(marks, noon.Add(time.Duration(o)))
		}
		s := newTimescale(marks, 640)
		a := noon.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(50*time.Hour)).Draw(t, "a")))
		b := a.Add(time.Duration(rapid.Int64Range(0, int64(50*time.Hour)).Draw(t, "later")))
		xa, xb := s.x(a), s.x(b)
		if xa > xb+1e-6 || xa < 0 || xb > 640+1e-6 || math.IsNaN(xa) || math.IsNaN(xb) {
			t.Fatalf("%v at %v, %v at %v", a, xa, b, xb)
		}
	})
}

func TestATimelineShowsWaitsRetriesSnoozesDeadlinesAndNow(t *testing.T) {
	for _, form := range []measures{wideTimeline, narrowTimeline} {
		timelineShows(t, form)
	}
}

func TestAnOpenSnoozeIsDots(t *testing.T) {
	run := waitingRun()
	run.Steps = run.Steps[:1]
	run.Steps[0].Status, run.Steps[0].EndedAt, run.Steps[0].Attempts = "running", time.Time{}, nil
	for waits, want := range map[*runapi.WaitingFor]string{nil: "running",
		{Step: "batch", Kind: "snooze", Reason: "paused", Until: noon.Add(time.Minute)}: "pause"} {
		run.WaitingFor = waits
		bars := drawTimeline(run, noon, wideTimeline).Rows[0].Bars
		if bars[0].Kind != want || len(bars) > 2 || len(bars) == 2 && bars[1].Kind != "ahead" {
			t.Errorf("waits for %v: %+v", waits, bars)
		}
	}
}

func timelineShows(t *testing.T, form measures) {
	t.Helper()
	d := drawTimeline(waitingRun(), noon, form)
	kinds := map[string]int{}
	for _, row := range d.Rows {
		for _, b := range row.Bars {
			kinds[row.Name+" "+b.Kind]++
			if b.Width < leastBar || b.X < form.Names || b.X+b.Width > form.Names+form.Bars+leastBar {
				t.Errorf("%s: %+v is outside", row.Name, b)
			}
		}
	}
	for what, n := range map[string]int{"batch pause": 1, "batch attempt": 1, "submit failed": 1, "submit pause": 1,
		"submit attempt": 1, "result wait": 1, "result ahead": 1} {
		if kinds[what] != n {
			t.Errorf("%d of %s, not %d", kinds[what], what, n)
		}
	}
	result := d.Rows[3]
	if result.Deadline <= d.Now || d.Now <= form.Names || len(result.Events) != 1 || !d.Compressed {
		t.Errorf("deadline %v, now %v, %+v", result.Deadline, d.Now, result.Events)
	}
	if len(d.Rows[2].Bars) != 0 {
		t.Error("a skipped step has bars")
	}
	for i, a := range d.Ticks {
		for _, b := range d.Ticks[i+1:] {
			if math.Abs(a.X-b.X) < tickSpace {
				t.Errorf("captions %q and %q lie on each other", a.Text, b.Text)
			}
		}
	}
}

func TestATimelineOfARunThatHasJustBegunIsEmpty(t *testing.T) {
	d := drawTimeline(runapi.RunDetail{Run: runapi.Run{ID: "run_1", Status: "pending", CreatedAt: noon}}, noon, wideTimeline)
	if len(d.Rows) != 0 || math.IsNaN(d.Now) || len(d.Ticks) != 1 {
		t.Errorf("%+v", d)
	}
}
