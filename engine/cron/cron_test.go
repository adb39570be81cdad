package cron_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/cron"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestExpressionsFireAtTheirTimes(t *testing.T) {
	for spec, want := range map[string]string{ // three times after Friday, 2026-01-02 12:00:30
		"*/5 * * * *":                      "01-02 12:05, 01-02 12:10, 01-02 12:15",
		"30 9 * * MON-FRI":                 "01-05 09:30, 01-06 09:30, 01-07 09:30",
		"0 9 1-7 * mon":                    "01-05 09:00, 02-02 09:00, 03-02 09:00",
		"0 0 13 * 5":                       "02-13 00:00, 03-13 00:00, 11-13 00:00",
		"0 22-2/2 * * *":                   "01-02 22:00, 01-03 00:00, 01-03 02:00",
		"15 8/6 * * *":                     "01-02 14:15, 01-02 20:15, 01-03 08:15",
		"0 0 * NOV-JAN 7":                  "01-04 00:00, 01-11 00:00, 01-18 00:00",
		"0 0 * * sat-mon":                  "01-03 00:00, 01-04 00:00, 01-05 00:00",
		"5,35 12 ? * ?":                    "01-02 12:05, 01-02 12:35, 01-03 12:05",
		"0 0 31 * *":                       "01-31 00:00, 03-31 00:00, 05-31 00:00",
		"@hourly":                          "01-02 13:00, 01-02 14:00, 01-02 15:00",
		"@daily":                           "01-03 00:00, 01-04 00:00, 01-05 00:00",
		"@weekly":                          "01-04 00:00, 01-11 00:00, 01-18 00:00",
		"@monthly":                         "02-01 00:00, 03-01 00:00, 04-01 00:00",
		"@every 90m":                       "01-02 13:30, 01-02 15:00, 01-02 16:30",
		"CRON_TZ=Asia/Kathmandu 0 6 * * *": "01-03 00:15, 01-04 00:15, 01-05 00:15",
		"TZ=America/New_York @daily":       "01-03 05:00, 01-04 05:00, 01-05 05:00",
	} {
		e, err := cron.Parse(" " + spec + " ")
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for next := at(t, "2026-01-02T12:00:30Z"); len(got) < 3; {
			next = e.Next(next)
			got = append(got, next.Format("01-02 15:04"))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s fires at %q, want %q", spec, got, want)
		}
		if e.String() != spec {
			t.Errorf("%q is shown as %q", spec, e)
		}
	}
}

func TestALeapDayOnAWeekdayIsFound(t *testing.T) {
	e := cron.Must("0 0 29 2 WED")
	if got, want := e.Next(at(t, "2026-01-01T00:00:00Z")), at(t, "2040-02-29T00:00:00Z"); !got.Equal(want) {
		t.Errorf("it fires at %s, want %s", got, want)
	}
	if got := (cron.Expression{}).Next(time.Now()); !got.IsZero() {
		t.Errorf("the zero expression fires at %s", got)
	}
}

func TestWhatIsNoExpressionIsRefused(t *testing.T) {
	for spec, want := range map[string]string{
		"":                                  "empty",
		"every monday":                      "found 2",
		"60 * * * *":                        "(60) above maximum (59)",
		"* 24 * * *":                        "(24) above maximum (23)",
		"* * 0 * *":                         "(0) below minimum (1)",
		"* * * 13 *":                        "(13) above maximum (12)",
		"* * * * 8":                         "(8) above maximum (7)",
		"* * * * MO":                        "MO",
		"* * * ANF *":                       "ANF", // within JANFEB
		"*/0 * * * *":                       "positive",
		"*/60 * * * *":                      "less than range",
		"1-2-3 * * * *":                     "hyphens",
		"* * * * * *":                       "found 6",
		"0 0 30 2 *":                        "never fires",
		"@every 1ms":                        "at least 1s",
		"@every soon":                       "soon",
		"@fortnightly":                      "descriptor",
		"CRON_TZ=Europe/Atlantis * * * * *": "Europe/Atlantis",
		"CRON_TZ=Local * * * * *":           "every node",
		"CRON_TZ= * * * * *":                "timezone",
		strings.Repeat("* ", 600):           "too long",
	} {
		if _, err := cron.Parse(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Must took what is no expression")
		}
	}()
	cron.Must("whenever")
}

func TestAnHourThatComesTwiceFiresOnce(t *testing.T) {
	// Berlin sets its clocks back on 2026-10-25 at 01:00 UTC, from 03:00 to 02:00.
	daily := cron.Must("CRON_TZ=Europe/Berlin 30 2 * * *")
	first := daily.Next(at(t, "2026-10-24T12:00:00Z"))
	if want := at(t, "2026-10-25T00:30:00Z"); !first.Equal(want) {
		t.Fatalf("fires at %s, want %s", first, want)
	}
	if second, want := daily.Next(first), at(t, "2026-10-26T01:30:00Z"); !second.Equal(want) {
		t.Errorf("then at %s, want %s", second, want)
	}
	hourly := cron.Must("CRON_TZ=Europe/Berlin 30 * * * *")
	if second, want := hourly.Next(first), at(t, "2026-10-25T01:30:00Z"); !second.Equal(want) {
		t.Errorf("an hourly one then fires at %s, want %s", second, want)
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
		for minute := 0; minute < 24*60; minute += 23 {
			times, err := cron.Parse(fmt.Sprintf("CRON_TZ=%s %d %d * * *", c.zone, minute%60, minute/60))
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
		times, err := cron.Parse("CRON_TZ=" + zone + " */5 * * * *")
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
	times, err := cron.Parse("CRON_TZ=Australia/Lord_Howe 30 * * * *")
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
