package lease

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
	"github.com/comfyc/comfyc/scheduler/store/pgtest"
)

// The crash campaign: real processes of the command are killed at random moments over batches on an emulator that misbehaves.
// `make crash` runs the long form.
var (
	killsFlag   = flag.Int("kills", 3, "kill -9 how often, in each of the campaign's parts")
	rendersFlag = flag.Int("renders", 150, "renders of each batch")
	perBatch    = flag.Int("kills-per-batch", 6, "a batch is killed at most so often")
	seedFlag    = flag.Uint64("kill-seed", 0, "of the moments of the kills; 0 takes the clock's")
	binaryFlag  = flag.String("binary", os.Getenv("COMFYC_BINARY"), "the comfyc command; built if it is not given")
)

// campaign is one part: a kind of state, and so many machines.
type campaign struct {
	t        *testing.T
	binary   string
	home     string // of the processes' caches, so that nothing comes from another run
	base     string // of the emulator
	rng      *rand.Rand
	kills    int // so far
	batches  int
	stakes   map[submission]int  // submits that were under way when their process was killed, and at which kill
	cut      map[submission]bool // submits that a later owner found without an answer
	lost     map[submission]bool // submits whose answer was lost on the way to a living process
	unsure   map[string]bool     // renders that were ever uncertain, 12 hex digits each
	done     int
	replicas int
}

// submission names an attempt over all slices of all batches.
type submission struct {
	render compiler.RenderID
	number int64
}

// maxUnderWay is how many submits of a batch are under way at once at most: max-parallel.
const maxUnderWay = 16

// newCampaign starts the platform of a part.
func newCampaign(t *testing.T, binary string, replicas int, seed uint64) *campaign {
	c := &campaign{t: t, binary: binary, home: t.TempDir(), replicas: replicas, rng: rand.New(rand.NewPCG(seed, 1)), stakes: map[submission]int{},
		cut: map[submission]bool{}, lost: map[submission]bool{}, unsure: map[string]bool{}}
	c.base = c.emulate()
	return c
}

// command prepares a run of the command, with caches of this campaign's own.
func (c *campaign) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.binary, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(c.home, "cache"), "XDG_STATE_HOME="+filepath.Join(c.home, "state"))
	return cmd
}

func TestCrashCampaign(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills real processes; run without -short")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	binary := command(t)
	for _, part := range []struct {
		name     string
		replicas int
		run      func(c *campaign)
	}{
		{"sqlite", 1, (*campaign).sqliteBatch}, {"postgres, one machine", 1, (*campaign).postgresBatch}, {"postgres, three machines", 3, (*campaign).postgresBatch},
	} {
		t.Run(part.name, func(t *testing.T) {
			c := newCampaign(t, binary, part.replicas, seed)
			for c.kills < *killsFlag && !t.Failed() {
				part.run(c)
				c.batches++
			}
			c.check(seed)
		})
	}
}

