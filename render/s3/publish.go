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
	"mime"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/comfyc/comfyc/render"
)

const (
	partSize = 16 << 20 // bytes; larger files go in parts
	// hashKey is the object's metadata that holds the SHA-256 of its content in hex: an ETag says it only of objects in one part.
	hashKey = "Comfyc-Sha256"
)

// Report says what a publication did.
type Report struct {
	URL     string // of the page
	Files   int    // in all
	Sent    int
	Skipped int   // there already, with the same content
	Bytes   int64 // sent
}

// Publish brings a run directory into the bucket: the files that the manifest names, then the page with its table, then manifest.json.
// Files that are not there are passed over, as a manifest may name pictures that were removed. It may be called again at any time, also
// while the batch runs; what is there already is not sent again. The first error ends it.
func (b *Bucket) Publish(ctx context.Context, dir string, m *render.Manifest) (Report, error) {
	report := Report{URL: b.URL() + "/index.html"}
	there, err := b.list(ctx)
	if err != nil {
		return report, err
	}
	originals := b.config.Originals == nil || *b.config.Originals
	for _, stage := range [][]string{m.Paths(originals), render.PagePaths, {render.ManifestPath}} {
		if err := b.send(ctx, dir, stage, there, &report); err != nil {
			return report, err
		}
	}
	return report, nil
}

// known is an object that lies in the bucket.
type known struct {
	size int64  // bytes
	etag string // without its quotes
}

// list reads what lies below the prefix.
func (b *Bucket) list(ctx context.Context) (map[string]known, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := b.key("")
	there := map[string]known{}
	for o := range b.calls.list(ctx, b.at.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, b.classed("list", o.Err)
		}
		there[o.Key] = known{o.Size, strings.Trim(o.ETag, `"`)}
	}
	return there, ctx.Err()
}

// key is an object's name for a path below the run directory.
func (b *Bucket) key(slashed string) string {
	if b.at.prefix == "" {
		return slashed
	}
	return b.at.prefix + "/" + slashed
}

// send uploads a stage, several files at once.
func (b *Bucket) send(ctx context.Context, dir string, paths []string, there map[string]known, report *Report) error {
	var mu sync.Mutex
	return render.Each(ctx, paths, func(ctx context.Context, p string) error {
		size, sent, err := b.file(ctx, filepath.Join(dir, filepath.FromSlash(p)), p, there)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case sent:
			report.Files, report.Sent, report.Bytes = report.Files+1, report.Sent+1, report.Bytes+size
		default:
			report.Files, report.Skipped = report.Files+1, report.Skipped+1
		}
		return nil
	})
}

// file uploads one file if the bucket has not got it.
func (b *Bucket) file(ctx context.Context, name, slashed string, there map[string]known) (size int64, sent bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false, errors.Join(err, fs.ErrNotExist)
	}
	sum, tag, err := hashes(f)
	if err != nil {
		return 0, false, err
	}
	size = info.Size()
	// Equal length and MD5, or, where the ETag is no MD5 (parts, encryption), equal length and our own hash: it is
	// there.
	if old, ok := there[b.key(slashed)]; ok && old.size == size && (old.etag == tag || b.same(ctx, slashed, sum)) {
		return size, false, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, false, err
	}
	_, err = b.calls.put(ctx, b.at.bucket, b.key(slashed), f, size, minio.PutObjectOptions{
		ContentType: contentType(slashed), ContentDisposition: disposition(slashed), CacheControl: caching(slashed), PartSize: partSize,
		UserMetadata: map[string]string{hashKey: sum}, SendContentMd5: true,
	})
	if err != nil {
		return 0, false, fmt.Errorf("publish %s: %w", slashed, b.classed("put", err))
	}
	return size, true, nil
}

// hashes reads a file once: its SHA-256, and its MD5, which is the ETag of an object that was sent in one part.
func hashes(r io.Reader) (sum, tag string, err error) {
	s, t := sha256.New(), md5.New()
	_, err = io.Copy(io.MultiWriter(s, t), r)
	return hex.EncodeToString(s.Sum(nil)), hex.EncodeToString(t.Sum(nil)), err
}

// same asks for the hash that we gave an object. Servers that refuse the question get the file again.
func (b *Bucket) same(ctx context.Context, slashed, sum string) bool {
	info, err := b.calls.stat(ctx, b.at.bucket, b.key(slashed), minio.StatObjectOptions{})
	return err == nil && info.UserMetadata[hashKey] == sum
}

// shownTypes are the extensions whose content a browser may show; the rest is offered as a download.
var shownTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif", ".mp4": "video/mp4", ".webm": "video/webm",
	".mov": "video/quicktime", ".mkv": "video/x-matroska", ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".m4a": "audio/mp4",
	".txt": "text/plain; charset=utf-8", ".json": "application/json", ".csv": "text/csv; charset=utf-8",
}

// contentType is chosen by our own extension, which is chosen by content. Only our own page is HTML.
func contentType(slashed string) string {
	if slices.Contains(render.PagePaths, slashed) && path.Ext(slashed) == ".html" {
		return mime.TypeByExtension(".html")
	}
	if t := shownTypes[path.Ext(slashed)]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// disposition makes a browser save what it should not show, instead of guessing what it is.
func disposition(slashed string) string {
	if contentType(slashed) == "application/octet-stream" {
		return "attachment"
	}
	return ""
}

// caching keeps what changes from being kept: the page, the table, the sheet and the record are asked for anew each
// time. Everything else has the server's own rules.
func caching(slashed string) string {
	if render.IsPage(slashed) {
		return "no-cache"
	}
	return ""
}
