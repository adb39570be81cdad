package simulator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// kill ends a simulator as kill -9 would: nothing is written any more. (The
// goroutines go, because a bubble must end.)
func (b *bed) kill() {
	b.sim.mu.Lock()
	file := b.sim.journal.file
	b.sim.mu.Unlock()
	file.Close()
	b.sim.Close() // fails: its file is gone
}

// again starts another simulator on the directory, with the same receiver.
func (b *bed) again(cfg Config) {
	b.Helper()
	next := newBed(b.TB, cfg, b.receiver)
	b.sim, b.client = next.sim, next.client
}

func TestAKilledSimulatorGoesOn(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Seed: 3}
	virtual(t, cfg, func(b *bed) {
		b.add(Fault{Action: ActionWebhookLate, Name: "late", Delay: time.Hour})
		b.add(Fault{Action: ActionRefuse, Nth: 3})
		done := b.accepted("done", emails(3, "+found")...)
		settle(5 * time.Minute)
		running := b.accepted("late", emails(150, "+found")[:100]...)
		settle(50 * time.Second) // in the middle of the first hundred
		if err := b.sim.Rotate("", "fe_rotated"); err != nil {
			b.Fatal(err)
		}
		before := b.sim.Ledger()
		if n := before.Totals.Pending; n == 0 || n == 100 {
			b.Fatalf("%d pending: not in the middle", n)
		}
		b.kill()
		b.again(cfg)
		after := b.sim.Ledger()
		if string(rawJSON(before)) != string(rawJSON(after)) {
			b.Errorf("the ledger changed:\n%+v\n%+v", before.Totals, after.Totals)
		}
		b.wantCode(b.get(done), 401, "error.api.key")
		settle(30 * time.Minute)
		if n := len(b.receiver.batch()); n != 1 {
			b.Errorf("%d batch events before the late one is due", n)
		}
		settle(time.Hour)
		hooks := b.receiver.batch()
		if len(hooks) != 2 || hooks[1].result(b).ID != running || hooks[1].signature != sign("fe_rotated", hooks[1].body) {
			b.Errorf("%d batch events after the restart", len(hooks))
		}
		path := v2 + "/contact/reverse/email/bulk"
		if got := b.call("POST", path, "fe_rotated", b.submission("third", "a@example.net")); got.status != 500 {
			b.Errorf("the count of the fault is lost: %d", got.status)
		}
		l := b.sim.Ledger()
		if l.Totals.Credits != 103 || l.Balance != 100_000-103 || len(l.Duplicates) != 0 {
			b.Errorf("%+v balance %v", l.Totals, l.Balance)
		}
	})
}

func TestWebhooksThatWaitForARetrySurvive(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	virtual(t, cfg, func(b *bed) {
		b.receiver.answer = func(int) int { return 500 }
		b.accepted("n", "a+found@example.net")
		settle(3 * time.Minute)
		b.kill()
		b.receiver.answer = nil
		b.again(cfg)
		settle(10 * time.Minute)
		for _, w := range b.sim.Ledger().Webhooks {
			if last := len(w.Attempts) - 1; w.State != webhookDelivered || last < 1 || w.Attempts[0].Status != 500 ||
				w.Attempts[last].Status != 200 {
				b.Errorf("%+v", w)
			}
		}
	})
}

func TestHalfALineOfTheJournalIsCutOff(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	path := filepath.Join(cfg.Dir, "simulator.journal")
	virtual(t, cfg, func(b *bed) {
		b.accepted("n", "a+found@example.net")
		b.kill()
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprint(file, `{"t":"accept","id":"torn`, strings.Repeat("x", 10_000))
		file.Close()
		b.again(cfg)
		b.accepted("second", "b+found@example.net")
		b.kill()
		b.again(cfg)
		if n := b.sim.Ledger().Totals.Submissions; n != 2 {
			b.Errorf("%d submissions", n)
		}
		b.kill()
		raw, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		if strings.Contains(string(raw), "xxx") {
			b.Error("the half line is still there")
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(raw), "{", "?", 1)), 0o600); err != nil {
			b.Fatal(err)
		}
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "line 1 is damaged") {
			b.Errorf("a damaged journal was opened: %v", err)
		}
	})
}

func TestNothingIsAcceptedWithoutTheJournal(t *testing.T) {
	virtual(t, Config{Dir: t.TempDir()}, func(b *bed) {
		b.sim.journal.file.Close() // stands for a full disk
		if got := b.post("n", "a+found@example.net"); got.status != 500 {
			b.Errorf("%d %s", got.status, got.body)
		}
		wantAccepted(b, 0)
		if b.sim.State().JournalError == "" {
			b.Error("the state does not tell")
		}
		if err := b.sim.Close(); err == nil {
			b.Error("Close does not tell")
		}
	})
}

