package post

import (
	"encoding/hex"
	"fmt"
	"image/color"
	"slices"
	"strings"
)

// colourName is a colour that has a word.
type colourName struct {
	name   string
	colour color.NRGBA
}

// colourNames are the names that a colour may have; green is CSS's, half as bright as lime.
var colourNames = []colourName{
	{"black", color.NRGBA{0, 0, 0, 255}},
	{"white", color.NRGBA{255, 255, 255, 255}},
	{"gray", color.NRGBA{128, 128, 128, 255}},
	{"red", color.NRGBA{255, 0, 0, 255}},
	{"green", color.NRGBA{0, 128, 0, 255}},
	{"blue", color.NRGBA{0, 0, 255, 255}},
	{"yellow", color.NRGBA{255, 255, 0, 255}},
	{"transparent", color.NRGBA{}},
}

// ParseColour reads a colour as CSS writes it: #rgb, #rrggbb, #rrggbbaa, or one of
// eight words. The names are those of CSS.
func ParseColour(text string) (color.NRGBA, error) {
	i := slices.IndexFunc(colourNames, func(c colourName) bool { return c.name == strings.ToLower(text) })
	if i >= 0 {
		return colourNames[i].colour, nil
	}
	digits, ok := strings.CutPrefix(text, "#")
	// #f80 is #ff8800.
	if ok && len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != 3 && len(b) != 4 {
		return color.NRGBA{}, fmt.Errorf("%q is no colour: write #rrggbb, #rrggbbaa, or one of black, white, gray, red, green, blue, yellow, transparent", text)
	}
	// Without a fourth byte the colour is opaque.
	return color.NRGBA{b[0], b[1], b[2], append(b, 255)[3]}, nil
}

// checkColour accepts colours and the empty word.
func checkColour(text string) error {
	if text == "" {
		return nil
	}
	_, err := ParseColour(text)
	return err
}

// colourOr gives a checked colour, or a default for the empty word.
func colourOr(text string, otherwise color.NRGBA) color.NRGBA {
	if c, err := ParseColour(text); err == nil {
		return c
	}
	return otherwise
}
