package scheduler

import (
	"fmt"
	"slices"
)

// How large answers are. A platform drops what is over its limit: the job is COMPLETED, paid for, and its pictures are gone. Pictures travel in
// base64, which makes them 4/3 as long; those that a worker puts into a bucket, or that a server keeps, do not count. What was seen of a kind of
// graph on any endpoint decides: a kind whose answers are too long for an endpoint is not sent there. As long as nothing was seen, the number
// of pixels tells about how long it will be. Such a job is sent elsewhere; where there is no elsewhere, one goes ahead of the others.

const (
	// pixelBytes is what a pixel takes in an answer, until it was seen: 1.5 bytes, as in the PNG of a photo, in base64.
	pixelBytes  = 1.5 * 4 / 3
	addressSize = 1 << 10 // bytes of an answer that names the address of a picture
)

// answerLimit is how many bytes of pictures an answer may hold, 0 if that bounds nothing.
func (ep *endpoint) answerLimit() int64 {
	if ep.ByURL {
		return 0
	}
	return ep.Limits.OutputBytes
}

// answer is about how long the answer with a render's pictures will be, in bytes.
func (s *shard) answer(ep *endpoint) int64 {
	est := &s.class.estimate[ep.index]
	switch {
	case est.byURL || ep.ByURL:
		return addressSize
	case est.peak > 0:
		return int64(est.peak * 5 / 4)
	case s.class.answers.n > 0:
		return int64(s.class.answers.mean * 5 / 4)
	}
	return int64(s.pixels * pixelBytes)
}

// doubtful tells whether a kind's answers are probably too long for an endpoint, and none was seen yet.
func (g *graphClass) doubtful(ep *endpoint) bool {
	limit := ep.answerLimit()
	if limit == 0 || ep.Preview {
		return false
	}
	est := &g.estimate[ep.index]
	return est.peak == 0 && !est.byURL && g.answers.n == 0 && int64(g.pixels*pixelBytes) > limit
}

// shuns tells whether an endpoint gets nothing of a kind as its answers are doubtful there and not elsewhere.
func (c *core) shuns(g *graphClass, ep *endpoint) bool {
	return g.doubtful(ep) && slices.ContainsFunc(c.endpoints, func(other *endpoint) bool {
		return !other.drain && other.usable() && g.unfit[other.index] == "" && !g.doubtful(other)
	})
}

// scouted tells whether a job of doubtful size has to wait for another one that is on its way.
func (c *core) scouted(g *graphClass, ep *endpoint) bool {
	return g.doubtful(ep) && c.attempts[g.estimate[ep.index].scout] != nil
}

// learnAnswer notes how large an answer was. A kind whose answers are too long for other endpoints is not sent there.
func (c *core) learnAnswer(a *attempt) {
	g, renders := a.shard.class, max(1, len(a.Renders))
	g.of(1, a.endpoint).learnAnswer(a.outputs, renders, a.byURL)
	if a.outputs == 0 {
		return
	}
	g.answers.add(float64(a.outputs) / float64(renders))
	for i, ep := range c.endpoints {
		if limit := ep.answerLimit(); limit > 0 && g.estimate[i].peak == 0 && !g.estimate[i].byURL && g.answers.mean > float64(limit) && g.unfit[i] == "" {
			g.unfit[i] = fmt.Sprintf("its pictures take %.1f MiB in base64, and an answer holds at most %.1f; let the workers upload to a bucket",
				g.answers.mean/(1<<20), float64(limit)/(1<<20))
			c.stale = true
		}
	}
}

// learnAnswer keeps the largest lately.
func (e *estimate) learnAnswer(bytes, renders int, byURL bool) {
	e.byURL = byURL
	if bytes > 0 {
		e.peak = max(e.peak*31/32, float64(bytes)/float64(renders))
	}
}

// doubted deals with a job of a doubtful size whose result was lost: the second time, no other of its kind is sent there.
func (c *core) doubted(a *attempt, why string) {
	g := a.shard.class
	if g == nil || len(a.Renders) != 1 || !g.doubtful(a.endpoint) {
		return
	}
	est := &g.estimate[a.endpoint.index]
	if est.doubts++; est.doubts < 2 {
		return
	}
	g.unfit[a.endpoint.index] = fmt.Sprintf("%s; its pictures take about %.1f MiB in base64, and an answer holds at most %.1f",
		why, g.pixels*pixelBytes/(1<<20), float64(a.endpoint.answerLimit())/(1<<20))
	c.stale = true
}
