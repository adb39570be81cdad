// Package cron reads cron expressions: the times at which something is to happen, by the
// clock on the wall of a zone.
//
//	┌ minute 0-59
//	│ ┌ hour 0-23
//	│ │ ┌ day of the month 1-31
//	│ │ │ ┌ month 1-12 or JAN-DEC
//	│ │ │ │ ┌ day of the week 0-7 or SUN-SAT, 0 and 7 are Sunday
//	0 2 * * MON-FRI
//
// A field is * (or ?), a number, a range 9-17, which may go over the end as in 22-2, each of them with
// a step as in */5 or 8-18/2 (8/2 begins there), or several of these with commas. A day
// counts when both of its fields say so: 0 9 1-7 * MON is the first Monday of a month.
//
// @hourly, @daily (@midnight), @weekly, @monthly and @yearly (@annually) stand for such fields. @every
// 90m is an interval of at least a second, counted from one instant for all who have it.
//
// The zone is UTC, unless CRON_TZ=Europe/Berlin stands in front (or TZ=). Where clocks are set, an
// expression that names hours has each time that it names once a day: the first of two when they are
// set back, and when they are set forward over it the end of the gap, or the minute before it
// when that end is another day. One of every hour goes by what the clock shows.
package cron

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Expression is a cron expression that was read. Its zero value never fires.
type Expression struct {
	text                            string
	minutes, hours, days, months, w uint64 // bit n says that n is among them; w: of the week
	zone                            *time.Location
	every                           time.Duration // of an interval
}

// most is how long an expression may be, in bytes.
const most = 1024

var descriptors = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Parse reads an expression. One that never fires is refused.
func Parse(text string) (Expression, error) {
	e := Expression{text: strings.TrimSpace(text), zone: time.UTC}
	if err := e.parse(); err != nil {
		return Expression{}, fmt.Errorf("%q is not a cron expression such as \"*/5 * * * *\": %w", e.text, err)
	}
	if e.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Expression{}, fmt.Errorf("%q never fires", e.text)
	}
	return e, nil
}

// Must is Parse for an expression that stands in the program: it panics.
func Must(text string) Expression {
	e, err := Parse(text)
	if err != nil {
		panic("cron: " + err.Error())
	}
	return e
}

// String is the expression as it was written.
func (e Expression) String() string { return e.text }

func (e *Expression) parse() error {
	if len(e.text) > most {
		return fmt.Errorf("it has %d bytes, %d are allowed", len(e.text), most)
	}
	fields := strings.Fields(e.text)
	if len(fields) > 0 {
		_, zone, named := strings.Cut(fields[0], "TZ=")
		if named = named && (fields[0] == "TZ="+zone || fields[0] == "CRON_TZ="+zone); named {
			var err error
			if e.zone, err = location(zone); err != nil {
				return err
			}
			fields = fields[1:]
		}
	}
	if len(fields) == 2 && fields[0] == "@every" {
		return e.interval(fields[1])
	}
	if len(fields) == 1 {
		if stands, ok := descriptors[fields[0]]; ok {
			fields = strings.Fields(stands)
		}
	}
	if len(fields) != 5 {
		return fmt.Errorf("it has %d fields, five are needed", len(fields))
	}
	var faults []error
	for i, into := range []*uint64{&e.minutes, &e.hours, &e.days, &e.months, &e.w} {
		var err error
		*into, err = kinds[i].field(fields[i])
		faults = append(faults, err)
	}
	e.w = (e.w | e.w>>7) & (1<<7 - 1)
	return errors.Join(faults...)
}

// location is a zone by its name; that of this machine is no name, since nodes differ in it.
func location(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("the zone %q has no name such as Europe/Berlin", name)
	}
	return time.LoadLocation(name)
}

func (e *Expression) interval(text string) (err error) {
	if e.every, err = time.ParseDuration(text); err != nil {
		return err
	}
	if e.every < time.Second {
		return fmt.Errorf("an interval is at least a second, not %s", e.every)
	}
	return nil
}

// kind is a kind of field.
type kind struct {
	name      string
	low, high int
	names     string // of its values from low on, three letters each
}

var kinds = []kind{{"minute", 0, 59, ""}, {"hour", 0, 23, ""}, {"day of the month", 1, 31, ""},
	{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"}, {"day of the week", 0, 7, "SUNMONTUEWEDTHUFRISAT"}}

func (k kind) field(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		one, err := k.part(part)
		if err != nil {
			return 0, fmt.Errorf("the %s %q: %w", k.name, part, err)
		}
		set |= one
	}
	return set, nil
}

func (k kind) part(text string) (set uint64, err error) {
	values, stepText, stepped := strings.Cut(text, "/")
	first, last, ranged := strings.Cut(values, "-")
	low, high := k.low, k.high
	if every := first == "*" || first == "?"; !every {
		if low, err = k.value(first); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if high, err = k.value(last); err != nil {
				return 0, err
			}
		case !stepped:
			high = low
		}
	} else if ranged {
		return 0, errors.New("no range begins with it")
	}
	around := k.high + 1 - k.low
	if k.high == 7 { // Sunday has two numbers
		around = 7
	}
	if high < low {
		high += around
	}
	step := 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > 1 && step > high-low {
			return 0, fmt.Errorf("a step of 1 to %d is needed", max(high-low, 1))
		}
	}
	for v := low; v <= high; v += step {
		n := v
		if n > k.high {
			n -= around
		}
		set |= 1 << min(max(n, 0), 63)
	}
	return set, nil
}

// value is a number or a name.
func (k kind) value(text string) (int, error) {
	if at := strings.Index(k.names, strings.ToUpper(text)); len(text) == 3 && at >= 0 && at%3 == 0 {
		return k.low + at/3, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < k.low || n > k.high || text[0] < '0' {
		return 0, fmt.Errorf("%q is no number from %d to %d", text, k.low, k.high)
	}
	return n, nil
}

// searched is how many years are searched for a time: a weekday comes to a leap day
// once in 28, and over a year such as 2100 once in 40.
const searched = 41

// wallNext is the next time that a clock shows, as a time of UTC, which has every time once.
func (e Expression) wallNext(after time.Time) time.Time {
	after = after.UTC()
	t := after.Truncate(time.Minute).Add(time.Minute)
	for last := after.Year() + searched; t.Year() <= last; {
		year, month, day := t.Date()
		switch {
		case e.months>>month&1 == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case e.days>>day&1 == 0 || e.w>>t.Weekday()&1 == 0:
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case e.hours>>t.Hour()&1 == 0:
			t = t.Truncate(time.Hour).Add(time.Hour)
		default:
			if left := e.minutes >> t.Minute(); left != 0 {
				return t.Add(time.Duration(bits.TrailingZeros64(left)) * time.Minute)
			}
			t = t.Truncate(time.Hour).Add(time.Hour)
		}
	}
	return time.Time{}
}
