package post

import (
	"fmt"
	"image"
	"strconv"
	"strings"
)

// parseAspect reads proportions as "16:9", "16/9" or "1.5": width and height.
func parseAspect(text string) (w, h float64, err error) {
	a, b, both := strings.Cut(strings.ReplaceAll(text, "/", ":"), ":")
	w, err = strconv.ParseFloat(strings.TrimSpace(a), 64)
	h = 1
	if err == nil && both {
		h, err = strconv.ParseFloat(strings.TrimSpace(b), 64)
	}
	// Beyond 1000 to 1 no picture is meant; this also refuses infinities and NaN.
	if err != nil || !(w > 0) || !(h > 0) || !(w/h <= 1000) || !(h/w <= 1000) {
		return 0, 0, fmt.Errorf("%q is no aspect: write 16:9, 1:1 or 1.5", text)
	}
	return w, h, nil
}

// inAspect is the largest size of the proportions w:h within s.
func inAspect(s image.Point, w, h float64) image.Point {
	// Full height if that is not too wide, else full width. Never 0, whatever the
	// proportions.
	if wide := float64(s.Y) * w / h; wide < float64(s.X) {
		return image.Pt(max(1, round(wide)), s.Y)
	}
	return image.Pt(s.X, max(1, round(float64(s.X)*h/w)))
}

// aroundAspect is the smallest size of the proportions w:h that holds s.
func aroundAspect(s image.Point, w, h float64) image.Point {
	if wide := float64(s.Y) * w / h; wide > float64(s.X) {
		return image.Pt(round(wide), s.Y)
	}
	return image.Pt(s.X, round(float64(s.X)*h/w))
}

// round takes halves up. It is for sizes, which are never negative.
func round(f float64) int { return int(f + 0.5) }
