package script

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// The ends of a child that it brings about itself.
const (
	exitBroken = 3 // what the parent wrote cannot be read
	exitStuck  = 4 // a script did not stop when it was interrupted; the reply has said so
)

// Serve is what a child process does: it reads requests from in and writes replies to out, JSON objects a line each, until in ends. It
// bounds its own memory and files first, and ends the process (os.Exit) when a script cannot be stopped otherwise.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	limitProcess()
	debug.SetMaxStack(64 << 20)
	c := &child{in: bufio.NewReaderSize(in, 1<<16), out: bufio.NewWriter(out)}
	c.engine = newEngine(c.ask)
	c.engine.watch = c.watch
	c.write(&reply{Ready: true})
	for ctx.Err() == nil {
		var req request
		if err := readMessage(c.in, maxRequest, &req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case req.Load != nil:
			c.limitMemory(req.Load.MemoryMiB)
			c.write(&reply{Load: c.engine.load(req.Load)})
		case req.Expand != nil:
			c.write(&reply{Expand: c.engine.expand(req.Expand)})
		}
	}
	return ctx.Err()
}

// child is the state of Serve. Only the watching goroutine of a script shares it, through mu.
type child struct {
	in     *bufio.Reader
	mu     sync.Mutex // guards out
	out    *bufio.Writer
	engine *engine
	memory uint64 // bytes
}

func (c *child) write(rep *reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, err := json.Marshal(rep)
	if err == nil {
		_, err = c.out.Write(append(data, '\n'))
	}
	if err == nil {
		err = c.out.Flush()
	}
	if err != nil {
		os.Exit(exitBroken) // nobody listens any more
	}
}

// ask lets the parent say which outputs a class has.
func (c *child) ask(class string) shape {
	c.write(&reply{Ask: &class})
	var req request
	if err := readMessage(c.in, maxRequest, &req); err != nil || req.Shape == nil {
		os.Exit(exitBroken)
	}
	return *req.Shape
}

func (c *child) limitMemory(mib int) {
	c.memory = uint64(mib) << 20
	debug.SetMemoryLimit(int64(c.memory))
	limitData(3*c.memory + 256<<20)
}

// watchEvery is how often a running script's memory is looked at, and grace how long after an interrupt it may go on.
const (
	watchEvery = 4 * time.Millisecond
	grace      = 60 * time.Millisecond
)

// watch interrupts a script that takes too much memory, and ends the process when an interrupt has no effect because a built-in function
// runs on. It says before where the script was: the runtime stands still in that function, so that its stack can be read from here.
func (c *child) watch(vm *goja.Runtime) (stop func()) {
	done := make(chan struct{})
	deadline := time.Now().Add(time.Duration(c.engine.SoftMS) * time.Millisecond)
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		why := tooLong
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				if why == tooLong && c.heap() > c.memory {
					why, deadline = tooLarge, now
					vm.Interrupt(tooLarge)
				}
				if now.Sub(deadline) > grace {
					c.giveUp(vm, why)
				}
			}
		}
	}()
	return func() { close(done) }
}

func (c *child) heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// giveUp reports and ends the process.
func (c *child) giveUp(vm *goja.Runtime, why stopped) {
	t := &trouble{Code: why.code(), Message: "the script was stopped: " + string(why)}
	t.At = c.standstill(vm)
	c.write(&reply{Load: &loadReply{Trouble: []trouble{*t}}, Expand: &expandReply{Trouble: t}, Last: true})
	os.Exit(exitStuck)
}

// standstill reads where a runtime is that another goroutine runs. That is a race, and what it reads may be torn: then there is no place.
func (c *child) standstill(vm *goja.Runtime) (at spot) {
	file := c.engine.current
	defer func() {
		if recover() != nil {
			at = spot{File: file}
		}
	}()
	r := run{engine: c.engine, file: file}
	return r.place(vm.CaptureCallStack(0, nil))
}
