package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child is a process of this program that ends when this one does, however that
// happens: it reads its standard input, whose other end dies with us.
type child struct {
	what  string
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{}
	err   error // once ended
}

// startChild starts a program with arguments, its standard error appended to a
// file, and returns the first line that it printed.
func startChild(ctx context.Context, what, program string, args []string, log *os.File) (_ *child, firstLine string, err error) {
	// The program is this one, or what the caller, a test, names.
	c := &child{what: what, cmd: exec.Command(program, args...), ended: make(chan struct{})} // #nosec G204
	c.cmd.Stderr = log
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", what, err)
	}
	line := make(chan string, 1)
	go func() {
		out := bufio.NewReader(stdout)
		first, _ := out.ReadString('\n') // without one it has ended, and Wait says why
		line <- strings.TrimSpace(first)
		_, _ = io.Copy(io.Discard, out)
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	select {
	case firstLine = <-line:
	case <-ctx.Done():
		return nil, "", errors.Join(ctx.Err(), c.stop())
	}
	if firstLine == "" {
		<-c.ended
		return nil, "", fmt.Errorf("%s: ended at its start (%w); its log says why: %s", what, c.err, log.Name())
	}
	return c, firstLine, nil
}

// run waits until ctx ends, then stops the process; that it ends before is a
// fault.
func (c *child) run(ctx context.Context) error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended by itself: %v", c.what, c.err)
	case <-ctx.Done():
		return c.stop()
	}
}

// stop closes the process's standard input and waits for it; one that does not
// listen is killed.
func (c *child) stop() error {
	_ = c.stdin.Close()
	select {
	case <-c.ended:
		return nil
	case <-time.After(5 * time.Second):
	}
	if err := c.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("%s (pid %d) does not end: %w", c.what, c.cmd.Process.Pid, err)
	}
	<-c.ended
	return nil
}
