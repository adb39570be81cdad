package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// waiting is W3 and W4: it parks runs, lets a process of its own hold them, and
// measures that process; then kills it and measures its successor.
func waiting(ctx context.Context, s settings) error {
	n := s.n
	if n == 0 {
		n = 100_000
	}
	ids, err := park(ctx, s, n)
	if err != nil {
		return err
	}
	info, err := os.Stat(s.path("waiting.db"))
	if err != nil {
		return err
	}
	fmt.Printf("%d runs parked: %d bytes on disk a run\n", n, info.Size()/int64(n))
	holder, err := hold(ctx, s)
	if err != nil {
		return err
	}
	defer holder.kill()
	before := holder.cpu()
	const idle = 10 * time.Second
	time.Sleep(idle)
	used := holder.cpu() - before
	fmt.Printf("idle: resident %d MB, processor %.2f %% of a core over %s\n", holder.rss()>>20, 100*used.Seconds()/idle.Seconds(), idle)
	took, err := holder.resume(ids[0])
	if err != nil {
		return err
	}
	fmt.Printf("event to durable completion with %d waiting: %s\n", n, took)
	holder.kill()
	begun := time.Now()
	next, err := hold(ctx, s)
	if err != nil {
		return err
	}
	defer next.kill()
	serving := time.Since(begun)
	if _, err := next.resume(ids[1]); err != nil {
		return err
	}
	fmt.Printf("after SIGKILL: serving in %s (of it %s in the process), first event resumed after %s, resident %d MB\n",
		serving.Round(time.Millisecond), next.opened, time.Since(begun).Round(time.Millisecond), next.rss()>>20)
	return nil
}

// park fills the store with n runs that wait.
func park(ctx context.Context, s settings, n int) ([]string, error) {
	r, err := newRig(ctx, s, "waiting.db")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	ids := make([]string, n)
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range n {
			next <- i
		}
	}()
	_, _, err = loop(n, 256, func() error {
		i := <-next
		ids[i] = newRunID()
		return r.wf.Start(ctx, r.engine, ids[i], struct{}{})
	})
	if err != nil {
		return nil, err
	}
	for {
		counts, err := r.engine.Counts(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range counts {
			if c.Step == "wait-for-webhook" && c.Runs == int64(n) {
				return ids, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// parked holds the runs of a database: it says when it serves, and then resumes
// the run whose id it reads.
func parked(ctx context.Context, s settings) error {
	begun := time.Now()
	r, err := newRig(ctx, s, "waiting.db")
	if err != nil {
		return err
	}
	defer r.stop()
	if _, err := r.engine.List(ctx, workflow.Query{Limit: 1}); err != nil {
		return err
	}
	fmt.Println("serving", time.Since(begun).Round(time.Millisecond))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		ended := make(chan struct{})
		r.ended.Store(in.Text(), ended)
		begun := time.Now()
		if _, err := completed.Send(ctx, r.engine, in.Text(), "webhook", payload); err != nil {
			return err
		}
		<-ended
		fmt.Println("resumed", time.Since(begun).Round(10*time.Microsecond))
	}
	return in.Err()
}

type holder struct {
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Scanner
	opened string
}

func hold(ctx context.Context, s settings) (*holder, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "parked", "-dir", s.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := &holder{cmd: cmd, in: in, out: bufio.NewScanner(out)}
	h.opened, err = h.expect("serving ")
	return h, err
}

func (h *holder) expect(prefix string) (string, error) {
	if !h.out.Scan() {
		return "", fmt.Errorf("the process that holds the runs ended: %v", h.out.Err())
	}
	rest, ok := strings.CutPrefix(h.out.Text(), prefix)
	if !ok {
		return "", fmt.Errorf("unexpected: %s", h.out.Text())
	}
	return rest, nil
}

func (h *holder) resume(id string) (string, error) {
	if _, err := fmt.Fprintln(h.in, id); err != nil {
		return "", err
	}
	return h.expect("resumed ")
}

func (h *holder) kill() {
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
}

// rss is the resident memory in bytes.
func (h *holder) rss() int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// cpu is the processor time used, in the kernel's ticks of 10 ms.
func (h *holder) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// growth compares the cost of a run with few and with many runs in the table.
func growth(ctx context.Context, s settings) error {
	n := s.n
	if n == 0 {
		n = 100_000
	}
	r, err := newRig(ctx, s, "growth.db")
	if err != nil {
		return err
	}
	defer r.stop()
	fmt.Printf("%12s %12s %14s\n", "runs before", "runs/s", "CPU µs/run")
	const slice = 5000
	for done := 0; done <= n; {
		rate, cpu, err := loop(slice, 256, func() error { return r.one(ctx) })
		if err != nil {
			return err
		}
		fmt.Printf("%12d %12.0f %14.0f\n", done, rate, cpu)
		done += slice
		fill := min(n/4, n-done)
		if fill > 0 {
			if _, _, err := loop(fill, 256, func() error { return r.one(ctx) }); err != nil {
				return err
			}
		}
		done += max(fill, 1)
	}
	return nil
}
