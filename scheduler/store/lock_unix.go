//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes an flock without waiting. held tells that another process has it. An flock belongs to the open file: it ends when the process
// does, however that happens, and a child does not get it along, since Go opens files with O_CLOEXEC.
func tryLock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
