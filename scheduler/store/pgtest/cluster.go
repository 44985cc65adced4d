package pgtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a server of a test's own, which can be killed and started again amid the test. It is reached by one address all the time; each start
// takes another port behind it, since somebody else may have taken the former one meanwhile. It ends with the test.
//
// Kill and Start belong to the test's goroutine; everything else may use the address at any time.
type Cluster struct {
	dir   string
	as    []string               // command of the server, without settings
	at    atomic.Pointer[string] // host and port of the server of now; nil while there is none
	front net.Listener
}

// NewCluster makes a server of its own, or skips the test where Postgres is not installed.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	dir, as, err := makeCluster()
	orSkip(t, "", err)
	c := &Cluster{dir: dir, as: as}
	if c.front, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.front.Close() })
	go c.forward() // ends with front
	c.Start(t)
	return c
}

// Start starts the server, and returns when it answers: after a Kill it has recovered then.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	s, err := startServer(c.dir, c.as, true)
	if s != nil && s.stop != nil {
		t.Cleanup(func() { s.stop.Close() }) // ends the server, and removes its folder
	}
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	c.at.Store(&u.Host)
}

// Kill ends the server as a crash does: at once, without a checkpoint, with all of its connections. It returns when the server is gone.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	file := filepath.Join(c.dir, "data", "postmaster.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	if out, err := exec.Command("kill", "-QUIT", pid).CombinedOutput(); err != nil {
		t.Fatalf("kill: %v %s", err, out)
	}
	c.at.Store(nil)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the server does not end")
		}
	}
}

// URL makes an empty database and gives its address, which stays good over Kill and Start.
func (c *Cluster) URL(t testing.TB) string {
	t.Helper()
	base := "postgres://test@" + c.front.Addr().String() + "/"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, base+"postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE own"); err != nil {
		t.Fatal(err)
	}
	return base + "own"
}

// forward passes connections on to the server of now. Without one they are closed at once.
func (c *Cluster) forward() {
	for {
		near, err := c.front.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			at := c.at.Load()
			if at == nil {
				return
			}
			far, err := net.Dial("tcp", *at)
			if err != nil {
				return
			}
			defer far.Close()
			go func() {
				_, _ = io.Copy(far, near)
				far.Close() // the other direction ends too
			}()
			_, _ = io.Copy(near, far) // until either side is gone
		}()
	}
}
