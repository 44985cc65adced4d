package worker

import (
	"math"
	"strings"
)

// A drawing is built from the back to the front: a backdrop of flowing colour,
// hills when the prompt names a place, one to three bodies, and a finish of
// contrast, shade and grain. Only the backdrop needs much noise, so it is
// computed on a small grid and enlarged; a picture of a megapixel takes a few
// hundredths of a second.

// canvas is one picture that is being drawn: the samples and how to colour them.
type canvas struct {
	pix  []float32 // rows of R, G, B
	w, h int
	mood mood // what the prompt says about colours
	dice dice // of the composition
	// unit is the longer side; lengths are fractions of it.
	unit float64
}

// paint makes the stand-in for one picture of a pass into pix (w × h × 3). The
// composition follows from the seed and the place in the batch, the colours from
// the prompt, the detail from the steps, the contrast from cfg and guidance, the
// grain from the sampler. A later frame of a video moves on a little.
func paint(pix []float32, w, h int, p pass, place, frame int) {
	c := &canvas{pix: pix, w: w, h: h, mood: moodOf(p), unit: float64(max(w, h))}
	// One stream of numbers for the composition, drawn from in a fixed order: a
	// draw that is added at some place changes all that comes after it.
	c.dice = newDice(p.compose, uint64(place))
	c.backdrop(detailOf(p.steps), float64(frame)*0.02)
	if c.mood.scenic {
		c.ridges(float64(frame) * 0.01)
	}
	c.shapes(float64(frame) * 0.004)
	c.finish(contrastOf(p), newDice(textHash(p.sampler+p.scheduler), 0))
}

// detailOf is the number of noise octaves for a number of steps: 2 to 6.
func detailOf(steps int) int {
	return min(max(int(math.Log2(float64(max(steps, 1))))+1, 2), 6)
}

// contrastOf rises with cfg and guidance, from 0.8 to about 1.3.
func contrastOf(p pass) float32 {
	// A cfg of 1 is none; with 7 the result is about 1.09.
	strength := max(p.cfg-1, 0) + p.pos.guidance*0.7
	return float32(0.8 + 0.5*(1-math.Exp(-strength/7)))
}

// gridSide is the longer side of the grid that smooth colours are computed on.
const gridSide = 160

// backdrop fills with flowing bands of colour: a gradient bent by noise,
// computed on a small grid and enlarged smoothly.
func (c *canvas) backdrop(octaves int, drift float64) {
	// At least 8 samples on the shorter side of a very long picture.
	gw := max(gridSide*c.w/int(c.unit), 8)
	gh := max(gridSide*c.h/int(c.unit), 8)
	noise := newNoise(c.dice.next())
	angle := c.dice.between(-0.5, 0.5)
	if !c.mood.scenic {
		angle = c.dice.between(0, 2*math.Pi)
	}
	scale, bend := c.dice.between(1.6, 3.2), c.dice.between(0.25, 0.6)
	// The gradient runs downwards at angle 0; in a scene it leans by half a
	// radian at most.
	dx, dy := math.Sin(angle), math.Cos(angle)
	small := newTensor(1, gh, gw, 3)
	for y := range gh {
		// u and v run from -0.5 to 0.5 along the longer side, so that shapes
		// are not stretched in wide or tall pictures.
		v := (float64(y)/float64(gh-1) - 0.5) * float64(c.h) / c.unit
		row := small.row(0, y)
		for x := range gw {
			u := (float64(x)/float64(gw-1) - 0.5) * float64(c.w) / c.unit
			// Noise that is read at places moved by other noise flows instead
			// of blotching.
			warp := noise.fractal(u*scale+drift, v*scale, 2)
			n := noise.fractal(u*scale*1.5+warp*2, v*scale*1.5+drift+7, octaves)
			at := 0.5 + u*dx + v*dy + bend*n + 0.2*warp
			if c.mood.scenic { // a sky: lighter towards the horizon
				at = 0.66 + 0.2*u*dx + 0.7*v + 0.55*bend*n
			}
			c.mood.at(at, row[x*3:x*3+3])
		}
	}
	big := taps(small, linearTaps(gw, c.w), linearTaps(gh, c.h))
	copy(c.pix, big.pix)
}

