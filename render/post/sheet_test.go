package post

import (
	"bytes"
	"image"
	"strings"
	"testing"

	"github.com/disintegration/imaging"
)

// TestSheetRowsOnly: the rows' axis is named where there is no column's too.
func TestSheetRowsOnly(t *testing.T) {
	drawn := func(axis string) []uint8 {
		s := Sheet{Cell: 48, Sections: []SheetSection{{RowAxis: axis, Rows: []string{strings.Repeat("wide ", 20)}, Cols: []string{""},
			Picture: func(_, _, _ int) (image.Image, string) { return nil, "" }}}}
		pix, err := s.Draw()
		if err != nil {
			t.Fatal(err)
		}
		return pix.Pix
	}
	// The label is as wide as the legend may be, so nothing but the name can make a difference.
	if bytes.Equal(drawn("cfg"), drawn("seed")) {
		t.Error("the name of the axis is not drawn")
	}
}

// TestSheetSize: a section takes as much room as it was given, whichever legends it has.
func TestSheetSize(t *testing.T) {
	for _, section := range []SheetSection{{}, {Heading: "h"}, {RowAxis: "r"}, {ColAxis: "c"}, {RowAxis: "r", ColAxis: "c"}, {Heading: "h", RowAxis: "r"}, {Heading: "h", RowAxis: "r", ColAxis: "c"}} {
		section.Rows, section.Cols = []string{"1", "2"}, []string{"a"}
		section.Picture = func(_, _, _ int) (image.Image, string) { return nil, "word" }
		s := Sheet{Cell: 48, Sections: []SheetSection{section}}
		p, err := s.pens()
		if err != nil {
			t.Fatal(err)
		}
		size := p.size(s)
		p.out = imaging.New(size.X, size.Y, sheetPaper)
		if end := p.section(section, sheetMargin); end != size.Y-sheetMargin {
			t.Errorf("heading %q, rows %q, columns %q: it ends at %d, room was for %d", section.Heading, section.RowAxis, section.ColAxis, end, size.Y-sheetMargin)
		}
	}
}
