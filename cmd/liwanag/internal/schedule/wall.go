package schedule

import (
	"time"

	cron "github.com/netresearch/go-cron"
)

// wallClock fires when the clock on the wall of a zone shows what an expression
// says. One that names hours fires once for each time that it names: at the first of
// two when clocks are set back, and when they are set forward over it at the end of the
// gap, or a minute before it when its end is another day. One of every hour goes by what the clock shows, gap or repetition.
type wallClock struct {
	spec      cron.SpecSchedule // in UTC, which has every time once
	zone      *time.Location
	everyHour bool
}

func onTheWall(spec *cron.SpecSchedule) cron.Schedule {
	const everyHour = 1<<24 - 1
	w := wallClock{spec: *spec, zone: spec.Location, everyHour: spec.Hour&everyHour == everyHour}
	if w.zone == time.Local { // the parser's word for "the zone of the time it is given"
		w.zone = time.UTC
	}
	w.spec.Location = time.UTC
	return w
}

func (w wallClock) Next(after time.Time) time.Time {
	if w.everyHour {
		return w.shown(after)
	}
	for wall := w.wall(after); ; {
		wall = w.spec.Next(wall)
		if wall.IsZero() {
			return wall
		}
		if at, ok := w.first(wall); ok && at.After(after) {
			return at.UTC()
		}
	}
}

// wall is what the clock shows at a time, as a time of UTC.
func (w wallClock) wall(t time.Time) time.Time {
	_, offset := t.In(w.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// first is when the clock first shows a time, or what stands for it; false when it
// skips the whole day.
func (w wallClock) first(wall time.Time) (at time.Time, ok bool) {
	// An offset is at most a day, and zones change less often than every two.
	for period := wall.Add(-25 * time.Hour); ; {
		local := period.In(w.zone)
		_, end := local.ZoneBounds()
		_, offset := local.Zone()
		at = wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case at.Before(period): // the clock was set forward over it, at the start of this period
			for _, at := range []time.Time{period, period.Add(-time.Minute)} {
				if w.wall(at).Truncate(24 * time.Hour).Equal(wall.Truncate(24 * time.Hour)) {
					return at, true
				}
			}
			return time.Time{}, false
		case end.IsZero() || at.Before(end):
			return at, true
		}
		period = end
	}
}

// shown is the next time at which the clock shows what the expression says.
func (w wallClock) shown(after time.Time) time.Time {
	for period := after; ; {
		local := period.In(w.zone)
		_, end := local.ZoneBounds()
		_, offset := local.Zone()
		shift := time.Duration(offset) * time.Second
		wall := w.spec.Next(after.UTC().Add(shift))
		if wall.IsZero() {
			return wall
		}
		if at := wall.Add(-shift); end.IsZero() || at.Before(end) {
			return at
		}
		period, after = end, end.Add(-time.Nanosecond)
	}
}
