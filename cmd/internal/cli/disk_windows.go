package cli

import "golang.org/x/sys/windows"

// freeBytes is what the disk of a folder has left for us.
// It counts the quota of this user, where one is set.
func freeBytes(dir string) (uint64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	err = windows.GetDiskFreeSpaceEx(path, &free, nil, nil)
	return free, err
}
