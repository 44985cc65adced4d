package render

import (
	"context"
	"runtime"
	"sync"
)

const (
	// DefaultMaxMemory bounds what decoded pictures take together, in bytes: 1 GiB.
	DefaultMaxMemory = 1 << 30
	// pixelBytes is what a pixel takes while its picture is looked into, made into others and encoded: as
	// decoded (up to 8 bytes with 16 bits a sample), flat (4), and one step's result (4). So 1 GiB is for 64 Mi
	// pixels at once.
	pixelBytes = 16
)

// memory lets in as many pictures as fit into it, and at most GOMAXPROCS: more would only wait for a processor. A picture larger than
// all of it comes in alone. It may be used from many goroutines at once.
type memory struct {
	mu    sync.Mutex
	freed sync.Cond // told of all that is given back, and of contexts that end; waiters look again in any order
	total int64     // bytes
	free  int64     // bytes, from 0 to total
}

func newMemory(total int64) *memory {
	m := &memory{total: total, free: total}
	m.freed.L = &m.mu
	return m
}

// take waits until a picture of so many pixels fits, and returns what gives its place back. The error is ctx's, when that ends before.
func (m *memory) take(ctx context.Context, pixels int64) (giveBack func(), err error) {
	// With the lock, so that nobody is between looking at ctx and waiting.
	stop := context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.freed.Broadcast()
	})
	defer stop()
	// A small picture takes a whole share: that is what keeps their number at GOMAXPROCS. The header's size may
	// be a lie; then the decoder fails, or the pixel cap refuses the picture.
	share := m.total / int64(runtime.GOMAXPROCS(0))
	n := min(max(pixels*pixelBytes, share), m.total)
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.free < n && ctx.Err() == nil {
		m.freed.Wait()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.free -= n
	return func() {
		m.mu.Lock()
		m.free += n
		m.mu.Unlock()
		m.freed.Broadcast()
	}, nil
}
