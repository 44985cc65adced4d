package cli

import (
	"os"
	"path/filepath"
	"runtime"
)

// cacheDir is where this user's programs keep what they can make again, "" if there is no such folder.
// On Linux XDG_CACHE_HOME or ~/.cache, on macOS ~/Library/Caches, on Windows %LocalAppData%.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return dir
}

// stateDir is where this user's programs keep what they did: XDG_STATE_HOME, by default ~/.local/state; on Windows and macOS, which have no such
// folder, a place beside the caches or the settings. "" if there is none.
// config is the folder of settings, which macOS uses for both.
func stateDir(config string) string {
	switch runtime.GOOS {
	case "windows":
		return cacheDir() // %LocalAppData%, which does not travel with the user
	case "darwin":
		return config
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state")
}
