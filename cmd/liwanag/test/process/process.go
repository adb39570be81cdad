// Package process runs the real program in tests: built once, started as
// processes that are stopped, paused and killed, beside the FullEnrich simulator
// whose ledger says what was paid.
package process

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is the binary under test.
var program string

// Main builds the program, runs the tests of a package with it and returns the
// exit code:
//
//	func TestMain(m *testing.M) { os.Exit(process.Main(m.Run)) }
//
// With -short the package is left out: programs take real time.
func Main(run func() int) int {
	if flag.Parse(); testing.Short() {
		fmt.Println("left out: -short starts no programs")
		return 0
	}
	dir, err := os.MkdirTemp("", "liwanag-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "liwanag")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/liwanag/liwanag/cmd/liwanag").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return run()
}

// Process is a started program.
type Process struct {
	Cmd   *exec.Cmd
	First chan string   // its first line of output, empty when it ended without one
	Ended chan struct{} // closed when it has ended
	Err   error         // how it ended, once it has

	spoke atomic.Bool // it has printed a first line: main had begun long before
	mu    sync.Mutex
	log   bytes.Buffer // what it printed, both ways
}

// Start starts the program with settings in the environment, and nothing else
// of ours in it. It is killed when the test is over.
func Start(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{Cmd: exec.Command(program, args...), First: make(chan string, 1), Ended: make(chan struct{})}
	p.Cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1"}, env...)
	p.Cmd.Stderr = writer(p.write)
	stdout, err := p.Cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		out := bufio.NewReader(stdout)
		line, _ := out.ReadString('\n') // without one it has ended
		p.spoke.Store(line != "")
		p.First <- strings.TrimSpace(line)
		_, _ = io.Copy(writer(p.write), out)
		p.Err = p.Cmd.Wait()
		close(p.Ended)
	}()
	t.Cleanup(p.Kill)
	return p
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (p *Process) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// Output is what it printed so far, both ways, but its first line.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Tail is the end of its output.
func (p *Process) Tail() string {
	lines := strings.Split(strings.TrimSpace(p.Output()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Kill is SIGKILL: the process gets no chance to do anything.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have ended already
	<-p.Ended
}

// Pause stops the process until it gets SIGCONT. On Linux it returns when every thread
// stands still: a busy machine lets them run on for a moment.
func (p *Process) Pause(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGSTOP)
	for deadline := time.Now().Add(time.Minute); !p.stands(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process does not stand still")
		}
	}
}

// stands says whether no thread runs, where /proc tells.
func (p *Process) stands() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Cmd.Process.Pid))
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		_, state, _ := strings.Cut(string(text), ") ") // behind its name
		if !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Signal sends a signal; one that has ended by itself gets none.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// Stop is SIGTERM; it fails the test when the process does not end well in time. One
// that has not come to its main function yet, some 30 ms after its start, dies of
// the signal like any program, with nothing begun.
func (p *Process) Stop(t testing.TB, within time.Duration) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	select {
	case <-p.Ended:
		if p.Err != nil && !(p.Err.Error() == "signal: terminated" && !p.spoke.Load() && p.Output() == "") {
			t.Errorf("stopped with %v:\n%s", p.Err, p.Tail())
		}
	case <-time.After(within):
		t.Errorf("still running %s after SIGTERM:\n%s", within, p.Tail())
	}
}

// FreeAddr is a loopback address that was free a moment ago.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
