package simulator

import (
	"testing"
	"time"
)

func TestBatchEventWaitsUntilEveryContactEventWasTried(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.receiver.answer = func(int) int { time.Sleep(5 * time.Second); return 500 }
		b.accepted("n", "quick+found@example.net", "late+slow+found@example.net")
		settle(time.Hour)
		var lastFirstTry time.Time
		seen := map[string]bool{}
		for _, h := range b.receiver.seen(true) {
			if !seen[string(h.body)] {
				seen[string(h.body)] = true
				lastFirstTry = h.at
			}
		}
		if gap := b.receiver.batch()[0].at.Sub(lastFirstTry); len(seen) != 2 || gap != 5*time.Second {
			b.Errorf("%d contact events, the batch event %v after the last was sent; want when it was answered", len(seen), gap)
		}
	})
}

func TestAWebhookThatNoneOvertakesComesInTheEnd(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.add(Fault{Action: ActionWebhookReorder, Delay: time.Hour})
		b.accepted("alone", "a+found@example.net")
		settle(time.Hour)
		early := len(b.receiver.batch())
		settle(2 * time.Minute)
		if early != 0 || len(b.receiver.batch()) != 1 || b.sim.Ledger().Fired[ActionWebhookReorder] != 0 {
			b.Errorf("%d early, %d in the end", early, len(b.receiver.batch()))
		}
	})
}

func TestDeduplicationEndsAfterNinetyDays(t *testing.T) {
	virtual(t, Config{Dedup: DedupDocumented}, func(b *bed) {
		for _, pause := range []time.Duration{89 * 24 * time.Hour, 24 * time.Hour, 0} {
			b.accepted("n", "a+found@example.net")
			settle(pause + 2*time.Minute)
		}
		if l := b.sim.Ledger(); l.Totals.Credits != 2 || l.Totals.Avoided != 1 {
			b.Errorf("%+v, want the second free and the third paid", l.Totals)
		}
	})
}

func TestWithoutCreditsNothingIsLookedUp(t *testing.T) {
	virtual(t, Config{Balance: -1}, func(b *bed) {
		got := b.get(b.accepted("n", "a+notfound@example.net"))
		if r := decode[result](b, got.body); got.status != 402 || r.Status != statusCreditsInsufficient || string(r.Data) != "[]" {
			b.Errorf("%d %s", got.status, got.body)
		}
	})
}

func TestEqualTimersRunInTheOrderTheyWereSet(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		var got []int
		b.sim.mu.Lock()
		due := b.sim.cfg.Now().Add(time.Second)
		for i := range 20 {
			b.sim.at(due, func(time.Time) { got = append(got, i) })
		}
		b.sim.mu.Unlock()
		settle(time.Second)
		for i, n := range got {
			if i != n || len(got) != 20 {
				b.Fatalf("order %v", got)
			}
		}
	})
}

func TestCloseDoesNotWaitForAReceiverThatHangs(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		b.receiver.answer = func(int) int { time.Sleep(9 * time.Second); return 200 }
		b.accepted("n", "a+found@example.net")
		for len(b.receiver.seen(true)) == 0 {
			settle(time.Second)
		}
		start := time.Now()
		if err := b.sim.Close(); err != nil || time.Since(start) > 0 {
			b.Errorf("took %v: %v", time.Since(start), err)
		}
		if w := b.sim.Ledger().Webhooks[0]; w.State != webhookWaiting || len(w.Attempts) != 0 {
			b.Errorf("a webhook that was cut off counts: %+v", w)
		}
		if got := b.call("GET", "/_sim/state", "", nil); got.status != 503 {
			b.Errorf("closed, and answers %d", got.status)
		}
		settle(10 * time.Second) // for the receiver to end
	})
}
