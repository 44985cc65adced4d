package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
)

// Write writes the manifest: the head indented, then one cell a line, so that two
// manifests can be compared by line. Equal manifests give equal bytes. The cells are
// put in order of their index first.
func (m *Manifest) Write(w io.Writer) error {
	m.sort()
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
	b.Write(bytes.TrimSuffix(h, []byte("]\n}")))
	for i := range m.Cells {
		line, err := json.Marshal(&m.Cells[i])
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

// sort puts the cells in the order of the sweep; the id decides between equal indexes.
func (m *Manifest) sort() {
	slices.SortStableFunc(m.Cells, func(a, b Cell) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return bytes.Compare([]byte(a.ID), []byte(b.ID))
	})
}
