package keep

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/cmd/liwanag/test/process"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(func() int { return pgtest.Main(m) }))
}

// world is a database with people, and a folder for what is made of it.
type world struct {
	t   *testing.T
	dir string
	url string
}

// newWorld has a database with 600 people, and a backup of when they were 500.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t, t.TempDir(), url}
	if url == "" {
		w.url = "sqlite:" + filepath.Join(w.dir, "liwanag.db")
	}
	w.add(0, 500)
	w.run("backup", w.path("old.backup"))
	w.add(500, 600)
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) env() []string {
	return []string{"DATABASE_URL=" + w.url, "LIWANAG_JOURNAL=" + w.path("journal")}
}

// add imports people by a server, which is killed then.
func (w *world) add(from, to int) {
	w.t.Helper()
	addr := process.FreeAddr(w.t)
	server := process.Start(w.t, append(w.env(), "LIWANAG_ADDR="+addr, "LIWANAG_ADMIN_ADDR=off", "LIWANAG_LEASE=1s"), "serve")
	client, err := apiclient.New(apiclient.Config{Server: "http://" + addr})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	if err := process.Import(ctx, client, process.File(from, to)); err != nil {
		w.t.Fatalf("%v\n%s", err, server.Tail())
	}
	server.Stop(w.t, time.Minute)
}

// run runs a command to its end and returns what it printed.
func (w *world) run(args ...string) string {
	w.t.Helper()
	p := process.Start(w.t, w.env(), args...)
	first := <-p.First
	<-p.Ended
	if p.Err != nil {
		w.t.Fatalf("%v: %v\n%s", args, p.Err, p.Tail())
	}
	return first + "\n" + p.Output()
}

// kills kills a command at a few random moments, looks each time at what is left, and
// lets it end at last.
func (w *world) kills(look func(), args ...string) {
	w.t.Helper()
	began := time.Now()
	w.run("version")
	start := time.Since(began) // of any command
	for n := range 4 {
		p := process.Start(w.t, w.env(), args...)
		select {
		case <-time.After(start/2 + rand.N(start*time.Duration(n+1))):
		case <-p.Ended:
		}
		p.Kill()
		look()
		if p.Err == nil {
			return
		}
	}
	w.run(args...)
	look()
}

// ask asks the database, which no server has open; -1: nothing is there.
func (w *world) ask(query string) (n int) {
	w.t.Helper()
	path, ok := strings.CutPrefix(w.url, "sqlite:")
	if !ok {
		return askPostgreSQL(w.t, w.url, query)
	}
	return askSQLite(w.t, path, query)
}

func askSQLite(t *testing.T, path, query string) (n int) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return -1
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func askPostgreSQL(t *testing.T, url, query string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var there bool
	if err := conn.QueryRow(t.Context(), "SELECT to_regclass('subscriber') IS NOT NULL").Scan(&there); err != nil {
		t.Fatal(err)
	}
	if !there {
		return -1
	}
	if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// refused runs a command that must fail with a text.
func (w *world) refused(want string, args ...string) {
	w.t.Helper()
	p := process.Start(w.t, w.env(), args...)
	first := <-p.First
	select {
	case <-p.Ended:
	case <-time.After(time.Minute):
		w.t.Fatalf("%v is not refused: %s", args, first)
	}
	if p.Err == nil || !regexp.MustCompile(want).MatchString(p.Output()) {
		w.t.Fatalf("%v: %v\n%s\nwant %s", args, p.Err, p.Tail(), want)
	}
}

// mark has a source that was moved say that its copy did not end.
func mark(t *testing.T, path string) {
	t.Helper()
	execSQLite(t, path, "UPDATE instance SET moved_to = 'copying to ' || moved_to")
}

func execSQLite(t *testing.T, path, statement string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}
