package scheduler

import "time"

// timeline is a queue by time, a binary heap: adding and taking are O(log n), looking at the first is O(1). Nothing is ever removed from within;
// that is why takers check. Things that are due at the same time come in the order in which they were put in, so that equal
// inputs give equal runs. A thing may be in it several times; who takes it out checks whether the entry still counts.
type timeline[T any] struct {
	heap []dueItem[T]
	next uint64 // entries put in so far
}

type dueItem[T any] struct {
	at   time.Time
	seq  uint64
	item T
}

// before compares by time, then by the order of arrival.
func (d dueItem[T]) before(e dueItem[T]) bool {
	if !d.at.Equal(e.at) {
		return d.at.Before(e.at)
	}
	return d.seq < e.seq
}

func (t *timeline[T]) len() int { return len(t.heap) }

// head gives the first entry; the timeline must not be empty.
func (t *timeline[T]) head() (time.Time, T) { return t.heap[0].at, t.heap[0].item }

func (t *timeline[T]) add(at time.Time, item T) {
	t.next++
	t.heap = append(t.heap, dueItem[T]{at, t.next, item})
	h := t.heap
	// The new entry rises past every parent that is due later.
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// take removes the first entry and gives its item.
func (t *timeline[T]) take() T {
	h := t.heap
	first, last := h[0].item, len(h)-1
	h[0] = h[last]
	// The freed place must not keep a pointer to what was in it.
	h[last] = dueItem[T]{}
	t.heap = h[:last]
	t.sink()
	return first
}

// sink lets the first entry down to where both children are due later.
func (t *timeline[T]) sink() {
	h := t.heap
	for i := 0; ; {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(h); down++ {
			if h[down].before(h[least]) {
				least = down
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
