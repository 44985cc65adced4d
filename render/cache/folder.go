package cache

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/scheduler/durable"
)

// Folder is a cache on this machine's disk, or on one that several machines share. Its folder is made with the first object.
type Folder string

// String gives the path.
func (f Folder) String() string { return string(f) }

// path is where an object lies. Names come from entryName and fileName alone, so none leads out of the folder.
func (f Folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

// Put implements Blobs.
func (f Folder) Put(_ context.Context, name string, data []byte) error {
	return f.replace(name, func(temp *os.File) error {
		_, err := temp.Write(data)
		return err
	})
}

// PutFile implements Blobs. Where the file system can, the object shares the file's blocks and is a file of its own all the same; else it is a
// second name of the same file, if that is young and new here: if the user changes it in place, the hash tells. Else it is a copy. The file
// itself stays as it is, its times too.
func (f Folder) PutFile(ctx context.Context, name, path string, size int64) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	// Cheapest first: a clone costs no space, a link none either but shares later changes, a copy costs space and time.
	cloned := f.replace(name, func(temp *os.File) error { return clone(temp, from) })
	if cloned == nil || f.mayLink(name, from) && f.link(name, path) == nil {
		return nil
	}
	return f.replace(name, func(temp *os.File) error {
		n, err := io.Copy(temp, reader{ctx, from})
		if err == nil && n != size {
			err = fmt.Errorf("%s has %d bytes, not %d", path, n, size)
		}
		return err
	})
}

// mayLink tells whether a second name of a file will do. Its time is the object's too then: an old one could be swept before an entry names it, and
// an object that is there already would not become young again.
func (f Folder) mayLink(name string, file *os.File) bool {
	info, err := file.Stat()
	if err != nil || time.Since(info.ModTime()) > grace/2 {
		return false
	}
	_, err = os.Lstat(f.path(name))
	return os.IsNotExist(err)
}

// link gives a file a second name in the cache. The file at path was synced by whoever wrote it.
func (f Folder) link(name, path string) error {
	to := f.path(name)
	if err := makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	// To another name first, as link does not replace.
	second := tempName(to)
	if err := os.Link(path, second); err != nil {
		return err
	}
	// rename does nothing if both are names of one file already, and leaves the second.
	defer os.Remove(second)
	return put(second, to)
}

// tempPattern names what is being written. Such names are no objects.
const tempPattern = ".new-*"

// tempName is a name for what becomes the file at the path to, beside it. That it is free is for the caller to see.
func tempName(to string) string {
	return filepath.Join(filepath.Dir(to), strings.Replace(tempPattern, "*", strconv.FormatUint(rand.Uint64(), 36), 1))
}

// replace writes an object by way of a temporary file. The mode is what the process usually gives files: others may be meant to read the cache.
func (f Folder) replace(name string, fill func(*os.File) error) (err error) {
	to := f.path(name)
	if err := makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	temp, err := os.OpenFile(tempName(to), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			temp.Close()
			os.Remove(temp.Name())
		}
	}()
	if err := fill(temp); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return put(temp.Name(), to)
}

// put gives a finished file its name, and returns when that is on the disk.
func put(temp, to string) error {
	if err := os.Rename(temp, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

// makeDir makes a folder with those above it that are missing. The names of all that it made are on the disk when it returns.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !os.IsExist(err) {
		return err
	}
	return durable.SyncDir(above)
}

// Open implements Blobs.
func (f Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(f.path(name))
}

// Has implements Blobs.
func (f Folder) Has(_ context.Context, name string) (int64, bool, error) {
	info, err := os.Stat(f.path(name))
	switch {
	case os.IsNotExist(err):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	}
	return info.Size(), info.Mode().IsRegular(), nil
}

// Delete implements Blobs.
func (f Folder) Delete(_ context.Context, name string) error {
	if err := os.Remove(f.path(name)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Touch implements Blobs. Its errors do not matter: an object then only looks older than it is.
func (f Folder) Touch(_ context.Context, name string) {
	now := time.Now()
	_ = os.Chtimes(f.path(name), now, now)
}

// abandoned is when a temporary file belongs to a process that is gone.
const abandoned = 24 * time.Hour

// List implements Blobs. Temporary files that are a day old are removed in passing.
func (f Folder) List(ctx context.Context, prefix string) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		root := f.path(prefix)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case os.IsNotExist(err):
				return nil // no cache yet, or another process removed it
			case err != nil:
				return err
			case ctx.Err() != nil:
				return ctx.Err()
			case d.IsDir() || !d.Type().IsRegular():
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil // removed meanwhile
			}
			if old, _ := filepath.Match(tempPattern, d.Name()); old {
				if time.Since(info.ModTime()) > abandoned {
					_ = os.Remove(path)
				}
				return nil
			}
			rel, err := filepath.Rel(string(f), path)
			if err != nil {
				return err
			}
			if !yield(Blob{filepath.ToSlash(rel), info.Size(), info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Blob{}, err)
		}
	}
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
