package cli

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/emulator"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"comfyc": func() { os.Exit(Main(os.Args[1:], System())) },
	})
}

// Each file of testdata/script is a session at the command line with what it prints, positions included.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", env.WorkDir+"/config")
			env.Setenv("http_proxy", "")
			env.Setenv("HTTP_PROXY", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "executed": executed, "idle": idle, "damage": damage, "until": until, "killholder": killholder, "emulator": startScriptEmulator, "envsubst": envsubst},
	})
}

// exits CODE ARGS… runs comfyc and wants that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS…")
	}
	err := ts.Exec("sh", append([]string{"-c", `code=$1; shift; comfyc "$@"; got=$?; [ $got = $code ] || { echo "exit code $got, want $code" >&2; exit 1; }`, "sh"}, args...)...)
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

// startScriptEmulator is the command `emulator [CONFIG]`: an emulator on a free port until the script ends, its address in $EMULATOR.
func startScriptEmulator(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: emulator [CONFIG]")
	}
	text := "endpoints: {preview: {}}"
	if len(args) > 0 {
		text = ts.ReadFile(args[0])
	}
	tree, err := source.ParseYAML(source.NewFile("emulator", []byte(text)), source.Limits{})
	ts.Check(err)
	config, findings := emulator.ParseConfig(tree)
	if len(findings) > 0 {
		ts.Fatalf("%v", findings)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- emulator.Run(ctx, config, "127.0.0.1:0", func(base string) { ready <- base }) }()
	ts.Defer(func() { stop(); <-ended })
	select {
	case base := <-ready:
		ts.Setenv("EMULATOR", base)
	case err := <-ended:
		ended <- err
		ts.Fatalf("the emulator: %v", err)
	}
}

// envsubst FILE… puts the values of variables into files.
func envsubst(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}
