package script

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// The parent's side of a child: start it, send a request, answer what it asks, kill it when its time is over. A
// request and its replies are one after the other on the pipes, so there are no numbers to match them by. After any
// trouble the child is gone and the next request starts another, which is told the same files again: a batch with one
// bad template goes on with the others.

// startTime is how long a child may take to begin. It has nothing to do but start, so this is for machines that are
// busy or swapping; it is not counted as the script's time.
const startTime = 20 * time.Second

// process is a child that runs scripts, started when it is first needed and again after it was killed. It is for one goroutine.
type process struct {
	opt    Options               // with the defaults filled in
	shape  func(string) shape    // answers the child's questions
	loaded *loadRequest          // sent again to a child that takes the place of a killed one
	open   func() (*talk, error) // starts a child
	*talk                        // with the child; nil while there is none
}

// talk is the connection with one child.
type talk struct {
	in   io.WriteCloser
	out  *bufio.Reader
	kill func()        // ends the child, if it has not ended; for any goroutine, as often as one likes
	last func() string // what the dead child wrote to stderr; called once, after kill
}

func newChild(opt Options, shape func(string) shape) *process {
	return &process{opt: opt, shape: shape, open: func() (*talk, error) { return spawn(opt.Command) }}
}

// load starts the child and remembers the files for its successors. A trouble in the reply is a script's, the second
// result the process's.
func (p *process) load(ctx context.Context, req *loadRequest) (*loadReply, *trouble) {
	p.loaded = req
	rep, t := p.begin(ctx)
	if t != nil {
		return nil, t
	}
	return rep, nil
}

// expand asks the child, starting one if the last one was killed. What goes wrong is in the reply, so that it is
// shown like a finding of the script.
func (p *process) expand(ctx context.Context, req *expandRequest) *expandReply {
	if p.talk == nil {
		rep, t := p.begin(ctx)
		if t == nil && p.talk == nil { // the files were loaded before, and a child gives up on them now
			t = noAnswer()
			if len(rep.Trouble) > 0 {
				t = &rep.Trouble[0]
			}
		}
		if t != nil {
			return &expandReply{Trouble: t}
		}
	}
	rep, t := p.call(ctx, &request{Expand: req})
	if t != nil || rep.Expand == nil {
		if t == nil {
			p.end()
			t = noAnswer()
		}
		t.At.File = req.File
		return &expandReply{Trouble: t}
	}
	return rep.Expand
}

func noAnswer() *trouble {
	return &trouble{Code: "script_failed", Message: "the process that runs scripts gave no answer"}
}

// begin starts a child and loads the files. A child that says it is its last answer is gone already.
func (p *process) begin(ctx context.Context) (*loadReply, *trouble) {
	var err error
	if p.talk, err = p.open(); err != nil {
		return nil, &trouble{Code: "script_failed", Message: "no process could be started that runs scripts: " + err.Error()}
	}
	var hello reply
	t := p.bounded(ctx, startTime, func() error {
		if err := readMessage(p.out, maxReply, &hello); err != nil || hello.Ready {
			return err
		}
		return garbled{errors.New("it does not say that it is ready")}
	})
	if t != nil {
		return nil, t
	}
	rep, t := p.call(ctx, &request{Load: p.loaded})
	if t == nil && rep.Load == nil {
		p.end()
		t = noAnswer()
	}
	if t != nil {
		return nil, t
	}
	return rep.Load, nil
}

// spawn runs the command without environment.
func spawn(command []string) (*talk, error) {
	// Not bound to a context, which is that of one request: the child outlives it. Close ends it.
	cmd := exec.Command(command[0], command[1:]...)
	if self, err := os.Executable(); err == nil && self == cmd.Path {
		cmd.Args[0] = os.Args[0] // a program may be several, by the name that it is called by
	}
	cmd.Env = environment()
	said := &head{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	if err = cmd.Start(); err != nil {
		return nil, err
	}
	// Errors are expected at the end: the child may be dead already. Wait must come in any case, or it stays as a zombie.
	last := func() string {
		_ = cmd.Wait()
		return said.String()
	}
	return &talk{in: in, out: bufio.NewReaderSize(out, 1<<16), kill: func() { _ = cmd.Process.Kill() }, last: last}, nil
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

// send writes one line. A child that is gone shows as a broken pipe.
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
	switch {
	case p.talk == nil:
		return noAnswer()
	case ctx.Err() != nil:
		p.end() // it may not have been told the files yet
		return &trouble{Code: "cancelled", Message: "stopped before the script ran"}
	}
	timer := time.AfterFunc(limit, p.kill)
	stop := context.AfterFunc(ctx, p.kill)
	err := f()
	// False if the timer has fired: then the error that f met came of the kill.
	inTime, going := timer.Stop(), stop()
	if err == nil {
		if !inTime || !going {
			p.end() // killed when it had answered already
		}
		return nil
	}
	said := p.end()
	switch {
	case errors.As(err, new(garbled)):
		return unbelievable(clip(err.Error()))
	case ctx.Err() != nil:
		return &trouble{Code: "cancelled", Message: "stopped while the script ran"}
	case !inTime:
		return &trouble{Code: "script_time", Message: fmt.Sprintf("the script was stopped: %s (%s)", tooLong, limit)}
	// What the child's Go runtime writes when the process meets one of its limits; see limits_linux.go.
	case strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"):
		return &trouble{Code: "script_memory", Message: "the script was stopped: " + string(tooLarge)}
	case strings.Contains(said, "stack exceeds") || strings.Contains(said, "stack overflow"):
		return &trouble{Code: "script_depth", Message: "the script was stopped: calls are nested too deep"}
	}
	return &trouble{Code: "script_failed", Message: "the process that runs scripts ended: " + clip(firstLine(said))}
}

// firstLine is what of the child's last words is shown to the user: the Go runtime says the reason first and then
// prints stacks.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if line == "" {
		return "it said nothing"
	}
	return line
}

// end makes sure that there is no child, and gives what it wrote to stderr.
func (p *process) end() string {
	if p.talk == nil {
		return ""
	}
	_ = p.in.Close()
	p.kill()
	said := p.last()
	p.talk = nil
	return said
}

// close is end for the interface runner; it never fails.
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
	return len(p), nil // or the child would be stopped by a full pipe
}
