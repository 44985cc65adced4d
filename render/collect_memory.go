package render

import (
	"runtime"
	"sync"
)

const (
	// DefaultMaxMemory bounds what decoded pictures take together, in bytes: 1 GiB.
	DefaultMaxMemory = 1 << 30
	// pixelBytes is what a pixel takes while its picture is looked into, made into others and encoded: as decoded (up to 8 bytes with 16
	// bits a sample), flat (4), and one step's result (4).
	pixelBytes = 16
)

// memory lets in as many pictures as fit into it, and at most GOMAXPROCS: more would only wait for a processor. A picture larger than
// all of it comes in alone. It may be used from many goroutines at once.
type memory struct {
	mu    sync.Mutex
	freed sync.Cond
	total int64
	free  int64
}

func newMemory(total int64) *memory {
	m := &memory{total: total, free: total}
	m.freed.L = &m.mu
	return m
}

// take waits until a picture of so many pixels fits, and returns what gives its place back.
func (m *memory) take(pixels int64) (giveBack func()) {
	share := m.total / int64(runtime.GOMAXPROCS(0))
	n := min(max(pixels*pixelBytes, share), m.total)
	m.mu.Lock()
	for m.free < n {
		m.freed.Wait()
	}
	m.free -= n
	m.mu.Unlock()
	return func() {
		m.mu.Lock()
		m.free += n
		m.mu.Unlock()
		m.freed.Broadcast()
	}
}
