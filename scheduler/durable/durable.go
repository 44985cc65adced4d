// Package durable makes files and their names last. Content that was synced is safe from a power cut only once it has its name, and the name once
// its folder is synced too; [WriteFile] does all of it in the order that counts.
//
// Its functions keep nothing and may be called from many goroutines.
//
// Limits: on Windows a folder cannot be synced, and a file that somebody has open is not replaced.
package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TempPattern names what WriteFile is writing, in the folder of what it becomes. After a crash such a file may be left there; it is nobody's.
const TempPattern = ".tmp-*"

// WriteFile makes the file of a name from what fill writes: to another name beside it, synced, renamed, and the folder synced. So a crash at
// any moment leaves the old file or the new one, and whoever reads meanwhile sees one of the two, whole; of several writers at once one wins. On an
// error the old file is as it was, unless only the folder could not be synced, and nothing else is left. The folder must be there.
//
// mode is what the file gets, whatever the process' mask. An error of fill comes back wrapped with the file's name.
func WriteFile(name string, mode fs.FileMode, fill func(io.Writer) error) (err error) {
	dir := filepath.Dir(name)
	// In the same folder, as a rename is whole within one file system only. The dot hides it from patterns such as *.json.
	f, err := os.CreateTemp(dir, TempPattern)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // closed twice after some errors, which does no harm; an open file could not be removed everywhere
			os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := finish(f, mode); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return SyncDir(dir)
}

// finish brings a file's content to the disk and closes it. Systems that replace a file by renaming want it closed before.
func finish(f *os.File, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// SyncDir makes what was created, renamed or removed in a folder last, as far as the system can: those that cannot sync a folder say so with an
// error that means nothing for the data, so only opening and closing it may fail. In a folder that may be written and not read there is nothing to
// be done.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if os.IsPermission(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
