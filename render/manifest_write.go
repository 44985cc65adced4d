package render

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// Write writes the manifest: the head indented, then one cell a line, so that two
// manifests can be compared by line. Equal manifests give equal bytes. The cells are
// written in order of their index. m is only read.
func (m *Manifest) Write(w io.Writer) error {
	head := *m
	head.Cells = []Cell{}
	if head.Axes == nil {
		head.Axes = []Axis{}
	}
	h, err := json.MarshalIndent(&head, "", " ")
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	// The head ends with `"cells": []` and a brace, as Cells is the last field.
	// Errors of b are kept by it and come out of Flush.
	b.Write(bytes.TrimSuffix(h, []byte("]\n}")))
	for i, c := range m.inOrder() {
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n ]\n}\n")
	return b.Flush()
}

// WriteFile writes the manifest to the path name, whole or not at all.
func (m *Manifest) WriteFile(name string) error {
	return writeFile(name, m.Write)
}

// inOrder gives the cells in the order of the sweep. The manifest stays as it is, as others may read it meanwhile.
func (m *Manifest) inOrder() []*Cell {
	cells := make([]*Cell, len(m.Cells))
	for i := range m.Cells {
		cells[i] = &m.Cells[i]
	}
	slices.SortStableFunc(cells, compareCells)
	return cells
}

// compareCells tells which of two cells comes first in the sweep; the id decides between equal indexes.
func compareCells(a, b *Cell) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.ID, b.ID))
}
