package emulator

import "time"

// rate counts requests of the last 10 s, in ten buckets of 1 s. Its owner's lock guards it.
type rate struct {
	limit   int     // 0 means none
	buckets [10]int // by second modulo ten
	last    int64   // the second of the newest bucket
	total   int     // the sum of the buckets
}

// take counts a request, or says in how many seconds there is room again. Refused requests do not count. Whole seconds make the window up to
// one second too strict, never too lenient.
func (r *rate) take(now time.Time) (wait int, ok bool) {
	if r.limit == 0 {
		return 0, true
	}
	// Buckets of seconds that have passed since the last request are emptied; at most all ten.
	second := now.Unix()
	for steps := min(second-r.last, int64(len(r.buckets))); steps > 0; steps-- {
		slot := &r.buckets[(second-steps+1)%int64(len(r.buckets))]
		r.total -= *slot
		*slot = 0
	}
	r.last = max(r.last, second)
	if r.total >= r.limit {
		return r.room(second), false
	}
	r.buckets[second%int64(len(r.buckets))]++
	r.total++
	return 0, true
}

// room gives the seconds until the oldest full bucket leaves.
func (r *rate) room(second int64) int {
	for age := int64(len(r.buckets)) - 1; age >= 0; age-- {
		if r.buckets[(second-age)%int64(len(r.buckets))] > 0 {
			return int(int64(len(r.buckets)) - age)
		}
	}
	return 1
}
