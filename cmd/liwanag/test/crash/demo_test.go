package crash

import (
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
)

// A demo that is killed goes on where it stopped, and its simulator goes with it.
func TestAKilledDemoGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	for _, after := range []time.Duration{300, 700, 1500} {
		demo := process.Start(t, nil, "demo", "--dir", dir, "--exit", "--speed", "60")
		select {
		case <-demo.Ended:
			t.Fatalf("over before it could be killed: %v\n%s", demo.Err, demo.Output())
		case <-time.After(after * time.Millisecond):
		}
		demo.Kill()
	}
	demo := process.Start(t, nil, "demo", "--dir", dir, "--exit", "--speed", "60")
	select {
	case <-demo.Ended:
	case <-time.After(5 * time.Minute):
		t.Fatalf("not over in five minutes:\n%s", demo.Tail())
	}
	if demo.Err != nil {
		t.Fatalf("%v\n%s", demo.Err, demo.Tail())
	}
	for _, want := range []string{"243 subscribers, 231 lookups", "failed 0", "for 231 addresses, nothing was paid twice"} {
		if !strings.Contains(demo.Output(), want) {
			t.Errorf("%q is missing in:\n%s", want, demo.Tail())
		}
	}
}

// A second demo in the same directory is refused, and --fresh deletes nothing
// under the first.
func TestTwoDemosDoNotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	first := process.Start(t, nil, "demo", "--dir", dir, "--speed", "60")
	select {
	case <-first.First:
	case <-time.After(2 * time.Minute):
		t.Fatal("the demo does not start")
	}
	for _, args := range [][]string{{"demo", "--dir", dir, "--exit"}, {"demo", "--dir", dir, "--exit", "--fresh"}} {
		second := process.Start(t, nil, args...)
		select {
		case <-second.Ended:
		case <-time.After(2 * time.Minute):
			t.Fatalf("%v runs beside the first", args)
		}
		if second.Cmd.ProcessState.ExitCode() != 1 || !strings.Contains(second.Output(), "already running") ||
			!strings.Contains(second.Output(), "Try: ") {
			t.Errorf("%v: %v\n%s", args, second.Err, second.Output())
		}
	}
	first.Stop(t, time.Minute)
}
