// Package schedule turns cron entries into runs: at the firing times of an entry
// it calls what the entry names, on one of the nodes that share a database.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	cron "github.com/netresearch/go-cron"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Entry is one line of the schedule.
type Entry struct {
	// Name says in logs and errors what fires, and to all nodes which entry it is.
	Name string
	// Spec is a cron expression of five fields or a descriptor such as @hourly, in
	// UTC unless CRON_TZ=Europe/Berlin stands in front. The intervals of @every are
	// the same for all nodes, whenever they started.
	Spec string
	// Run is called with the firing time, once over all nodes. Calls of one entry on
	// one node never overlap; those that were due meanwhile are made up for by one.
	// A node that stops in the middle leaves the rest to the next firing.
	Run func(ctx context.Context, at time.Time) error
}

// Batcher triggers the scheduled batch; *enrichment.Service is the real one.
type Batcher interface {
	RunScheduledBatch(ctx context.Context, always bool) ([]liwanag.ID, error)
}

// ScheduledBatch is the entry that makes batches of the pending jobs that no run
// holds. Firing it twice is harmless: a job is put into one batch only, and
// without such jobs no run is started.
func ScheduledBatch(spec string, b Batcher) Entry {
	return Entry{Name: "scheduled-batch", Spec: spec, Run: func(ctx context.Context, _ time.Time) error {
		_, err := b.RunScheduledBatch(ctx, false)
		return err
	}}
}

// Turns says whether one instant of something that one node does for all is ours.
type Turns interface {
	TakeTurn(ctx context.Context, name string, at time.Time) (bool, error)
}

// Config configures a Schedule. The zero value is an empty schedule.
type Config struct {
	Entries []Entry
	Turns   Turns            // where nodes agree on who fires; nil: this node does
	Now     func() time.Time // wall clock; default time.Now
	Log     *slog.Logger     // default: discards
}

// Validate returns every fault of the entries, joined.
func (c Config) Validate() error {
	_, err := parse(c.Entries)
	return err
}

// Schedule fires entries.
type Schedule struct {
	cfg   Config
	times []cron.Schedule // of cfg.Entries
}

// New returns the schedule, or every fault of its entries.
func New(c Config) (*Schedule, error) {
	times, err := parse(c.Entries)
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Schedule{cfg: c, times: times}, nil
}

func parse(entries []Entry) ([]cron.Schedule, error) {
	var faults []error
	times := make([]cron.Schedule, len(entries))
	for i, e := range entries {
		parsed, err := ParseSpec(e.Spec)
		if err != nil {
			faults = append(faults, fmt.Errorf("schedule %s: %w", e.Name, err))
		}
		if e.Run == nil {
			faults = append(faults, fmt.Errorf("schedule %s: nothing to run", e.Name))
		}
		times[i] = parsed
	}
	return times, errors.Join(faults...)
}

// ParseSpec reads a cron expression as [Entry.Spec] takes it. One that never
// fires is refused.
func ParseSpec(spec string) (cron.Schedule, error) {
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(strings.TrimSpace(spec))
	if err != nil {
		return nil, fmt.Errorf("%q is not a cron expression such as \"*/5 * * * *\": %w", spec, err)
	}
	// Every expression that fires at all fires within the next leap years.
	if parsed.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never fires", spec)
	}
	if every, ok := parsed.(cron.ConstantDelaySchedule); ok {
		return intervals{every}, nil
	}
	if spec, ok := parsed.(*cron.SpecSchedule); ok {
		return onTheWall(spec), nil
	}
	return parsed, nil
}

// Run fires until ctx ends, and returns when no call is under way.
func (s *Schedule) Run(ctx context.Context) error {
	var entries sync.WaitGroup
	for i := range s.cfg.Entries {
		entries.Go(func() { s.follow(ctx, s.cfg.Entries[i], s.times[i]) })
	}
	entries.Wait()
	return nil
}

// follow derives every firing time from the one before, never from how long a
// call took, so that all nodes agree on them. After the clock was set back it
// begins anew: what was fired already is known by its time.
func (s *Schedule) follow(ctx context.Context, e Entry, times cron.Schedule) {
	at, since := times.Next(s.now()), s.reading()
	for ctx.Err() == nil {
		if s.sleepUntil(ctx, at, since) {
			at = latest(times, at, s.now())
			if err := s.fire(ctx, e, at); err != nil && ctx.Err() == nil {
				s.cfg.Log.ErrorContext(ctx, "a scheduled run failed; the next firing repeats it", "schedule", e.Name, "at", at, "error", err)
			}
			at = times.Next(at)
		}
		if s.wasSetBack(since) {
			at = times.Next(s.now())
		}
		since = s.reading()
	}
}

// fire runs an entry, unless the firing is another node's. The claim is durable
// before anything is done: a firing may be lost with its node, and is never doubled.
func (s *Schedule) fire(ctx context.Context, e Entry, at time.Time) error {
	mine := true
	if s.cfg.Turns != nil {
		var err error
		if mine, err = s.cfg.Turns.TakeTurn(ctx, e.Name, at); err != nil {
			return fmt.Errorf("claim of the firing: %w", err)
		}
	}
	if !mine {
		return nil
	}
	return e.Run(ctx, at)
}

// latest is the last firing time up to now, which stands for those from next on that
// were missed.
func latest(times cron.Schedule, next, now time.Time) time.Time {
	for {
		after := times.Next(next)
		if after.After(now) {
			return next
		}
		next = after
	}
}

// now is the wall clock alone, which may be set.
func (s *Schedule) now() time.Time { return s.cfg.Now().UTC().Round(0) }

// longestSleep bounds a sleep, so that a wall clock that was set is noticed.
const longestSleep = 10 * time.Second

// reading is what both clocks said at one moment: that of the wall, and that of the
// process, which cannot be set.
type reading struct{ wall, process time.Time }

func (s *Schedule) reading() reading { return reading{s.now(), time.Now()} }

// wasSetBack says whether the wall clock is behind by more than a minute.
func (s *Schedule) wasSetBack(since reading) bool {
	return s.now().Before(since.wall.Add(time.Since(since.process) - time.Minute))
}

// sleepUntil returns false when ctx ended before, or the clock was set back.
func (s *Schedule) sleepUntil(ctx context.Context, at time.Time, since reading) bool {
	for {
		left := at.Sub(s.now())
		if ctx.Err() != nil || s.wasSetBack(since) {
			return false
		}
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(min(left, longestSleep))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// intervals are counted from one instant for all nodes, not from their starts.
type intervals struct{ cron.ConstantDelaySchedule }

func (i intervals) Next(after time.Time) time.Time { return after.Truncate(i.Delay).Add(i.Delay) }
