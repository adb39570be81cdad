//go:build temporal

package temporalrunner

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runnertest"
)

// devServer is a real Temporal server on loopback, over a file.
type devServer struct {
	address string
	dir     string
	extra   []string
	process *exec.Cmd
}

// shared is the server of all tests that do not stop theirs.
var shared *devServer

// With -continue 12 the whole suite runs in executions of a dozen events.
var continueAfter = flag.Int("continue", 0, "events after which the server wants a run to continue as new; 0: its own default")

func TestMain(m *testing.M) {
	if where := os.Getenv(workerVariable); where != "" {
		if err := beWorker(where); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Most of a test is waiting, which needs no processor.
	_ = flag.Set("test.parallel", "6")
	flag.Parse()
	dir, err := os.MkdirTemp("", "liwanag-temporal-")
	if err == nil {
		// Nothing is asked of it after it was stopped, so it need not sync.
		extra := []string{"--sqlite-pragma", "synchronous=off"}
		if *continueAfter > 0 {
			extra = append(extra, "--dynamic-config-value", fmt.Sprintf("limit.historyCount.suggestContinueAsNew=%d", *continueAfter))
		}
		shared, err = startServer(dir, extra...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	shared.stop()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// binary is the Temporal command line that "make temporal" builds.
func binary() (string, error) {
	path := os.Getenv("LIWANAG_TEMPORAL")
	if path == "" {
		path = filepath.Join("..", ".cache", "bin", "temporal")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("there is no Temporal server at %s\nTry: make temporal, or set LIWANAG_TEMPORAL", path)
	}
	return filepath.Abs(path)
}

func startServer(dir string, extra ...string) (*devServer, error) {
	ports, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &devServer{address: ports.Addr().String(), dir: dir, extra: extra}
	_ = ports.Close()
	return s, s.start()
}

// start starts the server, again after a stop, and waits until it answers.
func (s *devServer) start() error {
	path, err := binary()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.address)
	logs, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	args := append([]string{"server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port,
		"--db-filename", filepath.Join(s.dir, "temporal.db"), "--log-level", "warn"}, s.extra...)
	s.process = exec.Command(path, args...)
	s.process.Stdout, s.process.Stderr = logs, logs
	if err := s.process.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := Dial(context.Background(), DialConfig{Address: s.address, Log: quiet(), Patience: time.Second})
		if err == nil {
			c.Close()
			return nil
		}
		if time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("the Temporal server does not come up: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stop kills the server, as a machine that loses its power does.
func (s *devServer) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// safeBuffer is a log that many write to.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var namespaces atomic.Int64

// namespace makes one that remembers nothing, and a client of it.
func (s *devServer) namespace(t testing.TB) client.Client {
	t.Helper()
	return s.dial(t, s.newNamespace(t))
}

func (s *devServer) newNamespace(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", namespaces.Add(1))
	admin, err := Dial(t.Context(), DialConfig{Address: s.address, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	_, err = admin.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{Namespace: name,
		WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// findsByAttributes registers the search attribute in a client's namespace.
func findsByAttributes(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	_, err := c.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: map[string]enums.IndexedValueType{
			SearchAttribute: enums.INDEXED_VALUE_TYPE_KEYWORD_LIST}})
	if err != nil {
		t.Fatal(err)
	}
	i := &index{client: c}
	for deadline := time.Now().Add(time.Minute); !i.indexed(t.Context()); time.Sleep(200 * time.Millisecond) {
		if i.asked.Store(0); time.Now().After(deadline) {
			t.Fatal("the server does not take the search attribute on")
		}
	}
}

func (s *devServer) dial(t testing.TB, namespace string) client.Client {
	t.Helper()
	var logs safeBuffer
	c, err := Dial(t.Context(), DialConfig{Address: s.address, Namespace: namespace, Log: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if t.Failed() {
			t.Logf("the SDK says:\n%s", logs.String())
		}
	})
	return c
}

// running runs a runner until the test ends, or what it returns is called.
func running(t *testing.T, cfg Config) (*Runner, func()) {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for _, p := range r.order {
		for _, kind := range []enums.TaskQueueType{enums.TASK_QUEUE_TYPE_WORKFLOW, enums.TASK_QUEUE_TYPE_ACTIVITY} {
			polled(t, cfg.Client, r.queueOf(p), kind)
		}
	}
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

// polled waits until a worker stands at a queue: the first tasks of a new one may
// be lost on their way while a busy server still opens it.
func polled(t *testing.T, c client.Client, queue string, kind enums.TaskQueueType) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if d, err := c.DescribeTaskQueue(t.Context(), queue, kind); err == nil && len(d.GetPollers()) > 0 {
			return
		}
	}
	t.Fatalf("no worker stands at %s", queue)
}

func TestTemporalKeepsTheRulesOfEveryRunner(t *testing.T) {
	runnertest.Run(t, runnertest.Config{Second: 2 * time.Second, Slack: 20 * time.Second, Differs: differs,
		New: func(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
			namespace := shared.newNamespace(t)
			cfg := Config{Client: shared.dial(t, namespace), Definitions: defs}
			if strings.Contains(t.Name(), "/attributes/find_runs") {
				findsByAttributes(t, cfg.Client, namespace)
			}
			r, stop := running(t, cfg)
			t.Cleanup(func() { tellHistory(t, cfg.Client, "run-1") })
			elsewhere, err := New(Config{Client: cfg.Client})
			if err != nil {
				t.Fatal(err)
			}
			return runnertest.Harness{Runner: r, Elsewhere: elsewhere, Restart: func() workflow.Runner {
				stop()
				r, stop = running(t, cfg)
				return r
			}}
		}})
}

// tellHistory logs what Temporal knows of a run whose test has failed.
func tellHistory(t *testing.T, c client.Client, runID string) {
	if !t.Failed() {
		return
	}
	events := c.GetWorkflowHistory(context.Background(), runID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			t.Log(err)
			return
		}
		t.Log(e.GetEventId(), e.GetEventTime().AsTime().Format("15:04:05.000"), e.GetEventType())
	}
}
