// Package pgtest gives tests a real PostgreSQL: a private cluster on a Unix
// socket in a temporary folder, which ends with the process of the tests, however
// that ends.
package pgtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// parallel is how many tests run at once: most of a test in real time is waiting,
// which needs no processor.
const parallel = 8

// Main runs the tests of a package and stops the cluster that they shared:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	defer Stop()
	if err := flag.Set("test.parallel", strconv.Itoa(max(parallel, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err) // the flags of tests are not there
	}
	return m.Run()
}

var (
	sharedOnce sync.Once
	shared     *Server
	sharedErr  error
	databases  atomic.Int64
)

// leftOut leaves out with -short what needs a server: it takes real time.
func leftOut(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves PostgreSQL out")
	}
}

// Shared is the cluster of this process, started by the first call.
func Shared(t testing.TB) *Server {
	t.Helper()
	leftOut(t)
	sharedOnce.Do(func() { shared, sharedErr = Start() })
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return shared
}

// Stop stops the cluster of this process, if one was started.
func Stop() {
	if shared != nil {
		shared.Remove()
	}
}

// Database creates an empty database in the cluster of this process and returns
// its URL. It goes with the cluster.
func Database(t testing.TB) string {
	t.Helper()
	s := Shared(t)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name+s.copies())
	return s.URL(name)
}

// copies is how a database is copied from its template: its files, which takes a third
// of the processor of writing all its pages to the log, the default since version 15.
func (s *Server) copies() string {
	version, err := os.ReadFile(filepath.Join(s.Dir, "data", "PG_VERSION"))
	if n, _ := strconv.Atoi(strings.TrimSpace(string(version))); err != nil || n < 15 {
		return ""
	}
	return " STRATEGY file_copy"
}

// Name is the name of the database in a URL.
func Name(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

// NewServer starts a cluster for one test, which may stop and restart it.
func NewServer(t testing.TB) *Server {
	t.Helper()
	leftOut(t)
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Remove)
	return s
}

// Server is a cluster of its own.
type Server struct {
	Dir  string // holds the socket, the data and the log
	User string // who runs it, and its superuser

	bin  string
	mu   sync.Mutex
	run  *exec.Cmd
	hold *os.File // the server lives as long as this end of a pipe is open
}

// Start creates and starts a cluster. extra are settings such as
// "shared_buffers=1GB"; without any, it is made for tests: nothing is synced.
func Start(extra ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, User: "postgres", bin: bin}
	if err := s.create(extra); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Start(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// binaries finds where PostgreSQL's programs are: those that the PATH has, or the
// newest that Debian installed.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	slices.SortFunc(found, func(a, b string) int { return major(b) - major(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		found = slices.Insert(found, 0, path)
	}
	if len(found) == 0 {
		return "", errors.New("these tests need PostgreSQL's programs (initdb, postgres), and none were found\n  Try: apt-get install postgresql")
	}
	return filepath.Dir(found[0]), nil
}

func major(path string) int {
	n, _ := strconv.Atoi(strings.Split(strings.TrimPrefix(path, "/usr/lib/postgresql/"), "/")[0])
	return n
}

func (s *Server) create(extra []string) error {
	if err := s.give(s.Dir); err != nil {
		return err
	}
	// A collation of people, so that nothing rests on the order of bytes by chance.
	if err := s.tool("initdb", "-D", filepath.Join(s.Dir, "data"), "-A", "trust", "-U", s.User, "-E", "UTF8", "--no-sync",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"); err != nil {
		return err
	}
	settings := []string{"listen_addresses=''", "port=5432", "unix_socket_directories='" + s.Dir + "'", "max_connections=200"}
	if len(extra) == 0 {
		extra = []string{"fsync=off", "full_page_writes=off", "shared_buffers=64MB"}
	}
	conf, err := os.OpenFile(filepath.Join(s.Dir, "data", "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = conf.WriteString(strings.Join(append(settings, extra...), "\n") + "\n")
	return errors.Join(err, conf.Close())
}

// give makes a folder the server's: PostgreSQL refuses to run as root.
func (s *Server) give(dir string) error {
	id, err := s.credential()
	if err != nil || id == nil {
		return err
	}
	return os.Chown(dir, int(id.Uid), int(id.Gid))
}

func (s *Server) credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("as root, PostgreSQL is run by the user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// tool runs one of PostgreSQL's programs to its end.
func (s *Server) tool(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.Dir
	id, err := s.credential()
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: id}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// whileHeld runs the server until standard input ends: when this process dies,
// the pipe closes.
const whileHeld = `"$0" -D data >>log 2>&1 & server=$!
cat >/dev/null
kill -QUIT $server
wait $server`

// Start starts a cluster that Stop has stopped.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.credential()
	if err != nil {
		return err
	}
	read, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", whileHeld, filepath.Join(s.bin, "postgres"))
	cmd.Dir, cmd.Stdin = s.Dir, read
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: id, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, hold.Close())
	}
	s.run, s.hold = cmd, hold
	return s.await()
}

func (s *Server) await() error {
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err == nil {
			return conn.Close(context.Background())
		}
		last = err
	}
	log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return fmt.Errorf("PostgreSQL does not start: %w\n%s", last, log)
}

// Stop kills the server at once, as a crash does.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return
	}
	_ = s.hold.Close()
	_ = s.run.Wait()
	s.run = nil
}

// Remove stops the server and deletes its files.
func (s *Server) Remove() {
	s.Stop()
	_ = os.RemoveAll(s.Dir)
}

// URL is the connection string of a database of the cluster.
func (s *Server) URL(database string) string { return s.URLAs(s.User, database) }

// URLAs is [Server.URL] for another user.
func (s *Server) URLAs(user, database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=5432", user, database, s.Dir)
}

// Exec runs statements in a database, as its superuser.
func (s *Server) Exec(t testing.TB, database, sql string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), s.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}
