package render

import (
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler"
)

// TokenText gives the value of a token in the texts of output.post, for one coordinate of
// a sweep: axis.NAME (the value's label, "none" where the coordinate has none), prompt,
// negative, seed, index, batch (from 0), node, width, height (of the picture as it came),
// and the settings that galleries show, such as cfg or steps. ok is false for others.
func TokenText(axes []compiler.Axis, co compiler.Coordinate, p compiler.Params, f FileInfo, token string) (text string, ok bool) {
	if name, is := strings.CutPrefix(token, "axis."); is {
		return axisText(axes, co, name)
	}
	switch token {
	case "prompt":
		return p.Positive, true
	case "negative":
		return p.Negative, true
	case "seed":
		return p.Seed, true
	case "node":
		return f.Node, true
	case "index":
		return strconv.Itoa(co.Index), true
	case "batch":
		return strconv.Itoa(f.Batch), true
	case "width":
		return strconv.Itoa(f.Width), true
	case "height":
		return strconv.Itoa(f.Height), true
	}
	for _, s := range p.Settings {
		if s.Name == token {
			return s.Value, true
		}
	}
	return "", false
}

// axisText is the label of an axis's value at a coordinate.
func axisText(axes []compiler.Axis, co compiler.Coordinate, name string) (string, bool) {
	for i, a := range axes {
		if a.Name != name || i >= len(co.Values) {
			continue
		}
		if v := co.Values[i]; v >= 0 && v < len(a.Values) {
			return a.Values[v].Label, true
		}
		return "none", true
	}
	return "", false
}
