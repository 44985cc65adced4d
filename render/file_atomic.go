package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/scheduler/durable"
)

// A crash between any two steps here leaves the old file or the new one, and at most a .tmp- file beside
// it. The order is what does it: the content reaches the disk (Sync) before the name does (Rename), and the
// name before anybody is told (syncDir).

// writeFile makes the file at the path name from what fill writes: to a temporary file
// beside it, synced, renamed, and the directory synced. Missing directories are made.
// On an error the old file is as it was and the temporary one is gone.
func writeFile(name string, fill func(io.Writer) error) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// writeHashed is writeFile, and tells the SHA-256 in hex and the length of what was written.
func writeHashed(name string, fill func(io.Writer) error) (sum string, size int64, err error) {
	hash := sha256.New()
	count := &counter{w: hash}
	err = writeFile(name, func(w io.Writer) error { return fill(io.MultiWriter(w, count)) })
	return hex.EncodeToString(hash.Sum(nil)), count.n, err
}

// counter counts what passes through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
