package render

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/comfyc/comfyc/scheduler"
)

// Depot keeps the files of a run directory where every machine that works on the batch finds them, such as a bucket. The directory of each machine is
// then only its own copy. Paths are those of the run directory: relative, with forward slashes. Both methods may be called again, and from many
// goroutines at once.
type Depot interface {
	// Put makes the file durable under path, in the place of what was there.
	Put(ctx context.Context, path, file string) error
	// Get brings what is under path to file, whole or not at all, and leaves a file alone that is the same already. The error wraps
	// fs.ErrNotExist if nothing is there.
	Get(ctx context.Context, path, file string) error
}

// transfers is how many files go to or come from elsewhere at once, for one render or one page.
const transfers = 8

// deposit makes the files of a render durable in the depot, if there is one. A render is done only after that, so that what this machine
// takes with it when it dies is rendered nowhere again. Its errors are trouble of the sink, as those of a full disk are: they are borne, and tried
// again, while the results stay on the remotes.
func (c *Collector) deposit(ctx context.Context, files []scheduler.FileRecord) error {
	if c.Depot == nil {
		return nil
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.Path, f.Original, f.Thumb)
	}
	return Each(ctx, paths, func(ctx context.Context, path string) error { return c.Depot.Put(ctx, path, c.path(path)) })
}

// Fetch brings the given files of a run directory from a depot, those that are not there. What the depot lacks is passed over.
func Fetch(ctx context.Context, d Depot, dir string, paths []string) error {
	return Each(ctx, paths, func(ctx context.Context, path string) error {
		file := filepath.Join(dir, filepath.FromSlash(path))
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		if err := d.Get(ctx, path, file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// Deposit brings the page that was made in a run directory into a depot, and the manifest last, as it names the rest. What was not made is passed over.
func Deposit(ctx context.Context, d Depot, dir string) error {
	put := func(ctx context.Context, path string) error {
		file := filepath.Join(dir, path)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return d.Put(ctx, path, file)
	}
	if err := Each(ctx, PagePaths, put); err != nil {
		return err
	}
	return put(ctx, ManifestPath)
}

// Each does something with the files of a run directory, up to eight at once. Empty paths are passed over. The first error cancels the rest, and is the
// answer.
func Each(ctx context.Context, paths []string, do func(context.Context, string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, transfers)
	for _, path := range paths {
		if path == "" {
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, path); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
