package queue

import (
	"cmp"
	"slices"
)

// ticket is a work that waits for its turn.
// All fields but gone are set once.
type ticket struct {
	id       string
	owner    string // the id of the key
	lane     string // the pool, or "" for batches
	priority int
	front    bool          // before all others of its line
	gone     bool          // cancelled while it waited
	begun    chan struct{} // closed when it waits no more; nil in tests of turns
}

// line is the waiting works of one lane, priority and owner, the oldest first.
// A line that runs empty is dropped, and made again when the owner comes again.
type line struct {
	lane, owner string
	priority    int
	waiting     []*ticket // the cancelled ones among them are skipped
	gone        int       // how many of them are cancelled
}

// fair chooses whose turn it is. It is no more than data; the queue's lock guards it.
// Stride scheduling: every turn adds 1/weight to what its owner has had, and the least goes next, so an owner of weight 2 has
// two turns for one of the others. Finding the next costs n log n in the number of lines, not of works.
type fair struct {
	lines []*line
	pass  map[string]float64 // by lane and owner: how much it has had, by weight
}

func newFair() *fair { return &fair{pass: map[string]float64{}} }

// passKey joins with a NUL, which neither names of pools nor ids of keys can hold.
func passKey(lane, owner string) string { return lane + "\x00" + owner }

// add puts a work at the end of its line, or at the front of it: that is before the owner's others alone, as lines are each owner's own. An owner who comes anew starts level with the others, so that nobody saves turns up.
func (f *fair) add(t *ticket) {
	at := slices.IndexFunc(f.lines, func(l *line) bool { return l.lane == t.lane && l.owner == t.owner && l.priority == t.priority })
	if at < 0 {
		f.level(t.lane, t.owner)
		f.lines = append(f.lines, &line{lane: t.lane, owner: t.owner, priority: t.priority})
		at = len(f.lines) - 1
	}
	if t.front {
		f.lines[at].waiting = slices.Insert(f.lines[at].waiting, 0, t)
		return
	}
	f.lines[at].waiting = append(f.lines[at].waiting, t)
}

// leave marks a ticket as cancelled. Once half of a line is cancelled it is written anew without them, so that a line whose first has no
// room does not grow with those who come and go behind it.
func (f *fair) leave(t *ticket) {
	t.gone = true
	for _, l := range f.lines {
		if l.lane != t.lane || l.owner != t.owner || l.priority != t.priority {
			continue
		}
		if l.gone++; 2*l.gone > len(l.waiting) {
			l.waiting, l.gone = slices.DeleteFunc(l.waiting, func(t *ticket) bool { return t.gone }), 0
		}
	}
}

// level lets an owner who was not in a lane begin with what the owner has had who had the least there. An empty lane begins from zero.
// An owner who is still in the lane, with another priority, keeps what it has.
func (f *fair) level(lane, owner string) {
	least, found := 0.0, false
	for _, l := range f.lines {
		if l.lane == lane && l.owner == owner {
			return
		}
		if l.lane == lane && (!found || f.pass[passKey(lane, l.owner)] < least) {
			least, found = f.pass[passKey(lane, l.owner)], true
		}
	}
	key := passKey(lane, owner)
	if found { // who has had more than the least does not get it back by leaving
		f.pass[key] = max(f.pass[key], least)
	} else {
		clear0(f.pass, lane)
	}
}

// clear0 forgets what owners of a lane have had, once nobody waits there.
// Only differences between those who wait matter, so the numbers may begin anew, and the map stays small.
func clear0(pass map[string]float64, lane string) {
	for key := range pass {
		if len(key) > len(lane) && key[:len(lane)+1] == lane+"\x00" {
			delete(pass, key)
		}
	}
}

// next takes the work whose turn it is among those for which room says yes; nil if there is none. weight gives an owner's share.
// It removes the ticket and counts the turn. Higher priorities are asked first, whatever their owners have had; among equals
// the stable sort keeps the order in which lines were made. Only the first of a line is tried: a work never overtakes an older
// one of its own line.
func (f *fair) next(weight func(owner string) int, room func(*ticket) bool) *ticket {
	order := slices.Clone(f.lines) // the lines are few: one for each lane, owner and priority
	slices.SortStableFunc(order, func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(f.pass[passKey(a.lane, a.owner)], f.pass[passKey(b.lane, b.owner)]))
	})
	for _, l := range order {
		for len(l.waiting) > 0 && l.waiting[0].gone {
			l.waiting, l.gone = l.waiting[1:], l.gone-1
		}
		// room may say no for one lane and yes for another, so the search goes on.
		if len(l.waiting) == 0 || !room(l.waiting[0]) {
			continue
		}
		t := l.waiting[0]
		l.waiting = l.waiting[1:]
		f.pass[passKey(t.lane, t.owner)] += 1 / float64(weight(t.owner))
		f.prune()
		return t
	}
	f.prune()
	return nil
}

// prune drops empty lines.
func (f *fair) prune() {
	f.lines = slices.DeleteFunc(f.lines, func(l *line) bool { return len(l.waiting) == 0 })
}

// count tells how many wait in a lane, of one owner or of all.
// Cancelled tickets that are still in the line are not counted.
func (f *fair) count(lane, owner string, all bool) (n int) {
	for _, l := range f.lines {
		if l.lane != lane || !all && l.owner != owner {
			continue
		}
		n += len(l.waiting) - l.gone
	}
	return n
}
