package compat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/compiler/source"
)

// bodyLimits bound what a job's JSON may be made of.
// A body of 64 MiB of brackets would otherwise become gigabytes.
var bodyLimits = source.Limits{Depth: 128, Values: 1_000_000}

// maxImageBytes and imageTime bound what is loaded for one job by its addresses, and for how long.
// Both are for all images of one job together.
const (
	maxImageBytes = 64 << 20
	imageTime     = time.Minute
)

// read reads the body of a submit.
// Errors are the client's (400), in words. Images are loaded here, so that a bad address is told at once and not by the job.
func (c *call) read() (s queue.JobSpec, err error) {
	s.Text = source.NewFile("request.json", c.Body())
	root, err := source.ParseJSON(s.Text, bodyLimits)
	if err != nil {
		return s, fmt.Errorf("the body cannot be read: %w", err)
	}
	s.Kind, s.Pool, s.Idem = c.kind, c.pool, c.Header("Idempotency-Key")
	if len(s.Idem) > 255 {
		return s, errors.New("an Idempotency-Key has at most 255 bytes")
	}
	input := root.Get("input")
	if input == nil || input.Kind != source.Object {
		return s, errors.New(`the body has no "input" that is an object`)
	}
	levels := []*source.Value{root}
	for range 3 { // clients that always wrap
		inner := input.Get("input")
		if inner == nil || inner.Kind != source.Object || input.Get("workflow") != nil {
			break
		}
		levels = append(levels, input)
		input = inner
	}
	s.Workflow = input.Get("workflow") // worker-comfyui's name; "prompt" is ComfyUI's own
	if s.Workflow == nil {
		s.Workflow = input.Get("prompt")
	}
	ctx, cancel := context.WithTimeout(c.Ctx, imageTime)
	defer cancel()
	if s.Images, err = c.face.Queue.Images(ctx, input.Get("images"), maxImageBytes); err != nil {
		return s, err
	}
	s.Secrets.ComfyOrgKey = input.Get("comfy_org_api_key").Str()
	// From the outside in: what stands further inside wins.
	for _, level := range levels {
		if err := readPolicy(&s, level); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readPolicy reads what stands beside an input: webhook, policy, s3Config.
// Times are milliseconds, up to seven days; 0 and null are "not given". lowPriority takes one step of priority off.
func readPolicy(s *queue.JobSpec, level *source.Value) error {
	if hook := level.Get("webhook").Str(); hook != "" {
		s.Secrets.Webhook, s.Job.Webhook = hook, true
	}
	p := level.Get("policy")
	for key, field := range map[string]*time.Duration{"executionTimeout": &s.Job.Timeout, "ttl": &s.Job.Deadline} {
		v := p.Get(key)
		if v == nil || v.Kind == source.Null {
			continue
		}
		ms, ok := v.Int()
		if !ok || ms < 0 || ms > int(7*24*time.Hour/time.Millisecond) {
			return fmt.Errorf("policy.%s is a number of milliseconds, up to seven days", key)
		}
		*field = time.Duration(ms) * time.Millisecond
	}
	if low := p.Get("lowPriority"); low != nil && low.Bool {
		s.Priority = -1
	}
	if bucket := level.Get("s3Config"); bucket != nil && bucket.Kind == source.Object {
		s.Job.Bucket = true
		s.Secrets.Bucket = &queue.Bucket{AccessID: bucket.Get("accessId").Str(), Secret: bucket.Get("accessSecret").Str(), Name: bucket.Get("bucketName").Str(),
			Endpoint: bucket.Get("endpointUrl").Str()}
	}
	return nil
}
