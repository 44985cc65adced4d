package render

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/scheduler"
)

// intake is a temporary file that an output flows into while it is hashed: in one go, or in several where a download breaks off.
type intake struct {
	got   *received // what is there so far
	hash  hash.Hash // SHA-256 of it, kept up to date with each write
	limit int64     // bytes
	match string    // the version of what is there, to ask for the rest; "" if the remote named none
}

// newIntake makes the file.
func (c *Collector) newIntake() (*intake, error) {
	dir := filepath.Join(c.Dir, tempDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "output-*")
	if err != nil {
		return nil, err
	}
	limit := c.MaxBytes
	if limit == 0 {
		limit = DefaultMaxBytes
	}
	return &intake{got: &received{file: f}, hash: sha256.New(), limit: limit}, nil
}

// fill copies body behind what is there. What is wrong with the output is a *badOutput, which is Transient if the rest may still come.
func (in *intake) fill(body io.Reader) error {
	// One byte more than is allowed, so that "too large" can be told from "just as large".
	from := &reader{r: io.LimitReader(body, in.limit+1-in.got.size)}
	n, err := io.Copy(io.MultiWriter(in.got.file, in.hash), from)
	in.got.size += n
	switch {
	case from.err != nil:
		return bodyTrouble(from.err)
	case err != nil:
		return err
	case in.got.size > in.limit:
		return &badOutput{scheduler.Rejected, fmt.Sprintf("larger than the limit of %d bytes", in.limit)}
	case in.got.size == 0:
		return &badOutput{scheduler.Lost, "empty"}
	}
	return nil
}

// reset empties the file.
func (in *intake) reset() error {
	if _, err := in.got.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in.got.size, in.match = 0, ""
	in.hash.Reset()
	return in.got.file.Truncate(0)
}

// finish gives what was received, with its hash and its type by content.
func (in *intake) finish(filename string) (*received, error) {
	got := in.got
	got.sha256 = hex.EncodeToString(in.hash.Sum(nil))
	got.head = make([]byte, min(got.size, sniffBytes))
	if _, err := got.file.ReadAt(got.head, 0); err != nil {
		return nil, err
	}
	got.typ = DetectType(got.head, filename)
	return got, nil
}

// save receives an output that comes in one go.
func (c *Collector) save(body io.Reader, filename string) (*received, error) {
	in, err := c.newIntake()
	if err != nil {
		return nil, err
	}
	if err = in.fill(body); err == nil {
		var got *received
		if got, err = in.finish(filename); err == nil {
			return got, nil
		}
	}
	in.got.drop()
	return nil, err
}

// inline reads base64 text, bare or as a data URI, in either alphabet, with or without
// padding and line breaks, without a copy of the whole.
func inline(text string) io.Reader {
	if rest, ok := strings.CutPrefix(text, "data:"); ok {
		_, text, _ = strings.Cut(rest, ",")
	}
	text = strings.TrimRight(text, "= \r\n\t")
	// A letter of the URL alphabet among the first 64 KiB decides; base64 of a picture that long without either
	// of its two letters is not to be expected.
	enc := base64.RawStdEncoding
	if strings.ContainsAny(text[:min(len(text), 1<<16)], "-_") {
		enc = base64.RawURLEncoding
	}
	return base64.NewDecoder(enc, strings.NewReader(text))
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
