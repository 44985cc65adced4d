package source

// Leave says which parts of a tree nobody is going to read. They are read and checked as all of the text is, but no values are made of them.
// Nil keeps everything. A Leave may refer to itself, for trees that nest.
//
// For a batch's object_info, say, {Within: {"Node", {Keep: ["input"]}}} reads {"Node": {"input": …, "help": …}} and makes no value of help.
// Keys are compared one by one, in the order Keys, Within, Keep: the lists are meant to be short.
type Leave struct {
	Keys   []string  // members of the object that are left out
	Keep   []string  // if not nil, the only members that are kept, beside those of Within
	Within []LeaveIn // members inside of which parts are left out
	Items  *Leave    // for each item, if the value is an array
}

// LeaveIn is what is left out of one member.
type LeaveIn struct {
	Key   string
	Leave *Leave
}

// leaveAll leaves out a value with all that is in it.
var leaveAll = &Leave{}

// NoItems keeps an array, but none of its items.
func NoItems() *Leave { return &Leave{Items: leaveAll} }

// ofItems gives what is left out of an array's items; inside of what is left out, everything is.
func (l *Leave) ofItems() *Leave {
	if l == nil || l == leaveAll {
		return l
	}
	return l.Items
}

// of gives what is left out of a member: nil if it is kept whole, leaveAll if it is not kept.
func (l *Leave) of(key string) *Leave {
	if l == nil || l == leaveAll {
		return l
	}
	for _, k := range l.Keys {
		if k == key {
			return leaveAll
		}
	}
	for i := range l.Within {
		if l.Within[i].Key == key {
			return l.Within[i].Leave
		}
	}
	if l.Keep == nil {
		return nil
	}
	for _, k := range l.Keep {
		if k == key {
			return nil
		}
	}
	return leaveAll
}
