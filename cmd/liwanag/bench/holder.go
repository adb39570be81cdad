package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// parked is a process that holds the runs of a database: it says when it serves,
// and then resumes the run whose id it reads.
func parked(ctx context.Context, s settings) (err error) {
	begun := time.Now()
	r, err := s.newRig(ctx, place{store: s.store, at: s.at}, 1, (*rig).definition)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := r.next().List(ctx, workflow.Query{Limit: 1}); err != nil {
		return err
	}
	fmt.Println("serving", time.Since(begun).Round(time.Millisecond))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		took, err := r.resume(ctx, in.Text())
		if err != nil {
			return err
		}
		fmt.Println("resumed", took)
	}
	return in.Err()
}

// holder is such a process, seen from outside.
type holder struct {
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Scanner
	opened string
}

func hold(ctx context.Context, p place) (*holder, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "parked", "-store", p.store, "-at", p.at)
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

func (h *holder) resume(id string) (time.Duration, error) {
	if _, err := fmt.Fprintln(h.in, id); err != nil {
		return 0, err
	}
	took, err := h.expect("resumed ")
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(took)
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

func (h *holder) cpu() time.Duration { return cpuOf(h.cmd.Process.Pid, false) }
