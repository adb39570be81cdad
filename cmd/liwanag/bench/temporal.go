package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/peers"
	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
	"github.com/liwanag/liwanag/temporalrunner"
	"github.com/liwanag/liwanag/workflow"
)

// rounds is how often each contender has its turn on Temporal, since what else the
// machine does weighs more than what is compared.
const rounds = 3

// temporal compares W1 as a definition of ours with a workflow of the same shape
// written by hand, in turns on one server: Temporal's development server with a
// file database.
func temporal(ctx context.Context, s settings) (err error) {
	n, conc := cmp.Or(s.n, 400), cmp.Or(s.conc, 16)
	server, err := startTemporal(s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	c, err := server.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	byHand, err := peers.OpenTemporal(c, worker.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, byHand.Close()) }()
	ours, err := s.openTemporalRig(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	fmt.Printf("W1 on Temporal's development server: %d runs from %d clients, and %d one at a time, %d times in turns\n",
		n, conc, n/10, rounds)
	fmt.Printf("%-16s %10s %14s\n", "", "runs/s", "p50 of one")
	all := []*rival{{name: "written by hand", Runner: byHand}, {name: "liwanag", Runner: ours}}
	for range rounds {
		for _, one := range all {
			if err := one.turn(ctx, n, conc); err != nil {
				return err
			}
		}
	}
	for _, one := range all {
		if err := one.Check(ctx, rounds*(conc+n+n/10)); err != nil {
			return err
		}
	}
	fmt.Printf("time of liwanag to time of the hand-written workflow: %.2f with %d clients, %.2f one at a time\n",
		all[1].busy.Seconds()/all[0].busy.Seconds(), conc, quantile(all[1].alone, 0.5).Seconds()/quantile(all[0].alone, 0.5).Seconds())
	return nil
}

// rival is one of the two compared, with how long its runs took.
type rival struct {
	name string
	peers.Runner
	busy  time.Duration
	alone []time.Duration
}

// turn runs n from conc clients, and a tenth of them one at a time.
func (c *rival) turn(ctx context.Context, n, conc int) error {
	one := func() error { return c.One(ctx) }
	if _, err := loop(conc, conc, one); err != nil {
		return err
	}
	took, err := loop(n, conc, one)
	if err != nil {
		return err
	}
	c.busy += took
	var each []time.Duration
	for range n / 10 {
		took, err := loop(1, 1, one)
		if err != nil {
			return err
		}
		each = append(each, took)
	}
	c.alone = append(c.alone, each...)
	fmt.Printf("%-16s %10.1f %14s\n", c.name, float64(n)/took.Seconds(), quantile(each, 0.5))
	return nil
}

// temporalRig is a rig on Temporal, whose clients wait for the workflow's end as
// those of the hand-written one do.
type temporalRig struct {
	*rig
	client client.Client
}

func (s settings) openTemporalRig(ctx context.Context, c client.Client) (*temporalRig, error) {
	r := s.bareRig(ctx, (*rig).definition)
	runner, err := temporalrunner.New(temporalrunner.Config{Client: c, Definitions: []workflow.Definition{r.wf},
		Observers: []workflow.Observer{r}})
	if err != nil {
		return nil, err
	}
	r.join(node{runner: runner})
	return &temporalRig{r, c}, nil
}

// One is as the rig's.
func (r *temporalRig) One(ctx context.Context) error {
	id := shape.NewRunID()
	if err := r.startAndSend(ctx, id); err != nil {
		return err
	}
	return r.client.GetWorkflow(ctx, id, "").Get(ctx, nil)
}

// Check asks the server and the steps' own counters.
func (r *temporalRig) Check(ctx context.Context, n int) error {
	return errors.Join(r.checkSteps(n), peers.CheckTemporal(ctx, r.client, "liwanag/"+shape.Workflow+"/v1", n))
}

// temporalServer is a development server of the benchmark's own.
type temporalServer struct {
	address string
	run     *exec.Cmd
	hold    io.Closer // it lives as long as this is open
}

// whileHeld runs a server until standard input ends, which it does when this
// process dies.
const whileHeld = `"$@" </dev/null & server=$!
cat >/dev/null
kill -KILL $server
wait $server`

func startTemporal(dir string) (*temporalServer, error) {
	bin, err := temporalBin()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "temporal.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	t := &temporalServer{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	t.run = exec.Command("/bin/sh", "-c", whileHeld, "sh", bin, "server", "start-dev", "--headless", "--ip", "127.0.0.1",
		"--port", strconv.Itoa(port), "--db-filename", filepath.Join(dir, "temporal.db"), "--log-level", "error")
	t.run.Stdout, t.run.Stderr, t.run.SysProcAttr = out, out, &syscall.SysProcAttr{Setpgid: true}
	if t.hold, err = t.run.StdinPipe(); err != nil {
		return nil, err
	}
	return t, t.run.Start()
}

func temporalBin() (string, error) {
	built, err := filepath.Abs("../.cache/bin/temporal")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	if found, err := exec.LookPath("temporal"); err == nil {
		return found, nil
	}
	return "", fmt.Errorf("no Temporal server at %s or on the PATH. Try: make temporal", built)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// dial waits for the server.
func (t *temporalServer) dial(ctx context.Context) (c client.Client, err error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if c, err = client.DialContext(ctx,
			client.Options{HostPort: t.address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))}); err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, ctx.Err())
}

func (t *temporalServer) stop() error {
	err := t.hold.Close()
	_ = t.run.Wait() // killed
	return err
}
