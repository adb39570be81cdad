package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"liwanag": main}) }

// The transcripts in test/script drive the real program. Their own commands:
//
//	server [KEY=VALUE…]   starts the simulator and a server with these settings,
//	                      on free ports, and points the client at it
//	stopserver            stops the server, and waits for its end
//	faulty JSON           adds a fault to the simulator
//	post CODE URL FILE    sends a file as a webhook and wants this status
//	capture NAME REGEXP   keeps what the group of REGEXP matches in the last
//	                      standard output as $NAME
//	code N liwanag…       runs the program and wants this exit code
//	eventually REGEXP COMMAND…
//	                      runs the program until its output matches
//	receiver              starts what takes webhooks out in, at $RECEIVER/STATUS
//	received N SECRET REGEXP
//	                      waits for N webhooks that match, signed with the secret
//	postgres              starts a PostgreSQL server on a socket in the folder $SOCKET
//	sql DATABASE STATEMENTS
//	                      runs statements there as the superuser postgres
//	address NAME          keeps a free address as $NAME
//	resend ENRICHMENT     has the simulator send the webhook of an enrichment again
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short starts no servers")
	}
	testscript.Run(t, testscript.Params{
		Dir:           "test/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/cache")
			env.Values[receiverKey{}], env.Values[serverKey{}] = &receiver{}, &server{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server": startServer, "stopserver": stopServer, "faulty": addFault, "capture": capture, "post": post, "eventually": eventually, "code": code,
			"receiver": startReceiver, "received": received, "postgres": startPostgres, "sql": runSQL,
			"address": address, "resend": resend,
		},
	})
}

// startServer starts what the transcripts talk to; both end with the script.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("server cannot be negated")
	}
	base := ts.Getenv("SIMULATOR")
	if base == "" {
		base = startProcess(ts, nil, "simulate", "--addr", "127.0.0.1:0", "--speed", "200", "--seed",
			"7")(regexp.MustCompile(`^(http\S+)/api/v2$`))
		ts.Setenv("SIMULATOR", base)
	}
	env := append([]string{"LIWANAG_ADDR=127.0.0.1:0", "LIWANAG_ADMIN_ADDR=off", "DATABASE_URL=sqlite:" + ts.MkAbs("liwanag.db"),
		"FULLENRICH_BASE_URL=" + base + "/api/v2", "FULLENRICH_API_KEY=fe_sim_key", "LIWANAG_CALLS_PER_MINUTE=10000",
		"LIWANAG_BATCH_WINDOW=50ms"}, args...)
	url := startProcess(ts, env, "serve")(regexp.MustCompile(`API +(http\S+)/api/v1$`))
	ts.Setenv("LIWANAG_SERVER", url)
}

// server is the one that runs.
type server struct{ stop func() }

type serverKey struct{}

func stopServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: stopserver")
	}
	ts.Value(serverKey{}).(*server).stop()
}

// startProcess starts the program and returns a function that reads its output up
// to the line that matches.
func startProcess(ts *testscript.TestScript, env []string, args ...string) func(*regexp.Regexp) string {
	cmd := exec.Command("liwanag", args...) // testscript.Main puts it into the path
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(append(os.Environ(), "HOME="+cmd.Dir), env...)
	log, err := os.CreateTemp(cmd.Dir, args[0]+"-*.log")
	ts.Check(err)
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		killer := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer killer.Stop()
		if err := cmd.Wait(); err != nil {
			text, _ := os.ReadFile(log.Name())
			ts.Logf("%s ended with %v:\n%s", args[0], err, text)
		}
		_ = log.Close()
	})
	ts.Defer(stop)
	if args[0] == "serve" {
		ts.Value(serverKey{}).(*server).stop = stop
	}
	return func(want *regexp.Regexp) string {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if found := want.FindStringSubmatch(lines.Text()); found != nil {
				go func() { _, _ = io.Copy(io.Discard, stdout) }()
				return found[1]
			}
		}
		text, _ := os.ReadFile(log.Name())
		ts.Fatalf("%v does not start:\n%s", args, text)
		return ""
	}
}

func addFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: faulty JSON")
	}
	answer, err := http.Post(ts.Getenv("SIMULATOR")+"/_sim/faults", "application/json", strings.NewReader(args[0]))
	ts.Check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		ts.Fatalf("fault: %s: %s", answer.Status, text)
	}
}

func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: address NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

func resend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: resend ENRICHMENT")
	}
	answer, err := http.Post(ts.Getenv("SIMULATOR")+"/_sim/webhooks/resend", "application/json",
		strings.NewReader(`{"enrichmentId":"`+args[0]+`"}`))
	ts.Check(err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		ts.Fatalf("resend: %s: %s", answer.Status, text)
	}
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: post CODE URL FILE")
	}
	answer, err := http.Post(args[1], "", strings.NewReader(ts.ReadFile(args[2])))
	ts.Check(err)
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); fmt.Sprint(answer.StatusCode) != args[0] {
		ts.Fatalf("status %d, want %s: %s", answer.StatusCode, args[0], text)
	}
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile(`(?m)` + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("no group of %s matches in:\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND…")
	}
	want := regexp.MustCompile(`(?m)` + args[0])
	out := ""
	// The sweep comes once a minute, and nothing is sent in a minute's last seconds.
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, out = runOnce(ts, args[1:]...); want.MatchString(out) {
			return
		}
	}
	ts.Fatalf("%s never matched; last:\n%s", args[0], out)
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "liwanag" {
		ts.Fatalf("usage: code N liwanag…")
	}
	if got, out := runOnce(ts, args[2:]...); fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s:\n%s", got, args[0], out)
	}
}

// runOnce runs the program in the script's surroundings.
func runOnce(ts *testscript.TestScript, args ...string) (code int, out string) {
	cmd := exec.Command("liwanag", args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TZ", "XDG_CACHE_HOME", "LIWANAG_SERVER", "LIWANAG_API_KEY", "DATABASE_URL"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	raw, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), string(raw)
}

func startPostgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: postgres")
	}
	server, err := pgtest.Start()
	ts.Check(err)
	ts.Defer(server.Remove)
	ts.Setenv("SOCKET", server.Dir)
}

func runSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql DATABASE STATEMENTS")
	}
	conn, err := pgx.Connect(context.Background(), "postgres://postgres@/"+args[0]+"?host="+ts.Getenv("SOCKET"))
	ts.Check(err)
	defer conn.Close(context.Background())
	_, err = conn.PgConn().Exec(context.Background(), args[1]).ReadAll()
	ts.Check(err)
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v\n  Try: go test ./cmd/liwanag -update", err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n--- want\n%s\n--- got\n%s", path, want, strings.TrimRight(got, "\n"))
	}
}
