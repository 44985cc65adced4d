package scheduler

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/comfyc/comfyc/compiler"
)

// From the plan's cursor to shards that are ready: a render's job is built only when it is about to be sent, so that the memory of a run does not
// grow with its plan.

// lookAhead is how many shards are prepared and not yet on their way: enough to keep the submits busy, few enough to hold their graphs
// in memory.
func (c *core) lookAhead() int {
	return (maxBrief + 2*maxSubmitting*len(c.endpoints)) * min(max(c.fusing, 1), maxAhead)
}

const maxAhead = 8 // times that, where shards are merged

// maxPreparing bounds the jobs that are built at once: that is work for this machine's processors alone.
const maxPreparing = 8

// prepare asks for the jobs of the next renders.
func (c *core) prepare() {
	for c.stop == "" && !c.paused && c.preparing < maxPreparing && c.preparing+c.ready < c.lookAhead() {
		s := c.nextShard()
		if s == nil {
			return
		}
		c.preparing++
		c.shards[s.id] = s
		c.ask(call{kind: callPrepare, shard: s.id, renders: s.renders})
	}
}

// nextShard takes the next thing to do: a shard whose time has come again, else the next waiting render.
func (c *core) nextShard() *shard {
	if c.delayed.len() > 0 {
		if at, _ := c.delayed.head(); !at.After(c.now) {
			return c.delayed.take()
		}
	}
	for i, ok := c.nextRender(); ok; i, ok = c.nextRender() {
		if c.reuse.pending[i] { // it comes back if it cannot be taken over
			continue
		}
		s := c.newShard(i)
		s.history, s.priority = c.history[i], c.priority[i]
		delete(c.history, i)
		return s
	}
	return nil
}

// nextRender takes the next waiting render: one of a high priority, else the next of the plan, at last those of a low priority. The cursor only goes
// forward, so a run looks at each render once; what becomes Waiting behind it is in ahead or delayed.
func (c *core) nextRender() (i int, ok bool) {
	for len(c.ahead) > 0 && (c.priority[c.ahead[0]] > 0 || c.ahead[0] < c.cursor && c.priority[c.ahead[0]] == 0) {
		if i, ok := c.takeAhead(); ok {
			return i, true
		}
	}
	for ; c.cursor < c.work.Len(); c.cursor++ {
		if _, apart := c.priority[c.cursor]; !apart && c.renders[c.cursor] == Waiting {
			c.cursor++
			return c.cursor - 1, true
		}
	}
	for len(c.ahead) > 0 {
		if i, ok := c.takeAhead(); ok {
			return i, true
		}
	}
	return 0, false
}

// takeAhead takes the first of those that go out of order; ok is false if it has ended or begun meanwhile.
func (c *core) takeAhead() (i int, ok bool) {
	i = c.ahead[0]
	c.ahead = c.ahead[1:]
	return i, c.renders[i] == Waiting
}

func (c *core) newShard(renders ...int) *shard {
	c.lastShard++
	return &shard{id: c.lastShard, renders: renders}
}

// prepared is the answer to callPrepare. The job itself stays with the loop; the core learns what kind of graph it is.
type prepared struct {
	shard int
	job   *compiler.Job
	err   error
}

func (in prepared) apply(c *core) {
	s := c.shards[in.shard]
	delete(c.shards, in.shard)
	c.preparing--
	c.calls--
	if c.stop != "" {
		c.putBack(s)
		return
	}
	if in.err != nil {
		s.last = Trouble{Kind: Rejected, Reason: "the job cannot be made: " + in.err.Error()}
		c.giveUp(s)
		return
	}
	s.class = c.classOf(in.job)
	s.weigh(in.job)
	s.class.pixels = s.pixels
	s.class.prepared++
	if c.wantsAny(s) {
		c.makeReady(s)
	}
}

// weigh notes about how long the job's body will be, its graph and its files in base64, and how many pixels it owes.
func (s *shard) weigh(job *compiler.Job) {
	s.graph, s.files = int64(len(job.Prompt)), job.Files
	s.bytes = s.graph
	for _, f := range job.Files {
		s.bytes += fileBytes(f)
	}
	size, images := float64(job.Width)*float64(job.Height), 0
	for _, o := range job.Owed {
		images += o.Images
	}
	// A graph that does not say how large its pictures are is taken to make one of 1024².
	if size <= 0 {
		size = 1 << 20
	}
	s.pixels = size * float64(max(images, 1))
}

