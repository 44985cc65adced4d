package worker

import (
	"math"
	"slices"
)

// A sweep over prompts is looked at as a grid of small pictures, so a prompt
// must be told by its colours: the colours and places that it names, or else
// colours that follow from its text. "a red fox in the snow" puts something red
// before hills of white and pale blue.

// colour is red, green and blue, 0 to 1.
type colour [3]float32

// mood is how a prompt is coloured.
type mood struct {
	stops  [5]colour // from dark to light
	accent [3]colour // of the bodies in front
	scenic bool      // hills instead of a plain backdrop
}

// colourWords are colours that a prompt may name.
var colourWords = map[string]colour{
	"red": {0.83, 0.13, 0.13}, "crimson": {0.72, 0.06, 0.2}, "scarlet": {0.9, 0.15, 0.08}, "orange": {0.95, 0.5, 0.1},
	"amber": {0.98, 0.68, 0.13}, "gold": {0.9, 0.7, 0.2}, "golden": {0.93, 0.72, 0.25}, "yellow": {0.97, 0.86, 0.2},
	"green": {0.2, 0.6, 0.25}, "emerald": {0.06, 0.6, 0.4}, "olive": {0.5, 0.52, 0.2}, "lime": {0.6, 0.85, 0.2},
	"mint": {0.6, 0.9, 0.75}, "teal": {0.05, 0.5, 0.52}, "turquoise": {0.2, 0.78, 0.76}, "cyan": {0.15, 0.8, 0.9},
	"blue": {0.13, 0.35, 0.83}, "azure": {0.25, 0.6, 0.95}, "navy": {0.08, 0.13, 0.4}, "indigo": {0.28, 0.16, 0.6},
	"purple": {0.5, 0.2, 0.7}, "violet": {0.55, 0.3, 0.85}, "lavender": {0.75, 0.68, 0.92}, "magenta": {0.85, 0.15, 0.65},
	"pink": {0.96, 0.55, 0.7}, "rose": {0.92, 0.42, 0.52}, "brown": {0.45, 0.28, 0.16}, "beige": {0.88, 0.8, 0.66},
	"bronze": {0.66, 0.45, 0.2}, "copper": {0.75, 0.43, 0.26}, "silver": {0.74, 0.76, 0.8}, "grey": {0.5, 0.5, 0.52},
	"gray": {0.5, 0.5, 0.52}, "white": {0.94, 0.94, 0.95}, "black": {0.08, 0.08, 0.1}, "ivory": {0.95, 0.93, 0.84},
}

// sceneWords are places with a sky and a ground, and their colours: the middle
// one and the light one of the backdrop.
var sceneWords = map[string][2]colour{
	"sky": {{0.35, 0.6, 0.92}, {0.8, 0.9, 0.98}}, "sea": {{0.06, 0.3, 0.5}, {0.45, 0.75, 0.85}},
	"ocean": {{0.03, 0.25, 0.48}, {0.4, 0.72, 0.85}}, "lake": {{0.12, 0.36, 0.48}, {0.62, 0.8, 0.86}},
	"river": {{0.15, 0.4, 0.45}, {0.65, 0.82, 0.8}}, "beach": {{0.15, 0.55, 0.68}, {0.93, 0.83, 0.62}},
	"forest": {{0.07, 0.25, 0.13}, {0.5, 0.66, 0.35}}, "woods": {{0.09, 0.24, 0.12}, {0.55, 0.64, 0.36}},
	"jungle": {{0.04, 0.3, 0.16}, {0.5, 0.75, 0.35}}, "field": {{0.3, 0.46, 0.16}, {0.85, 0.82, 0.5}},
	"meadow": {{0.28, 0.5, 0.2}, {0.8, 0.86, 0.5}}, "garden": {{0.16, 0.42, 0.2}, {0.86, 0.72, 0.76}},
	"desert": {{0.7, 0.42, 0.2}, {0.96, 0.82, 0.58}}, "sand": {{0.72, 0.54, 0.32}, {0.95, 0.86, 0.68}},
	"mountain": {{0.24, 0.3, 0.42}, {0.85, 0.88, 0.94}}, "mountains": {{0.24, 0.3, 0.42}, {0.85, 0.88, 0.94}},
	"landscape": {{0.2, 0.4, 0.3}, {0.8, 0.86, 0.9}}, "valley": {{0.2, 0.36, 0.26}, {0.82, 0.84, 0.76}},
	"snow": {{0.46, 0.58, 0.72}, {0.96, 0.97, 0.99}}, "winter": {{0.4, 0.52, 0.66}, {0.94, 0.96, 0.98}},
	"autumn": {{0.5, 0.2, 0.08}, {0.94, 0.68, 0.28}}, "sunset": {{0.45, 0.12, 0.3}, {0.99, 0.62, 0.3}},
	"sunrise": {{0.4, 0.25, 0.48}, {0.99, 0.76, 0.5}}, "dawn": {{0.36, 0.3, 0.5}, {0.97, 0.78, 0.66}},
	"dusk": {{0.18, 0.14, 0.36}, {0.85, 0.5, 0.5}}, "night": {{0.03, 0.04, 0.13}, {0.25, 0.3, 0.5}},
	"space": {{0.02, 0.02, 0.08}, {0.4, 0.24, 0.6}}, "city": {{0.15, 0.17, 0.25}, {0.75, 0.7, 0.68}},
	"street": {{0.18, 0.17, 0.2}, {0.78, 0.66, 0.5}}, "cloud": {{0.5, 0.6, 0.74}, {0.95, 0.96, 0.98}},
	"clouds": {{0.5, 0.6, 0.74}, {0.95, 0.96, 0.98}}, "fire": {{0.4, 0.05, 0.02}, {1, 0.7, 0.2}},
}

