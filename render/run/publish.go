package run

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/render/s3"
)

// A batch comes from outside and may name any host for its bucket, and any variable for its key: without a check it could have the key of
// something else sent to a stranger. A name that says it is a bucket's, or the user's own word, allows it.

// OwnBucket opens buckets with the credentials of the environment, for someone who runs a batch on their own machine. A variable whose
// name does not say that it is meant for a bucket is sent to a host only if allow names it: variable → hosts.
func OwnBucket(getenv func(string) string, allow map[string][]string) func(s3.Config) (*s3.Bucket, error) {
	return func(c s3.Config) (*s3.Bucket, error) {
		// A pair is VARIABLE=HOST, as it is written behind --allow-key.
		for _, pair := range c.Foreign() {
			name, host, _ := strings.Cut(pair, "=")
			if !slices.Contains(allow[name], host) {
				return nil, fmt.Errorf("%s would be sent to %s, and its name does not say that it is a bucket's; allow it with --allow-key %s", name, host, pair)
			}
		}
		return s3.Open(c, s3.Options{Getenv: getenv})
	}
}

// openBucket opens what output.s3 names.
func (b *Batch) openBucket() error {
	v := b.plan.Batch().Output.S3
	if v == nil {
		return nil
	}
	// Trouble with a bucket is a finding at output.s3, before anything is rendered: what was paid for must have where to go.
	wrong := func(err error) error {
		return &FindingsError{[]diag.Diagnostic{diag.Errorf("schema", diag.Of(v), "output.s3: %v", err)}}
	}
	if b.opts.Bucket == nil {
		return wrong(fmt.Errorf("buckets are not to be had here"))
	}
	c, err := s3.Parse(v.AppendJSON(nil))
	if err != nil {
		return wrong(err)
	}
	if b.bucket, err = b.opts.Bucket(c); err != nil {
		return wrong(err)
	}
	return nil
}

// Publish brings the run directory, as WriteGallery left it, into the bucket that output.s3 names; ok is false if it names none. What is
// there already is not sent again.
func (b *Batch) Publish(ctx context.Context) (report s3.Report, ok bool, err error) {
	if b.bucket == nil {
		return report, false, nil
	}
	// The manifest says which files belong to the batch; others in the directory stay where they are.
	m, err := b.Manifest(ctx)
	if err != nil {
		return report, true, err
	}
	report, err = b.bucket.Publish(ctx, b.opts.Dir, m)
	return report, true, err
}
