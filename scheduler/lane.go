package scheduler

import (
	"cmp"
	"math"
	"slices"
)

// Prepared shards wait in lanes: one for each kind of graph, so that a decision about its head holds for all behind it. Shards that something
// sets apart (an earlier attempt, an endpoint to avoid, a size that not every endpoint takes) stand in a line of their own, as each of them
// needs a decision of its own. Within a lane the higher priority goes first, then the order of the plan.

// before tells which of two shards goes first.
func (s *shard) before(other *shard) bool { return compareShards(s, other) < 0 }

// Ids rise with the order in which shards were made, so they stand for the plan's order.
func compareShards(a, b *shard) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.id, b.id))
}

// makeReady puts a prepared shard where it waits for an endpoint.
func (c *core) makeReady(s *shard) {
	c.ready++
	if c.isOdd(s) {
		c.odd = insertShard(c.odd, s)
		return
	}
	s.class.lane = insertShard(s.class.lane, s)
}

// insertShard keeps a list in order. Shards are made in order, so nearly all go to the end, in constant time.
func insertShard(list []*shard, s *shard) []*shard {
	if n := len(list); n == 0 || list[n-1].before(s) {
		return append(list, s)
	}
	at, _ := slices.BinarySearchFunc(list, s, compareShards)
	return slices.Insert(list, at, s)
}

// isOdd tells whether a shard differs from the others of its kind in where it may go.
func (c *core) isOdd(s *shard) bool {
	if s.avoid != nil || len(s.unfit) > 0 || s.history != (history{}) || len(s.renders) != 1 {
		return true
	}
	// A job that is too large for one endpoint must not decide for the smaller ones behind it.
	return slices.ContainsFunc(c.endpoints, func(ep *endpoint) bool { return tooLarge(s, ep) })
}

// eachReady keeps those prepared shards for which f says so.
func (c *core) eachReady(keep func(*shard) bool) {
	drop := func(s *shard) bool {
		if keep(s) {
			return false
		}
		c.ready--
		return true
	}
	c.odd = slices.DeleteFunc(c.odd, drop)
	for _, g := range c.kinds {
		g.lane = slices.DeleteFunc(g.lane, drop)
	}
}

// resort puts the prepared shards in order after priorities have changed.
func (c *core) resort() {
	set := func(s *shard) {
		for _, i := range s.renders {
			s.priority = c.priority[i]
		}
	}
	for _, s := range c.odd {
		set(s)
	}
	slices.SortFunc(c.odd, compareShards)
	for _, g := range c.kinds {
		for _, s := range g.lane {
			set(s)
		}
		slices.SortFunc(g.lane, compareShards)
	}
}

// firstLane gives the lane whose head goes first among those that were not passed over in this pass, nil if there is none.
func (c *core) firstLane(oldest int) (first *graphClass) {
	for _, g := range c.kinds {
		if len(g.lane) == 0 || g.waits == c.pass || g.lane[0].id > oldest {
			continue
		}
		if first == nil || g.lane[0].before(first.lane[0]) {
			first = g
		}
	}
	return first
}

// shift takes the head off a lane, and those behind it that were merged with it.
func (c *core) shift(list []*shard) []*shard {
	list[0] = nil
	list = list[1:]
	c.ready--
	return c.dropTaken(list)
}

// dropTaken takes shards off the head of a lane that were merged into a job; those further back go when they get there.
func (c *core) dropTaken(list []*shard) []*shard {
	for len(list) > 0 && list[0].taken {
		list[0] = nil
		list = list[1:]
		c.ready--
	}
	return list
}

// oldestPreparing gives the least id of a shard whose job is being made. What is younger waits for it, so that runs do not depend on how goroutines
// are scheduled.
func (c *core) oldestPreparing() int {
	least := math.MaxInt
	for id := range c.shards {
		least = min(least, id)
	}
	return least
}
