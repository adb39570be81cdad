package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/workflow"
)

// Digest mails the figures of a day.
func Digest(mail func(ctx context.Context, day string) error) *workflow.Workflow[string] {
	wf := workflow.New[string]("digest")
	workflow.Do(wf, "mail", mail, workflow.Retry{MaxAttempts: 10, InitialDelay: time.Minute})
	return wf
}

// Clockwork shows a schedule: at two at night in Berlin the digest of the day before, none beside
// another. It stands in engine.Config's Schedules; schedule.Loop's Backfill makes up for a month.
func Clockwork(digest workflow.Ref[string]) schedule.Schedule {
	return schedule.Schedule{Name: "digest", Next: cron.Must("CRON_TZ=Europe/Berlin 0 2 * * *").Next, Overlap: schedule.Queue,
		Start: schedule.Run(digest, func(firing time.Time) string { return firing.AddDate(0, 0, -1).Format(time.DateOnly) })}
}
