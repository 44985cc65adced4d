package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/comfyc/comfyc/scheduler"
)

// Bucket is a place in a bucket, with credentials.
type Bucket struct {
	config Config   // as given: what may be read, whether originals are published
	at     settings // with all that the environment had to say
	calls  calls    // of a client that keeps connections open; safe for concurrent use
}

// Open makes a Bucket; nothing is sent. The error says what is missing or wrong, and holds no secret.
func Open(c Config, o Options) (*Bucket, error) {
	at, err := c.resolve(o.Getenv)
	if err != nil {
		return nil, err
	}
	client, err := at.client(o.Transport)
	if err != nil {
		return nil, err
	}
	return &Bucket{config: c, at: at, calls: callsOf(client)}, nil
}

// client makes minio's client for the place; nil is its own transport. Nothing is sent.
func (s settings) client(transport http.RoundTripper) (*minio.Client, error) {
	var err error
	if transport == nil {
		if transport, err = minio.DefaultTransport(s.secure); err != nil {
			return nil, err
		}
	}
	// "auto" and "" are not in the map: its zero value lets minio-go choose by the host's name.
	lookup := map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "host": minio.BucketLookupDNS}[s.style]
	client, err := minio.New(s.host, &minio.Options{
		Creds: credentials.NewStaticV4(s.key, s.secret, s.token), Secure: s.secure, Region: s.region, BucketLookup: lookup, Transport: transport,
	})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", s.bucket, err)
	}
	client.SetAppInfo("comfyc", "1")
	return client, nil
}

// URL is where things are published: s3://bucket/prefix.
func (b *Bucket) URL() string { return strings.TrimSuffix("s3://"+b.at.bucket+"/"+b.at.prefix, "/") }

// Secrets are the texts that must not be shown or written anywhere.
func (b *Bucket) Secrets() []string {
	var out []string
	for _, s := range []string{b.at.key, b.at.secret, b.at.token} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Fetch opens an object by its s3:// URL, from a byte on if the object is still the same; the reader is a scheduler.Resumable. Only the
// bucket of the configuration and the places under Read can be read, since the URL comes from a worker. Errors are *scheduler.Error.
func (b *Bucket) Fetch(ctx context.Context, address string, from scheduler.Resume) (io.ReadCloser, error) {
	bucket, key, err := splitURL(address)
	if err != nil || key == "" {
		return nil, b.fail("fetch", scheduler.Rejected, errors.New("the output's address names no object"))
	}
	if !b.readable(bucket, key) {
		return nil, b.fail("fetch", scheduler.Rejected, fmt.Errorf("s3://%s is not among the places to read from: add it under output.s3.read if it is yours", bucket))
	}
	var opts minio.GetObjectOptions
	// From a byte to the end, and only if the ETag is still the one that the first part came with; else the answer is
	// 412.
	if from.From > 0 && from.Match != "" {
		if err := errors.Join(opts.SetRange(from.From, 0), opts.SetMatchETag(from.Match)); err != nil {
			return nil, b.fail("fetch", scheduler.Rejected, err)
		}
	}
	body, info, _, err := b.calls.get(ctx, bucket, key, opts)
	if code := minio.ToErrorResponse(err).StatusCode; err != nil && from.From > 0 && (code == http.StatusPreconditionFailed || code == http.StatusRequestedRangeNotSatisfiable) {
		return b.Fetch(ctx, address, scheduler.Resume{}) // the object has changed
	}
	if err != nil {
		return nil, b.classed("fetch", err)
	}
	// No range was asked for without a version, so the body begins at 0.
	if from.Match == "" {
		from.From = 0
	}
	return &object{body, scheduler.Resume{From: from.From, Match: info.ETag}}, nil
}

// readable tells whether an object lies where outputs may be read.
func (b *Bucket) readable(bucket, key string) bool {
	if bucket == b.at.bucket {
		return true
	}
	for _, place := range b.config.Read {
		name, prefix, _ := splitURL(place) // check has seen it
		if name == bucket && (prefix == "" || strings.HasPrefix(key, prefix+"/")) {
			return true
		}
	}
	return false
}

// object is an open object.
type object struct {
	io.ReadCloser
	at scheduler.Resume
}

// Resume implements scheduler.Resumable.
func (o *object) Resume() scheduler.Resume { return o.at }

// fail makes an error about the bucket. Servers repeat parts of a request in their answers, so our secrets are taken
// out of the text.
func (b *Bucket) fail(op string, kind scheduler.Kind, err error) *scheduler.Error {
	text := err.Error()
	for _, s := range b.Secrets() {
		text = strings.ReplaceAll(text, s, "***")
	}
	return &scheduler.Error{Kind: kind, Endpoint: "s3://" + b.at.bucket, Op: op, Message: text, Err: err}
}

// advice says what to do about the errors that S3 has names for.
var advice = map[string]struct {
	kind scheduler.Kind
	text string
}{
	"AccessDenied":          {scheduler.Unauthorized, "access is denied: the key may not do this here"},
	"SignatureDoesNotMatch": {scheduler.Unauthorized, "the signature is refused: the secret key is wrong, or the region or style of addresses"},
	"InvalidAccessKeyId":    {scheduler.Unauthorized, "the access key's id is not known there"},
	"ExpiredToken":          {scheduler.Unauthorized, "the session token has expired"},
	"InvalidToken":          {scheduler.Unauthorized, "the session token is refused"},
	"RequestTimeTooSkewed":  {scheduler.Unauthorized, "this machine's clock is too far off"},
	"NoSuchBucket":          {scheduler.Rejected, "there is no such bucket; make it first"},
	"NoSuchKey":             {scheduler.Lost, "the object is not there (any more)"},
	"SlowDown":              {scheduler.Busy, "the server asks to slow down"},
}

// classed turns an error of a call into what is to be done about it.
func (b *Bucket) classed(op string, err error) error {
	if ctx := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded); ctx {
		return err
	}
	answer := minio.ToErrorResponse(err)
	if a, ok := advice[answer.Code]; ok {
		return b.fail(op, a.kind, fmt.Errorf("%s [%s]", a.text, answer.Code))
	}
	// A code without advice: the status says whether it is worth another try.
	kind := scheduler.Transient
	switch {
	case strings.Contains(answer.Code, "AccessKey"), strings.Contains(answer.Code, "User"): // servers have names of their own
		kind = scheduler.Unauthorized
	case answer.StatusCode == http.StatusNotFound:
		kind = scheduler.Lost
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		kind = scheduler.Unauthorized
	case answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusRequestTimeout:
		kind = scheduler.Rejected
	}
	return b.fail(op, kind, err)
}
