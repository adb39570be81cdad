// Package doctor examines an installation: what is wrong, and what to do about it. Each
// check looks at one thing, and says one or a few findings of it; none stops the others.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/fullenrich"
)

// The states of a finding.
const (
	OK      = "ok"
	Warning = "warning" // it works, but hardly as meant
	Wrong   = "wrong"
	Skipped = "skipped" // it could not be looked at
)

// Check looks at one thing.
type Check struct {
	Name string
	Look func(ctx context.Context) []api.Finding
}

// Within bounds each check; a deep one takes as long as it needs.
const Within = 15 * time.Second

// Examine makes all checks, in order.
func Examine(ctx context.Context, version string, checks ...Check) api.Diagnosis {
	d := api.Diagnosis{OK: true, Version: version, Findings: []api.Finding{}}
	for _, c := range checks {
		for _, f := range c.Look(ctx) {
			f.Check = c.Name
			d.OK = d.OK && f.State != Wrong
			d.Findings = append(d.Findings, f)
		}
	}
	return d
}

// One is a check of a single finding.
func One(name string, look func(ctx context.Context) api.Finding) Check {
	return Check{name, func(ctx context.Context) []api.Finding {
		ctx, cancel := context.WithTimeout(ctx, Within)
		defer cancel()
		return []api.Finding{look(ctx)}
	}}
}

// Well finds nothing wrong.
func Well(format string, args ...any) api.Finding {
	return api.Finding{State: OK, What: fmt.Sprintf(format,
		args...)}
}

// Bad finds something wrong, with what to do.
func Bad(do, command, format string, args ...any) api.Finding {
	return api.Finding{State: Wrong, What: fmt.Sprintf(format, args...), Do: do, Command: command}
}

// Odd finds what works, but hardly as meant.
func Odd(do, command, format string, args ...any) api.Finding {
	f := Bad(do, command, format, args...)
	f.State = Warning
	return f
}

// Unseen could not look.
func Unseen(format string, args ...any) api.Finding {
	return api.Finding{State: Skipped, What: fmt.Sprintf(format, args...)}
}

// Disk looks at the space that is left where the database is.
func Disk(free, size int64) api.Finding {
	const little, hardly = 1 << 30, 100 << 20
	switch {
	case free < hardly:
		return Bad("Free space: when there is none nothing can be written.", "df -h",
			"Only %s are free where the database is.", bytes(free))
	case free < max(little, size):
		return Odd("Free space: a migration or a backup needs as much as the database has.", "df -h",
			"%s are free where the database is, which has %s.", bytes(free), bytes(size))
	}
	return Well("%s are free where the database is, which has %s.", bytes(free), bytes(size))
}

func bytes(n int64) string {
	const unit = 1 << 10
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	for len(names) > 1 && value >= unit {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %s", value, names[0])
}

// tolerated is how far clocks may be apart before it matters.
const tolerated = 5 * time.Second

// Clock compares this machine's clock with another one.
func Clock(whose string, ahead time.Duration) api.Finding {
	way := "ahead of"
	if ahead < 0 {
		way = "behind"
	}
	if ahead.Abs() > tolerated {
		return Bad("Synchronize the clocks (NTP).", "timedatectl set-ntp true", "This machine's clock is %s %s %s.",
			ahead.Abs().Round(time.Second), way, whose)
	}
	return Well("This machine's clock and %s agree.", whose)
}

// FullEnrichClock compares this machine's clock with the Date that FullEnrich answers with.
func FullEnrichClock(ctx context.Context, client *http.Client, baseURL string, now func() time.Time) api.Finding {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, baseURL, nil)
	if err != nil {
		return Unseen("FullEnrich's clock cannot be asked: its address is none.")
	}
	before := now()
	answer, err := client.Do(r)
	if err != nil {
		return Unseen("FullEnrich's clock cannot be asked: it cannot be reached.")
	}
	_ = answer.Body.Close()
	after := now()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return Unseen("FullEnrich does not say what time it is.")
	}
	ahead := before.Add(after.Sub(before) / 2).Sub(date.Add(500 * time.Millisecond)) // Date has whole seconds
	if after.Sub(before) > tolerated {
		return Unseen("FullEnrich answered too slowly to compare clocks.")
	}
	return Clock("FullEnrich's", ahead)
}

// Partner is what is asked of FullEnrich; *fullenrich.Client is the real one.
type Partner interface {
	VerifyKey(ctx context.Context) (workspaceID string, err error)
	Credits(ctx context.Context) (float64, error)
}

// Key asks FullEnrich whether the key is right. A nil partner: there is none.
func Key(ctx context.Context, p Partner) api.Finding {
	if p == nil {
		return Bad("Set the key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve",
			"There is no FullEnrich key: nothing is looked up, and no webhook can be verified.")
	}
	workspace, err := p.VerifyKey(ctx)
	var refusal *fullenrich.Error
	switch {
	case err == nil:
		return Well("FullEnrich takes the key, of workspace %s.", workspace)
	case errors.As(err, &refusal) && (refusal.Status == http.StatusUnauthorized ||
		refusal.Status == http.StatusForbidden):
		return Bad("Set the right key and start the server again.", "FULLENRICH_API_KEY=… liwanag serve",
			"FullEnrich refuses the key.")
	case errors.As(err, &refusal) && refusal.Status != 0:
		return Odd("Ask again in a moment; look at FullEnrich's status page.", "liwanag doctor",
			"FullEnrich did not say whether the key is right (HTTP %d).", refusal.Status)
	}
	return Bad("Check the network and FULLENRICH_BASE_URL.", "curl -I $FULLENRICH_BASE_URL",
		"FullEnrich cannot be reached.")
}

// Credits asks FullEnrich for the balance; low is the mark below which it is little.
func Credits(ctx context.Context, p Partner, low int64) api.Finding {
	if p == nil {
		return Unseen("Without a key the balance is not known.")
	}
	balance, err := p.Credits(ctx)
	switch {
	case err != nil:
		return Unseen("FullEnrich does not say what the balance is.")
	case balance <= 0:
		return Bad("Buy credits at FullEnrich.", "liwanag credits", "There are no credits left: lookups wait.")
	case balance < float64(low):
		return Odd("Buy credits, or lookups will wait.", "liwanag credits", "%.0f credits are left, below the mark of %d.",
			balance, low)
	}
	return Well("%.0f credits are left.", balance)
}
