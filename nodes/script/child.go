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

// The child's side. A script can do three things that an interrupt of the interpreter does not stop in time: stay in
// one built-in function, allocate faster than the collector, and recurse in native code. The first is what watch is
// for, the others what the limits of the process are for: the Go runtime or the kernel ends it, and the parent reads
// why from its stderr.

// The ends of a child that it brings about itself.
const (
	exitBroken = 3 // what the parent wrote cannot be read
	exitStuck  = 4 // a script did not stop when it was interrupted; the reply has said so
)

// Serve is what a child process does: it reads requests from in and writes replies to out, JSON objects a line each, until in ends. It
// bounds its own memory and files first, and ends the process (os.Exit) when a script cannot be stopped otherwise.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	limitProcess()
	// Go's own limit is 1 GB, as much as the whole process may have by default.
	debug.SetMaxStack(64 << 20)
	c := &child{in: bufio.NewReaderSize(in, 1<<16), out: bufio.NewWriter(out)}
	c.engine = newEngine(c.ask) // unknown outputs are asked for over the same pipes
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
			// A process limit can only be lowered, so the first load decides; a parent sends one load to each child.
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

// write sends one line. The scripting goroutine and the one that gives up on it may both do so.
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

// ask lets the parent say which outputs a class has: the catalogue is not sent, as it is larger than all scripts.
// Each class is asked for once, see engine.shape.
func (c *child) ask(class string) shape {
	c.write(&reply{Ask: &class})
	var req request
	if err := readMessage(c.in, maxRequest, &req); err != nil || req.Shape == nil {
		os.Exit(exitBroken)
	}
	return *req.Shape
}

// limitMemory sets two bounds in MiB: where the collector begins to work hard, and three times that and 256 MiB,
// where the kernel gives no more. Between the two, watch interrupts the script.
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
	// The soft limit's own timer in run.limited interrupts at this moment; this goroutine only acts when that had no
	// effect.
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
				// The heap includes what is garbage but not yet collected; with the memory limit set, the collector
				// keeps that small.
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

// heap is the size of all objects in bytes. Reading this metric does not stop the world, unlike runtime.ReadMemStats.
func (c *child) heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// giveUp reports and ends the process.
func (c *child) giveUp(vm *goja.Runtime, why stopped) {
	t := &trouble{Code: why.code(), Message: "the script was stopped: " + string(why)}
	t.At = c.standstill(vm)
	// It is not known here which of the two was asked for, so both are answered.
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
