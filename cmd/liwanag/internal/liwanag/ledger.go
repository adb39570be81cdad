package liwanag

import "time"

// Day is a UTC day, counted from 1970-01-01.
type Day int64

// DayOf is the UTC day of an instant.
func DayOf(t time.Time) Day { return Day(floorDiv(t.Unix(), 24*60*60)) }

// End is the first instant after the day.
func (d Day) End() time.Time { return time.Unix(int64(d+1)*24*60*60, 0).UTC() }

// Minute is a calendar minute, counted from 1970-01-01T00:00Z: FullEnrich counts
// calls in such fixed windows.
type Minute int64

// MinuteOf is the calendar minute of an instant.
func MinuteOf(t time.Time) Minute { return Minute(floorDiv(t.Unix(), 60)) }

// End is the first instant after the minute.
func (m Minute) End() time.Time { return time.Unix(int64(m+1)*60, 0).UTC() }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Spending is the switch that stops all paid calls. The zero value spends.
type Spending struct {
	Paused bool
	// Until is when a pause ends by itself; zero: only an operator ends it, or,
	// for WaitingCredits and WaitingKey, a check that succeeds.
	Until time.Time
	// Reason is WaitingPaused, WaitingCredits or WaitingKey.
	Reason Waiting
	// Note says why, for people: a short text without personal data.
	Note string
	At   time.Time
	// HeldAt is since when spending waits for a word, since the journal may know of paid
	// calls that the database does not; zero: it does not. Then all above says so, too.
	HeldAt time.Time
}

// Held says whether spending waits for a word, which no pause and no resume is.
func (s Spending) Held() bool { return !s.HeldAt.IsZero() }

// Credits are the figures of one UTC day.
type Credits struct {
	Day      Day
	Reserved int64 // by submissions whose cost is not known yet
	Spent    int64 // as FullEnrich said
	// Unconfirmed is how much of both is of lookups that nobody confirmed: what the
	// budget of a day bounds.
	Unconfirmed int64
}

// Budget is what somebody set while the server ran, and what became of the budget by
// default.
type Budget struct {
	Set     bool
	Credits int64 // if it is set: credits a UTC day that nobody confirmed; 0: no limit
	// Unbounded: the installation spent more than the budget by default on a day before
	// there was one, and keeps none.
	Unbounded bool
	Told      bool // that it keeps none
}

// FoundRate is how the latest lookups of a source ended.
type FoundRate struct {
	Source    string
	Answers   string    // oldest first, a byte each: '1' found, '0' not found
	StoppedAt time.Time // its lookups wait since then; zero: they do not
}

// Balance is what FullEnrich said of the account, and when; At zero: never.
type Balance struct {
	Credits float64
	At      time.Time
}

// Reach is an unbroken time in which probes reached our public URL.
type Reach struct {
	Since, Until time.Time
}

// Evidence is what is known of a public URL.
type Evidence struct {
	// ProvenAt is when the first authentic FullEnrich delivery arrived under it;
	// zero: never.
	ProvenAt time.Time
	// Reaches are the unbroken times, latest last.
	Reaches []Reach
}