// fileBytes is a file's part of a body in bytes: base64 makes four of three, and a name and quotes come on top.
func fileBytes(f compiler.InputFile) int64 { return f.Size*4/3 + 64 }

// graphClass is all jobs of one kind: the same node classes and models and about the same size of picture. What is learned of one
// holds for the others.
type graphClass struct {
	unfit    []string // by endpoint: why it cannot run there, "" if it can
	estimate []estimate
	fused    map[int][]estimate // of jobs of several renders, by their number
	waits    int                // the pass of route in which it was left to wait
	lane     []*shard           // of this kind, that wait for an endpoint
	passed   int                // how often the head of the lane let another kind go first
	kit      uint64             // which models it needs, as a hash; 0 for none
	prepared int                // shards so far
	pixels   float64            // of all pictures that one of its renders owes, about
	answers  average            // bytes of a render's pictures in base64, as far as answers held them
}

// of gives what is known of jobs of so many renders on an endpoint.
func (g *graphClass) of(renders int, ep *endpoint) *estimate {
	if renders <= 1 {
		return &g.estimate[ep.index]
	}
	if g.fused == nil {
		g.fused = map[int][]estimate{}
	}
	// Estimates for several renders begin as that of one, times their number, and learn by themselves from then on.
	list := g.fused[renders]
	if list == nil {
		list = make([]estimate, len(g.estimate))
		for i := range list {
			list[i] = *g.estimate[i].times(renders)
		}
		g.fused[renders] = list
	}
	return &list[ep.index]
}

// classOf gives the kind of a job, made at the first job of it: what an endpoint cannot run is asked once for a kind, not once for a render.
func (c *core) classOf(job *compiler.Job) *graphClass {
	key := classKey(job)
	if g := c.classes[key]; g != nil {
		return g
	}
	g := &graphClass{kit: kitOf(job.Models), unfit: make([]string, len(c.endpoints)), estimate: make([]estimate, len(c.endpoints))}
	for i, ep := range c.endpoints {
		g.unfit[i] = unsupported(ep, job.Classes)
		if g.unfit[i] == "" && c.opts.Fits != nil {
			g.unfit[i] = c.opts.Fits(ep.Properties, job)
		}
		g.estimate[i].start = c.opts.Expect(ep.Properties, job)
		if k, ok := ep.recalled[kindName(key)]; ok {
			g.estimate[i].recall(k, c.now)
		}
	}
	c.classes[key] = g
	c.kinds = append(c.kinds, g)
	c.stale = true
	return g
}

// classKey hashes what makes jobs alike; sizes fall together within a quarter of an octave.
func classKey(job *compiler.Job) uint64 {
	h := fnv.New64a()
	for _, list := range [][]string{job.Classes, job.Models} {
		for _, s := range list {
			h.Write([]byte(s))
			h.Write([]byte{0})
		}
		h.Write([]byte{1})
	}
	pixels := math.Log2(float64(job.Width)*float64(job.Height) + 1)
	// For example 1024×1024 and 1100×1000 are one kind, 1024×1024 and 1280×1280 are two.
	h.Write([]byte{byte(4 * pixels), byte(min(len(job.Renders), 255))})
	return h.Sum64()
}

// kitOf hashes the models of a job.
func kitOf(models []string) uint64 {
	if len(models) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, m := range models {
		h.Write([]byte(m))
		h.Write([]byte{0})
	}
	// Never 0, which stands for no models.
	return h.Sum64() | 1
}

// unsupported says which class keeps a job from an endpoint, "" if none does.
func unsupported(ep *endpoint, classes []string) string {
	if ep.Supports == nil {
		return ""
	}
	for _, class := range classes {
		if why := ep.Supports(class); why != "" {
			return why
		}
	}
	return ""
}

// putBack makes the renders of a shard wait again, since the run stops.
func (c *core) putBack(s *shard) {
	for _, i := range s.renders {
		if c.renders[i] == Active {
			c.setRender(i, Waiting, nil)
		}
	}
}

// again puts a shard in for another attempt after a while.
func (c *core) again(s *shard, wait time.Duration) {
	if c.stop != "" {
		c.putBack(s)
		return
	}
	c.delayed.add(c.now.Add(wait), s)
}
