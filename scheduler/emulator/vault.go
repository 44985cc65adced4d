package emulator

import "sync"

// vault keeps bytes. When there are too many, what somebody has fetched already is dropped first, then the rest, the oldest before the younger. It has
// a lock of its own, which is taken last.
type vault struct {
	mu      sync.Mutex
	limit   int64 // of all
	fetched int64 // of what was fetched
	fresh   shelf // what nobody has fetched
	spare   shelf // what may go first
}

// shelf is a queue of blobs, oldest first.
type shelf struct {
	used  int64   // bytes of the live blobs that are on this shelf
	blobs []*blob // dead ones too, until they are the oldest
}

// blob is something kept. Its data is never changed, so that a reader may go on after it was dropped.
type blob struct {
	data []byte // nil once dropped
	on   *shelf // where it counts now
}

// size is what a blob counts for: its bytes and about what it costs to know of it.
func (b *blob) size() int64 {
	if b.data == nil {
		return 0
	}
	return int64(len(b.data)) + 64
}

// add puts a blob behind all others: shelves are in the order of arrival.
func (s *shelf) add(b *blob) {
	b.on = s
	s.used += b.size()
	s.blobs = append(s.blobs, b)
}

// shift drops the oldest blob. One that has moved to the other shelf only leaves the queue.
func (s *shelf) shift() {
	if b := s.blobs[0]; b.on == s {
		s.used -= b.size()
		b.data = nil
	}
	// Else the array would hold it until it is copied.
	s.blobs[0] = nil
	s.blobs = s.blobs[1:]
}

// tidy drops what is dead at the front, and what is over the limit, but for the youngest of all.
func (s *shelf) tidy(limit int64, keep int) {
	for len(s.blobs) > 0 && (s.blobs[0].data == nil || s.blobs[0].on != s || s.used > limit && len(s.blobs) > keep) {
		s.shift()
	}
}

// put keeps data. What alone is more than the limit is kept until the next one comes.
func (v *vault) put(data []byte) *blob {
	v.mu.Lock()
	defer v.mu.Unlock()
	// nil stands for "dropped"; an empty file is something else.
	if data == nil {
		data = []byte{}
	}
	b := &blob{data: data}
	v.fresh.add(b)
	v.tidy()
	return b
}

// tidy gives what was fetched the room that the rest leaves, and then bounds the rest.
func (v *vault) tidy() {
	v.spare.tidy(max(min(v.fetched, v.limit-v.fresh.used), 0), 0)
	v.fresh.tidy(v.limit, 1)
}

// get gives the data, false if it was dropped.
func (v *vault) get(b *blob) ([]byte, bool) {
	if b == nil {
		return nil, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return b.data, b.data != nil
}

// release says that data was fetched, or is kept in another form too.
func (v *vault) release(b *blob) {
	if b == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if b.data != nil && b.on == &v.fresh {
		v.fresh.used -= b.size()
		v.spare.add(b)
		v.tidy()
	}
}

// drop forgets data before its time; its place in the queue stays until it is the oldest.
func (v *vault) drop(b *blob) {
	if b == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	b.on.used -= b.size()
	b.data = nil
}
