package groupcommit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

func TestWhatQueuesWhileAGroupIsWrittenIsTheNextGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := groupcommit.New[int]()
		var callers sync.WaitGroup
		do := func(n int) {
			callers.Go(func() {
				if err := q.Do(context.Background(), n); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		do(1)
		first := q.Take(10)
		do(2)
		do(3)
		if len(first) != 1 || first[0].Do != 1 {
			t.Fatalf("the first group has %d changes", len(first))
		}
		second := q.Take(10)
		if len(second) != 2 || second[0].Do != 2 || second[1].Do != 3 {
			t.Fatalf("the second group has %d changes", len(second))
		}
		q.Return(second[1:])
		do(4)
		third := q.Take(1)
		fourth := q.Take(1)
		if third[0].Do != 3 || fourth[0].Do != 4 {
			t.Fatalf("what was returned does not come first")
		}
		for _, c := range []*groupcommit.Change[int]{first[0], second[0], third[0], fourth[0]} {
			for try := range 2 {
				if !c.Pick() {
					t.Errorf("a waiting change cannot be picked at try %d", try+1)
				}
			}
			c.Finish(nil)
		}
		callers.Wait()
	})
}

func TestACallerCanWithdrawOnlyWhatWasNotPicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := groupcommit.New[int]()
		ctx, cancel := context.WithCancel(context.Background())
		answers := make(chan error, 2)
		for n := range 2 {
			go func() { answers <- q.Do(ctx, n) }()
			synctest.Wait()
		}
		group := q.Take(2)
		if !group[0].Pick() {
			t.Fatal("not picked")
		}
		cancel()
		synctest.Wait()
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("the one that was not picked: %v", err)
		}
		if group[1].Pick() {
			t.Error("a withdrawn change was picked")
		}
		broken := errors.New("broken")
		group[0].Finish(broken)
		if err := <-answers; err != broken {
			t.Errorf("the one that was picked: %v, want its true result", err)
		}
	})
}

func TestAClosedQueueGivesWhatItHoldsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := groupcommit.New[int]()
		answer := make(chan error, 1)
		go func() { answer <- q.Do(context.Background(), 1) }()
		synctest.Wait()
		q.Close()
		if err := q.Do(context.Background(), 2); !errors.Is(err, groupcommit.ErrClosed) || !q.Closed() {
			t.Errorf("after Close: %v", err)
		}
		group := q.Take(2)
		if len(group) != 1 || !group[0].Pick() {
			t.Fatal("what was queued is gone")
		}
		group[0].Finish(nil)
		if err := <-answer; err != nil {
			t.Error(err)
		}
		if q.Take(1) != nil {
			t.Error("an empty closed queue gives changes")
		}
	})
}
