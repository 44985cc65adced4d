package render

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// Outputs arrive in two ways: inline as base64 in the answer, or as a URL from which they are fetched here.
// Either way they end in a temporary file of the run directory, hashed, with nothing known of them yet but
// their length.

// unreachablePaths begin what a worker without bucket settings gives instead of a URL.
var unreachablePaths = []string{"simulated_uploaded/", "local_upload/"}

// maxResumptions bounds how often one output's download goes on after it broke off with something gained.
const maxResumptions = 50

// receive brings an output into a temporary file.
func (c *Collector) receive(ctx context.Context, result *scheduler.Result, o scheduler.Output) (*received, error) {
	for _, p := range unreachablePaths {
		if strings.HasPrefix(strings.TrimLeft(o.URL, "./"), p) {
			return nil, &badOutput{scheduler.Rejected, "the worker saved the picture on its own disk (" + p + "…) and not in a bucket: the endpoint has a BUCKET_ENDPOINT_URL " +
				"without BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY; set them, or remove it to get pictures in the answer"}
		}
	}
	if o.Problem != "" {
		return nil, &badOutput{scheduler.Rejected, clip(o.Problem, 500)}
	}
	if o.URL == "" {
		return c.save(inline(o.Base64), o.Filename)
	}
	open, err := c.opener(result, o)
	if err != nil {
		return nil, err
	}
	return c.download(ctx, open, o.Filename)
}

// opener chooses who opens an address: s3:// is ours, with credentials of our own; everything else is the dialect's, behind its guard.
func (c *Collector) opener(result *scheduler.Result, o scheduler.Output) (func(context.Context, scheduler.Resume) (io.ReadCloser, error), error) {
	if strings.HasPrefix(o.URL, "s3://") {
		if c.Object == nil {
			return nil, &badOutput{scheduler.Rejected, "it lies in a bucket (" + clip(o.URL, 200) + ") for which no credentials are configured: see output.s3"}
		}
		return func(ctx context.Context, from scheduler.Resume) (io.ReadCloser, error) {
			return c.Object(ctx, o.URL, from)
		}, nil
	}
	if result.Fetch == nil {
		return nil, &badOutput{scheduler.Rejected, "it was given as a URL, which this endpoint's dialect cannot fetch"}
	}
	return func(ctx context.Context, from scheduler.Resume) (io.ReadCloser, error) {
		o.Resume = from
		return result.Fetch(ctx, o)
	}, nil
}

// download fetches an output. One that broke off is gone on with from where it ended, if the remote has the same version still and can
// give a part; else it is fetched from the beginning. Each pause of RetryDelays is waited once, and again after every gain.
func (c *Collector) download(ctx context.Context, open func(context.Context, scheduler.Resume) (io.ReadCloser, error), filename string) (*received, error) {
	delays := c.RetryDelays
	if delays == nil {
		delays = DefaultRetryDelays
	}
	in, err := c.newIntake()
	if err != nil {
		return nil, err
	}
	// A try that brought something gives all pauses back, so a slow line that breaks off every 100 MB still
	// brings 2 GB; gains ends a remote that goes on for ever.
	for try, gains := 0, 0; ; try++ {
		before := in.got.size
		if err = in.fetch(ctx, open); err == nil {
			var got *received
			if got, err = in.finish(filename); err == nil {
				return got, nil
			}
		}
		if in.got.size > before && in.match != "" && gains < maxResumptions && len(delays) > 0 {
			try, gains = 0, gains+1
		}
		if !repeatable(err) || try >= len(delays) || ctx.Err() != nil {
			break
		}
		if waited := pause(ctx, delays[try]); waited != nil {
			err = waited
			break
		}
	}
	in.got.drop()
	return nil, err
}

// fetch opens the output once, where the intake ends if that is possible, and takes what comes.
func (in *intake) fetch(ctx context.Context, open func(context.Context, scheduler.Resume) (io.ReadCloser, error)) error {
	ask := scheduler.Resume{From: in.got.size, Match: in.match}
	// Without a version to compare by, the rest might be that of another file: all is asked for again.
	if in.match == "" {
		ask.From = 0
	}
	body, err := open(ctx, ask)
	if err != nil {
		return fetchTrouble(ctx, err)
	}
	defer body.Close()
	var at scheduler.Resume
	if r, ok := body.(scheduler.Resumable); ok {
		at = r.Resume()
	}
	// The remote may give the whole instead of the rest; then what is there is thrown away.
	if at.From != in.got.size || at.From == 0 {
		if err := in.reset(); err != nil {
			return err
		}
		if at.From != 0 {
			return &badOutput{scheduler.Transient, "another part of it came than the one asked for"}
		}
	}
	in.match = at.Match
	return in.fill(body)
}

// pause waits, or says why not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// repeatable reports whether the same download may succeed later.
func repeatable(err error) bool {
	var bad *badOutput
	return errors.As(err, &bad) && bad.kind == scheduler.Transient
}

// fetchTrouble turns an error of Fetch into what is to be done about it.
func fetchTrouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	kind := scheduler.Transient
	var e *scheduler.Error
	if errors.As(err, &e) && e.Kind != scheduler.Busy && e.Kind != scheduler.Unreachable {
		kind = e.Kind
	}
	return &badOutput{kind, "it could not be downloaded: " + clip(err.Error(), 500)}
}
