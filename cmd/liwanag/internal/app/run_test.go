package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recorded runs phases and returns what ended, in order.
func recorded(t *testing.T, run func(ctx context.Context,
	until func(name string, takes time.Duration) func(context.Context) error)) []string {
	var ended []string
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		run(t.Context(), func(name string, takes time.Duration) func(context.Context) error {
			return func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(takes)
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, name)
				return ctx.Err()
			}
		})
	})
	return ended
}

func TestPhasesStopInTheReverseOrderOfTheirStart(t *testing.T) {
	ended := recorded(t, func(ctx context.Context, until func(string, time.Duration) func(context.Context) error) {
		ctx, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		err := RunPhases(ctx, Phase{"door": until("door", 0)},
			Phase{"slow": until("slow", 2*time.Second), "quick": until("quick", time.Second), "short": func(context.Context) error { return nil }})
		if err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff([]string{"quick", "slow", "door"}, ended); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPartThatFailsStopsAllAndIsNamed(t *testing.T) {
	broken := errors.New("disk gone")
	ended := recorded(t, func(ctx context.Context, until func(string, time.Duration) func(context.Context) error) {
		err := RunPhases(ctx, Phase{"door": until("door", 0)}, Phase{"worker": until("worker", 0), "store": func(context.Context) error {
			time.Sleep(time.Second)
			return broken
		}})
		if !errors.Is(err, broken) || err.Error() != "store: disk gone" {
			t.Errorf("error %v", err)
		}
	})
	if !slices.Equal(ended, []string{"worker", "door"}) {
		t.Errorf("ended %v", ended)
	}
}