// ridges draws hills from the far pale ones to the near dark ones.
func (c *canvas) ridges(drift float64) {
	count := 2 + int(c.dice.between(0, 3))
	horizon := c.dice.between(0.35, 0.6)
	for i := range count {
		// From above 0, the farthest, to 1.
		near := float64(i+1) / float64(count)
		noise := newNoise(c.dice.next())
		rough, tall := c.dice.between(1.2, 3.5), c.dice.between(0.05, 0.22)*(1.2-0.5*near)
		base := horizon + (1-horizon)*near*0.75
		var colour, low [3]float32
		c.mood.at(0.78-0.7*near, colour[:])
		c.mood.at(0.66-0.66*near, low[:])
		// The height of the ridge in each column, in pixels from the picture's
		// top.
		tops := make([]float32, c.w)
		for x := range tops {
			u := float64(x) / c.unit
			n := noise.fractal(u*rough*2+drift*near, float64(i)*11.3, 5)
			tops[x] = float32((base - tall*n*1.6) * float64(c.h))
		}
		c.hill(tops, colour, low)
	}
}

// hill fills below a line, from one colour at its top to another.
func (c *canvas) hill(tops []float32, colour, low [3]float32) {
	fade := 1 / float32(c.h)
	for y := range c.h {
		row := c.pix[y*c.w*3 : (y+1)*c.w*3]
		for x, top := range tops {
			below := float32(y) + 0.5 - top
			if below <= 0 {
				continue
			}
			// The first pixel below the line is covered in part, which smooths
			// the edge.
			cover, deep := min(below, 1), min(below*fade*2.5, 1)
			p := row[x*3 : x*3+3]
			for k := range p {
				p[k] += (colour[k] + (low[k]-colour[k])*deep - p[k]) * cover
			}
		}
	}
}

// shapes draws one to three round bodies where a subject would be, the largest
// in front, all lit from the same side above.
func (c *canvas) shapes(drift float64) {
	count := 1 + int(c.dice.between(0, 3))
	// The first body's radius, as a part of the root of the picture's area;
	// each further one is about half as large.
	size := c.dice.between(0.15, 0.27)
	// An angle in radians, 0 to the right and clockwise: always from above.
	light := c.dice.between(-2.6, -0.5)
	// Where photographers put a subject: the thirds of the width, and the
	// middle.
	thirds := [...]float64{0.34, 0.5, 0.66}
	first := int(c.dice.between(0, 3))
	bodies := make([]body, count)
	for i := range bodies {
		place := thirds[(first+i)%3] + c.dice.between(-0.08, 0.08)
		b := body{
			x:     (place + drift*float64(i+1)) * float64(c.w),
			y:     c.dice.between(0.4, 0.66) * float64(c.h),
			rx:    size * c.dice.between(0.75, 1.1) * math.Sqrt(float64(c.w*c.h)),
			light: light, lobes: float64(2 + int(c.dice.between(0, 3))),
			swing: c.dice.between(0, 0.07), turn: c.dice.between(0, 6),
		}
		b.ry = b.rx * c.dice.between(0.8, 1.25)
		c.mood.accentAt(i, b.colour[:])
		bodies[i] = b
		size *= c.dice.between(0.4, 0.65)
	}
	for i := count - 1; i >= 0; i-- {
		c.shadow(bodies[i])
		c.body(bodies[i])
	}
}

// body is one round shape, in pixels. Its edge swings in lobes.
type body struct {
	x, y, rx, ry, light float64
	lobes, swing, turn  float64
	colour              [3]float32
}

// shadow darkens the ground under a body.
func (c *canvas) shadow(b body) {
	// A flat ellipse at the foot, on the side away from the light.
	cx, cy := b.x-0.25*b.rx*math.Cos(b.light), b.y+b.ry*1.02
	rx, ry := b.rx*1.05, b.ry*0.2
	for y := max(0, int(cy-ry)); y < min(c.h, int(cy+ry)+1); y++ {
		v := (float64(y) - cy) / ry
		row := c.pix[y*c.w*3 : (y+1)*c.w*3]
		for x := max(0, int(cx-rx)); x < min(c.w, int(cx+rx)+1); x++ {
			u := (float64(x) - cx) / rx
			if dark := 1 - u*u - v*v; dark > 0 {
				keep := float32(1 - 0.5*dark*dark)
				p := row[x*3 : x*3+3]
				p[0], p[1], p[2] = p[0]*keep, p[1]*keep, p[2]*keep
			}
		}
	}
}

