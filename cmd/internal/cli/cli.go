// Package cli is the command line of comfyc. Each command is a file cmd_*.go with one constructor, named once in the list in [root].
//
// stdout gets results only (paths, texts, or JSON lines with --json); findings and progress go to stderr. A command never calls
// os.Exit: it returns an error, and [Main] turns it into one of the exit codes of this package. Commands run in one goroutine; the
// scheduler's events arrive through a callback from its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/scheduler"
)

// The exit codes.
// They are part of what scripts rely on, and stand in `comfyc --help`. `comfyc diff` alone has those of diff(1).
const (
	exitOK          = 0
	exitInput       = 1   // the input is wrong
	exitUsage       = 2   // the command line is wrong
	exitIncomplete  = 3   // some renders failed, are held, or were stopped by budget or deadline
	exitNoEndpoint  = 4   // no endpoint is usable
	exitInternal    = 5   // a bug
	exitInterrupted = 130 // Ctrl-C
)

// Env is what a command may use of the process. Tests make their own.
// No command touches os.Stdin, os.Args or the clock by itself, which is what lets one test process run many command lines side
// by side. The zero value of a folder switches off what would lie there.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string // "" for a variable that is not set
	Now            func() time.Time    // UTC or local: what is stored is turned into UTC where it is written
	Terminal       bool                // Stderr is a terminal: bars and colours
	ConfigDir      string              // of this user: settings
	CacheDir       string              // of this user: what can be made again
	StateDir       string              // of this user: what was done. Each is "" if there is none

	drain *drain // of a run that goes on
}

// System is the real process.
// Called once, by main. It reads the environment and looks at the terminal, and changes neither.
func System() *Env {
	dir, err := os.UserConfigDir()
	if err != nil {
		dir = "" // no home folder: no user configuration is looked for
	}
	return &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now,
		Terminal: isTerminal(os.Stderr), ConfigDir: dir, CacheDir: cacheDir(), StateDir: stateDir(dir)}
}

// isTerminal looks for a character device, which covers consoles and pseudo-terminals; TERM=dumb is what editors and CI set for output without cursor
// movement.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}

// color tells whether to print colours.
// NO_COLOR with any text in it switches colours off, on a terminal too, as no-color.org asks.
func (e *Env) color() bool { return e.Terminal && e.Getenv("NO_COLOR") == "" }

// exit is an error that carries an exit code. Its message, if any, is printed by Main.
type exit struct {
	code    int
	message string
}

// Error implements error. An empty text is not printed, see silent.
func (e *exit) Error() string { return e.message }

// exitf is how every command ends with other than success: the code first, then what Main prints after "comfyc: ".
func exitf(code int, format string, args ...any) error {
	return &exit{code, fmt.Sprintf(format, args...)}
}

// silent ends with a code after the command has said everything itself.
// Findings are such a case: they are on stderr already, with their places.
func silent(code int) error { return &exit{code: code} }

// Main runs a command line and gives the exit code.
// It is called once in a process, by main, and many times side by side in tests. An error that is no *exit came from cobra (an
// unknown command, a wrong number of arguments) and gives 2.
func Main(args []string, env *Env) (code int) {
	// A panic in the command's own goroutine becomes exit code 5 with a trace to report. What is on disk was written by then.
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(env.Stderr, "comfyc: internal error: %v\n%s\nThis is a bug in comfyc; nothing that was finished is lost. Run the same command again to go on.\n", p, debug.Stack())
			code = exitInternal
		}
	}()
	env.drain = &drain{}
	ctx, stop := interruptible(env)
	defer stop()
	cmd := root(env)
	cmd.SetArgs(args)
	cmd.SetIn(env.Stdin)
	cmd.SetOut(env.Stdout)
	cmd.SetErr(env.Stderr)
	err := cmd.ExecuteContext(ctx)
	var e *exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		if e.message != "" {
			fmt.Fprintln(env.Stderr, "comfyc: "+e.message)
		}
		return e.code
	}
	fmt.Fprintf(env.Stderr, "comfyc: %v\n", err)
	return exitUsage
}

// drain lets SIGTERM end a run in good order.
// Commands that run no batch leave it alone; then SIGTERM means the same as Ctrl-C.
type drain struct { // one for the whole process: a command line runs at most one batch
	control scheduler.Control // of the run
	on      atomic.Bool       // there is one
}

// interruptible gives a context that the first Ctrl-C cancels; the second leaves at once. SIGTERM, of which platforms send one before they stop
// a machine, first lets a run finish what is on remotes; without a run, or the second time, it is as Ctrl-C.
// The function that comes back frees the signals again, and must be called once. The goroutine lives until then.
func interruptible(env *Env) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	// Two places: a second signal that comes while the first is handled is kept and not dropped.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		// n counts the interruptions so far; a SIGTERM that drains is taken back from the count.
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == syscall.SIGTERM && n == 0 && env.drain.on.Swap(false) {
					fmt.Fprintln(env.Stderr, "comfyc: asked to end: what is on endpoints finishes, nothing more is submitted (Ctrl-C cancels it)")
					env.drain.control.Drain()
					n-- // the next signal counts as the first Ctrl-C, which still cleans up
					continue
				}
				if n > 0 {
					os.Exit(exitInterrupted) // no deferred function runs; the state on disk is whole at any moment
				}
				fmt.Fprintln(env.Stderr, "comfyc: stopping; what is done is kept (Ctrl-C again leaves now)")
				cancel()
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}

// Command gives the whole command line, for manual pages and completions.
// The tag that cobra would add holds today's date, by which two builds of the same commit would differ.
func Command(env *Env) *cobra.Command {
	cmd := root(env)
	cmd.DisableAutoGenTag = true
	return cmd
}

// root holds the list of commands.
// A new command is one constructor in a file of its own and its name in this list; the order is that of `comfyc --help`.
func root(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "comfyc",
		Short: "compile ComfyUI workflows, sweep them, render them on GPU endpoints, look at the pictures",
		Long: `comfyc compiles ComfyUI workflows, sweeps them, renders them on GPU endpoints, and writes galleries.

Exit codes: 0 all done · 1 the input is wrong · 2 wrong usage · 3 some renders failed, are held or were stopped by budget or deadline ·
4 no endpoint usable · 5 internal error · 130 interrupted`,
		SilenceErrors: true, // Main prints errors, once and in our form
		SilenceUsage:  true, // usage is printed by --help only: after a mistake it would hide the error
	}
	// Wrong flags are wrong usage (2). Subcommands inherit this function.
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return exitf(exitUsage, "%v (see `%s --help`)", err, c.CommandPath())
	})
	for _, make := range []func(*Env) *cobra.Command{
		cmdCheck, cmdConvert, cmdGraph, cmdDiff, cmdPlan, cmdRender, cmdStatus, cmdCancel, cmdResume, cmdRetry, cmdCache, cmdGallery, cmdEmulate, cmdNodes, cmdScriptChild, cmdSchema, cmdExplain, cmdInit, cmdDoctor, cmdServe, cmdKeys, cmdWork, cmdVersion,
	} {
		cmd.AddCommand(make(env))
	}
	return cmd
}
