package cache

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"
)

// Folder is a cache on this machine's disk, or on one that several machines share. Its folder is made with the first object.
type Folder string

// String gives the path.
func (f Folder) String() string { return string(f) }

func (f Folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

// Put implements Blobs.
func (f Folder) Put(_ context.Context, name string, data []byte) error {
	return f.replace(name, func(temp *os.File) error {
		_, err := temp.Write(data)
		return err
	})
}

// PutFile implements Blobs. Where the file system can, the object shares the file's blocks and is a file of its own all the same; else it is a
// second name of the same file: if the user changes that in place, the hash tells. Else it is a copy.
func (f Folder) PutFile(ctx context.Context, name, path string, size int64) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	cloned := f.replace(name, func(temp *os.File) error { return clone(temp, from) })
	if cloned == nil || f.link(name, path) == nil {
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

// link gives a file a second name in the cache.
func (f Folder) link(name, path string) error {
	to := f.path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	// The file at path was synced by whoever wrote it. A name is made beside it first, as link does not replace.
	temp, err := os.CreateTemp(filepath.Dir(to), tempPattern)
	if err != nil {
		return err
	}
	temp.Close()
	second := temp.Name() + "l"
	defer os.Remove(temp.Name())
	if err := os.Link(path, second); err != nil {
		return err
	}
	// rename does nothing if both are names of one file already, and leaves the second.
	defer os.Remove(second)
	f.touch(second) // young, so that no sweep takes it before an entry names it
	return os.Rename(second, to)
}

// tempPattern names what is being written. Such names are no objects.
const tempPattern = ".new-*"

// replace writes an object by way of a temporary file.
func (f Folder) replace(name string, fill func(*os.File) error) (err error) {
	to := f.path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(to), tempPattern)
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
	return os.Rename(temp.Name(), to)
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

// Touch implements Blobs.
func (f Folder) Touch(_ context.Context, name string) { f.touch(f.path(name)) }

func (f Folder) touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
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
