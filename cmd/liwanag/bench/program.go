package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// program is the real server as a process of its own.
type program struct {
	run  *exec.Cmd
	base string // of its URLs
}

// serve builds the server, once, and starts it on free ports of this machine.
func (s settings) serve(ctx context.Context, p place, partner string) (*program, error) {
	path := s.path("liwanag")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, ".")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	database := p.at
	if p.store == onSQLite {
		database = "sqlite:" + p.at
	}
	serve := exec.Command(path, "serve")
	serve.Env = append(os.Environ(), "LIWANAG_ADDR=127.0.0.1:0", "LIWANAG_ADMIN_ADDR=off", "DATABASE_URL="+database,
		"FULLENRICH_API_KEY="+hookKey, "FULLENRICH_BASE_URL="+partner, "LIWANAG_LOG_LEVEL=warn",
		"SUBSCRIBER_WEBHOOK_SECRET=whsec_"+base64.StdEncoding.EncodeToString([]byte(hookSecret)))
	var said bytes.Buffer
	serve.Stderr = &said
	out, err := serve.StdoutPipe()
	if err == nil {
		err = serve.Start()
	}
	if err != nil {
		return nil, err
	}
	served := &program{run: serve}
	lines := bufio.NewScanner(out)
	for served.base == "" && lines.Scan() {
		if found := regexp.MustCompile(`API +(\S+)/api/v1`).FindStringSubmatch(lines.Text()); found != nil {
			served.base = found[1]
		}
	}
	if served.base == "" {
		return nil, errors.Join(fmt.Errorf("the server did not start: %s", said.String()), serve.Wait())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return served, nil
}

func (p *program) cpu() time.Duration { return cpuOf(p.run.Process.Pid, false) }

func (p *program) stop() error {
	_ = p.run.Process.Signal(syscall.SIGTERM)
	return p.run.Wait()
}