// command gives the comfyc command, built if it was not given.
func command(t *testing.T) string {
	t.Helper()
	if *binaryFlag != "" {
		return *binaryFlag
	}
	binary := filepath.Join(t.TempDir(), "comfyc")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/comfyc/comfyc/cmd/comfyc").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// The places of two faults in the emulator's configuration.
const lostAnswer, resetSubmit = 0, 1

// emulate starts an emulated platform that loses answers, resets connections and answers 500 and 503.
func (c *campaign) emulate() string {
	file := filepath.Join(c.t.TempDir(), "emulator.yaml")
	c.write(file, fmt.Sprintf("seed: %d", c.rng.IntN(1<<30))+`
endpoints:
  crash:
    worker: runpod/worker-comfyui:5.5.0-base
    workers: {min: 6, max: 6}
    execution: 100ms
    faults:
      - {kind: lost-answer, on: submit, rate: 0.01}
      - {kind: reset, on: submit, rate: 0.01}
      - {kind: reset, on: status, rate: 0.03}
      - {kind: http, status: 503, on: status, rate: 0.03}
      - {kind: slow, on: submit, rate: 0.5, delay: 150ms}
`)
	cmd := c.command("emulate", "--listen", "127.0.0.1:0", "--config", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("the emulator did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

func (c *campaign) write(file, text string) {
	c.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// newBatch writes a batch whose renders are like those of no other one.
func (c *campaign) newBatch() (dir string) {
	dir = c.t.TempDir()
	c.write(filepath.Join(dir, "workflow.json"), `{"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 0}},
 "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}`)
	c.write(filepath.Join(dir, "batch.yaml"), fmt.Sprintf("version: 1\nname: crash\nworkflow: workflow.json\nsweep: {matrix: {EmptyImage.color: {from: %d, count: %d}}}\nendpoints: [crash]\nschedule: {max-parallel: %d, retries: 20, fuse: off}\n",
		1+c.batches**rendersFlag, *rendersFlag, maxUnderWay))
	c.write(filepath.Join(dir, "comfyc-endpoints.yaml"), fmt.Sprintf("endpoints:\n  crash: {type: novita, url: %s/v1/crash, gpu: rtx4090, workers: {min: 6, max: 6}, price: {usd_per_second: 0.0003, as_of: 2026-08}}\n", c.base))
	return dir
}

// short names a render as the emulator sees it: a part of the prefix of its files.
func short(id compiler.RenderID) string { return hex.EncodeToString(id[:])[:12] }

// died notes the submits that were under way when a process was killed: those of the renders that it had, as its last commit left them. Only these
// may turn out to be cut off, each at one kill.
func (c *campaign) died(s scheduler.Store, had func(render int) bool) {
	n := 0
	for a := range c.attempts(s) {
		if a.State != scheduler.AttemptSubmitting || !had(a.Renders[0].Index) {
			continue
		}
		n++
		if key := (submission{a.Renders[0].ID, a.Number}); c.stakes[key] == 0 { // else a process died before that noted what another one had left
			c.stakes[key] = c.kills + 1
		}
	}
	if n > maxUnderWay {
		c.t.Errorf("kill %d: %d submits were under way, and at most %d may be", c.kills+1, n, maxUnderWay)
	}
}

// gather notes which submits are uncertain now, and why.
func (c *campaign) gather(s scheduler.Store) {
	for a := range c.attempts(s) {
		if a.Kind != scheduler.Uncertain {
			continue
		}
		key := submission{a.Renders[0].ID, a.Number}
		c.unsure[short(key.render)] = true
		if strings.HasPrefix(a.Reason, "the run was cut off") {
			c.cut[key] = true
		} else {
			c.lost[key] = true
		}
	}
}

// attempts lists what a state knows; each attempt is of one render here.
func (c *campaign) attempts(s scheduler.Store) iter.Seq[scheduler.Attempt] {
	return func(yield func(scheduler.Attempt) bool) {
		for a, err := range s.Attempts(ctx) {
			if err != nil {
				c.t.Fatal(err)
			}
			if !yield(a) {
				return
			}
		}
	}
}

// all is a process that has all renders of its batch.
func all(int) bool { return true }

// records checks every file of a batch that has been run to its end.
func (c *campaign) records(s scheduler.Store, dir string) {
	for r, err := range s.Records(ctx) {
		if err != nil {
			c.t.Fatal(err)
		}
		if r.State != scheduler.Done || len(r.Files) != 1 {
			c.t.Errorf("render %d is %s: %s", r.Render, r.State, r.Reason)
			continue
		}
		c.done++
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(r.Files[0].Path)))
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != r.Files[0].SHA256 {
			c.t.Errorf("render %d: its file is not what was recorded (%v)", r.Render, err)
		}
	}
}

// sqliteBatch runs `comfyc render` on one batch, kills it some times, and then lets it end.
func (c *campaign) sqliteBatch() {
	dir := c.newBatch()
	batch, out := filepath.Join(dir, "batch.yaml"), filepath.Join(dir, "out")
	for k := 0; k < *perBatch && c.kills < *killsFlag; k++ {
		cmd := c.command("render", "--json", batch)
		lines, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			c.t.Fatal(err)
		}
		in, left := bufio.NewScanner(lines), c.rng.IntN(2**rendersFlag)+1
		for ; left > 0 && in.Scan(); left-- {
		}
		alive := left == 0
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		s, err := store.OpenRead(out)
		if err != nil {
			continue // it died before there was a state
		}
		c.died(s, all)
		c.gather(s)
		s.Close()
		if !alive {
			break
		}
		c.kills++
	}
	for round := range 1 + retries {
		var more []string
		if round > 0 {
			more = []string{"--resubmit-uncertain", "--retry-failed"}
		}
		text, err := c.command(append([]string{"render", "--json", batch}, more...)...).CombinedOutput()
		if s, err := store.OpenRead(out); err == nil {
			c.gather(s)
			s.Close()
		}
		if err == nil {
			break
		} else if more != nil && !strings.Contains(err.Error(), "exit status 3") {
			c.t.Fatalf("render: %v\n%s", err, text)
		}
	}
	s, err := store.OpenRead(out)
	if err != nil {
		c.t.Fatal(err)
	}
	defer s.Close()
	c.records(s, out)
}

// submit puts a batch into the database.
func (c *campaign) submit(url, dir string) (id string) {
	cmd := c.command("work", "submit", filepath.Join(dir, "batch.yaml"), "--slices", "6", "--endpoints", filepath.Join(dir, "comfyc-endpoints.yaml"))
	cmd.Env = append(cmd.Env, "COMFYC_DB="+url)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("submit: %v", err)
	}
	return strings.TrimSpace(string(text))
}

// process is one `comfyc work`.
type process struct {
	cmd  *exec.Cmd
	name string
	log  *bytes.Buffer
}

func (c *campaign) machine(url, dir, shared, name string) *process {
	p := &process{name: name, log: &bytes.Buffer{}}
	p.cmd = c.command("work", "--dir", shared, "--slots", "2", "--endpoints", filepath.Join(dir, "comfyc-endpoints.yaml"), "--name", name)
	p.cmd.Env = append(p.cmd.Env, "COMFYC_DB="+url+"?application_name="+name)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
}

// gone waits until the database has seen that a machine died: what it had sent is committed then, or never will be.
func (c *campaign) gone(q *Queue, name string) {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var sessions int
		if err := q.db.Pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", name).Scan(&sessions); err != nil {
			c.t.Fatal(err)
		}
		if sessions == 0 {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d sessions of %s do not end", sessions, name)
		}
	}
}

