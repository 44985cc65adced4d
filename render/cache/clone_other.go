//go:build !linux

package cache

import (
	"errors"
	"os"
)

// clone is not known for this system: the file is linked, or copied.
func clone(_, _ *os.File) error { return errors.ErrUnsupported }
