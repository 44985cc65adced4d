// Package s3 reads outputs from a bucket and publishes a run directory to one: Amazon S3 and what speaks its protocol (R2, MinIO,
// Ceph, versitygw).
//
// A [Config] comes from output.s3 of a batch ([Parse]) or from the variables that ComfyUI workers know too (BUCKET_ENDPOINT_URL,
// BUCKET_NAME, BUCKET_ACCESS_KEY_ID, BUCKET_SECRET_ACCESS_KEY). Secrets are only ever named, never written into a
// batch; a batch that is not the user's own cannot send just any variable to just any host, see [Config.Foreign].
//
// [Bucket.Publish] uploads what a manifest names and the page last, so that nobody sees a page whose pictures are not there yet. What
// lies in the bucket already with the same content is left alone. Files above 16 MiB go in parts.
//
// Concurrency: a [Bucket] may be used from many goroutines. Publish has up to 8 uploads at once and leaves no goroutine behind.
//
// [Objects] is a bucket as the place of a cache, see package cache; it alone removes objects, and only those of the cache.
//
// Limits: a bucket is not made. Credentials are static; roles of machines and login helpers are not
// asked. The HTTP client is minio-go's over a transport that the caller may give.
package s3
