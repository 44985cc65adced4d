//go:build unix

package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler/emulator"
	"github.com/comfyc/comfyc/scheduler/emulator/worker"
)

// A render that gets SIGTERM submits nothing more, waits for what is on the endpoint, keeps it, and ends; the same command then goes on, and no job is
// done twice. The emulator's jobs end when the test lets them.
func TestTermDrains(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and stops real processes; run without -short")
	}
	const renders, workers = 40, 4
	began, released := make(chan struct{}, renders), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	held := func(ctx context.Context, prompt []byte, o worker.Options) (*worker.Result, error) {
		began <- struct{}{}
		select {
		case <-released:
			return worker.Run(ctx, prompt, o)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	e, err := emulator.New(emulator.Config{Runner: held, Endpoints: []emulator.Endpoint{{Name: "crash", Dialects: []emulator.Dialect{emulator.Novita},
		MinWorkers: workers, MaxWorkers: workers, Execution: emulator.ExecutionTime{Fixed: time.Millisecond}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	defer release()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = e.Serve(ln) }() // ends when the emulator is closed
	dir, binary := t.TempDir(), buildBinary(t)
	writeCrashBatch(t, dir, "http://"+ln.Addr().String(), renders)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // bounds a hang
	defer cancel()

	cmd := renderCommand(ctx, binary, dir)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, asked := make(chan string, 1), make(chan struct{})
	go func() { said <- listen(out, "asked to end", asked) }()
	select {
	case <-began: // the emulator draws as many pictures at once as there are processors
	case text := <-said:
		t.Fatalf("it ended before a job began:\n%s", text)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
		release()
	case text := <-said:
		t.Fatalf("it ended with jobs on the endpoint:\n%s", text)
	}
	<-said
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitIncomplete {
		t.Fatalf("it ended with %v, want exit code %d", err, exitIncomplete)
	}
	first := e.Stats().Endpoint("crash")
	if kept := pictures(t, dir); kept != len(first.Prefixes) || kept == 0 || kept == renders {
		t.Errorf("%d renders were on the endpoint at the signal, %d pictures were kept, of %d", len(first.Prefixes), kept, renders)
	}
	if out, err := renderCommand(ctx, binary, dir).CombinedOutput(); err != nil {
		t.Fatalf("the second run: %v\n%s", err, out)
	}
	done := e.Stats().Endpoint("crash").Prefixes
	if len(done) != renders || pictures(t, dir) != renders {
		t.Errorf("%d renders were executed, and there are %d pictures; want %d of each", len(done), pictures(t, dir), renders)
	}
	for _, p := range done {
		if p.Executed != 1 {
			t.Errorf("%s was executed %d times", p.Prefix, p.Executed)
		}
	}
}

// listen reads what a process says until it ends, and tells when it has said something.
func listen(r io.Reader, words string, heard chan<- struct{}) string {
	var all strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if heard != nil && strings.Contains(lines.Text(), words) {
			close(heard)
			heard = nil
		}
	}
	return all.String()
}

// renderCommand renders the batch of a folder, in plain lines and without a cache that other tests share.
func renderCommand(ctx context.Context, binary, dir string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, "render", "batch.yaml")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COMFYC_CACHE=off", "NO_COLOR=1", "XDG_CACHE_HOME="+filepath.Join(dir, "cache")) // what was learned lies there
	return cmd
}

// pictures counts what is in the run's folder.
func pictures(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "out", "images", "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
