package crash

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the binary under test, built once.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "liwanag-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "liwanag")
	code := 1
	if out, err := exec.Command("go", "build", "-o", program, "github.com/liwanag/liwanag/cmd/liwanag").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir) // it is a temporary folder
	os.Exit(code)
}

// process is a running program.
type process struct {
	cmd   *exec.Cmd
	first chan string // its first line of output, empty when it ended without one
	ended chan struct{}
	err   error // once ended

	mu  sync.Mutex
	log bytes.Buffer // what it printed, both ways
}

// start starts the program with settings in the environment, and nothing else
// of ours in it.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), first: make(chan string, 1), ended: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1"}, env...)
	p.cmd.Stderr = writer(p.write)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		out := bufio.NewReader(stdout)
		line, _ := out.ReadString('\n') // without one it has ended
		p.first <- strings.TrimSpace(line)
		_, _ = io.Copy(writer(p.write), out)
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (p *process) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill is SIGKILL: the process gets no chance to do anything.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// stop is SIGTERM; it fails the test when the process does not end well in time.
func (p *process) stop(t *testing.T, within time.Duration) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("stopped with %v:\n%s", p.err, tail(p.output()))
		}
	case <-time.After(within):
		t.Errorf("still running %s after SIGTERM:\n%s", within, tail(p.output()))
	}
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// startSimulator starts the simulator and returns its base URL.
func startSimulator(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := start(t, nil, append([]string{"simulate", "--addr", "127.0.0.1:0"}, args...)...)
	select {
	case base := <-p.first:
		if base == "" {
			t.Fatalf("the simulator ended at once:\n%s", p.output())
		}
		return p, base
	case <-time.After(10 * time.Second):
		t.Fatal("the simulator does not start")
	}
	return nil, ""
}

// freeAddr is an address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
