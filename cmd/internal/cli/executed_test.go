package cli

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/comfyc/comfyc/scheduler/emulator"
)

// executed N ENDPOINT asks the script's emulator how many renders it has executed in all, and wants N.
func executed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: executed N ENDPOINT")
	}
	if got := strconv.Itoa(scriptStats(ts).Endpoint(args[1]).Executed); got != args[0] {
		ts.Fatalf("%s renders were executed, want %s", got, args[0])
	}
}

// idle ENDPOINT wants that nothing waits or runs on an endpoint of the script's emulator.
func idle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: idle ENDPOINT")
	}
	if end := scriptStats(ts).Endpoint(args[0]); end.Queued+end.Running > 0 {
		ts.Fatalf("%d jobs wait and %d run", end.Queued, end.Running)
	}
}

func scriptStats(ts *testscript.TestScript) (stats emulator.Stats) {
	resp, err := http.Get(ts.Getenv("EMULATOR") + "/_emulator/stats")
	ts.Check(err)
	defer resp.Body.Close()
	ts.Check(json.NewDecoder(resp.Body).Decode(&stats))
	return stats
}

// damage DIR changes a byte of the first file in a folder, by name. Other names of that file stay as they are.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		ts.Check(err)
		data[len(data)/2] ^= 1
		ts.Check(os.Remove(path))
		ts.Check(os.WriteFile(path, data, 0o644))
		return fs.SkipAll
	})
	ts.Check(err)
}

// until REGEXP ARGS… runs comfyc again and again until its stdout matches, for three minutes at most.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP ARGS…")
	}
	want := regexp.MustCompile(args[0])
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		_ = ts.Exec("comfyc", args[1:]...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("comfyc %v never said %s", args[1:], args[0])
}

// killholder DIR ends the process that runs the batch of a directory, as if the power had failed.
func killholder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: killholder DIR")
	}
	h := holderOf(ts.MkAbs(args[0]))
	if h == nil {
		ts.Fatalf("nobody runs the batch of %s", args[0])
	}
	p, err := os.FindProcess(h.PID)
	ts.Check(err)
	ts.Check(p.Kill())
}
