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
	"strings"
	"time"

	"github.com/netresearch/go-cron"
)

// Expression is a cron expression that was read. Its zero value never fires.
type Expression struct {
	text  string
	every time.Duration      // of an interval
	spec  *cron.SpecSchedule // on a clock that shows every time once
	zone  *time.Location
}

// searched is how many years are searched for a time: a weekday comes to a leap day
// once in 28, and over a year such as 2100 once in 40.
const searched = 41

var parser = cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).
	WithMinEveryInterval(time.Second).WithMaxSearchYears(searched)

// Parse reads an expression. One that never fires is refused.
func Parse(text string) (Expression, error) {
	e := Expression{text: strings.TrimSpace(text)}
	parsed, err := parser.Parse(e.text)
	if zone, _, _ := strings.Cut(e.text, " "); err == nil && strings.HasSuffix(zone, "TZ=Local") {
		err = errors.New("the zone Local is another on every node")
	}
	if err != nil {
		return Expression{}, fmt.Errorf("%q is not a cron expression such as \"*/5 * * * *\": %w", e.text, err)
	}
	switch parsed := parsed.(type) {
	case cron.ConstantDelaySchedule:
		e.every = parsed.Delay
	case *cron.SpecSchedule:
		if e.zone = parsed.Location; e.zone == time.Local { // what the parser says of no zone; nodes differ in theirs
			e.zone = time.UTC
		}
		spec := *parsed
		spec.Location = time.UTC
		e.spec = &spec
	default:
		return Expression{}, fmt.Errorf("%q is not a cron expression of five fields", e.text)
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
