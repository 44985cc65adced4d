package script

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// startTime is how long a child may take to begin.
const startTime = 20 * time.Second

// process is a child that runs scripts, started when it is first needed and again after it was killed. It is for one goroutine.
type process struct {
	opt    Options
	shape  func(string) shape
	loaded *loadRequest // sent again to a child that takes the place of a killed one

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errors *head
}

func newChild(opt Options, shape func(string) shape) *process {
	return &process{opt: opt, shape: shape}
}

func (p *process) load(ctx context.Context, req *loadRequest) (*loadReply, *trouble) {
	p.loaded = req
	rep, t := p.begin(ctx)
	if t != nil {
		return nil, t
	}
	return rep, nil
}

func (p *process) expand(ctx context.Context, req *expandRequest) *expandReply {
	if p.cmd == nil {
		if _, t := p.begin(ctx); t != nil {
			return &expandReply{Trouble: t}
		}
	}
	rep, t := p.call(ctx, &request{Expand: req})
	if t != nil || rep.Expand == nil {
		if t == nil {
			t = &trouble{Code: "script_failed", Message: "the process that runs scripts gave no answer"}
		}
		t.At.File = req.File
		return &expandReply{Trouble: t}
	}
	return rep.Expand
}

// begin starts a child and loads the files.
func (p *process) begin(ctx context.Context) (*loadReply, *trouble) {
	if err := p.start(); err != nil {
		return nil, &trouble{Code: "script_failed", Message: "no process could be started that runs scripts: " + err.Error()}
	}
	var hello reply
	t := p.bounded(ctx, startTime, func() error { return readMessage(p.out, maxReply, &hello) })
	if t != nil {
		return nil, t
	}
	rep, t := p.call(ctx, &request{Load: p.loaded})
	if t != nil {
		return nil, t
	}
	if rep.Load == nil {
		return nil, &trouble{Code: "script_failed", Message: "the process that runs scripts gave no answer"}
	}
	return rep.Load, nil
}

// start runs the command without environment.
func (p *process) start() (err error) {
	p.cmd = exec.Command(p.opt.Command[0], p.opt.Command[1:]...)
	if self, err := os.Executable(); err == nil && self == p.cmd.Path {
		p.cmd.Args[0] = os.Args[0] // a program may be several, by the name that it is called by
	}
	p.cmd.Env = environment()
	p.errors = &head{}
	p.cmd.Stderr = p.errors
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.out = bufio.NewReaderSize(out, 1<<16)
	if err = p.cmd.Start(); err != nil {
		p.cmd = nil
	}
	return err
}

// environment is empty; Windows cannot start programs without one variable.
func environment() []string {
	if runtime.GOOS == "windows" {
		return []string{"SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	}
	return []string{}
}

// call sends a request and answers the child's questions until it replies. The child is killed at the end of its time.
func (p *process) call(ctx context.Context, req *request) (rep *reply, t *trouble) {
	t = p.bounded(ctx, p.opt.Timeout, func() error {
		if err := p.send(req); err != nil {
			return err
		}
		for {
			rep = &reply{}
			if err := readMessage(p.out, maxReply, rep); err != nil || rep.Ask == nil {
				return err
			}
			answer := p.shape(*rep.Ask)
			if err := p.send(&request{Shape: &answer}); err != nil {
				return err
			}
		}
	})
	if t == nil && rep.Last {
		p.end()
	}
	return rep, t
}

func (p *process) send(req *request) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(data, '\n'))
	return err
}

// bounded runs f, which talks with the child, and kills the child when time is over or ctx is done. After any trouble there is no child.
func (p *process) bounded(ctx context.Context, limit time.Duration, f func() error) *trouble {
	if ctx.Err() != nil {
		return &trouble{Code: "cancelled", Message: "stopped before the script ran"}
	}
	child := p.cmd.Process
	timer := time.AfterFunc(limit, func() { _ = child.Kill() })
	stop := context.AfterFunc(ctx, func() { _ = child.Kill() })
	err := f()
	inTime := timer.Stop()
	stop()
	if err == nil {
		return nil
	}
	said := p.end()
	switch {
	case ctx.Err() != nil:
		return &trouble{Code: "cancelled", Message: "stopped while the script ran"}
	case !inTime:
		return &trouble{Code: "script_time", Message: fmt.Sprintf("the script was stopped: %s (%s)", tooLong, limit)}
	case strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"):
		return &trouble{Code: "script_memory", Message: "the script was stopped: " + string(tooLarge)}
	case strings.Contains(said, "stack exceeds") || strings.Contains(said, "stack overflow"):
		return &trouble{Code: "script_depth", Message: "the script was stopped: calls are nested too deep"}
	}
	return &trouble{Code: "script_failed", Message: "the process that runs scripts ended: " + clip(firstLine(said))}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if line == "" {
		return "it said nothing"
	}
	return line
}

// end makes sure that there is no child, and gives what it wrote to stderr.
func (p *process) end() string {
	if p.cmd == nil {
		return ""
	}
	_ = p.in.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
	return p.errors.String()
}

func (p *process) close() error {
	p.end()
	return nil
}

// head keeps the beginning of what is written to it, 4 KiB: there the Go runtime says why it ends.
type head struct{ bytes.Buffer }

func (t *head) Write(p []byte) (int, error) {
	if room := 4096 - t.Len(); room > 0 {
		t.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
