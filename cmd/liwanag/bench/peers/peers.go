// Package peers runs workload W1 on other engines, each in the way its own
// documentation recommends, for comparison within one run of the benchmark.
package peers

import (
	"context"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

// Runner is an engine with W1 registered.
type Runner interface {
	// One starts a run, sends its event as soon as it has reached the submit step,
	// and returns when its end is durable.
	One(ctx context.Context) error
	// Check returns an error unless the engine's own records say that n runs are
	// completed, and nothing else.
	Check(ctx context.Context, n int) error
	Close() error
}

// Peer is an engine to compare with. It keeps its runs in the PostgreSQL database
// at url, which is empty.
type Peer struct {
	Name string
	Open func(ctx context.Context, url string) (Runner, error)
}

// PostgreSQL are the peers that keep runs in PostgreSQL.
func PostgreSQL() []Peer {
	return []Peer{
		{"River, batch completer", func(ctx context.Context, url string) (Runner, error) { return openRiver(ctx, url, false) }},
		{"River, own transactions", func(ctx context.Context, url string) (Runner, error) { return openRiver(ctx, url, true) }},
		{"DBOS Transact", openDBOS},
	}
}

func expect(what string, got, want int) error {
	if got != want {
		return fmt.Errorf("%s: %d instead of %d", what, got, want)
	}
	return nil
}

// process is the last step.
func process(a shape.Arrival) int { return len(a.Results) }
