package process

import (
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// StartSimulator starts the simulator; base is its API's URL.
func StartSimulator(t testing.TB, args ...string) (base string, control simulator.Control) {
	t.Helper()
	p := Start(t, nil, append([]string{"simulate", "--addr", "127.0.0.1:0"}, args...)...)
	select {
	case base = <-p.First:
		if base == "" {
			t.Fatalf("the simulator ended at once:\n%s", p.Output())
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the simulator does not start")
	}
	return base, simulator.Control{BaseURL: strings.TrimSuffix(base, "/api/v2")}
}

// WantEachOnce fails the test unless that many addresses were accepted, each
// once, and nothing was paid twice.
func WantEachOnce(t testing.TB, ledger simulator.Ledger, addresses int) {
	t.Helper()
	accepted := map[string]int{}
	for _, submission := range ledger.Submissions {
		for _, record := range submission.Records {
			accepted[record.Email]++
		}
	}
	if len(accepted) != addresses {
		t.Errorf("%d addresses were looked up, want %d", len(accepted), addresses)
	}
	for email, times := range accepted {
		if times != 1 {
			t.Errorf("%s was accepted %d times", email, times)
		}
	}
	if len(ledger.Duplicates) > 0 || ledger.Totals.DuplicateCredits > 0 {
		t.Errorf("%d jobs were accepted twice, %d credits paid twice", len(ledger.Duplicates), ledger.Totals.DuplicateCredits)
	}
}
