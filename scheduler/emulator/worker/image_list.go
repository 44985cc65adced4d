package worker

import "math"

// Lists are not batches: a list holds values one by one, which may differ in
// size, and nodes behind it run once for each. The nodes here take or give
// whole lists (ComfyUI's INPUT_IS_LIST and OUTPUT_IS_LIST).

// listOf gives every picture of a list input, one by one.
func (a *args) listOf(name string) []*tensor {
	a.want(name)
	var out []*tensor
	for _, v := range a.lists[name] {
		p, ok := v.(picture)
		if !ok {
			a.fail("input %s has an entry that is no IMAGE: %s", name, typeName(v))
			return nil
		}
		// A batch in a list counts as its pictures.
		for i := range p.n {
			out = append(out, p.slice(i, i+1))
		}
	}
	if len(out) == 0 {
		a.fail("input %s has no pictures", name)
	}
	return out
}

// givenList turns pictures into a node's only output, a list of type IMAGE.
func givenList(parts []*tensor) ([]value, error) {
	list := make(many, len(parts))
	for i, t := range parts {
		list[i] = picture{t}
	}
	return []value{list}, nil
}

// rebatchImages makes batches of one size; the last may be smaller.
func rebatchImages(a *args) ([]value, error) {
	all, size := a.listOf("images"), a.integer("batch_size")
	if a.err == nil && size < 1 {
		a.err = atLeastOne("batch_size", size)
	}
	if a.err != nil {
		return nil, a.err
	}
	var out []*tensor
	for len(all) > 0 {
		n := min(size, len(all))
		for _, t := range all[1:n] {
			if !t.sameShape(all[0]) {
				a.fail("pictures of different size cannot be one batch: %s and %s", all[0].shape(), t.shape())
				return nil, a.err
			}
		}
		out = append(out, concat(all[:n]...))
		all = all[n:]
	}
	return givenList(out)
}

// mergeImageLists makes one list of single pictures.
func mergeImageLists(a *args) ([]value, error) {
	all := a.listOf("images")
	if a.err != nil {
		return nil, a.err
	}
	return givenList(all)
}

// shuffleImages orders them by numpy's generator.
func shuffleImages(a *args) ([]value, error) {
	all, seed := a.listOf("images"), a.seed("seed")
	if a.err != nil {
		return nil, a.err
	}
	out := make([]*tensor, len(all))
	for i, from := range newTwister(uint32(seed % (1<<32 - 1))).shuffled(len(all)) {
		out[i] = all[from]
	}
	return givenList(out)
}

// imageGrid arranges pictures on black, each in 8 bits and scaled to its cell.
func imageGrid(a *args) ([]value, error) {
	all, columns := a.listOf("images"), a.integer("columns")
	w, h, gap := a.integer("cell_width"), a.integer("cell_height"), a.integer("padding")
	if a.err == nil && (columns < 1 || w < 1 || h < 1 || gap < 0) {
		a.fail("a grid of %d columns with cells of %d × %d is not possible", columns, w, h)
	}
	if a.err != nil {
		return nil, a.err
	}
	rows := (len(all) + columns - 1) / columns
	a.fits(1, rows*h+(rows-1)*gap, columns*w+(columns-1)*gap)
	if a.err != nil {
		return nil, a.err
	}
	out := newTensor(1, rows*h+(rows-1)*gap, columns*w+(columns-1)*gap, 3)
	for i, t := range all {
		if err := channelsNeeded(t, 3); err != nil {
			return nil, err
		}
		a.fits(1, t.h, w)
		if a.err != nil {
			return nil, a.err
		}
		// Each cell is stretched to w × h; proportions are not kept.
		out.paste(lanczos(t, w, h).channels(3, 0), i%columns*(w+gap), i/columns*(h+gap))
	}
	return given(out, nil)
}

// deduplicate leaves out pictures that look like an earlier one: 64 bits of an
// 8 × 8 grey version, each above the mean or not.
func deduplicate(a *args) ([]value, error) {
	all, least := a.listOf("images"), a.number("similarity_threshold")
	if a.err != nil {
		return nil, a.err
	}
	var kept []*tensor
	var looks [][64]bool
	for _, t := range all {
		if err := channelsNeeded(t, 3); err != nil {
			return nil, err
		}
		look := lookOf(t)
		if !seenBefore(looks, look, least) {
			kept, looks = append(kept, t), append(looks, look)
		}
	}
	return givenList(kept)
}

// lookOf computes the bits.
func lookOf(t *tensor) (look [64]bool) {
	small := bytesOf(lanczos(t, 8, 8).pix)
	var grey [64]int
	sum := 0
	for i := range grey {
		p := small[i*t.c:]
		// Pillow's convert("L"): 0.299, 0.587 and 0.114 in 16 bits of fraction,
		// rounded.
		grey[i] = (int(p[0])*19595 + int(p[1])*38470 + int(p[2])*7471 + 0x8000) >> 16
		sum += grey[i]
	}
	for i, v := range grey {
		// Above the mean of the 64, without dividing.
		look[i] = v*64 > sum
	}
	return look
}

// seenBefore compares with what is kept.
func seenBefore(looks [][64]bool, look [64]bool, least float64) bool {
	for _, other := range looks {
		differ := 0
		for i := range look {
			if look[i] != other[i] {
				differ++
			}
		}
		// A threshold of 1 drops only pictures whose 64 bits are all equal.
		if 1-float64(differ)/64 >= least {
			return true
		}
	}
	return false
}

