package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/render/cache"
)

// Objects is a bucket as the place of a cache of finished renders. Only objects that it named itself are removed.
type Objects struct{ Bucket *Bucket }

var _ cache.Blobs = Objects{}

// String gives the place's s3:// address.
func (o Objects) String() string { return o.Bucket.URL() }

// Put implements cache.Blobs.
func (o Objects) Put(ctx context.Context, name string, data []byte) error {
	_, err := o.Bucket.calls.put(ctx, o.Bucket.at.bucket, o.Bucket.key(name), bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true})
	return o.classed("write", name, err)
}

// PutFile implements cache.Blobs. A file that is there already with this size is not sent again: its name is its hash, and what is damaged is
// removed when it is read.
func (o Objects) PutFile(ctx context.Context, name, path string, size int64) error {
	if there, ok, err := o.Has(ctx, name); err == nil && ok && there == size {
		o.Touch(ctx, name)
		return nil
	}
	_, err := o.Bucket.calls.putFile(ctx, o.Bucket.at.bucket, o.Bucket.key(name), path, minio.PutObjectOptions{ContentType: "application/octet-stream"})
	return o.classed("write", name, err)
}

// Open implements cache.Blobs.
func (o Objects) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	body, _, _, err := o.Bucket.calls.get(ctx, o.Bucket.at.bucket, o.Bucket.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, o.classed("read", name, err)
	}
	return body, nil
}

// Has implements cache.Blobs.
func (o Objects) Has(ctx context.Context, name string) (int64, bool, error) {
	info, err := o.Bucket.calls.stat(ctx, o.Bucket.at.bucket, o.Bucket.key(name), minio.StatObjectOptions{})
	err = o.classed("look for", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	return info.Size, err == nil, err
}

// Delete implements cache.Blobs.
func (o Objects) Delete(ctx context.Context, name string) error {
	err := o.classed("remove", name, o.Bucket.calls.remove(ctx, o.Bucket.at.bucket, o.Bucket.key(name), minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Touch implements cache.Blobs: the object is copied onto itself, which a bucket takes only together with a change of its metadata.
func (o Objects) Touch(ctx context.Context, name string) {
	at := minio.CopySrcOptions{Bucket: o.Bucket.at.bucket, Object: o.Bucket.key(name)}
	_, _ = o.Bucket.calls.copy(ctx, minio.CopyDestOptions{Bucket: at.Bucket, Object: at.Object, ReplaceMetadata: true,
		UserMetadata: map[string]string{"comfyc": "used"}}, at)
}

// List implements cache.Blobs.
func (o Objects) List(ctx context.Context, prefix string) iter.Seq2[cache.Blob, error] {
	return func(yield func(cache.Blob, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the listing's goroutine
		// What stands before a cache's own names: the prefix and a slash, or nothing.
		base := strings.TrimSuffix(o.Bucket.key(prefix+"x"), prefix+"x")
		for info := range o.Bucket.calls.list(ctx, o.Bucket.at.bucket, minio.ListObjectsOptions{Prefix: base + prefix, Recursive: true}) {
			if info.Err != nil {
				yield(cache.Blob{}, o.classed("list", prefix, info.Err))
				return
			}
			if !yield(cache.Blob{Name: strings.TrimPrefix(info.Key, base), Size: info.Size, Time: info.LastModified}, nil) {
				return
			}
		}
	}
}

// classed tells objects that are not there from other trouble. Texts of minio's errors hold no secrets: keys are sent in headers that it does not
// repeat.
func (o Objects) classed(what, name string, err error) error {
	if err == nil {
		return nil
	}
	if r := minio.ToErrorResponse(err); r.Code == "NoSuchKey" || r.StatusCode == http.StatusNotFound && r.Code != "NoSuchBucket" {
		return fmt.Errorf("%s %s in %s: %w", what, name, o, fs.ErrNotExist)
	}
	return fmt.Errorf("%s %s in %s: %w", what, name, o, err)
}
