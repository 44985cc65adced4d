package script

import "syscall"

// limitProcess takes from a child what it does not need: files it could write, dumps of its memory.
func limitProcess() {
	lower(syscall.RLIMIT_FSIZE, 0)
	lower(syscall.RLIMIT_CORE, 0)
	lower(syscall.RLIMIT_NOFILE, 16)
}

// limitData is the last barrier: memory beyond it is not given, and the process ends. Address space (RLIMIT_AS) is no measure of what a Go
// program uses, since its runtime reserves far more than it takes.
func limitData(bytes uint64) { lower(syscall.RLIMIT_DATA, bytes) }

func lower(what int, to uint64) {
	var have syscall.Rlimit
	if syscall.Getrlimit(what, &have) == nil && have.Max > to {
		_ = syscall.Setrlimit(what, &syscall.Rlimit{Cur: to, Max: to})
	}
}