// moodOf reads the colours out of the prompt. What the negative prompt names is
// left out, and what is missing follows from the prompt's and the models' names.
func moodOf(p pass) mood {
	var named []colour
	var scene [][2]colour
	not := words(p.neg.text)
	for _, w := range words(p.pos.text) {
		if slices.Contains(not, w) {
			continue
		}
		if c, ok := colourWords[w]; ok {
			named = append(named, c)
		}
		if s, ok := sceneWords[w]; ok {
			scene = append(scene, s)
		}
	}
	// For what the words leave open. The same prompt has the same colours with
	// every seed; another model shifts the hue a little.
	d := newDice(textHash(p.pos.text), 0)
	style := newDice(textHash(p.model.String()), 1)
	hue := math.Mod(d.between(0, 1)+style.between(-0.04, 0.04)+1, 1)
	// Of prompts that name neither a colour nor a place, three in ten are
	// scenes.
	m := mood{scenic: len(scene) > 0 || len(named) == 0 && d.between(0, 1) < 0.3}
	main, light := m.base(hue, named, scene, &d)
	m.stops = [5]colour{main.mix(colour{}, 0.75), main.mix(colour{}, 0.35), main, main.mix(light, 0.6), light}
	for i := range m.accent {
		switch {
		case i < len(named):
			m.accent[i] = named[i]
		case len(named) > 0:
			m.accent[i] = named[0].mix(light, 0.35*float32(i))
		default:
			// About opposite to the backdrop on the circle of hues, less
			// saturated.
			m.accent[i] = ofHue(math.Mod(hue+0.46+0.07*float64(i), 1), 0.48, 0.58)
		}
	}
	return m
}

// base picks the middle and the light colour of the backdrop.
func (m *mood) base(hue float64, named []colour, scene [][2]colour, d *dice) (main, light colour) {
	main, light = ofHue(hue, d.between(0.35, 0.6), 0.42), ofHue(math.Mod(hue+0.1, 1), 0.4, 0.85)
	switch {
	case len(scene) > 0:
		main, light = scene[0][0], scene[0][1]
		// Further places tint the first one: "city at night".
		for _, s := range scene[1:] {
			main, light = main.mix(s[0], 0.4), light.mix(s[1], 0.5)
		}
		if len(named) > 0 {
			main, light = main.mix(named[0], 0.12), light.mix(named[0], 0.06)
		}
	case len(named) == 1:
		main, light = named[0].mix(colour{0.3, 0.3, 0.32}, 0.25), named[0].mix(colour{1, 1, 1}, 0.7)
	// "red fox, blue sky": the first colours are for bodies, the last is behind
	// them.
	case len(named) > 1:
		last := named[len(named)-1]
		main, light = last.mix(colour{0.25, 0.25, 0.28}, 0.2), last.mix(colour{1, 1, 1}, 0.65)
	}
	return main, light
}

// mix moves towards another colour.
func (c colour) mix(o colour, part float32) colour {
	for k := range c {
		c[k] += (o[k] - c[k]) * part
	}
	return c
}

// ofHue makes a colour of hue, saturation and lightness, each 0 to 1 (CSS's
// hsl).
func ofHue(hue, saturation, lightness float64) colour {
	var out colour
	reach := saturation * min(lightness, 1-lightness)
	for k, shift := range [3]float64{0, 8, 4} {
		t := math.Mod(shift+hue*12, 12)
		out[k] = float32(lightness - reach*max(-1, min(t-3, 9-t, 1)))
	}
	return out
}

// at writes the backdrop's colour at 0 (dark) to 1 (light).
func (m *mood) at(t float64, out []float32) {
	t = min(max(t, 0), 1) * float64(len(m.stops)-1)
	i := min(int(t), len(m.stops)-2)
	c := m.stops[i].mix(m.stops[i+1], float32(t-float64(i)))
	copy(out, c[:])
}

// accentAt writes the colour of body i.
func (m *mood) accentAt(i int, out []float32) { copy(out, m.accent[i%len(m.accent)][:]) }
