package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// idle counts what nodes ask PostgreSQL for while nothing happens: engines that
// hold parked runs, and the program.
func idle(ctx context.Context, s settings) (err error) {
	if s.store != onPostgres {
		return errors.New("idle counts statements of -store postgres; that SQLite is asked nothing is a test of the engine")
	}
	window := time.Duration(cmp.Or(s.n, 60)) * time.Second
	p, err := s.place(ctx, "idle")
	if err != nil {
		return err
	}
	if _, _, err := s.park(ctx, p, 1000); err != nil {
		return err
	}
	var nodes []process
	for range s.nodes {
		h, err := hold(ctx, p)
		if err != nil {
			return err
		}
		defer h.kill()
		nodes = append(nodes, h)
	}
	if err := s.watch(ctx, "engine", p, nodes, window); err != nil {
		return err
	}
	if p, err = s.place(ctx, "idle-program"); err != nil {
		return err
	}
	nodes = nil
	for range s.nodes {
		served, err := s.serve(ctx, p, "http://127.0.0.1:1")
		if err != nil {
			return err
		}
		defer func() { _ = served.stop() }()
		nodes = append(nodes, served)
	}
	return s.watch(ctx, "program", p, nodes, window)
}

// process is something whose processor time is known.
type process interface{ cpu() time.Duration }

// watch prints what the nodes of a database did within a window.
func (s settings) watch(ctx context.Context, what string, p place, nodes []process, window time.Duration) error {
	time.Sleep(5 * time.Second) // what a start asks for is not idle
	begun, err := s.observe(ctx, p, nodes)
	if err != nil {
		return err
	}
	time.Sleep(window)
	ended, err := s.observe(ctx, p, nodes)
	if err != nil {
		return err
	}
	seconds, count := window.Seconds(), float64(len(nodes))
	fmt.Printf("%s, %d nodes, %s: %.2f statements a second a node (BEGIN and COMMIT included); processor: "+
		"%.2f %% of a core a node, the server %.2f %%\n",
		what, len(nodes), window, float64(ended.statements-begun.statements)/seconds/count,
		100*(ended.nodes-begun.nodes).Seconds()/seconds/count, 100*(ended.server-begun.server).Seconds()/seconds)
	return nil
}

type observation struct {
	statements    int64
	nodes, server time.Duration
}

func (s settings) observe(ctx context.Context, p place, nodes []process) (o observation, err error) {
	for _, n := range nodes {
		o.nodes += n.cpu()
	}
	o.server = s.cluster.cpu()
	conn, err := s.cluster.connect(ctx)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := loadStatements(ctx, conn); err != nil {
		return o, err
	}
	err = conn.QueryRow(ctx, `SELECT coalesce(sum(s.calls), 0)::int8
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1`, pgtest.Name(p.at)).Scan(&o.statements)
	return o, err
}

func loadStatements(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	return err
}

// statement is what the server counted of one statement.
type statement struct {
	Calls int64
	Ms    float64
	Query string
}

// printStatements prints what cost the server most in the measured databases.
func (s settings) printStatements(ctx context.Context) (err error) {
	conn, err := s.cluster.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := loadStatements(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, `SELECT sum(s.calls)::int8 AS calls, sum(s.total_exec_time) AS ms, s.query
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname <> 'postgres' GROUP BY s.query ORDER BY ms DESC LIMIT 30`)
	if err != nil {
		return err
	}
	top, err := pgx.CollectRows(rows, pgx.RowToStructByPos[statement])
	if err != nil {
		return err
	}
	fmt.Printf("%10s %10s %10s  statement\n", "calls", "ms", "ms/call")
	for _, t := range top {
		fmt.Printf("%10d %10.0f %10.3f  %s\n", t.Calls, t.Ms, t.Ms/float64(t.Calls), strings.Join(strings.Fields(t.Query), " "))
	}
	return nil
}
