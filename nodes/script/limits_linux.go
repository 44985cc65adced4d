package script

import "syscall"

// Limits that the kernel holds for a child (setrlimit). They can be lowered by the process itself and never raised
// again, so a script that found a way out of the interpreter would still be bound by them.

// limitProcess takes from a child what it does not need: files it could write, dumps of its memory.
func limitProcess() {
	lower(syscall.RLIMIT_FSIZE, 0)   // bytes of a file that it writes; pipes do not count
	lower(syscall.RLIMIT_CORE, 0)    // bytes of a dump
	lower(syscall.RLIMIT_NOFILE, 16) // open files: three for the pipes, the rest for the runtime's own polling
}

// limitData is the last barrier: memory beyond it is not given, and the process ends. Address space (RLIMIT_AS) is no measure of what a Go
// program uses, since its runtime reserves far more than it takes.
func limitData(bytes uint64) { lower(syscall.RLIMIT_DATA, bytes) }

// lower sets the soft and the hard limit. That it fails is no reason to stop: the parent's clock and watch remain.
func lower(what int, to uint64) {
	var have syscall.Rlimit
	if syscall.Getrlimit(what, &have) == nil && have.Max > to {
		_ = syscall.Setrlimit(what, &syscall.Rlimit{Cur: to, Max: to})
	}
}
