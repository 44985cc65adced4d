package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler/durable"
)

// Depot is a folder of a bucket in which several machines keep a run directory; it implements [render.Depot]. The folder is its own: [Depot.Remove] removes
// all that is below it.
type Depot struct {
	bucket *Bucket
	folder string // below the bucket's prefix, with slashes
}

var _ render.Depot = (*Depot)(nil)

// Depot gives a folder below the bucket's place. The name is a relative path with slashes; parts of it that would lead elsewhere are a bug.
func (b *Bucket) Depot(folder string) *Depot {
	if !fs.ValidPath(folder) || folder == "." {
		panic(fmt.Sprintf("s3: %q is no folder", folder))
	}
	return &Depot{b, folder}
}

// Check asks whether the bucket is there and may be listed, so that a mistake in its name or its key is found before anything is paid.
func (b *Bucket) Check(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing's goroutine
	first, ok := <-b.calls.list(ctx, b.at.bucket, minio.ListObjectsOptions{Prefix: b.key(""), MaxKeys: 1})
	if ok && first.Err != nil {
		return b.classed("list", first.Err)
	}
	return ctx.Err()
}

// Put implements [render.Depot]. It does not ask first whether the file is there: it nearly never is.
func (d *Depot) Put(ctx context.Context, path, file string) error {
	_, _, err := d.bucket.file(ctx, file, d.folder+"/"+path, nil)
	return err
}

// Get implements [render.Depot]. A file that is there already is asked for by its MD5, which is the tag of all objects that went in one part.
func (d *Depot) Get(ctx context.Context, path, file string) error {
	var opts minio.GetObjectOptions
	if f, err := os.Open(file); err == nil {
		sum := md5.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err == nil {
			err = opts.SetMatchETagExcept(hex.EncodeToString(sum.Sum(nil)))
		}
		if err != nil {
			return err
		}
	}
	name := d.folder + "/" + path
	body, info, _, err := d.bucket.calls.get(ctx, d.bucket.at.bucket, d.bucket.key(name), opts)
	if answer := minio.ToErrorResponse(err); err != nil && answer.StatusCode == http.StatusNotModified {
		return nil
	} else if err != nil && answer.Code == "NoSuchKey" {
		return fmt.Errorf("get %s: %w", name, fs.ErrNotExist)
	} else if err != nil {
		return fmt.Errorf("get %s: %w", name, d.bucket.classed("get", err))
	}
	defer body.Close()
	if err := receive(file, body, info.UserMetadata[hashKey]); err != nil {
		return fmt.Errorf("get %s: %w", name, err)
	}
	return nil
}

// receive writes a file under another name first, so that whoever reads it meanwhile sees it whole. Its SHA-256 must be the given one, if one is given.
func receive(file string, body io.Reader, want string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return durable.WriteFile(file, 0o644, func(w io.Writer) error {
		sum := sha256.New()
		_, err := io.Copy(io.MultiWriter(w, sum), body)
		if got := hex.EncodeToString(sum.Sum(nil)); err == nil && want != "" && got != want {
			err = errors.New("its content is not what was put there")
		}
		return err
	})
}

// Size sums up what is in the folder, in bytes.
func (d *Depot) Size(ctx context.Context) (size int64, err error) {
	err = d.each(ctx, func(o minio.ObjectInfo) error { size += o.Size; return nil })
	return size, err
}

// Remove empties the folder, a thousand objects a call. It may be called again after an error.
func (d *Depot) Remove(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	names := make(chan minio.ObjectInfo)
	listed := make(chan error, 1)
	go func() {
		defer close(names)
		listed <- d.each(ctx, func(o minio.ObjectInfo) error {
			select {
			case names <- o:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var first error
	for failed := range d.bucket.calls.removeAll(ctx, d.bucket.at.bucket, names, minio.RemoveObjectsOptions{}) {
		if first == nil {
			first = d.bucket.classed("remove", failed.Err)
			cancel()
		}
	}
	if err := <-listed; first == nil {
		first = err
	}
	return first
}

// each calls do for every object of the folder; the slash keeps folders apart whose names begin alike.
func (d *Depot) each(ctx context.Context, do func(minio.ObjectInfo) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing's goroutine
	for o := range d.bucket.calls.list(ctx, d.bucket.at.bucket, minio.ListObjectsOptions{Prefix: d.bucket.key(d.folder) + "/", Recursive: true}) {
		err := o.Err
		if err != nil {
			err = d.bucket.classed("list", err)
		} else {
			err = do(o)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
