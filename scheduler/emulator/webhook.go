package emulator

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// A webhook is tried three times, 10 s apart, as RunPod documents it.
const (
	webhookTries   = 3
	webhookPause   = 10 * time.Second
	webhookTimeout = 30 * time.Second
)

// notify posts a final status to a job's webhook, if that is allowed.
func (e *Emulator) notify(ep *endpoint, url string, body []byte) {
	// A job's webhook is dropped without a word, as a platform that offers none does.
	if !e.config.Webhooks {
		return
	}
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		for try := range webhookTries {
			if try > 0 && !e.pause(webhookPause) {
				return
			}
			if e.post(url, body) {
				ep.locked(func() { ep.counters.Webhooks++ })
				return
			}
		}
	}()
}

// pause is false when the emulator ends meanwhile.
func (e *Emulator) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// post is false if it is worth another try.
func (e *Emulator) post(url string, body []byte) (ok bool) {
	ctx, cancel := context.WithTimeout(e.ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", jsonType)
	client := http.Client{Transport: e.config.Transport}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode < 300
}
