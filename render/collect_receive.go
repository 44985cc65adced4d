package render

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// received is an output in a temporary file, which drop removes unless keep renamed it.
type received struct {
	file   *os.File
	size   int64
	sha256 string
	head   []byte // the first sniffBytes
	typ    FileType

	// What inspect found out.
	img      image.Image // nil if there is nothing to show
	pixels   image.Point // the size as it is seen: that of the header, turned as EXIF says
	meta     post.Meta
	metadata []string
	text     string
	note     string
}

// keep gives the file its final name: synced, renamed, directory synced.
func (r *received) keep(name string) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.file.Chmod(0o644); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return err
	}
	if err := r.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(r.file.Name(), name); err != nil {
		return err
	}
	r.file = nil
	return syncDir(dir)
}

// drop removes the temporary file if it is still there.
func (r *received) drop() {
	if r.file != nil {
		r.file.Close()
		os.Remove(r.file.Name())
	}
}

// unreachablePaths begin what a worker without bucket settings gives instead of a URL.
var unreachablePaths = []string{"simulated_uploaded/", "local_upload/"}

// receive brings an output into a temporary file, trying an interrupted download again.
func (c *Collector) receive(ctx context.Context, result *scheduler.Result, o scheduler.Output) (*received, error) {
	for _, p := range unreachablePaths {
		if strings.HasPrefix(strings.TrimLeft(o.URL, "./"), p) {
			return nil, &badOutput{scheduler.Rejected, fmt.Sprintf("the worker saved the picture on its own disk (%s…) and not in a bucket: the endpoint has a BUCKET_ENDPOINT_URL "+
				"without BUCKET_ACCESS_KEY_ID and BUCKET_SECRET_ACCESS_KEY; set them, or remove it to get pictures in the answer", p)}
		}
	}
	if o.Problem != "" {
		return nil, &badOutput{scheduler.Rejected, clip(o.Problem, 500)}
	}
	if o.URL == "" {
		return c.save(inline(o.Base64), o.Filename)
	}
	delays := c.RetryDelays
	if delays == nil {
		delays = DefaultRetryDelays
	}
	for try := 0; ; try++ {
		got, err := c.download(ctx, result, o)
		if err == nil || !repeatable(err) || try == len(delays) || ctx.Err() != nil {
			return got, err
		}
		select {
		case <-time.After(delays[try]):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// repeatable reports whether the same download may succeed later.
func repeatable(err error) bool {
	var bad *badOutput
	return errors.As(err, &bad) && bad.kind == scheduler.Transient
}

// download fetches one output once.
func (c *Collector) download(ctx context.Context, result *scheduler.Result, o scheduler.Output) (*received, error) {
	if result.Fetch == nil {
		return nil, &badOutput{scheduler.Rejected, "it was given as a URL, which this endpoint's dialect cannot fetch"}
	}
	body, err := result.Fetch(ctx, o)
	if err != nil {
		return nil, fetchTrouble(ctx, err)
	}
	defer body.Close()
	return c.save(body, o.Filename)
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

// inline reads base64 text, bare or as a data URI, in either alphabet, with or without
// padding and line breaks, without a copy of the whole.
func inline(text string) io.Reader {
	if rest, ok := strings.CutPrefix(text, "data:"); ok {
		_, text, _ = strings.Cut(rest, ",")
	}
	text = strings.TrimRight(text, "= \r\n\t")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text[:min(len(text), 1<<16)], "-_") {
		enc = base64.RawURLEncoding
	}
	return base64.NewDecoder(enc, strings.NewReader(text))
}

// save copies body to a temporary file while hashing it.
func (c *Collector) save(body io.Reader, filename string) (got *received, err error) {
	dir := filepath.Join(c.Dir, tempDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "output-*")
	if err != nil {
		return nil, err
	}
	got = &received{file: f}
	defer func() {
		if err != nil {
			got.drop()
			got = nil
		}
	}()
	limit := c.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	hash, from := sha256.New(), &reader{r: io.LimitReader(body, limit+1)}
	got.size, err = io.Copy(io.MultiWriter(f, hash), from)
	switch {
	case from.err != nil:
		return got, bodyTrouble(from.err)
	case err != nil:
		return got, err
	case got.size > limit:
		return got, &badOutput{scheduler.Rejected, fmt.Sprintf("larger than the limit of %d bytes", limit)}
	case got.size == 0:
		return got, &badOutput{scheduler.Lost, "empty"}
	}
	got.sha256 = hex.EncodeToString(hash.Sum(nil))
	got.head = make([]byte, min(got.size, sniffBytes))
	if _, err := f.ReadAt(got.head, 0); err != nil {
		return got, err
	}
	got.typ = DetectType(got.head, filename)
	return got, nil
}

// reader remembers the error of the remote's side, to tell it from that of the disk.
type reader struct {
	r   io.Reader
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// bodyTrouble explains an error from the middle of an output.
func bodyTrouble(err error) error {
	var corrupt base64.CorruptInputError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &corrupt):
		return &badOutput{scheduler.Lost, "damaged base64: " + err.Error()}
	}
	return &badOutput{scheduler.Transient, "the download broke off: " + clip(err.Error(), 500)}
}
