package render

import (
	"image"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler/durable"
)

// received is an output in a temporary file, which drop removes unless keep renamed it.
type received struct {
	file   *os.File // open at any place; nil once keep has renamed it
	size   int64    // bytes
	sha256 string   // hex; of the file as it is now, so embed sets it anew
	head   []byte   // the first sniffBytes
	typ    FileType

	// What inspect found out.
	img    image.Image // nil if there is nothing to show
	pixels image.Point // the size as it is seen: that of the header, turned as EXIF says
	meta   post.Meta
	text   string // the beginning of a text output
	note   string // what could not be done with it, for the user

	safe func(path string) // told where the file lies once it is safe; may be nil
}

// keep gives the file its final name: synced, renamed, directory synced.
func (r *received) keep(name string) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.file.Chmod(0o644); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return err
	}
	if err := r.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(r.file.Name(), name); err != nil {
		return err
	}
	r.file = nil
	return durable.SyncDir(dir)
}

// drop removes the temporary file if it is still there.
func (r *received) drop() {
	if r.file != nil {
		r.file.Close()
		os.Remove(r.file.Name())
	}
}
