package nodes

// With gives a catalogue that has the classes of another one as well; where both have a class, the other's counts. The classes are shared with
// both, which do not change, and each has the open lists that it has in the catalogue it comes from. Whether the result is literal, c says.
func (c *Catalogue) With(other *Catalogue) *Catalogue {
	if other == nil || len(other.entries) == 0 {
		return c
	}
	// Entries are pointers: a class that is decoded through one catalogue is decoded in all that share it.
	out := &Catalogue{entries: make(map[string]*entry, len(c.entries)+len(other.entries)), literal: c.literal}
	for name, e := range c.entries {
		out.entries[name] = e
	}
	for name, e := range other.entries {
		out.entries[name] = e
	}
	out.sortNames()
	return out
}