// body draws a shape like a ball with a soft edge and a highlight.
func (c *canvas) body(b body) {
	// As far as the lobes may stand out.
	reach := 1 + 2*b.swing + 0.03
	y0, y1 := max(0, int(b.y-b.ry*reach)), min(c.h, int(b.y+b.ry*reach)+1)
	x0, x1 := max(0, int(b.x-b.rx*reach)), min(c.w, int(b.x+b.rx*reach)+1)
	edges := b.outline()
	lx, ly := 0.62*math.Cos(b.light), 0.62*math.Sin(b.light)
	soft := max(2/b.rx, 0.01)
	for y := y0; y < y1; y++ {
		v := (float64(y) - b.y) / b.ry
		row := c.pix[y*c.w*3 : (y+1)*c.w*3]
		for x := x0; x < x1; x++ {
			u := (float64(x) - b.x) / b.rx
			d := math.Sqrt(u*u+v*v) / edges.at(u, v)
			cover := float32(min(max((1-d)/soft, 0), 1))
			if cover == 0 {
				continue
			}
			// The cosine between a ball's surface and the light, which comes
			// from the front as much as from the side (0.62² + 0.78² is about
			// 1).
			facing := u*lx + v*ly + 0.78*math.Sqrt(max(1-d*d, 0))
			lit := float32(0.36 + 0.8*max(facing, 0))
			// In the end facing to the 16th power, without math.Pow for each
			// pixel.
			gloss := facing * facing
			gloss *= gloss * gloss * gloss
			p := row[x*3 : x*3+3]
			for k := range p {
				p[k] += (b.colour[k]*lit + float32(gloss*gloss)*0.3 - p[k]) * cover
			}
		}
	}
}

// outline holds the radius by direction, so that no angle is computed per pixel.
type outline [128]float64

// outline computes it; directions are counted along a diamond.
func (b body) outline() *outline {
	var o outline
	for i := range o {
		t := float64(i) / float64(len(o)) * 4
		u, v := diamond(t)
		angle := math.Atan2(v, u)
		o[i] = 1 + b.swing*math.Sin(angle*b.lobes+b.turn) + b.swing*0.5*math.Sin(angle*(b.lobes+3)-b.turn*2)
	}
	return &o
}

// diamond is the point at t (0..4) along |u|+|v| = 1.
func diamond(t float64) (u, v float64) {
	switch {
	case t < 1:
		return 1 - t, t
	case t < 2:
		return 1 - t, 2 - t
	case t < 3:
		return t - 3, 2 - t
	}
	return t - 3, t - 4
}

// at gives the radius in the direction of u, v.
func (o *outline) at(u, v float64) float64 {
	sum := math.Abs(u) + math.Abs(v)
	if sum == 0 {
		return 1
	}
	// Where the direction meets the diamond, from 0 to 4; the reverse of
	// diamond.
	t := 1 - u/sum
	if v < 0 {
		t = 3 + u/sum
	}
	at := t * float64(len(o)) / 4
	i := int(at)
	part := at - float64(i)
	return o[i%len(o)]*(1-part) + o[(i+1)%len(o)]*part
}

// grainSide is the side of the square of grain that repeats over a picture.
const grainSide = 64

// finish sets the contrast, darkens the corners and adds grain.
func (c *canvas) finish(contrast float32, d dice) {
	grain := make([]float32, grainSide*grainSide)
	// Grain of less than one percent: it tells samplers apart without being
	// seen.
	amount := 0.003 + 0.006*d.between(0, 1)
	for i := range grain {
		grain[i] = float32(d.between(-amount, amount))
	}
	// How much each column is darkened; rows are added below.
	across := make([]float32, c.w)
	for x := range across {
		u := float32(x)/float32(c.w) - 0.5
		across[x] = 0.45 * u * u
	}
	for y := range c.h {
		v := float32(y)/float32(c.h) - 0.5
		down := 1 - 0.45*v*v
		row := c.pix[y*c.w*3 : (y+1)*c.w*3]
		// Specks are two pixels wide and high, as film grain is coarser than a
		// pixel.
		line := grain[y/2%grainSide*grainSide:][:grainSide]
		for x, dark := range across {
			shade, speck := down-dark, line[x/2%grainSide]
			p := row[x*3 : x*3+3]
			for k, s := range p {
				p[k] = clamp((s*shade-0.5)*contrast + 0.5 + speck)
			}
		}
	}
}

// words splits a prompt into lower-case words; digits and punctuation part
// them.
func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r > 127)
	})
}
