package render

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// WriteCSV writes the cells as a table with a head line, one line for each file and
// one for each cell without any: index, id, render, state, one column for each axis,
// then what is known of the render and the file. Text that a spreadsheet would take
// for a formula gets an apostrophe before it. The lines are in order of the cells' index. m is only read.
func (m *Manifest) WriteCSV(w io.Writer) error {
	cells := m.inOrder()
	params := paramNames(cells)
	out := csv.NewWriter(w)
	head := []string{"index", "id", "render", "state"}
	for _, a := range m.Axes {
		head = append(head, "axis "+a.Name)
	}
	head = append(head, "file", "type", "width", "height", "bytes", "sha256", "node", "seed", "prompt", "negative")
	head = append(head, params...)
	head = append(head, "endpoint", "gpu", "worker", "seconds", "cost_usd", "attempts", "error")
	if err := out.Write(plain(head)); err != nil {
		return err
	}
	for _, c := range cells {
		files := c.Files
		if len(files) == 0 {
			// A cell without files still has its line, with empty columns.
			files = []File{{}}
		}
		for _, f := range files {
			if err := out.Write(plain(m.row(c, f, params))); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// row is one line of the table.
func (m *Manifest) row(c *Cell, f File, params []string) []string {
	row := []string{strconv.Itoa(c.Index), c.ID, c.Render, string(c.State)}
	for _, a := range m.Axes {
		row = append(row, c.Coordinates[a.Name])
	}
	row = append(row, f.Path, f.Type, number(int64(f.Width)), number(int64(f.Height)), number(f.Bytes), f.SHA256, f.Node, c.Seed, c.Prompt, c.Negative)
	for _, name := range params {
		row = append(row, c.param(name))
	}
	cost := ""
	if c.CostUSD != nil {
		cost = strconv.FormatFloat(*c.CostUSD, 'f', -1, 64)
	}
	return append(row, c.Endpoint, c.GPU, c.Worker, strconv.FormatFloat(c.Seconds, 'f', -1, 64), cost, number(int64(c.Attempts)), c.Error)
}

// maxParamColumns bounds the table's width.
const maxParamColumns = 200

// paramNames are the names of all cells' parameters in the order of their first use.
func paramNames(cells []*Cell) []string {
	var names []string
	seen := make(map[string]bool)
	for _, c := range cells {
		for _, p := range c.Params {
			if !seen[p.Name] && len(names) < maxParamColumns {
				seen[p.Name] = true
				names = append(names, p.Name)
			}
		}
	}
	return names
}

// param is the value of a parameter, "" if the cell has none of that name.
func (c *Cell) param(name string) string {
	for _, p := range c.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// number leaves out what is not known.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// plain disarms formulas in place.
func plain(row []string) []string {
	for i, s := range row {
		// A negative number begins with a sign too and stays as it is.
		if s == "" || !strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			continue
		}
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			row[i] = "'" + s
		}
	}
	return row
}
