package store

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// holder is what the lock file says of the process that holds it.
// It is for people: no decision rests on it, since a PID may be another process's by now, and a host's name another machine's.
type holder struct {
	PID   int    `json:"pid"`   // on that host
	Host  string `json:"host"`  // as the system calls itself
	Since string `json:"since"` // RFC 3339, UTC
}

// LockedError says that another process uses the run directory.
type LockedError struct {
	Path  string
	PID   int    // 0 if the file does not say
	Host  string // "" if the file does not say
	Since string // RFC 3339
}

// Error says who holds the directory.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return e.Path + ": another process uses this run directory [run_locked]"
	}
	return fmt.Sprintf("%s: process %d on %s has used this run directory since %s [run_locked]", e.Path, e.PID, e.Host, e.Since)
}

// takeLock locks the file for as long as this process lives, and writes into it who holds it. The lock is the system's, so what a dead
// process left in the file locks nothing.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if held, err := tryLock(f); err != nil || held {
		defer f.Close()
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, whoHolds(path, f)
	}
	if err := sign(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// whoHolds gives the *LockedError, with what the file says of the holder, at most 4 KiB of it.
func whoHolds(path string, f *os.File) error {
	var h holder
	// Between lock and signature the file may be empty or hold a former holder: then nobody is named.
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil || json.Unmarshal(text, &h) != nil {
		return &LockedError{Path: path}
	}
	return &LockedError{Path: path, PID: h.PID, Host: h.Host, Since: h.Since}
}

// sign writes {"pid", "host", "since"} as one line. It is not synced: after a crash of the machine nobody holds the lock anyway.
func sign(f *os.File) error {
	host, _ := os.Hostname()
	text, err := json.Marshal(holder{os.Getpid(), host, time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	return err
}

// giveLock frees the lock. The file stays, so that no two processes ever lock two files of one name.
func giveLock(f *os.File) error {
	_ = f.Truncate(0)
	return f.Close()
}
