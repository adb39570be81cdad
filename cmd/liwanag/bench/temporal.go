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
	all := []struct {
		name string
		peers.Runner
	}{{"written by hand", byHand}, {"liwanag", ours}}

	fmt.Printf("W1 on Temporal's development server: %d runs from %d clients, and %d one at a time, %d times in turns\n",
		n, conc, n/10, rounds)
	fmt.Printf("%-16s %10s %14s\n", "", "runs/s", "p50 of one")
	busy, alone := [2]time.Duration{}, [2][]time.Duration{}
	for range rounds {
		for i, contender := range all {
			one := func() error { return contender.One(ctx) }
			if _, err := loop(conc, conc, one); err != nil {
				return err
			}
			took, err := loop(n, conc, one)
			if err != nil {
				return err
			}
			busy[i] += took
			var each []time.Duration
			for range n / 10 {
				took, err := loop(1, 1, one)
				if err != nil {
					return err
				}
				each = append(each, took)
			}
			alone[i] = append(alone[i], each...)
			fmt.Printf("%-16s %10.1f %14s\n", contender.name, float64(n)/took.Seconds(), quantile(each, 0.5))
		}
	}
	for _, contender := range all {
		if err := contender.Check(ctx, rounds*(conc+n+n/10)); err != nil {
			return err
		}
	}
	fmt.Printf("time of liwanag to time of the hand-written workflow: %.2f with %d clients, %.2f one at a time\n",
		busy[1].Seconds()/busy[0].Seconds(), conc, quantile(alone[1], 0.5).Seconds()/quantile(alone[0], 0.5).Seconds())
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
