package run_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

// wire is the network between the endpoints and the platform: in memory, through a proxy that can do to connections what networks do.
// Everything in it happens in the test's virtual time.
type wire struct {
	accept chan net.Conn // the platform's side
	closed chan struct{}

	mu      sync.Mutex
	lag     time.Duration                    // of each piece of data, each way
	piece   func(l *link, to way, count int) // sees each piece before it goes on, with its number of all that went that way; may be nil
	pieces  [2]int
	dark    bool // nobody answers who connects
	links   map[*link]bool
	made    int // connections
	struck  int // of them those that broke
	submits int // that were sent
	posts   int // of them those whose answers the network has kept from us
	pumps   sync.WaitGroup
}

// way is a direction.
type way int

const (
	toPlatform way = iota
	toUs
)

// link is one connection through the proxy.
type link struct {
	net.Conn // our end
	w        *wire
	ends     [3]net.Conn // the other one of ours, and both of the platform's
	posting  bool        // a submit was sent, and its answer has not begun
	silent   bool        // half-open: nothing comes through any more, and nobody is told
	reset    bool
}

func newWire() *wire {
	return &wire{accept: make(chan net.Conn), closed: make(chan struct{}), links: map[*link]bool{}}
}

// Accept, Close and Addr implement net.Listener for the platform.
func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.accept:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.closed:
	default:
		close(w.closed)
	}
	for l := range w.links {
		l.cut()
	}
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

// dial is http.Transport.DialContext.
func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	w.mu.Lock()
	dark := w.dark
	w.mu.Unlock()
	if dark { // as a dialer gives up when nobody answers
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
		}
	}
	l := &link{w: w}
	l.Conn, l.ends[0] = net.Pipe()
	l.ends[1], l.ends[2] = net.Pipe()
	select {
	case w.accept <- l.ends[2]:
	case <-w.closed:
		return nil, syscall.ECONNREFUSED
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made++
	w.links[l] = true
	w.pumps.Go(func() { l.pump(l.ends[0], l.ends[1], toPlatform) })
	w.pumps.Go(func() { l.pump(l.ends[1], l.ends[0], toUs) })
	if w.dark { // since this one began to connect
		l.strike(true)
	}
	return l, nil
}

// pump carries data one way until an end is closed.
func (l *link) pump(from, to net.Conn, at way) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			if !l.hushed() {
				to.Close()
			}
			return
		}
		l.w.mu.Lock()
		lag := l.w.lag
		l.w.mu.Unlock()
		time.Sleep(lag)
		if l.note(buf[:n], at); l.hushed() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			from.Close()
			return
		}
	}
}

// note looks at a piece of data that is about to go on, and lets the test's fault strike.
func (l *link) note(data []byte, at way) {
	w := l.w
	w.mu.Lock()
	defer w.mu.Unlock()
	head, _, _ := strings.Cut(string(data), " HTTP/1.1")
	if at == toPlatform && strings.HasPrefix(head, "POST ") && (strings.HasSuffix(head, "/run") || strings.HasSuffix(head, "/prompt")) {
		w.submits++
		if l.posting = true; l.silent {
			w.posts++
		}
	}
	if w.pieces[at]++; w.piece != nil {
		w.piece(l, at, w.pieces[at])
	}
	if at == toUs && !l.silent && !l.reset {
		l.posting = false
	}
}

func (l *link) hushed() bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.silent
}

// strike breaks a connection, if it is whole; the wire's lock is held.
func (l *link) strike(silent bool) bool {
	if l.silent || l.reset || !l.w.links[l] {
		return false
	}
	l.silent, l.reset = silent, !silent
	l.w.struck++
	if l.posting {
		l.w.posts++
	}
	if !silent {
		l.cut()
	}
	return true
}

func (l *link) cut() {
	l.Conn.Close()
	for _, c := range l.ends {
		c.Close()
	}
}

// broken is what our end sees of an error.
func (l *link) broken(err error) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if err != nil && l.reset {
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return err
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	return n, l.broken(err)
}

func (l *link) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	return n, l.broken(err)
}

// Close ends the connection for us; the platform hears of it unless the connection is half-open.
func (l *link) Close() error {
	l.w.mu.Lock()
	if !l.posting {
		delete(l.w.links, l)
	}
	l.w.mu.Unlock()
	return l.Conn.Close()
}

// silence makes all connections half-open; the lock is held.
func (w *wire) silence() {
	for l := range w.links {
		l.strike(true)
	}
}

// lighten lets new connections through again.
func (w *wire) lighten() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dark = false
}

// networkFaults are what the network does while a batch of half a minute runs.
var networkFaults = []struct {
	name  string
	begin func(w *wire)
	least time.Duration // that the run takes, as the fault does
}{
	{"latency", func(w *wire) { w.lag = 700 * time.Millisecond }, 0},
	{"reset on the way to the platform", func(w *wire) { w.piece = every(9, toPlatform, false) }, 0},
	{"reset on the way back", func(w *wire) { w.piece = every(9, toUs, false) }, 0},
	{"half-open", func(w *wire) {
		w.piece = func(_ *link, _ way, count int) {
			if count == 30 || count == 60 { // of either way
				w.silence()
			}
		}
	}, 0},
	{"half-open amid an answer", func(w *wire) { w.piece = every(20, toUs, true) }, 0},
	{"blackhole for 10 minutes", func(w *wire) {
		w.piece = func(l *link, to way, _ int) {
			if to == toPlatform && l.posting && w.submits == 6 && w.struck == 0 { // while this one is on its way
				w.dark = true
				w.silence()
				time.AfterFunc(10*time.Minute, w.lighten)
			}
		}
	}, 10 * time.Minute},
}

