package door

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// What fails, as the audit trail has it.
const (
	failedKey    = "key.refuse"       // a wrong API key
	failedLink   = "link.refuse"      // a sign-in link that is used up, expired or wrong
	failedAccess = "access.refuse"    // neither a key nor a session that is right
	failedScope  = "scope.refuse"     // a key or a person without the scope
	failedProof  = "signature.refuse" // a webhook whose signature is missing or wrong
)

// actorUnknown is who failed to prove who they are.
const actorUnknown = "unknown"

const (
	// tallyWindow is how long one row counts for.
	tallyWindow = 10 * time.Minute
	// tallyEvery is how often what was counted is written, at the latest.
	tallyEvery = 10 * time.Second
	// maxTallied bounds how many clients are told apart in a window.
	maxTallied = 1000
	// otherClients are those beyond.
	otherClients = "others"
)

// tally counts what would be too many rows one by one: failures, and reads of personal
// data, each by client.
type tally struct {
	now   func() time.Time
	log   *slog.Logger
	write func(context.Context, []*liwanag.Act) error

	writing sync.Mutex // held while it writes

	mu   sync.Mutex
	rows map[talliedBy]*tallied
}

type talliedBy struct{ actor, name, act, client, subject, reason string }

type tallied struct {
	row   liwanag.Act // the one that is written, Seq 0: none yet
	fresh int64       // not written yet
}

// count counts one.
func (t *tally) count(by talliedBy) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.rows[by]
	if !ok && len(t.rows) >= maxTallied {
		by.client, by.subject = otherClients, ""
		one, ok = t.rows[by]
	}
	if !ok {
		one = &tallied{row: liwanag.Act{At: t.now().UTC(), Actor: by.actor, Name: by.name, Act: by.act, Client: by.client,
			Subject: by.subject, Reason: by.reason}}
		t.rows[by] = one
	}
	one.fresh++
}

// flush writes what was counted.
func (t *tally) flush(ctx context.Context) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	fresh := t.fresh()
	if len(fresh) == 0 {
		return nil
	}
	rows := slices.Collect(maps.Values(fresh))
	if err := t.write(ctx, rows); err != nil {
		return err
	}
	for one, row := range fresh {
		if t.written(one, row); row.Actor == actorUnknown {
			t.log.WarnContext(ctx, "a client could not prove who it is", "what", row.Act, "client", row.Client, "times", row.Times)
		}
	}
	return nil
}

// fresh are the rows with what is not written yet. Windows that are over go.
func (t *tally) fresh() map[*tallied]*liwanag.Act {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := map[*tallied]*liwanag.Act{}
	for by, one := range t.rows {
		switch over := t.now().Sub(one.row.At) >= tallyWindow; {
		case one.fresh > 0:
			row := one.row
			row.Times = one.fresh
			rows[one] = &row
		case over:
			delete(t.rows, by)
		}
	}
	return rows
}

// written notes what is; what is counted after the window has another row.
func (t *tally) written(one *tallied, row *liwanag.Act) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one.fresh -= row.Times
	if one.row.Seq = row.Seq; t.now().Sub(one.row.At) >= tallyWindow {
		one.row.Seq, one.row.At = 0, t.now().UTC()
	}
}

// run writes now and then until ctx ends, and once more then.
func (t *tally) run(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			last = true
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), HookWithin)
		if err := t.flush(within); err != nil {
			t.log.WarnContext(ctx, "what was counted for the audit trail is written later", "error", err)
		}
		cancel()
	}
}

// Tallied writes what was counted so far, for whoever reads the audit trail.
func (d *Door) Tallied(ctx context.Context) error { return d.tally.flush(ctx) }

// refused counts a failure of whoever asks.
func (d *Door) refused(ctx context.Context, what string) {
	carried := scopeOf(ctx)
	carried.refused = true
	d.tally.count(talliedBy{actor: actorUnknown, act: what, client: network(carried.from), subject: carried.about, reason: carried.code})
}

// About says what a webhook is about whose proof fails, for the audit trail.
func About(ctx context.Context, subject, code string) {
	carried := scopeOf(ctx)
	carried.about, carried.code = subject, code
}

// TurnedAway counts a webhook for which nothing could be done, and why, though its sender
// need not have failed to prove who it is.
func (d *Door) TurnedAway(ctx context.Context, what, subject, code string) {
	d.tally.count(talliedBy{actor: actorUnknown, act: what, client: network(scopeOf(ctx).from), subject: subject, reason: code})
}

// network is how a client that failed is named: of IPv6 by its network, since it has all
// addresses in it.
func network(from netip.Addr) string {
	if from.Is6() {
		return netip.PrefixFrom(from, 64).String()
	}
	return from.String()
}

// readsPersonal are questions whose answers are about persons, besides all that are
// asked about subscribers.
var readsPersonal = []string{"get-upload-sample", "get-upload-errors", "get-delivery", "get-message", "list-messages"}

// readOf is the name of a read of personal data that is counted; empty for one that is
// not, or leaves a row of its own.
func readOf(op *huma.Operation) string {
	if op.Method != http.MethodGet || slices.Contains(actsThatRead, op.OperationID) ||
		!under(op.Path, "/api/v1/subscribers") && !slices.Contains(readsPersonal, op.OperationID) {
		return ""
	}
	return nameOf(op)
}
