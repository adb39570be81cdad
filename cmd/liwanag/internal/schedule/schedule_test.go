package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/schedule"
)

// record runs one entry for a while of virtual time, which begins at midnight
// UTC, and returns its firing times.
func record(t *testing.T, spec string, during time.Duration, work func(n int) error) []string {
	t.Helper()
	var fired []string
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		s, err := schedule.New(schedule.Config{Entries: []schedule.Entry{{Name: "test", Spec: spec,
			Run: func(_ context.Context, at time.Time) error {
				fired = append(fired, at.Format("02 15:04:05"))
				return work(len(fired))
			}}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return fired
}

func nothing(int) error { return nil }

func TestEntriesFireAtTheTimesOfTheirExpression(t *testing.T) {
	for spec, want := range map[string][]string{
		"*/5 * * * *":                    {"01 00:05:00", "01 00:10:00", "01 00:15:00"},
		"@every 6m":                      {"01 00:06:00", "01 00:12:00"},
		"3 * * * *":                      {"01 00:03:00"},
		"CRON_TZ=Asia/Tokyo 10 9 * * *":  {"01 00:10:00"},
		"10 9 * * *":                     nil,
		"CRON_TZ=Asia/Kolkata 0 6 * * *": nil,
	} {
		if diff := cmp.Diff(want, record(t, spec, 17*time.Minute, nothing)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spec, diff)
		}
	}
}

func TestFiringsMissedDuringALongCallAreMadeUpForByOne(t *testing.T) {
	got := record(t, "*/5 * * * *", 31*time.Minute, func(n int) error {
		if n == 1 {
			time.Sleep(17 * time.Minute) // until 00:22
		}
		return nil
	})
	if diff := cmp.Diff([]string{"01 00:05:00", "01 00:20:00", "01 00:25:00", "01 00:30:00"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFailedFiringDoesNotEndTheSchedule(t *testing.T) {
	got := record(t, "*/5 * * * *", 11*time.Minute, func(int) error { return errors.New("database gone") })
	if len(got) != 2 {
		t.Errorf("fired %v, want twice", got)
	}
}

// A wall clock that is set forward is noticed within ten seconds.
func TestAClockSetForwardFiresWhatBecameDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		var fired time.Time
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := schedule.New(schedule.Config{
			Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			Entries: []schedule.Entry{{Name: "test", Spec: "0 6 * * *", Run: func(context.Context, time.Time) error {
				fired = time.Now()
				cancel()
				return nil
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { ahead.Store(int64(7 * time.Hour)) })
		s.Run(ctx)
		if took := fired.Sub(begin); took < time.Minute || took > time.Minute+10*time.Second {
			t.Errorf("fired after %s, want within 10 s of the jump after 1m", took)
		}
	})
}

func TestAnHourThatComesTwiceFiresOnce(t *testing.T) {
	// Berlin sets its clocks back on 2026-10-25 at 01:00 UTC, from 03:00 to 02:00.
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	named, err := schedule.ParseSpec("CRON_TZ=Europe/Berlin 30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	first := named.Next(at("2026-10-24T12:00:00Z"))
	if want := at("2026-10-25T00:30:00Z"); !first.Equal(want) {
		t.Fatalf("fires at %s, want %s", first, want)
	}
	if second, want := named.Next(first), at("2026-10-26T01:30:00Z"); !second.Equal(want) {
		t.Errorf("then at %s, want %s", second.UTC(), want)
	}
	every, err := schedule.ParseSpec("CRON_TZ=Europe/Berlin 30 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	if second, want := every.Next(first), at("2026-10-25T01:30:00Z"); !second.Equal(want) {
		t.Errorf("an hourly entry then fires at %s, want %s", second.UTC(), want)
	}
}

func TestWrongEntriesAreRefusedAllAtOnce(t *testing.T) {
	run := func(context.Context, time.Time) error { return nil }
	_, err := schedule.New(schedule.Config{Entries: []schedule.Entry{
		{Name: "words", Spec: "every monday", Run: run},
		{Name: "minute", Spec: "60 * * * *", Run: run},
		{Name: "never", Spec: "0 0 30 2 *", Run: run},
		{Name: "empty", Spec: "@hourly"},
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"schedule words", "schedule minute", "never fires", "schedule empty: nothing to run"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

type batcher struct {
	calls []bool
	err   error
}

func (b *batcher) RunScheduledBatch(_ context.Context, always bool) ([]liwanag.ID, error) {
	b.calls = append(b.calls, always)
	return nil, b.err
}

func TestTheScheduledBatchStartsNoEmptyRuns(t *testing.T) {
	b := &batcher{err: errors.New("broken")}
	entry := schedule.ScheduledBatch("*/5 * * * *", b)
	if err := entry.Run(t.Context(), time.Now()); !errors.Is(err, b.err) {
		t.Errorf("error %v, want %v", err, b.err)
	}
	if diff := cmp.Diff([]bool{false}, b.calls); diff != "" {
		t.Errorf("always (-want +got):\n%s", diff)
	}
}

// In some zones clocks are set forward at midnight, or over it.
func TestADailyTimeFiresOnceOnADayWhoseClockIsSet(t *testing.T) {
	for _, c := range []struct{ zone, day string }{
		{"Africa/Cairo", "2026-04-24"}, {"Asia/Beirut", "2026-03-29"}, {"America/Santiago", "2026-09-06"}, {"America/Havana", "2026-03-08"},
		{"America/Asuncion", "2023-10-01"}, {"Atlantic/Azores", "2026-03-29"}, {"America/Scoresbysund", "2026-03-28"},
		{"America/Scoresbysund", "2026-03-29"}, {"Australia/Lord_Howe", "2026-10-04"}, {"Australia/Lord_Howe", "2026-04-05"},
		{"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"}, {"America/Havana", "2026-11-01"}, {"Asia/Beirut", "2026-10-24"},
		{"Africa/Cairo", "2026-10-29"}, {"Atlantic/Azores", "2026-10-25"}, {"America/Santiago", "2026-04-04"}, {"Pacific/Apia", "2011-12-29"},
		{"Pacific/Apia", "2011-12-31"}, // the day before did not exist
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		noon, err := time.ParseInLocation("2006-01-02T15", c.day+"T12", zone)
		if err != nil {
			t.Fatal(err)
		}
		for minute := 0; minute < 24*60; minute += 7 {
			times, err := schedule.ParseSpec(fmt.Sprintf("CRON_TZ=%s %d %d * * *", c.zone, minute%60, minute/60))
			if err != nil {
				t.Fatal(err)
			}
			fired := 0
			for at := times.Next(noon.Add(-40 * time.Hour)); at.Before(noon.Add(40 * time.Hour)); at = times.Next(at) {
				if at.In(zone).Format("2006-01-02") == c.day {
					fired++
				}
			}
			if fired != 1 {
				t.Errorf("%s, %s: %02d:%02d fires %d times", c.zone, c.day, minute/60, minute%60, fired)
			}
		}
	}
}

func TestEveryFiveMinutesIsEveryFiveMinutesWhateverTheClockShows(t *testing.T) {
	for _, zone := range []string{"Africa/Cairo", "Australia/Lord_Howe", "Europe/Berlin", "America/Havana", "Asia/Kathmandu"} {
		times, err := schedule.ParseSpec("CRON_TZ=" + zone + " */5 * * * *")
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for at.Year() == 2026 {
			next := times.Next(at)
			if next.Sub(at) != 5*time.Minute {
				t.Fatalf("%s: %s after %s", zone, next, at)
			}
			at = next
		}
	}
}

func TestHalfPastIsWhenTheClockShowsIt(t *testing.T) {
	zone, err := time.LoadLocation("Australia/Lord_Howe") // set by half an hour
	if err != nil {
		t.Fatal(err)
	}
	times, err := schedule.ParseSpec("CRON_TZ=Australia/Lord_Howe 30 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	fired := 0
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() == 2026; fired++ {
		next := times.Next(at)
		if next.In(zone).Minute() != 30 || next.Sub(at) > 90*time.Minute {
			t.Fatalf("%s after %s", next.In(zone), at.In(zone))
		}
		at = next
	}
	if hours := 365 * 24; fired < hours-2 || fired > hours+2 {
		t.Errorf("it fires %d times in a year of %d hours", fired, hours)
	}
}

func TestAScheduleGoesOnWhenItsClockWasSet(t *testing.T) {
	for _, set := range []time.Duration{-26 * time.Hour, -2 * time.Hour, 26 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var off atomic.Int64
			var fired atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			s, err := schedule.New(schedule.Config{
				Now:     func() time.Time { return time.Now().Add(time.Duration(off.Load())) },
				Entries: []schedule.Entry{{Name: "test", Spec: "0 * * * *", Run: func(context.Context, time.Time) error { fired.Add(1); return nil }}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			go func() { ended <- s.Run(ctx) }()
			time.Sleep(90 * time.Minute)
			off.Store(int64(set))
			time.Sleep(3 * time.Hour)
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n := fired.Load(); n < 4 || n > 5 {
				t.Errorf("set by %s: fired %d times in four and a half hours", set, n)
			}
		})
	}
}
