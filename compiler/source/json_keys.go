package source

import "hash/maphash"

// fewKeys is the number of keys up to which an object's keys are compared with each other one by one.
// Nearly all objects of a workflow have fewer, and then a few comparisons are cheaper than clearing and filling a table.
const fewKeys = 24

// keyBit gives a key one of 64 bits, so that most keys of an object are seen to be new without looking at the others.
// It looks at the length and at three letters, in constant time. Two keys with the same bit only cost a comparison.
func keyBit(key string) uint64 {
	h := uint(len(key))
	if h > 0 {
		h = h*31 + uint(key[0])*7 + uint(key[h-1])*3 + uint(key[h/2])
	}
	return 1 << (h & 63)
}

func has(members []Member, key string) bool {
	for i := range members {
		if members[i].Key == key {
			return true
		}
	}
	return false
}

// keySeed makes the places of keys in tables differ from process to process, so that nobody can write keys that all meet.
var keySeed = maphash.MakeSeed()

// distinct tells whether all keys of a large object differ. It uses a table with open addressing that the reader keeps.
func (r *jsonReader) distinct(members []Member) bool {
	// The table is a power of two, so that a mask finds the place, and at most half full, so that searches are short. It holds indexes from 1;
	// 0 is a free place. The reader keeps it for the file's next large object: clearing is cheaper than a new one.
	size := 64
	for size < 2*len(members) {
		size *= 2
	}
	if len(r.table) < size {
		r.table = make([]int32, size)
	}
	table := r.table[:size]
	clear(table)
	for i := range members {
		key := members[i].Key
		at := int(maphash.String(keySeed, key)) & (size - 1)
		for ; table[at] != 0; at = (at + 1) & (size - 1) {
			if members[table[at]-1].Key == key {
				return false
			}
		}
		table[at] = int32(i + 1)
	}
	return true
}
