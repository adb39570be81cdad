package runnertest

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// slowest bounds how much longer than [Config.Second] a second may become.
const slowest = 16

// paced tries a scenario in real time and returns its faults. What it does between
// two events of a run comes too late when the machine is busy, and the run goes on
// otherwise than planned: that is no fault of the runner, and the scenario is tried
// again with seconds four times as long.
func (c Config) paced(t *testing.T, s scenario) (faults []string) {
	for slower := time.Duration(1); ; slower *= 4 {
		w := &world{T: t, cfg: c}
		w.cfg.Second *= slower
		ended := make(chan struct{})
		go func() { // which Fatal ends
			defer close(ended)
			s.test(w)
		}()
		<-ended
		// The runner does several things before the next event, each of them as late.
		if len(w.faults) == 0 || t.Failed() || w.late < w.s(0.1) || slower == slowest {
			return w.faults
		}
		t.Logf("something came %s late, and a second lasts %s: tried again, slower. It failed with: %q", w.late, w.s(1), w.faults)
	}
}

// keep notes how much later than planned something ended.
func (w *world) keep(began time.Time, planned time.Duration) {
	w.pace.Lock()
	defer w.pace.Unlock()
	w.late = max(w.late, time.Since(began)-planned)
}

func (w *world) fault(text string) {
	w.Helper()
	if w.virtual() {
		w.T.Error(text)
		return
	}
	w.pace.Lock()
	defer w.pace.Unlock()
	w.faults = append(w.faults, text)
}

// Error and its like are those of a test; in real time they tell of this try alone.
func (w *world) Error(args ...any) {
	w.Helper()
	w.fault(fmt.Sprint(args...))
}

func (w *world) Errorf(format string, args ...any) {
	w.Helper()
	w.fault(fmt.Sprintf(format, args...))
}

func (w *world) Fatal(args ...any) {
	w.Helper()
	w.Error(args...)
	runtime.Goexit()
}

func (w *world) Fatalf(format string, args ...any) {
	w.Helper()
	w.Errorf(format, args...)
	runtime.Goexit()
}