// every breaks the connection of each n-th piece of data that goes one way.
func every(n int, to way, silent bool) func(*link, way, int) {
	next := n
	return func(l *link, at way, count int) {
		if at == to && count >= next && l.strike(silent) {
			next = count + n
		}
	}
}

// Whatever the network does: nothing is lost, nothing is paid twice, and the run goes on by itself. What is uncertain then are submits whose answers the
// network kept from us, and only where the platform cannot be asked.
func TestNetwork(t *testing.T) {
	startClock(t)
	for _, l := range []struct {
		kind, path string
		asks       bool
	}{{"novita", "/v1/x", false}, {"runpod", "/v2/x", false}, {"comfyui", "/native/x", true}} {
		for _, f := range networkFaults {
			t.Run(l.kind+"/"+f.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { behindWire(t, l.kind, l.path, l.asks, f.begin, f.least) })
			})
		}
	}
}

// startClock lets the platform's server start the goroutine that it keeps for dates, which is one for the whole process, outside of virtual time: a
// request that it cannot read makes it.
func startClock(t *testing.T) {
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	client, _, stop := e.Listen()
	defer stop()
	c, err := client.(*http.Transport).DialContext(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("no request\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
}

func behindWire(t *testing.T, kind, path string, asks bool, begin func(*wire), least time.Duration) {
	const n = 24
	e, err := emulator.New(emulator.Config{Endpoints: []emulator.Endpoint{{Name: "x", MinWorkers: 3, MaxWorkers: 3, Execution: emulator.ExecutionTime{Fixed: 3 * time.Second}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w := newWire()
	var serving sync.WaitGroup
	serving.Go(func() { _ = e.Serve(w) }) // ends when the wire is closed
	defer func() { w.Close(); serving.Wait(); w.pumps.Wait() }()
	transport := &http.Transport{DialContext: w.dial, MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	dir := t.TempDir()
	plan := compile(t, dir, "sweep: {matrix: {EmptyImage.color: \"1-24\"}}\n")
	once := func(resubmit bool) (scheduler.Summary, *run.Batch) {
		price := 0.0003
		end, err := dialect.Open(compiler.EndpointConfig{Name: "x", Type: kind, URL: "http://emulator.invalid" + path, GPU: "rtx4090", Price: &price,
			Workers: compiler.Workers{Min: 3, Max: 3}}, dialect.Deps{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		b, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Endpoints: []scheduler.Endpoint{end}})
		if err != nil {
			t.Fatal(err)
		}
		opts := b.Options()
		opts.Fuse, opts.Retries, opts.ResubmitUncertain = 1, 3, resubmit
		sum, err := b.Run(t.Context(), opts)
		if err != nil {
			t.Fatalf("%v: %+v", err, sum)
		}
		return sum, b
	}
	begin(w)
	sum, b := once(false)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	posts, struck := w.posts, w.struck
	w.mu.Unlock()
	t.Logf("%v, %d connections of %d broken, %d answers of submits kept from us, %d renders uncertain", sum.Elapsed.Round(time.Second), struck, w.made, posts, len(sum.Held))
	if held := len(sum.Held); sum.Counts[scheduler.Done]+held != n || held > posts || least > 0 && posts > 16 || asks && held > 0 || sum.Stopped != "" {
		t.Errorf("%d done, %d held, and %d answers of submits were kept from us: %+v", sum.Counts[scheduler.Done], held, posts, sum)
	}
	if sum.Elapsed < least || w.lag == 0 && struck == 0 {
		t.Errorf("the run took %v, and %d connections broke: the fault did not strike", sum.Elapsed, struck)
	}
	unsure := map[string]bool{}
	for _, h := range sum.Held {
		id := plan.RenderID(h.Render)
		unsure[hex.EncodeToString(id[:])[:12]] = true
	}
	w.mu.Lock()
	w.piece, w.lag = nil, 0
	w.mu.Unlock()
	sum, b = once(true)
	defer b.Close()
	if !sum.AllDone() {
		t.Errorf("in the end: %+v", sum)
	}
	executed := 0
	for _, p := range e.Stats().Endpoint("x").Prefixes {
		executed++
		if p.Executed > 1 && !unsure[strings.TrimPrefix(p.Prefix, "c")[:12]] {
			t.Errorf("the render with prefix %s was rendered %d times and was not uncertain", p.Prefix, p.Executed)
		}
	}
	if executed != n {
		t.Errorf("%d renders were rendered, want %d", executed, n)
	}
	for rec, err := range b.Store().Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(b.Dir(), filepath.FromSlash(rec.Files[0].Path)))
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != rec.Files[0].SHA256 {
			t.Errorf("render %d: its file is not what was recorded (%v)", rec.Render, err)
		}
	}
}
