package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render/cache"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/render/s3"
)

// cacheFlags say where finished renders of all batches are kept, and whether they count.
// Both are accepted by every command that compiles a batch, so that `plan` predicts what `render` will reuse.
type cacheFlags struct {
	where   string // --cache: a folder, an s3:// address, "off", or "" for the other places
	noReuse bool   // --no-reuse: write to the cache, but take nothing from it
}

func (f *cacheFlags) register(cmd *cobra.Command) {
	registerCache(cmd, &f.where)
	cmd.Flags().BoolVar(&f.noReuse, "no-reuse", false, "render what is in the cache all the same, and replace it there")
}

// registerCache makes the flag --cache alone, for the commands that are about the cache itself.
func registerCache(cmd *cobra.Command, where *string) {
	cmd.Flags().StringVar(where, "cache", "", "keep finished renders of all batches in this `DIR`, in s3://BUCKET/PREFIX, or nowhere (off); otherwise as COMFYC_CACHE or the user's configuration say, else in the user's cache folder")
}

// cacheSetting is a cache as it is configured.
type cacheSetting struct {
	where string // a folder, an s3:// address, or "off"
	bytes int64  // its bound, 0 for none
}

// defaultCacheBytes bounds the cache of a user who has not said otherwise.
// It is 20 GiB: some 14,000 pictures of 1.5 MB. A bucket has no such default, since other users may share it.
const defaultCacheBytes = 20 << 30

// openCache opens the cache that a flag names, else the environment, the user's configuration, or the user's cache folder. It is nil if none is
// wanted, or if this user has no such folder.
// bytes is the bound of a folder, 0 for a bucket without max_size; max_size of the configuration holds whatever names the place.
func (e *Env) openCache(flag string) (c *cache.Cache, bytes int64, err error) {
	// Read even if a flag names the cache, because the bound of its size stands there too.
	s, err := e.userCache()
	if err != nil {
		return nil, 0, err
	}
	s.where = orElse(flag, orElse(e.Getenv("COMFYC_CACHE"), s.where))
	if s.where == "" && e.CacheDir != "" {
		s.where = filepath.Join(e.CacheDir, "comfyc", "renders")
	}
	switch {
	case s.where == "" || s.where == "off":
		return nil, 0, nil
	case strings.HasPrefix(s.where, "s3://"):
		objects, err := e.cacheBucket(s.where)
		if err != nil {
			return nil, 0, exitf(exitInput, "the cache %s: %v", s.where, err)
		}
		return cache.New(objects), s.bytes, nil
	// Caught before it becomes a folder with the name "https:".
	case strings.Contains(s.where, "://"):
		return nil, 0, exitf(exitUsage, "the cache %s: only folders and s3://BUCKET/PREFIX can be caches", s.where)
	case s.bytes == 0:
		s.bytes = defaultCacheBytes
	}
	return cache.New(cache.Folder(s.where)), s.bytes, nil
}

// userCache reads the key `cache` of the endpoints file in the user's own configuration. One beside a batch is not asked: a cloned batch must not say
// where files of this user are written and removed.
// A missing file or key is no error. Wrong text is a finding with its place, and exit code 1.
func (e *Env) userCache() (s cacheSetting, err error) {
	if e.ConfigDir == "" {
		return s, nil
	}
	name := filepath.Join(e.ConfigDir, "comfyc", compiler.EndpointsFileName)
	file, err := source.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, e.failed([]diag.Diagnostic{diag.FromError(err, name)})
	}
	root, err := source.Parse(file, source.Limits{})
	if err != nil {
		return s, e.failed([]diag.Diagnostic{diag.FromError(err, name)})
	}
	v := root.Get("cache")
	if v == nil {
		return s, nil
	}
	// Both `cache: DIR` and `cache: {dir: DIR, max_size: 5GiB}` are understood; a missing member reads as "".
	s.where = orElse(v.Str(), v.Get("dir").Str())
	if at := v.Get("max_size"); at != nil {
		if s.bytes, err = parseBytes(orElse(at.Str(), at.Text)); err != nil { // a quoted string or a bare number
			return s, e.failed([]diag.Diagnostic{diag.Errorf("schema", diag.Of(at), "cache.max_size: %v", err)})
		}
	}
	// Relative to the file that says it, as every path in a configuration is.
	if s.where != "" && s.where != "off" && !strings.Contains(s.where, "://") && !filepath.IsAbs(s.where) {
		s.where = filepath.Join(filepath.Dir(name), s.where)
	}
	return s, nil
}

// cacheBucket opens a cache in a bucket, with the credentials of BUCKET_ACCESS_KEY_ID or AWS_ACCESS_KEY_ID.
// No request is made here: a bucket that does not answer is noticed with the first read.
func (e *Env) cacheBucket(url string) (cache.Blobs, error) {
	b, err := s3.Open(s3.Config{URL: url}, s3.Options{Getenv: e.Getenv})
	if err != nil {
		return nil, err
	}
	return s3.Objects{Bucket: b}, nil
}

// sizeUnits are those of sizes in bytes.
// The longer suffix stands before the one that it ends in: "B" would otherwise match "5GiB". The empty one, a bare number of
// bytes, is last.
var sizeUnits = []struct {
	suffix string
	bytes  float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}

// parseBytes reads a size such as 20GiB, 500MB or 4096.
// The unit's case matters, as in SI: "kB" and "KB" are 1000 bytes, "KiB" is 1024. Negative sizes and those of 2^62 bytes and
// more are refused.
func parseBytes(text string) (int64, error) {
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		// The dot at the end shows that nothing stood between number and unit that Sscanf would have left unread, as in "5 x
		// GiB".
		var n float64
		var rest string
		if got, _ := fmt.Sscanf(strings.TrimSpace(number)+" .", "%g %s", &n, &rest); got == 2 && rest == "." && n >= 0 && n*u.bytes < 1<<62 {
			return int64(n * u.bytes), nil
		}
		break
	}
	return 0, fmt.Errorf("%q is no size such as 20GiB, 500MB or 4096", text)
}

// bytesText prints a size for people.
// 1024 at a time, one digit after the point: 20480 is "20.0 KiB". What is below 1 KiB is exact.
func bytesText(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}

// cachedIn tells which renders of a plan the cache has, none with --no-reuse. A cache that cannot be read is a warning: rendering would go on
// without it.
// A nil function with a nil error means "nothing": there is no cache, or it is not to be asked.
func (e *Env) cachedIn(ctx context.Context, plan *compiler.Plan, f *cacheFlags) (func(render int) bool, error) {
	if f.noReuse {
		return nil, nil
	}
	c, _, err := e.openCache(f.where)
	if err != nil || c == nil {
		return nil, err
	}
	cached, err := run.CachedIn(ctx, plan, c)
	if err != nil {
		fmt.Fprintf(e.Stderr, "comfyc: warning: %v\n", err)
	}
	return cached, nil
}
