package simulator

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const childDir = "SIMULATOR_TEST_CHILD_DIR"

// TestMain lets the test's own program be the simulator that is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	sim, err := New(Config{Dir: dir, CallsPerMinute: 1 << 20})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(httptest.NewServer(sim).URL)
	time.Sleep(time.Minute) // the parent kills it long before
}

func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http") {
		t.Fatalf("child says %q: %v", line, err)
	}
	return child, strings.TrimSpace(line)
}

func TestNoAcknowledgedSubmissionIsLostByKillNine(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 5 {
		child, base := startChild(t, dir)
		ledger, err := (Control{BaseURL: base}).Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range ledger.Submissions {
			delete(acknowledged, sub.EnrichmentID)
		}
		if len(acknowledged) > 0 {
			t.Fatalf("round %d: %d acknowledged submissions are gone", round, len(acknowledged))
		}
		b := &bed{TB: t, client: &http.Client{}, base: base, hooks: "http://127.0.0.1:1"}
		for n := 0; ; n++ {
			if n == 3 {
				time.AfterFunc(time.Duration(5*round)*time.Millisecond, func() { child.Process.Kill() })
			}
			got := b.post(fmt.Sprint(round, "-", n), emails(20, "")...)
			if got.err != nil {
				break // killed
			}
			acknowledged[decode[map[string]string](t, got.body)["enrichment_id"]] = true
		}
		child.Wait() // reports the kill
	}
}
