package cron

import "time"

const everyHour = 1<<24 - 1

// Next is the first time after another at which the expression fires, in UTC; zero when
// it never does again.
func (e Expression) Next(after time.Time) time.Time {
	switch {
	case e.every > 0:
		return after.UTC().Truncate(e.every).Add(e.every)
	case e.spec == nil:
		return time.Time{}
	case e.spec.Hour&everyHour == everyHour:
		return e.shown(after)
	}
	for wall := e.wall(after); ; {
		if wall = e.spec.Next(wall); wall.IsZero() {
			return wall
		}
		if at, ok := e.first(wall); ok && at.After(after) {
			return at.UTC()
		}
	}
}

// wall is what the clock shows at a time, as a time of UTC.
func (e Expression) wall(t time.Time) time.Time {
	_, offset := t.In(e.zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// first is when the clock first shows a time, or what stands for it; false when it
// skips the whole day.
func (e Expression) first(wall time.Time) (at time.Time, ok bool) {
	// An offset is at most a day, and zones change less often than every two.
	for period := wall.Add(-25 * time.Hour); ; {
		local := period.In(e.zone)
		_, end := local.ZoneBounds()
		_, offset := local.Zone()
		at = wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case at.Before(period): // the clock was set forward over it, at the start of this period
			for _, at := range []time.Time{period, period.Add(-time.Minute)} {
				if e.wall(at).Truncate(24 * time.Hour).Equal(wall.Truncate(24 * time.Hour)) {
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
func (e Expression) shown(after time.Time) time.Time {
	for period := after; ; {
		local := period.In(e.zone)
		_, end := local.ZoneBounds()
		_, offset := local.Zone()
		shift := time.Duration(offset) * time.Second
		wall := e.spec.Next(after.UTC().Add(shift))
		if wall.IsZero() {
			return wall
		}
		if at := wall.Add(-shift); end.IsZero() || at.Before(end) {
			return at
		}
		period, after = end, end.Add(-time.Nanosecond)
	}
}
