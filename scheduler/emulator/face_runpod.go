package emulator

import (
	"strconv"
	"time"
)

// The calls that only RunPod has: those that wait, streams, and retry.

const (
	syncWait   = 90 * time.Second  // of runsync and status-sync, if the client does not say
	maxWait    = 300 * time.Second // whatever the client says
	streamWait = time.Second       // under every SDK's time-out
)

// runsync submits and waits for the end, up to the query's wait.
func (c *call) runsync() *Response {
	j, refused := c.submit(true)
	if refused != nil {
		return refused
	}
	return c.await(j, c.wait())
}

// wait reads the query's wait, in ms.
func (c *call) wait() time.Duration {
	ms, err := strconv.ParseFloat(c.param("wait"), 64)
	if err != nil || !(ms >= 0) {
		return syncWait
	}
	return min(millis(ms), maxWait)
}

// await answers with a job's status once it is final, or when the time is over.
func (c *call) await(j *job, d time.Duration) *Response {
	c.ep.mu.Lock()
	if !j.state.final() {
		// The channel is taken under the lock and waited for without it; after that the job may have ended, been purged or been retried.
		done := j.wait()
		c.ep.mu.Unlock()
		c.until(done, d)
		c.ep.mu.Lock()
	}
	defer c.ep.mu.Unlock()
	return answer(200, c.ep.status(j, c.fault))
}

// until waits for a channel, the time, the client's end, or the emulator's.
func (c *call) until(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-c.ctx.Done():
	case <-c.ep.em.ctx.Done():
	}
}

// statusSync waits for the end of a known job, up to the query's wait.
func (c *call) statusSync() *Response {
	var j *job
	missing := c.known(func(found *job) *Response { j = found; return nil })
	if missing != nil {
		return missing
	}
	return c.await(j, c.wait())
}

// stream gives what a job has put out since the last call. The workers here put out all at the end, so it is one chunk, once; before, the call is held
// for a second so that clients without a pause of their own do not spin.
func (c *call) stream() *Response {
	var j *job
	missing := c.known(func(found *job) *Response { j = found; return nil })
	if missing != nil {
		return missing
	}
	c.await(j, streamWait)
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	dst := appendField([]byte{'{'}, "id", j.id, 0)
	dst = appendField(dst, "status", j.state.word(platforms[j.dialect].queueWord), 0)
	dst = append(dst, `,"stream":[`...)
	if output, ok := c.ep.em.vault.get(j.output); ok && j.state == completed && !j.drained {
		j.drained = true
		dst = append(append(append(dst, `{"output":`...), output...), '}')
	}
	return answer(200, append(dst, "]}"...))
}

// retry puts a job that failed into the queue once more, under the same id.
func (c *call) retry() *Response {
	return c.known(func(j *job) *Response {
		if !c.ep.again(j) {
			return refuse(400, "only a failed or timed-out job can be retried")
		}
		return answer(200, c.ep.brief(j, c.fault))
	})
}
