package post

import (
	"fmt"
	"image"
	"slices"
	"strings"
)

// anchorNames are the places that a step may name, center being the default of most.
var anchorNames = []string{"center", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right"}

// checkAnchor accepts the names and the empty word.
func checkAnchor(name string) error {
	if name != "" && !slices.Contains(anchorNames, name) {
		return fmt.Errorf("there is no anchor %q, only %s", name, strings.Join(anchorNames, ", "))
	}
	return nil
}

// anchored is where the corner of something of the size inner lies in a frame of the
// size outer, margin pixels from the sides that the anchor names. Odd rests go to the
// right and the bottom. inner may be the larger one.
func anchored(name string, outer, inner image.Point, margin int) image.Point {
	// The middle, unless a word says otherwise. Each word sets one of the two coordinates,
	// so "top-left" sets both and "top" leaves the picture in the middle sideways.
	at := image.Pt(halfDown(outer.X-inner.X), halfDown(outer.Y-inner.Y))
	if strings.HasPrefix(name, "top") {
		at.Y = margin
	}
	if strings.HasPrefix(name, "bottom") {
		at.Y = outer.Y - inner.Y - margin
	}
	if strings.HasSuffix(name, "left") {
		at.X = margin
	}
	if strings.HasSuffix(name, "right") {
		at.X = outer.X - inner.X - margin
	}
	return at
}

// halfDown halves towards minus infinity: a mark that is wider than the picture stands out
// on the left as much as on the right, or one pixel more.
func halfDown(n int) int { return n >> 1 }
