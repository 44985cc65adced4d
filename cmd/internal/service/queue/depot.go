package queue

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/s3"
)

// Where Config.Files names a bucket, the files of works are in it, under the names that they have in the data folder: works/ID/in-…/N and
// works/ID/out/…. The data folder is then this replica's own copy of what it has made or shown, and may be lost at any time.

// worksFolder is where works are, below the data folder and below the bucket's place.
const worksFolder = "works"

// depot is where the files of a work are, below its folder; nil if that is the data folder.
func (q *Queue) depot(id, below string) render.Depot {
	if q.Files == nil {
		return nil // and not a *s3.Depot that is nil
	}
	return q.bucket(id, below)
}

// bucket is the folder of a work's files in the bucket, if there is one.
func (q *Queue) bucket(id, below string) *s3.Depot {
	return q.Files.Depot(path.Join(worksFolder, id, below))
}

// depositRequest makes the large files of a request durable in the bucket, before its row is.
func (q *Queue) depositRequest(ctx context.Context, id string, r *Request) error {
	if q.Files == nil || r.In == "" {
		return nil
	}
	d, dir := q.depot(id, r.In), r.inDir(q.workDir(id))
	return render.Each(ctx, r.spilled(), func(ctx context.Context, name string) error { return d.Put(ctx, name, filepath.Join(dir, name)) })
}

// unspill removes the large files of a request that is not taken.
func (q *Queue) unspill(ctx context.Context, id string, r *Request) {
	r.unspill(q.workDir(id))
	if q.Files == nil || r.In == "" {
		return
	}
	if err := q.bucket(id, r.In).Remove(context.WithoutCancel(ctx)); err != nil {
		q.Log.Warn("files of a request that was not taken cannot be removed", "work", id, "error", err)
	}
}

// bringRequest brings the large files of a request, which another replica may have taken.
func (q *Queue) bringRequest(ctx context.Context, id string, r *Request) error {
	if q.Files == nil || r.In == "" {
		return nil
	}
	return render.Fetch(ctx, q.depot(id, r.In), r.inDir(q.workDir(id)), r.spilled())
}

// Bring sees to it that a file of a work's run directory is on this machine as it is now, before it is opened. Names that lead elsewhere, and files that
// are nowhere, are no error: whoever opens them finds nothing.
func (q *Queue) Bring(ctx context.Context, id, name string) error {
	if q.Files == nil || !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `\:`) {
		return nil
	}
	dir := q.OutDir(id)
	if !render.IsPage(name) {
		return render.Fetch(ctx, q.depot(id, outFolder), dir, []string{name})
	}
	err := q.depot(id, outFolder).Get(ctx, name, filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// size sums up the files of a work, in bytes.
func (q *Queue) size(ctx context.Context, id string) int64 {
	if q.Files == nil {
		return sizeOf(q.workDir(id))
	}
	n, err := q.bucket(id, "").Size(ctx)
	if err != nil {
		q.Log.Warn("the size of a work's files cannot be read", "work", id, "error", err)
	}
	return n
}

// removeFiles removes all files of a work.
func (q *Queue) removeFiles(ctx context.Context, id string) error {
	if q.Files != nil {
		if err := q.bucket(id, "").Remove(ctx); err != nil {
			return err
		}
	}
	return os.RemoveAll(q.workDir(id))
}

// copyAge is how long a replica keeps its copy of a work that has ended, since it last wrote into it.
const copyAge = 24 * time.Hour

// DropCopies removes copies of works that have ended, and of works that another replica has deleted. Without a database that is shared, the data
// folder holds the states of batches, so it stays. Run calls it every hour.
func (q *Queue) DropCopies(ctx context.Context) {
	if q.Files == nil || !q.Ledger.Shared() {
		return
	}
	entries, err := os.ReadDir(filepath.Join(q.Dir, worksFolder))
	if err != nil {
		return // nothing was made here yet
	}
	for _, e := range entries {
		if ctx.Err() != nil || q.liveWork(e.Name()) != nil || !idle(q.workDir(e.Name())) || !idle(q.OutDir(e.Name())) {
			continue
		}
		w, err := q.Ledger.Work(ctx, e.Name())
		if errors.Is(err, ledger.ErrNone) || err == nil && w.State.Final() {
			if err := os.RemoveAll(q.workDir(e.Name())); err != nil {
				q.Log.Warn("a copy of a work's files cannot be removed", "work", e.Name(), "error", err)
			}
		}
	}
}

// idle tells whether nothing was written into a folder for copyAge.
func idle(dir string) bool {
	info, err := os.Stat(dir)
	return err != nil || time.Since(info.ModTime()) >= copyAge
}
