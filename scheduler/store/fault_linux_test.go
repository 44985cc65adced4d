package store

import (
	"os"
	"syscall"
	"testing"
)

// smallDisk mounts a file system of its own, which only root may.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("SKIPPED, nothing was tested: a small disk cannot be mounted here: %v (uid %d)", err, os.Getuid())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir, how string) {
	t.Helper()
	flags, data := uintptr(syscall.MS_REMOUNT), how
	if how == "ro" {
		flags, data = flags|syscall.MS_RDONLY, ""
	}
	if err := syscall.Mount("none", dir, "tmpfs", flags, data); err != nil {
		t.Fatal(err)
	}
}
