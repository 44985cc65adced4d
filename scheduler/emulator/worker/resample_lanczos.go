package worker

import "math"

// Pillow scales 8-bit pictures with integer weights. Doing it in floating point
// gives pictures that differ in the last bit, and truncation on saving makes
// that a whole step; hence its integers, its order and its roundings.

// weightBits is the precision of the integer weights: 32 bits less 8 for the
// sample and 2 for overflow, as in Pillow.
const weightBits = 32 - 8 - 2

// lanczos scales as Pillow does, on 8-bit samples: rounded weights, sideways
// first, with 8-bit samples in between. With an alpha channel the colours are
// multiplied by it before and divided by it after.
func lanczos(t *tensor, w, h int) *tensor {
	out := newTensor(t.n, h, w, t.c)
	for i := range t.n {
		// ComfyUI goes through a Pillow image of 8 bits for lanczos: so does
		// this.
		in := bytesOf(t.one(i))
		back := out.one(i)
		for j, v := range lanczosBytes(in, t.w, t.h, t.c, w, h) {
			back[j] = float32(v) / 255
		}
	}
	return out
}

// bytesOf cuts samples to 8 bits as ComfyUI does: times 255, clipped, truncated.
func bytesOf(pix []float32) []uint8 {
	out := make([]uint8, len(pix))
	for i, v := range pix {
		out[i] = to8(v)
	}
	return out
}

// to8 is one sample in 8 bits.
func to8(v float32) uint8 {
	v *= 255
	switch {
	case v >= 255:
		return 255
	case v > 0:
		return uint8(v)
	}
	return 0
}

// lanczosBytes scales one picture of c channels.
func lanczosBytes(in []uint8, iw, ih, c, w, h int) []uint8 {
	// Nothing is to be done; the picture has been cut to 8 bits all the same.
	if iw == w && ih == h {
		return in
	}
	alpha := c == 2 || c == 4
	if alpha {
		premultiply(in, c)
	}
	if iw != w {
		in = lanczosRows(in, iw, ih, c, w)
	}
	if ih != h {
		in = lanczosColumns(in, ih, w*c, h)
	}
	if alpha {
		unmultiply(in, c)
	}
	return in
}

// lanczosRows scales sideways.
func lanczosRows(in []uint8, iw, ih, c, w int) []uint8 {
	kernel := lanczosKernel(iw, w)
	out := make([]uint8, ih*w*c)
	for y := range ih {
		row, to := in[y*iw*c:(y+1)*iw*c], out[y*w*c:(y+1)*w*c]
		for x, k := range kernel {
			for ch := range c {
				// Begun with one half, so that the shift at the end rounds.
				sum, at := int32(1)<<(weightBits-1), k.from*c+ch
				for _, weight := range k.weight {
					sum += int32(row[at]) * weight
					at += c
				}
				to[x*c+ch] = clip8(sum)
			}
		}
	}
	return out
}

// lanczosColumns scales downwards; a row has size samples.
func lanczosColumns(in []uint8, ih, size, h int) []uint8 {
	out := make([]uint8, h*size)
	sums := make([]int32, size)
	for y, k := range lanczosKernel(ih, h) {
		for x := range sums {
			sums[x] = 1 << (weightBits - 1)
		}
		for j, weight := range k.weight {
			for x, v := range in[(k.from+j)*size : (k.from+j+1)*size] {
				sums[x] += int32(v) * weight
			}
		}
		to := out[y*size : (y+1)*size]
		for x, sum := range sums {
			to[x] = clip8(sum)
		}
	}
	return out
}

// clip8 drops the fraction bits.
func clip8(sum int32) uint8 { return uint8(min(max(sum>>weightBits, 0), 255)) }

// kernel8 is the integer weights of one new sample.
type kernel8 struct {
	from   int     // index of the first old sample
	weight []int32 // times 2^weightBits; they add up to about that
}

// lanczosKernel computes the weights of a three-lobed Lanczos filter, which
// widens when the picture shrinks.
func lanczosKernel(old, size int) []kernel8 {
	scale := float64(old) / float64(size)
	// Enlarging keeps the kernel at three old samples a side; shrinking widens
	// it, so that every old sample counts.
	wide := max(scale, 1)
	support := 3 * wide
	out := make([]kernel8, size)
	for i := range out {
		// Samples are areas, so the middle of sample 0 is at 0.5.
		centre := (float64(i) + 0.5) * scale
		from := max(int(centre-support+0.5), 0)
		to := min(int(centre+support+0.5), old)
		weight, sum := make([]float64, to-from), 0.0
		for j := range weight {
			weight[j] = sinc3((float64(j+from) - centre + 0.5) * (1 / wide))
			sum += weight[j]
		}
		k := kernel8{from, make([]int32, len(weight))}
		for j, v := range weight {
			k.weight[j] = int32(math.Round(v / sum * (1 << weightBits)))
		}
		out[i] = k
	}
	return out
}

// sinc3 is the Lanczos window of three lobes.
func sinc3(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

// sinc is sin(πx)/πx.
func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// premultiply multiplies the colours by the last channel, with Pillow's rounding.
func premultiply(pix []uint8, c int) {
	for i := 0; i < len(pix); i += c {
		alpha := uint32(pix[i+c-1])
		for k := i; k < i+c-1; k++ {
			// Division by 255 with rounding, without dividing.
			v := uint32(pix[k])*alpha + 128
			pix[k] = uint8(((v >> 8) + v) >> 8)
		}
	}
}

// unmultiply divides the colours by the last channel.
func unmultiply(pix []uint8, c int) {
	for i := 0; i < len(pix); i += c {
		alpha := uint32(pix[i+c-1])
		// Of clear pixels the colour is lost (0), opaque ones have it
		// unchanged.
		if alpha == 0 || alpha == 255 {
			continue
		}
		for k := i; k < i+c-1; k++ {
			pix[k] = uint8(min(255*uint32(pix[k])/alpha, 255))
		}
	}
}
