//go:build !linux

package script

// On other systems the child's own watch over its memory, and the parent's clock, are the bounds.

func limitProcess() {}

func limitData(uint64) {}