// had tells which renders a machine has the lease of.
func (c *campaign) had(q *Queue, id, name string) func(render int) bool {
	s, err := q.Status(ctx, id)
	if err != nil {
		c.t.Fatal(err)
	}
	return func(render int) bool {
		return slices.ContainsFunc(s.Slices, func(v SliceStatus) bool {
			return v.Owner == name && v.State == "held" && v.First <= render && render < v.Past
		})
	}
}

// elapse lets the silence of a dead machine pass in a moment.
func (c *campaign) elapse(q *Queue, name string) {
	if _, err := q.db.Pool.Exec(ctx, "UPDATE slices SET heartbeat = heartbeat - interval '31 s' WHERE owner = $1 AND state = 'held'", name); err != nil {
		c.t.Fatal(err)
	}
}

// postgresBatch lets machines work on one batch, kills one of them some times, starts another in its place, and lets them end.
func (c *campaign) postgresBatch() {
	url := pgtest.New(c.t)
	q := openQueue(c.t, url)
	dir, shared := c.newBatch(), c.t.TempDir()
	id := c.submit(url, dir)
	var machines []*process
	names := 0
	start := func() *process {
		names++
		return c.machine(url, dir, shared, fmt.Sprint("m", names))
	}
	for range c.replicas {
		machines = append(machines, start())
	}
	defer func() {
		for _, m := range machines {
			m.kill()
			if c.t.Failed() {
				c.t.Logf("%s:\n%s", m.name, m.log)
			}
		}
		q.Close()
	}()
	finished := func() bool {
		s, err := q.Status(ctx, id)
		if err != nil {
			c.t.Fatal(err)
		}
		return !s.Ended.IsZero()
	}
	await(c.t, q, id, "begun", func(s Status) bool { return !s.Started.IsZero() })
	for k := 0; k < *perBatch && c.kills < *killsFlag; k++ {
		time.Sleep(time.Duration(c.rng.IntN(4000)) * time.Millisecond)
		if finished() {
			break
		}
		i := c.rng.IntN(len(machines))
		machines[i].kill()
		c.gone(q, machines[i].name)
		c.died(q.Store(id), c.had(q, id, machines[i].name))
		c.kills++
		c.elapse(q, machines[i].name)
		machines[i] = start()
	}
	c.finish(q, id)
	c.records(q.Store(id), filepath.Join(shared, id))
	await(c.t, q, id, "shown", func(Status) bool { _, err := os.Stat(filepath.Join(shared, id, "index.html")); return err == nil })
}

