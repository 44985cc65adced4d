package worker

import "strings"

// What a text encoder gives to samplers, reduced to what a drawing can use: the
// words, the guidance, and pictures that steer. Areas, masks and step ranges
// are carried without effect.

// cond is a value of type CONDITIONING: what the text encoder was told.
type cond struct {
	text     string  // all texts of the conditioning, joined by commas
	guidance float64 // 0 when not set
	hints    []hint  // at most mostHints, in the order in which they were added
}

// mostHints bounds the pictures of one conditioning.
const mostHints = 8

// hint is a picture that steers the model.
type hint struct {
	t      *tensor // at least one picture; scaled to the latent when it is mixed in
	weight float64 // 0..1
}

// encodes is a class that makes conditioning of the texts of some inputs; equal
// texts count once. A guidance input is kept.
func encodes(inputs ...string) class {
	return drawn(func(a *args) ([]value, error) {
		c := &cond{guidance: a.numberOr("guidance", 0)}
		for _, name := range inputs {
			if a.has(name) {
				c.text = joinText(c.text, a.text(name))
			}
		}
		return []value{c}, a.err
	})
}

// joinText puts texts after one another, leaving out what is there already and
// what would make the whole too long.
func joinText(one, two string) string {
	two = strings.TrimSpace(two)
	switch {
	case two == "" || one == two:
		return one
	case one == "":
		return two
	// 64 KiB: a graph may join what it has joined many times over.
	case len(one)+len(two) > mostText/16:
		return one
	}
	return one + ", " + two
}

// encodesPair makes a positive and a negative of two inputs.
func encodesPair(positive, negative string) class {
	return drawn(func(a *args) ([]value, error) {
		return []value{&cond{text: a.text(positive)}, &cond{text: a.textOr(negative, "")}}, a.err
	})
}

// condOf gives an input of type CONDITIONING; an empty one for what is missing.
func (a *args) condOf(name string) *cond {
	c, ok := a.in[name].(*cond)
	if !ok || c == nil {
		if a.has(name) {
			a.fail("input %s has the wrong type: %s", name, typeName(a.in[name]))
		}
		return &cond{}
	}
	return c
}

// combines is a class that joins two conditionings.
func combines(one, two string) class {
	return drawn(func(a *args) ([]value, error) {
		return []value{a.condOf(one).join(a.condOf(two))}, a.err
	})
}

// combinesPairs joins two positives and two negatives.
func combinesPairs(p1, n1, p2, n2 string) class {
	return drawn(func(a *args) ([]value, error) {
		return []value{a.condOf(p1).join(a.condOf(p2)), a.condOf(n1).join(a.condOf(n2))}, a.err
	})
}

// join is both, as one.
func (c *cond) join(o *cond) *cond {
	// A new slice: conditionings are shared by all nodes that are linked to
	// them.
	hints := append(append([]hint(nil), c.hints...), o.hints...)
	return &cond{
		text: joinText(c.text, o.text), guidance: max(c.guidance, o.guidance),
		hints: hints[:min(len(hints), mostHints)],
	}
}

// zeroOut forgets the text.
func zeroOut(a *args) ([]value, error) {
	a.condOf("conditioning")
	return []value{&cond{}}, a.err
}

// setGuidance is FluxGuidance.
func setGuidance(a *args) ([]value, error) {
	c := *a.condOf("conditioning")
	c.guidance = a.number("guidance")
	return []value{&c}, a.err
}

// average mixes two texts; the first alone at strength 1, the second at 0.
func average(a *args) ([]value, error) {
	to, from := a.condOf("conditioning_to"), a.condOf("conditioning_from")
	switch strength := a.number("conditioning_to_strength"); {
	case strength >= 1:
		return []value{to}, a.err
	case strength <= 0:
		return []value{from}, a.err
	}
	return []value{to.join(from)}, a.err
}

// hinted is a class that lets a picture steer the conditionings of some inputs.
// The strength input counts times part.
func hinted(part float64, pictures []string, inputs ...string) class {
	return drawn(func(a *args) ([]value, error) {
		var hints []hint
		for _, name := range pictures {
			// A control net at full strength must not hide the drawing, hence
			// part: 0.35.
			weight := min(max(a.numberOr("strength", 1)*part, 0), 1)
			switch v := a.in[name].(type) {
			case picture:
				hints = append(hints, hint{v.tensor, weight})
			// ReferenceLatent gives a latent; an empty one shows nothing.
			case *latent:
				if v.pic != nil {
					hints = append(hints, hint{v.pic, weight})
				}
			}
		}
		out := make([]value, len(inputs))
		for i, name := range inputs {
			out[i] = a.condOf(name).join(&cond{hints: hints})
		}
		return out, a.err
	})
}

// describes is a class that encodes a text together with pictures to edit.
func describes(text string, pictures ...string) class {
	return drawn(func(a *args) ([]value, error) {
		c := &cond{text: a.text(text)}
		for _, name := range pictures {
			if p, ok := a.in[name].(picture); ok {
				c.hints = append(c.hints, hint{p.tensor, 0.5})
			}
		}
		return []value{c}, a.err
	})
}

// instructPixToPix steers by the picture and samples a latent of its size.
func instructPixToPix(a *args) ([]value, error) {
	l := encode(a, a.picture("pixels"))
	if a.err != nil {
		return nil, a.err
	}
	steer := &cond{hints: []hint{{l.pic, 0.5}}}
	// What is sampled has the size of the picture and none of its pixels.
	empty := *l
	empty.pic = nil
	return []value{a.condOf("positive").join(steer), a.condOf("negative"), &empty}, a.err
}
