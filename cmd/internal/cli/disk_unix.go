//go:build !windows

package cli

import "golang.org/x/sys/unix"

// freeBytes is what the disk of a folder has left for us.
// Blocks times their size, of what is free for users that are not root. Some systems have these fields signed, hence the
// conversions.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
