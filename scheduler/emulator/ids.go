package emulator

import (
	crand "crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
)

// ids makes identifiers: random ones, or the same ones again for the same seed.
type ids struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newIDs(seed uint64) ids {
	var key [32]byte
	if seed == 0 {
		crand.Read(key[:]) // never fails
	} else {
		// ChaCha8 gives the same stream in every version of Go, so recorded ids stay right.
		copy(key[:], fmt.Sprintf("%032d", seed))
	}
	return ids{src: rand.NewChaCha8(key)}
}

// uuid gives a random UUID (version 4).
func (g *ids) uuid() string {
	var b [16]byte
	g.mu.Lock()
	g.src.Read(b[:])
	g.mu.Unlock()
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	out := make([]byte, 36)
	hex.Encode(out, b[:4])
	hex.Encode(out[9:], b[4:6])
	hex.Encode(out[14:], b[6:8])
	hex.Encode(out[19:], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out)
}

// hex gives n random hexadecimal digits.
func (g *ids) hex(n int) string {
	b := make([]byte, (n+1)/2)
	g.mu.Lock()
	g.src.Read(b)
	g.mu.Unlock()
	return hex.EncodeToString(b)[:n]
}

// shortID names a worker: 14 characters as the platforms' have.
func shortID(e *Emulator, endpoint string, n int) string {
	h := fnv.New64a()
	fmt.Fprint(h, e.config.Seed, endpoint, n)
	return fmt.Sprintf("%014x", h.Sum64()&0xffffffffffffff)
}