// tile is a rectangle, its ends not included.
type tile struct{ x0, y0, x1, y1 int } // x0 and y0 are inside, x1 and y1 are not

// tilesOf covers a picture with tiles that overlap; the last ones are pulled in.
// It stops at the end of the row in which there are enough.
func tilesOf(w, h, tw, th, overlap, most int) []tile {
	// A step is at least a quarter of a tile, so that a large overlap ends.
	stepX := round(max(float64(tw)*0.25, float64(tw-overlap)))
	stepY := round(max(float64(th)*0.25, float64(th-overlap)))
	stepX, stepY = max(stepX, 1), max(stepY, 1)
	var out []tile
	for y := 0; y < h && len(out) < most; y += stepY {
		y1 := min(y+th, h)
		for x := 0; x < w; x += stepX {
			// The last tile of a row keeps its size and moves back over the one
			// before.
			x1 := min(x+tw, w)
			out = append(out, tile{max(0, x1-tw), max(0, y1-th), x1, y1})
			if x1 >= w {
				break
			}
		}
		if y1 >= h {
			break
		}
	}
	return out
}

// splitTiles gives a list of tiles, row by row.
func splitTiles(a *args) ([]value, error) {
	t, tw, th := a.picture("image"), a.integer("tile_width"), a.integer("tile_height")
	overlap := a.integer("overlap")
	if a.err == nil && (tw < 64 || th < 64 || overlap < 0) {
		a.fail("tiles of %d × %d with an overlap of %d are not possible", tw, th, overlap)
	}
	if a.err != nil {
		return nil, a.err
	}
	tiles := tilesOf(t.w, t.h, tw, th, overlap, maxBatch+1)
	if len(tiles) > maxBatch || len(tiles)*t.n*min(th, t.h)*min(tw, t.w) > a.env.limit {
		a.fail("%d and more tiles of %d × %d are more than the preview may make", len(tiles), tw, th)
		return nil, a.err
	}
	var out []*tensor
	for _, p := range tiles {
		out = append(out, t.crop(p.x0, p.y0, p.x1-p.x0, p.y1-p.y0))
	}
	return givenList(out)
}

// mergeTiles lays tiles back, weighted by a sine that fades at their edges.
func mergeTiles(a *args) ([]value, error) {
	var parts []*tensor
	for _, v := range a.lists["image_list"] {
		if p, ok := v.(picture); ok {
			parts = append(parts, p.tensor)
		}
	}
	w, h, overlap := a.integer("final_width"), a.integer("final_height"), a.integer("overlap")
	if len(parts) == 0 || overlap < 0 {
		a.fail("no tiles to lay out")
		return nil, a.err
	}
	one := parts[0]
	a.fits(one.n, h, w)
	if a.err != nil {
		return nil, a.err
	}
	out, sums := newTensor(one.n, h, w, one.c), newTensor(1, h, w, 1)
	// The weight of a sample is the product of its column's and its row's.
	xs, ys := fade(one.w, overlap > 0), fade(one.h, overlap > 0)
	// The same tiles as in splitTiles, from the size of the first one.
	for i, p := range tilesOf(w, h, one.w, one.h, overlap, len(parts)) {
		if i >= len(parts) {
			break
		}
		if parts[i].n != one.n || parts[i].c != one.c {
			a.fail("tile %d is not like the first one", i)
			return nil, a.err
		}
		addTile(out, sums, parts[i], p, xs, ys)
	}
	for i := range out.pix {
		// Weights of tiles that overlap add up to anything; here their sum
		// becomes 1.
		if s := sums.pix[i/out.c%len(sums.pix)]; s != 0 {
			out.pix[i] /= s
		}
	}
	return given(out, nil)
}

// fade is half a sine over n samples, or 1 everywhere.
func fade(n int, sine bool) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = 1
		if sine {
			at := 0.0
			if n > 1 {
				at = float64(i) / float64(n-1)
			}
			out[i] = max(float32(math.Sin(math.Pi*at)), 1e-5)
		}
	}
	return out
}

// addTile adds a tile and its weights.
func addTile(out, sums, t *tensor, p tile, xs, ys []float32) {
	w, h := min(p.x1-p.x0, t.w, len(xs)), min(p.y1-p.y0, t.h, len(ys))
	for y := range h {
		for x := range w {
			weight := xs[x] * ys[y]
			sums.row(0, p.y0+y)[p.x0+x] += weight
			for i := range t.n {
				for k := range t.c {
					out.row(i, p.y0+y)[(p.x0+x)*t.c+k] += t.row(i, y)[x*t.c+k] * weight
				}
			}
		}
	}
}

// createList makes one list of an autogrow input's lists.
func createList(a *args) ([]value, error) {
	var out many
	// inputs.input0, inputs.input1, …, in the order of their numbers.
	for n := range maxInputs {
		key := numbered("inputs.input", n)
		if _, ok := a.in[key]; ok {
			out = append(out, a.lists[key]...)
		}
	}
	if len(out) == 0 || len(out) > maxBatch {
		a.fail("a list of %d values is not possible", len(out))
	}
	return []value{out}, a.err
}