// retries bounds how often what is uncertain is sent again: the platform loses the answer to one submit in fifty, also then.
const retries = 10

// finish lets a batch end, and what is uncertain be sent again until nothing is.
func (c *campaign) finish(q *Queue, id string) {
	for round := 0; ; round++ {
		s := await(c.t, q, id, "ended", ended)
		c.gather(q.Store(id))
		if s.Totals.Done == s.Renders {
			return
		}
		if round == retries {
			c.t.Errorf("after %d retries: %+v", retries, s.Totals)
			return
		}
		if err := q.Retry(ctx, id, true, true); err != nil {
			c.t.Fatal(err)
		}
	}
}

// check compares with what the platform counted.
func (c *campaign) check(seed uint64) {
	var stats struct {
		Endpoints []struct {
			Executed, Submits, Faults int
			Struck                    []int
			Prefixes                  []struct {
				Prefix   string
				Executed int
			}
		}
	}
	answer, err := http.Get(c.base + "/_emulator/stats")
	if err == nil {
		defer answer.Body.Close()
		err = json.NewDecoder(answer.Body).Decode(&stats)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	twice, ep := 0, stats.Endpoints[0]
	for _, p := range ep.Prefixes {
		if p.Executed == 1 {
			continue
		}
		twice++
		if !c.unsure[strings.TrimPrefix(p.Prefix, "c")[:12]] {
			c.t.Errorf("the render with prefix %s was rendered %d times and was never uncertain", p.Prefix, p.Executed)
		}
	}
	want := c.batches * *rendersFlag
	if c.done != want || len(ep.Prefixes) != want {
		c.t.Errorf("%d renders are done and %d were rendered, want %d", c.done, len(ep.Prefixes), want)
	}
	for key := range c.cut {
		if c.stakes[key] == 0 {
			c.t.Errorf("the submit of render %s was cut off, and was not under way at any kill", short(key.render))
		}
	}
	if answers := ep.Struck[lostAnswer] + ep.Struck[resetSubmit]; len(c.lost) > answers {
		c.t.Errorf("%d answers were lost for us, and the platform lost %d", len(c.lost), answers)
	}
	c.t.Logf("kill-seed %d: %d kills, %d batches, %d renders: 0 lost, %d rendered twice (all uncertain), %d uncertain (%d submits of %d under way at the kills, %d answers lost), %d executed, %d submits, %d faults",
		seed, c.kills, c.batches, c.done, twice, len(c.unsure), len(c.cut), len(c.stakes), len(c.lost), ep.Executed, ep.Submits, ep.Faults)
}
