package nodes

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// Two servers work to the end through PgBouncer in transaction mode, where
// nothing of a session outlives its transaction.
func TestServersWorkThroughPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	w := newWorld(t, 2, database, startPgBouncer(t, database))
	w.begin(8 * time.Millisecond)
	w.await("much was taken", func() error { return w.zero("SELECT 150 - least(150, count(*)) FROM subscriber") })
	w.finish()
	for _, n := range w.nodes {
		n.Stop(t, time.Minute)
	}
}

// startPgBouncer starts a pooler in front of a database and returns the
// database's URL through it.
func startPgBouncer(t *testing.T, database string) (url string) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, which is not in everybody's PATH
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("this test needs PgBouncer: %v\n  Try: apt-get install pgbouncer", err)
	}
	target, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	config := filepath.Join(t.TempDir(), "pgbouncer.ini")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
[databases]
pooled = host=%s port=%d dbname=%s user=%s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 8
`, target.Host, target.Port, target.Database, target.User, port), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--quiet", config}
	if os.Geteuid() == 0 {
		args = append([]string{"--user=postgres"}, args...) // it refuses to run as root
	}
	cmd := exec.Command(program, args...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url = fmt.Sprintf("postgres://%s@127.0.0.1:%d/pooled?sslmode=disable", target.User, port)
	awaitConnection(t, url, log.Name())
	return url
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// awaitConnection waits until a database answers, and shows its log if it does not.
func awaitConnection(t *testing.T, url, log string) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), url)
		if err == nil {
			_ = conn.Close(t.Context())
			return
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log)
			t.Fatalf("PgBouncer does not start: %v\n%s", err, said)
		}
	}
}