func TestADirectoryServesOneSimulator(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "used by another simulator") {
		t.Errorf("second: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
}

func TestChangedConfigurationReplacesKeysAndBalance(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		cfg  Config
		want float64
	}{{Config{Balance: 10}, 10}, {Config{Balance: 10}, 7}, {Config{Balance: 20}, 20}} {
		step.cfg.Dir = dir
		s, err := New(step.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.State().Balance; got != step.want {
			t.Errorf("balance %v, want %v", got, step.want)
		}
		if err := s.SetBalance(7); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIDsDifferBetweenStartsInMemory(t *testing.T) {
	virtual(t, Config{}, func(b *bed) {
		first := b.accepted("n", "a@example.net")
		b.sim.Close()
		settle(time.Second)
		b.again(Config{})
		if b.accepted("n", "a@example.net") == first {
			b.Error("an id was given out twice")
		}
	})
}

func TestConfigIsValidatedAsAWhole(t *testing.T) {
	err := Config{Keys: []string{""}, Speed: -1, RunningStyle: "x", NotFoundShape: "y", Dedup: "z", FoundShare: 2}.Validate()
	for _, want := range []string{"Keys[0]", "Speed", "RunningStyle", "NotFoundShape", "Dedup", "FoundShare"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
}

// The arithmetic of the ledger holds whatever is submitted and goes wrong.
func TestLedgerAddsUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		balance := float64(rapid.IntRange(1, 60).Draw(rt, "balance"))
		cfg := Config{
			Balance: balance, Seed: rapid.Int64().Draw(rt, "seed"), CallsPerMinute: 1000,
			Dedup: rapid.SampledFrom([]string{DedupNone, DedupDocumented}).Draw(rt, "dedup"),
			Queue: rapid.IntRange(1, 20).Draw(rt, "queue"),
		}
		actions := rapid.SliceOfN(rapid.SampledFrom([]Action{
			ActionAcceptThen502, ActionRefuse, ActionStatusCanceled, ActionWebhookBeforeAnswer, ActionCreditsInsufficient, ActionWebhookNever,
		}), 0, 3).Draw(rt, "faults")
		batches := rapid.SliceOfN(rapid.IntRange(1, 12), 1, 8).Draw(rt, "batches")
		virtual(t, cfg, func(b *bed) {
			for _, action := range actions {
				b.add(Fault{Action: action, Probability: 0.5})
			}
			accepted := 0
			for i, n := range batches {
				got := b.post(fmt.Sprint("run", i%3), emails(n, "")...)
				if got.status != 500 {
					accepted++
				}
				time.Sleep(time.Duration(i%2) * 10 * time.Minute)
			}
			settle(24 * time.Hour)
			checkLedger(rt, b.sim, accepted, balance)
		})
	})
}

func checkLedger(t *rapid.T, s *Server, accepted int, balance float64) {
	l := s.Ledger()
	sum := Totals{Submissions: accepted, Calls: l.Totals.Calls, Attempts: l.Totals.Attempts, DuplicateCredits: l.Totals.DuplicateCredits}
	rows, jobRows := 0, 0
	var duplicates, jobCredits int64
	for _, sub := range l.Submissions {
		var credits int64
		for _, r := range sub.Records {
			sum.add(r)
			credits += r.Credits
			rows++
			if found := s.outcome(r.Email) == outcomeFound; (r.Credits+r.Avoided == 1) != (found && r.Status == "found") {
				t.Errorf("record %+v is charged wrongly", r)
			}
		}
		if credits != sub.Credits || !final(sub.Status) {
			t.Errorf("submission %s: %d credits, its records %d", sub.Status, sub.Credits, credits)
		}
	}
	for _, j := range l.Jobs {
		jobRows += j.Accepted
		jobCredits += j.Credits
		duplicates += max(j.Credits-1, 0)
	}
	if sum != l.Totals || jobRows != rows || jobCredits != l.Totals.Credits || duplicates != l.Totals.DuplicateCredits {
		t.Errorf("totals %+v, recounted %+v, by job %d rows %d credits %d duplicates", l.Totals, sum, jobRows, jobCredits, duplicates)
	}
	if l.Balance < 0 || l.Balance != balance-float64(l.Totals.Credits) || l.Totals.Pending != 0 {
		t.Errorf("balance %v of %v after %d credits, %d pending", l.Balance, balance, l.Totals.Credits, l.Totals.Pending)
	}
}

func TestEveryActionIsInTheTable(t *testing.T) {
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range Actions() {
		if !strings.Contains(string(raw), "\n//\t"+string(action)+" ") {
			t.Errorf("doc.go does not have %s", action)
		}
		if action.class() == 0 {
			t.Errorf("%s has no class", action)
		}
	}
}
