package chore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// turns gives each turn once, as the rows that nodes share do.
type turns map[string]bool

func (t turns) TakeTurn(_ context.Context, name string, at time.Time) (bool, error) {
	key := fmt.Sprint(name, at)
	mine := !t[key]
	t[key] = true
	return mine, nil
}

func TestAChoreIsDoneNowOnEveryTickAndWhenItIsRungFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		n, bell := 0, make(chan struct{}, 1)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Crew{}.Run(ctx, Chore{Name: "count", Every: time.Minute, Bell: bell,
				Parts: []Part{All("one", func(context.Context) error { n++; return nil })}})
		}()
		want := func(times int) {
			t.Helper()
			synctest.Wait()
			if n != times {
				t.Errorf("done %d times, want %d", n, times)
			}
		}
		want(1)
		time.Sleep(61 * time.Second)
		want(2)
		bell <- struct{}{}
		want(3)
		time.Sleep(30 * time.Second)
		want(3)
		stop()
		<-ended
		time.Sleep(time.Hour)
		want(3)
	})
}

func TestAFaultOfOnePartKeepsNoOther(t *testing.T) {
	var done []string
	err := Crew{}.Round(t.Context(),
		All("first", func(context.Context) error { done = append(done, "first"); return errors.New("no disk") }),
		All("second", func(context.Context) error { done = append(done, "second"); return nil }))
	if fmt.Sprint(done) != "[first second]" || err == nil || err.Error() != "first: no disk" {
		t.Errorf("did %v: %v", done, err)
	}
}

func TestAPartIsDoneInPiecesUntilThereIsNoMore(t *testing.T) {
	left := 3
	piece := Part{Name: "pieces", Do: func(context.Context) (bool, error) { left--; return left > 0, nil }}
	if err := (Crew{}).Round(t.Context(), piece); err != nil || left != 0 {
		t.Errorf("%d pieces are left: %v", left, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	piece.Do = func(context.Context) (bool, error) { stop(); left++; return true, nil }
	if err := (Crew{}).Round(ctx, piece); !errors.Is(err, context.Canceled) || left != 1 {
		t.Errorf("%d pieces after the end: %v", left, err)
	}
}

func TestOneNodeDoesForAllWhatIsDoneAlone(t *testing.T) {
	shared, now, n := turns{}, time.Date(2026, 3, 1, 12, 3, 0, 0, time.UTC), 0
	part := Part{Name: "alone", Alone: 10 * time.Minute, Do: func(context.Context) (bool, error) { n++; return n == 1, nil }}
	for range 3 {
		node := Crew{Turns: shared, Now: func() time.Time { return now }}
		if err := node.Round(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 { // two pieces
		t.Errorf("%d pieces were done by three nodes", n)
	}
	now = now.Add(10 * time.Minute)
	if err := (Crew{Turns: shared, Now: func() time.Time { return now }}).Round(t.Context(), part); err != nil || n != 3 {
		t.Errorf("%d pieces in the next period: %v", n, err)
	}
}

func TestAFaultIsLoggedUnlessItIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		crew := Crew{Log: slog.New(slog.NewTextHandler(&log, nil))}
		go crew.Run(ctx, Chore{Name: "loop", Every: time.Minute, Parts: []Part{All("part", func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return errors.New("no disk")
			}
		})}})
		time.Sleep(90 * time.Second) // one fault, and the second round under way
		time.Sleep(30*time.Second + 500*time.Millisecond)
		stop()
		synctest.Wait()
		if n := strings.Count(log.String(), "loop=loop error=\"part: no disk\""); n != 2 || strings.Contains(log.String(), "canceled") {
			t.Errorf("logged %d faults:\n%s", n, log.String())
		}
	})
}
