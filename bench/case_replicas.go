package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler/lease"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// Real processes over a real database, with a delay on every connection: what replicas lose by talking is in the figure.
var replicaCases = []Case{
	{Name: "ThreeMachines", What: "a batch of 1,800 renders by one and by three processes of `comfyc work` with two slots each over one Postgres, with 20 ms to the database and to the endpoint; in turn",
		Skip: needPostgres, Run: threeMachines, Goals: []Goal{{Unit: "cpu-ratio", Most: 1.25, Meaning: "three take at most 1.25 times one's processor time a render"},
			{Unit: "speed-up", Least: 2.5, Meaning: "three are at least 2.5 times as fast as one"}}},
}

// What is measured is what machines cost each other, so nothing else may be scarce: the platform has a worker, a place and a request to spare for all
// that three machines can send, and max-parallel lets them. (With the usual 64 of it, and with 2,000 polls in 10 s, three machines wait for what
// one nearly uses up.) A machine is bounded by its two slots of the usual size: 124 jobs at a time. The batch is large enough that starting,
// compiling and the gallery, which each machine or each batch does once, are little beside the rest, and that each of three machines gets several
// slices one after the other: 29, so that the last round is not full, as with most batches.
const (
	sharedRenders = 1800                  // of 5 s each on the platform
	sharedPlaces  = 400                   // more than 3 × 124
	oneWay        = 10 * time.Millisecond // half of what a round trip takes longer
)

// threeMachines runs a batch of its own for each measurement.
// One machine and three alternate within a turn, each with a database and folders of its own, so that neither finds what the
// other has warmed up.
func threeMachines(e *Env, b *testing.B) error {
	program, err := e.comfyc()
	if err != nil {
		return err
	}
	var wall, cpu [2]time.Duration // [0] by one machine, [1] by three
	for b.Loop() {
		for i, machines := range []int{1, 3} {
			w, c, err := sharedBatch(b.Context(), e, program, machines)
			if err != nil {
				return err
			}
			wall[i] += w
			cpu[i] += c
		}
	}
	n := float64(sharedRenders * b.N)
	b.ReportMetric(n/wall[0].Seconds(), "one-renders/s")
	b.ReportMetric(n/wall[1].Seconds(), "three-renders/s")
	b.ReportMetric(cpu[0].Seconds()*1000/n, "one-cpu-ms/render")
	b.ReportMetric(cpu[1].Seconds()*1000/n, "three-cpu-ms/render")
	b.ReportMetric(cpu[1].Seconds()/cpu[0].Seconds(), "cpu-ratio")
	b.ReportMetric(wall[0].Seconds()/wall[1].Seconds(), "speed-up")
	b.ReportMetric(0, "ns/op")
	return nil
}

