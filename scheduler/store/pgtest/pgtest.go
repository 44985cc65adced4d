// Package pgtest gives tests a Postgres of their own: one server for each test process, on a loopback port, in a temporary folder, and
// in it a new database for each call of [New]. It ends with the process, also when that is killed. A [Cluster] is a server of one test's own, which
// the test may kill and start again.
//
// The server's programs are looked for in $COMFYC_PG_BIN, in $PATH and where Debian puts them. Without them the tests that ask are skipped,
// and say so. Run as root, the server runs as the user postgres.
//
// Concurrency: New may be called from many tests at once. Limits: Linux and macOS; 100 connections in all.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is the one of this process.
type server struct {
	base string // URL without a database
	stop *os.File
}

// Each server is started by the first test that asks, and its error is remembered: without Postgres all tests skip at once.
var (
	start  = sync.OnceValues(func() (*server, error) { return run(false) })
	synced = sync.OnceValues(func() (*server, error) { return run(true) })
	count  atomic.Int64
)

// ErrMissing says that Postgres is not installed here.
var ErrMissing = errors.New("the programs of Postgres (initdb, postgres) are not here: install postgresql, or set COMFYC_PG_BIN")

// New makes an empty database and gives its URL. The server keeps nothing over a power cut, which makes it quick; see NewSynced.
func New(t testing.TB) string {
	t.Helper()
	url, err := database(start)
	return orSkip(t, url, err)
}

// NewSynced is New on a server that syncs its commits, to measure them.
func NewSynced(t testing.TB) string {
	t.Helper()
	url, err := Synced()
	return orSkip(t, url, err)
}

// Synced is NewSynced outside of tests.
func Synced() (url string, err error) { return database(synced) }

func orSkip(t testing.TB, url string, err error) string {
	t.Helper()
	if errors.Is(err, ErrMissing) {
		t.Skip("SKIPPED, nothing was tested: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func database(start func() (*server, error)) (string, error) {
	s, err := start()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.base+"postgres")
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	name := fmt.Sprintf("t%d", count.Add(1))
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return s.base + name, err
}

// bin finds the folder of the server's programs.
func bin() (string, error) {
	places := []string{os.Getenv("COMFYC_PG_BIN")}
	if path, err := exec.LookPath("initdb"); err == nil {
		places = append(places, filepath.Dir(path))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed
	for _, dir := range append(places, debian...) {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); dir != "" && err == nil {
			return dir, nil
		}
	}
	return "", ErrMissing
}

// run makes a cluster and starts its server, under a shell that ends it when this process has ended.
func run(durable bool) (*server, error) {
	dir, as, err := makeCluster()
	if err != nil {
		return nil, err
	}
	return startServer(dir, as, durable)
}

// makeCluster makes the folder of a server. as are the words of its command, without settings.
func makeCluster() (dir string, as []string, err error) {
	programs, err := bin()
	if err != nil {
		return "", nil, err
	}
	if dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return "", nil, err
	}
	if as, err = account(dir); err != nil {
		return "", nil, err
	}
	init := exec.Command(as[0], append(as[1:], filepath.Join(programs, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "test", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")...)
	if out, err := init.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return dir, append(as, filepath.Join(programs, "postgres")), nil
}

// startServer starts the server of a folder on a port that is free now, and waits until it answers.
func startServer(dir string, as []string, durable bool) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	settings := []string{"-D", filepath.Join(dir, "data"), "-k", dir, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=64MB"}
	// fsync=off and full_page_writes=off make commits quicker; what a power cut would break is thrown away anyway.
	if !durable {
		settings = append(settings, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	s := &server{base: fmt.Sprintf("postgres://test@127.0.0.1:%d/", port)}
	if err := s.launch(dir, append(as[:len(as):len(as)], settings...)); err != nil {
		return nil, err
	}
	return s, s.wait(dir)
}

// account gives the words to put before a command so that the server does not run as root, which it refuses.
func account(dir string) ([]string, error) {
	if os.Getuid() != 0 {
		return []string{"env"}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, ErrMissing
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every system that has a root
	gid, _ := strconv.Atoi(u.Gid)
	return []string{"runuser", "-u", "postgres", "--"}, os.Chown(dir, uid, gid)
}

// launch starts the server under a shell that reads its input: it ends when this process does, however that happens.
func (s *server) launch(dir string, server []string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	// The shell's read ends when the pipe's other end closes, which the kernel does for a process that was killed as well. QUIT ends a
	// Postgres at once, without a checkpoint.
	script := `"$@" >"` + dir + `/log" 2>&1 & read -r _; kill -QUIT $(head -1 "` + dir + `/data/postmaster.pid"); wait; rm -rf "` + dir + `"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, server...)...)
	cmd.Stdin = r
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // ends with the server
	s.stop = w
	return nil
}

// wait waits until the server takes connections.
func (s *server) wait(dir string) error {
	var last error
	// A busy machine needs seconds for the first start, and for the one after a crash.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		conn, err := pgx.Connect(ctx, s.base+"postgres")
		if err == nil {
			conn.Close(ctx)
			cancel()
			return nil
		}
		cancel()
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log")) // missing: the server said nothing
	return fmt.Errorf("the server does not start: %w\n%s", last, strings.TrimSpace(string(log)))
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
