package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// cluster is a PostgreSQL server of the benchmark's own, reached through a Unix
// socket, with shared_buffers of 1 GB and otherwise PostgreSQL's defaults, so every
// commit is synced. It ends with this process, however that ends.
type cluster struct{ *pgtest.Server }

func startCluster(extra ...string) (*cluster, error) {
	server, err := pgtest.Start(append([]string{"shared_buffers=1GB"}, extra...)...)
	return &cluster{server}, err
}

// create makes a database and returns its URL.
func (c *cluster) create(ctx context.Context, database string) (string, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize())
	return c.URL(database), errors.Join(err, conn.Close(ctx))
}

// connect connects to the server, outside the databases that are measured.
func (c *cluster) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.URL("postgres"))
}

// cpu is the processor time of the server and its processes, ended ones included;
// that of no server is none.
func (c *cluster) cpu() time.Duration {
	if c == nil {
		return 0
	}
	raw, err := os.ReadFile(filepath.Join(c.Dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	postmaster, _ := strconv.Atoi(strings.Fields(string(raw))[0])
	used := cpuOf(postmaster, true)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", postmaster))
	for _, child := range strings.Fields(string(children)) {
		pid, _ := strconv.Atoi(child)
		used += cpuOf(pid, false)
	}
	return used
}

// cpuOf is the processor time of a process, in the kernel's ticks of 10 ms, with
// that of its children which it has waited for.
func cpuOf(pid int, waited bool) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	last := 12
	if waited {
		last = 14
	}
	var ticks int64
	for _, field := range fields[11 : last+1] {
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
