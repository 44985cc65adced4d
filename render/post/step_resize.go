package post

import (
	"fmt"
	"image"
	"slices"

	"github.com/disintegration/imaging"
)

// Resize scales a picture.
type Resize struct {
	// Width and Height are in pixels; 0 follows from the other one and the picture's
	// proportions. At least one is needed, and both by fill and exact.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// Percent scales both sides instead, above 0 to 1600.
	Percent float64 `json:"percent,omitempty"`
	// Filter is the resampling kernel, lanczos when empty; see Filters.
	Filter string `json:"filter,omitempty"`
	// Mode is what happens when both sides are given: fit (the default) keeps the
	// proportions within them and never enlarges, fill covers them and cuts the
	// overhang evenly, exact stretches. With one side, the picture is scaled to it.
	Mode string `json:"mode,omitempty"`
}

// filter names a kernel of imaging.
type filter struct {
	name   string
	kernel imaging.ResampleFilter
}

// filters are imaging's kernels. Lanczos is sharp and shows faint rings at hard edges,
// catmullrom and mitchell are softer, box averages, nearest keeps pixel art as it is.
var filters = []filter{
	{"lanczos", imaging.Lanczos},
	{"catmullrom", imaging.CatmullRom},
	{"mitchell", imaging.MitchellNetravali},
	{"bspline", imaging.BSpline},
	{"gaussian", imaging.Gaussian},
	{"hermite", imaging.Hermite},
	{"hann", imaging.Hann},
	{"hamming", imaging.Hamming},
	{"blackman", imaging.Blackman},
	{"bartlett", imaging.Bartlett},
	{"welch", imaging.Welch},
	{"cosine", imaging.Cosine},
	{"linear", imaging.Linear},
	{"box", imaging.Box},
	{"nearest", imaging.NearestNeighbor},
}

// Filters are the names that Resize.Filter may have, the default first.
func Filters() []string {
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.name
	}
	return names
}

// Name implements [Step].
func (Resize) Name() string { return "resize" }

// Check implements [Step].
func (r Resize) Check() error {
	switch {
	case r.Percent != 0:
		return r.checkPercent()
	case r.Width < 0 || r.Height < 0 || r.Width > MaxSide || r.Height > MaxSide:
		return fmt.Errorf("width and height must be between 1 and %d", MaxSide)
	case r.Width == 0 && r.Height == 0:
		return fmt.Errorf("width, height or percent is needed")
	case !slices.Contains([]string{"", "fit", "fill", "exact"}, r.Mode):
		return fmt.Errorf("there is no mode %q, only fit, fill, exact", r.Mode)
	case (r.Mode == "fill" || r.Mode == "exact") && (r.Width == 0 || r.Height == 0):
		return fmt.Errorf("mode %s needs width and height", r.Mode)
	}
	return r.checkFilter()
}

// checkPercent is Check for a resize by a factor, with which no size goes.
func (r Resize) checkPercent() error {
	switch {
	case !(r.Percent > 0 && r.Percent <= 1600):
		return fmt.Errorf("percent must be above 0 and at most 1600")
	case r.Width != 0 || r.Height != 0 || r.Mode != "":
		return fmt.Errorf("percent cannot be given with width, height or mode")
	}
	return r.checkFilter()
}

// checkFilter accepts the names of filters and the empty word.
func (r Resize) checkFilter() error {
	if r.Filter != "" && !slices.Contains(Filters(), r.Filter) {
		return fmt.Errorf("there is no filter %q", r.Filter)
	}
	return nil
}

// Apply implements [Step].
func (r Resize) Apply(p *Picture) error {
	w, h := r.size(p.Pix.Rect.Size())
	if err := checkSize(w, h); err != nil {
		return err
	}
	if r.Mode == "fill" {
		if err := checkCover(p.Pix.Rect.Size(), w, h); err != nil {
			return err
		}
		p.Pix = imaging.Fill(p.Pix, w, h, imaging.Center, r.kernel())
		return nil
	}
	p.Pix = imaging.Resize(p.Pix, w, h, r.kernel())
	return nil
}

// size is the result's size in pixels for a picture of the size s.
func (r Resize) size(s image.Point) (w, h int) {
	w, h = r.Width, r.Height
	switch {
	case r.Percent != 0:
		w = max(1, round(float64(s.X)*r.Percent/100))
		h = max(1, round(float64(s.Y)*r.Percent/100))
	case w == 0:
		w = max(1, (s.X*h+s.Y/2)/s.Y)
	case h == 0:
		h = max(1, (s.Y*w+s.X/2)/s.X)
	case r.Mode == "" || r.Mode == "fit":
		if s.X <= w && s.Y <= h {
			return s.X, s.Y
		}
		// The side that is further over its bound decides; the other follows, rounded.
		if s.X*h > s.Y*w {
			h = max(1, (s.Y*w+s.X/2)/s.X)
		} else {
			w = max(1, (s.X*h+s.Y/2)/s.Y)
		}
	}
	return w, h
}

// checkCover refuses a fill whose intermediate picture, before the overhang is cut,
// would be over the limits: one of 1×30000 made to cover 1000×1000 is one.
func checkCover(s image.Point, w, h int) error {
	if s.X*h < s.Y*w {
		return checkCoverSide(w, s.Y*w/s.X)
	}
	return checkCoverSide(h, s.X*h/s.Y)
}

// checkCoverSide holds a × b against the pixel cap.
func checkCoverSide(a, b int) error {
	if a*max(1, b) > MaxPixels {
		return fmt.Errorf("proportions too far apart to fill")
	}
	return nil
}

// kernel is the filter's; Check has seen the name.
func (r Resize) kernel() imaging.ResampleFilter {
	for _, f := range filters {
		if f.name == r.Filter {
			return f.kernel
		}
	}
	return imaging.Lanczos
}