// sharedBatch measures one batch: from its submission to its end, with machines that wait for it. The time of starting a process is taken off.
// It polls the database by the short way, so that looking does not slow the machines down.
func sharedBatch(ctx context.Context, e *Env, program string, machines int) (wall, cpu time.Duration, err error) {
	dir, err := os.MkdirTemp(e.Temp, "machines")
	if err != nil {
		return 0, 0, err
	}
	db, err := pgtest.Synced() // fsync on, as in production
	if err != nil {
		return 0, 0, err
	}
	near, err := lease.Open(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	defer near.Close()
	far, err := delayedURL(db)
	if err != nil {
		return 0, 0, err
	}
	stop, err := sharedFiles(program, dir)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	idle, err := runMachines(program, dir, far, 1, func() error { return nil }) // a machine with nothing to do: the price of a start
	if err != nil {
		return 0, 0, err
	}
	cpu, err = runMachines(program, dir, far, machines, func() error { // all machines are connected before the batch is submitted
		start := time.Now()
		submit := exec.Command(program, "work", "submit", filepath.Join(dir, "batch.yaml"), "--endpoints", filepath.Join(dir, "endpoints.yaml"))
		submit.Env = append(os.Environ(), "COMFYC_DB="+db)
		id, err := submit.Output()
		if err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		for {
			s, err := near.Status(ctx, strings.TrimSpace(string(id)))
			if err != nil {
				return err
			}
			if !s.Ended.IsZero() {
				wall = time.Since(start)
				if s.Totals.Done != sharedRenders {
					return fmt.Errorf("the batch is not done: %+v", s.Totals)
				}
				return nil
			}
			if time.Since(start) > 10*time.Minute {
				return errors.New("the batch does not end")
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	return wall, cpu - time.Duration(machines)*idle, err // cpu is of all machines, without their starts
}

// sharedFiles writes the batch and its endpoint, and starts the platform. It has a worker for whatever all machines send, and says that they are always
// on: for workers that have to be started, the cheapest way is to use few of them, and the measurement would be of that thrift.
// stop ends the platform; it must be called also after an error of the caller. Files are readable by this user only.
func sharedFiles(program, dir string) (stop func(), err error) {
	// Order does not matter: all files are there before the first is read.
	for name, text := range map[string]string{
		"workflow.json": `{"1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`,
		"batch.yaml":    fmt.Sprintf("version: 1\nworkflow: workflow.json\nsweep: {matrix: {EmptyImage.color: {from: 1, count: %d}}}\nendpoints: [far]\nschedule: {fuse: off, max-parallel: %d}\n", sharedRenders, sharedPlaces),
		"emulator.yaml": fmt.Sprintf("endpoints:\n  far: {worker: 'runpod/worker-comfyui:5.5.0-base', workers: {min: %d, max: %[1]d}, execution: 5s, limits: {submit_per_10s: 10000, status_per_10s: 20000}}\n", sharedPlaces),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(program, "emulate", "--listen", "127.0.0.1:0", "--config", filepath.Join(dir, "emulator.yaml"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		line, err = delayedURL(strings.TrimSpace(line)) // the machines reach the platform by the long way too
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "endpoints.yaml"), fmt.Appendf(nil, "endpoints:\n  far: {type: novita, url: %s/v1/far, gpu: rtx4090, limits: {in_flight: %d, submit_per_10s: 10000, status_per_10s: 20000}, workers: {min: %[2]d, max: %[2]d}, price: {usd_per_second: 0.0003, as_of: 2026-08}}\n", line, sharedPlaces), 0o600)
	}
	if err != nil {
		stop()
	}
	return stop, err
}

// runMachines starts processes, waits until they are ready, lets do happen, and gives their processor time.
// Each process says "working" on stderr when it is connected. Interrupt ends them as a user would; their processor time is read
// when they have ended.
func runMachines(program, dir, db string, n int, do func() error) (cpu time.Duration, err error) {
	var list []*exec.Cmd
	for range n {
		cmd := exec.Command(program, "work", "--dir", filepath.Join(dir, "out"), "--slots", "2", "--endpoints", filepath.Join(dir, "endpoints.yaml"))
		cmd.Env = append(os.Environ(), "COMFYC_DB="+db, "XDG_CACHE_HOME="+filepath.Join(dir, "cache")) // nothing that the user's runs have learned
		log, err := cmd.StderrPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			return 0, err
		}
		list = append(list, cmd)
		in := bufio.NewReader(log)
		line, err := in.ReadString('\n') // the first log line is the sign
		if err != nil || !strings.Contains(line, "working") {
			return 0, fmt.Errorf("a machine does not start: %s %w", line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, in) }() // ends with the process
	}
	err = do()
	for _, cmd := range list {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // how it ends does not matter
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return cpu, err
}

// delayedURL gives a URL by which the same server is reached with a longer way.
// It accepts as long as this process lives. The URL keeps user, path and parameters.
func delayedURL(near string) (string, error) {
	u, err := url.Parse(near)
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	target := u.Host
	go func() { // ends with the process
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", target)
			if err != nil {
				c.Close()
				continue
			}
			go delayed(c, s)
			go delayed(s, c)
		}
	}()
	u.Host = ln.Addr().String()
	return u.String(), nil
}

// delayed copies what comes, a while later, in order.
// Pieces leave in the order in which they came, each oneWay after its arrival, so throughput is not bounded by the delay.
func delayed(to, from net.Conn) {
	type piece struct {
		at   time.Time
		data []byte
	}
	pieces := make(chan piece, 1024) // a bound for a peer that does not read
	go func() {
		defer close(pieces)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now().Add(oneWay), bytes.Clone(buf[:n])}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at)) // no wait if it is late already
		if _, err := to.Write(p.data); err != nil {
			from.Close()
		}
	}
	to.Close()
}
