package cache

import (
	"context"
	"io"
	"iter"
	"time"
)

// Blobs is where a cache lies: named objects that are written whole, read whole, and listed. Names have forward slashes, lower-case hex and
// dots. Methods are called from many goroutines at once, and by several processes on the same objects. An object that is not there is
// fs.ErrNotExist.
type Blobs interface {
	// String names the place for messages, without any secret.
	String() string
	// Put makes or replaces an object, whole or not at all, and durable when it returns.
	Put(ctx context.Context, name string, data []byte) error
	// PutFile does so with the content of a file of this machine, size bytes, which nobody changes meanwhile. It may share the file's space.
	PutFile(ctx context.Context, name, path string, size int64) error
	// Open reads an object.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Has tells whether there is an object, and of how many bytes.
	Has(ctx context.Context, name string) (size int64, ok bool, err error)
	// Delete removes an object; that it is not there is no error.
	Delete(ctx context.Context, name string) error
	// Touch sets the time of an object to now, if that can be done. It is for the order in which objects are removed, so it may fail quietly.
	Touch(ctx context.Context, name string)
	// List gives all objects whose names begin with a prefix that ends with a slash, in any order.
	List(ctx context.Context, prefix string) iter.Seq2[Blob, error]
}

// Blob is an object in a list.
type Blob struct {
	Name string
	Size int64     // bytes
	Time time.Time // of its last write or Touch
}
