// Package durable makes names in folders last. A file that was synced and renamed is safe from a power cut only once its folder is synced too.
//
// Its functions keep nothing and may be called from many goroutines.
package durable

import "os"

// SyncDir makes what was created, renamed or removed in a folder last, as far as the system can: those that cannot sync a folder say so with an
// error that means nothing for the data, so only opening and closing it may fail.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
