package render

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/scheduler/durable"
)

// writeFile makes the file at the path name from what fill writes, whole or not at all, and safe from a power cut when it returns; see
// [durable.WriteFile]. Missing directories are made.
func writeFile(name string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(name, 0o644, fill)
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
