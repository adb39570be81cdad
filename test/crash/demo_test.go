package crash

import (
	"strings"
	"testing"
	"time"
)

// A demo that is killed goes on where it stopped, and its simulator goes with it.
func TestAKilledDemoGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	for _, after := range []time.Duration{300, 700, 1500} {
		demo := start(t, nil, "demo", "--dir", dir, "--exit", "--speed", "60")
		select {
		case <-demo.ended:
			t.Fatalf("over before it could be killed: %v\n%s", demo.err, demo.output())
		case <-time.After(after * time.Millisecond):
		}
		demo.kill()
	}
	demo := start(t, nil, "demo", "--dir", dir, "--exit", "--speed", "60")
	select {
	case <-demo.ended:
	case <-time.After(60 * time.Second):
		t.Fatalf("not over in a minute:\n%s", tail(demo.output()))
	}
	if demo.err != nil {
		t.Fatalf("%v\n%s", demo.err, tail(demo.output()))
	}
	for _, want := range []string{"243 subscribers, 231 lookups", "failed 0", "for 231 addresses, nothing was paid twice"} {
		if !strings.Contains(demo.output(), want) {
			t.Errorf("%q is missing in:\n%s", want, tail(demo.output()))
		}
	}
}

// A second demo in the same directory is refused, and --fresh deletes nothing
// under the first.
func TestTwoDemosDoNotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	first := start(t, nil, "demo", "--dir", dir, "--speed", "60")
	select {
	case <-first.first:
	case <-time.After(20 * time.Second):
		t.Fatal("the demo does not start")
	}
	for _, args := range [][]string{{"demo", "--dir", dir, "--exit"}, {"demo", "--dir", dir, "--exit", "--fresh"}} {
		second := start(t, nil, args...)
		select {
		case <-second.ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("%v runs beside the first", args)
		}
		if second.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(second.output(), "already running") || !strings.Contains(second.output(), "Try: ") {
			t.Errorf("%v: %v\n%s", args, second.err, second.output())
		}
	}
	first.stop(t, 10*time.Second)
}
