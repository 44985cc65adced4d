package nodes

// With gives a catalogue that has the classes of another one as well; where both have a class, the other's counts. The classes are shared with
// both, which do not change. Whether the result is literal, c says.
func (c *Catalogue) With(other *Catalogue) *Catalogue {
	if other == nil || len(other.entries) == 0 {
		return c
	}
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
