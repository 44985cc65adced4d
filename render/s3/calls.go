package s3

import (
	"context"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"
)

// calls are the requests that this package makes, bound to one client.
// They stand here as functions, since a Bucket is given out as an interface: of a type that an interface leads to, the linker keeps every exported
// method, and minio-go's client has 150 of them, with encoders for YAML, MessagePack and S2 behind.
type calls struct {
	get       func(ctx context.Context, bucket, key string, o minio.GetObjectOptions) (io.ReadCloser, minio.ObjectInfo, http.Header, error)
	stat      func(ctx context.Context, bucket, key string, o minio.StatObjectOptions) (minio.ObjectInfo, error)
	list      func(ctx context.Context, bucket string, o minio.ListObjectsOptions) <-chan minio.ObjectInfo // until ctx is done
	put       func(ctx context.Context, bucket, key string, r io.Reader, size int64, o minio.PutObjectOptions) (minio.UploadInfo, error)
	putFile   func(ctx context.Context, bucket, key, path string, o minio.PutObjectOptions) (minio.UploadInfo, error)
	copy      func(ctx context.Context, to minio.CopyDestOptions, from minio.CopySrcOptions) (minio.UploadInfo, error)
	remove    func(ctx context.Context, bucket, key string, o minio.RemoveObjectOptions) error
	removeAll func(ctx context.Context, bucket string, keys <-chan minio.ObjectInfo, o minio.RemoveObjectsOptions) <-chan minio.RemoveObjectError // must be read to its end
}

func callsOf(c *minio.Client) calls {
	return calls{get: minio.Core{Client: c}.GetObject, stat: c.StatObject, list: c.ListObjects, put: c.PutObject, putFile: c.FPutObject, copy: c.CopyObject,
		remove: c.RemoveObject, removeAll: c.RemoveObjects}
}
