// Names of files, settled before anything is rendered: a render that was paid for must not be overwritten
// by another one. What is not known yet (the real size, the index in an image batch) counts as equal for
// all, so such tokens alone tell no two renders apart.

package compiler

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// Facts are what file names need beyond the plan. The zero value is the first picture of a batch of unknown size, in the year 1.
type Facts struct {
	Batch         int // index of the picture in its image batch, from 0
	Width, Height int // pixels
	Time          time.Time
}

// names reads the file name pattern and holds that no two renders share a name.
func (c *compilation) names() bool {
	p := c.plan
	pattern, problems := filename.Parse(c.batch.Output.Filename)
	for _, problem := range problems {
		c.list.Add(diag.Errorf("bad_filename", c.inPattern(problem.Start, problem.End), "output.filename: %s", problem.Message).
			Hinted(suggestToken(c.batch.Output.Filename[problem.Start:problem.End], p)))
	}
	if len(problems) > 0 { // the compilation goes on: it may find more, and then gives no plan
		return true
	}
	p.pattern, p.tokens = pattern, map[string]token{}
	for _, part := range pattern.Tokens() {
		t, ok := c.token(part)
		if !ok {
			return true
		}
		p.tokens[part.Text] = t
	}
	c.unique()
	return true
}

// inPattern gives the place of some bytes of the pattern; of the default one, which stands nowhere, the batch file.
func (c *compilation) inPattern(start, end int) diag.Place {
	if v := c.batch.Output.filename; v != nil {
		return within(v, start, end)
	}
	return diag.InFile(c.batch.File)
}

// suggestToken gives the token that is nearest to what was written.
func suggestToken(text string, p *Plan) string {
	names := slices.Clone(filename.Plain)
	for _, a := range p.axes {
		names = append(names, "axis."+a.Name)
	}
	if near := diag.Nearest(strings.Trim(text, "%"), names); near != "" {
		return "did you mean %" + near + "%?"
	}
	return ""
}

// FileName gives the path, without extension, under which a picture of a coordinate is kept: relative to
// the folder of the pictures, with forward slashes. Pictures of one render that differ in none of the
// tokens share it; the collector numbers them. coordinate is an index below Coordinates.
func (p *Plan) FileName(coordinate int, facts Facts) string {
	at := make([]int, len(p.axes))
	p.sweep.At(coordinate, at)
	name, err := p.pattern.Expand(func(text string) (string, bool) { return p.tokenText(text, coordinate, at, facts) })
	if err != nil {
		return filename.Safe(strconv.Itoa(coordinate)) // names checked every token: this is not reached
	}
	return name
}

// tokenText gives the text of a token at a coordinate.
func (p *Plan) tokenText(text string, coordinate int, at []int, facts Facts) (string, bool) {
	t, ok := p.tokens[text]
	switch {
	case !ok:
		return "", false
	case t.value != nil:
		if v := t.value(at); v != nil {
			return sweep.Text(v), true
		}
		return "none", true // an axis or input that this coordinate lacks
	case t.axis >= 0:
		if at[t.axis] < 0 {
			return "none", true
		}
		return p.sweep.Axes[t.axis].Value(at[t.axis]).Label, true
	}
	switch text {
	case "seed":
		return p.formAt(at).seedAt(at), true
	case "index":
		// As many digits as the last coordinate has, so that names sort.
		return fmt.Sprintf("%0*d", len(strconv.Itoa(max(p.Coordinates()-1, 0))), coordinate), true
	case "batch":
		return strconv.Itoa(facts.Batch), true
	case "width":
		return strconv.Itoa(facts.Width), true
	case "height":
		return strconv.Itoa(facts.Height), true
	}
	return filename.Calendar(text, facts.Time)
}

// hashedName is a render's name as a number, for finding equal ones in little memory: 16 bytes each, and
// a name is made again where hashes are equal.
type hashedName struct {
	hash   uint64
	render int32
}

// unique holds that the names of all renders differ, also where capital letters do not count. Names with
// %index% always do. Of a render with several coordinates the first counts.
func (c *compilation) unique() {
	p := c.plan
	if _, ok := p.tokens["index"]; ok || p.Len() < 2 {
		return
	}
	names := make([]hashedName, p.Len())
	for r := range names {
		names[r] = hashedName{hashName(p.nameOf(r)), int32(r)}
	}
	slices.SortFunc(names, func(a, b hashedName) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.render, b.render))
	})
	clash, first, second := 0, -1, -1
	for i := 1; i < len(names); i++ {
		a, b := int(names[i-1].render), int(names[i].render)
		if names[i-1].hash != names[i].hash || p.nameOf(a) != p.nameOf(b) {
			continue
		}
		if clash++; first < 0 || a < first {
			first, second = a, b
		}
	}
	if clash > 0 {
		c.sameName(first, second, clash)
	}
}

// nameOf gives the folded name of a render.
func (p *Plan) nameOf(render int) string { return filename.Key(p.FileName(p.firstOf(render), Facts{})) }

// hashName is FNV-1a: quick, and repeats only cost a comparison.
func hashName(name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	return h.Sum64()
}

// sameName reports the first two renders with one name, how many more there are, and the axis that would
// tell them apart.
func (c *compilation) sameName(a, b, clashes int) {
	p := c.plan
	d := diag.Errorf("same_filename", c.inPattern(0, len(c.batch.Output.Filename)), "two renders would have the same file name %q", p.FileName(p.firstOf(a), Facts{}))
	if clashes > 1 {
		d.Message += fmt.Sprintf(", and %d more share theirs", clashes-1)
	}
	one, two := p.at(a), p.at(b)
	for axis := range p.axes {
		if _, ok := p.tokens["axis."+p.axes[axis].Name]; !ok && one[axis] != two[axis] {
			d = d.Hinted("add %axis." + p.axes[axis].Name + "% or %index%")
			break
		}
	}
	for _, r := range []int{a, b} {
		d.Notes = append(d.Notes, diag.Note{Message: "one is " + p.describeCoordinate(p.firstOf(r))})
	}
	c.list.Add(d)
}

// describeCoordinate prints "coordinate 5: prompt=fox, cfg=4".
func (p *Plan) describeCoordinate(i int) string {
	at := make([]int, len(p.axes))
	p.sweep.At(i, at)
	var parts []string
	for a, v := range at {
		if v >= 0 {
			parts = append(parts, p.axes[a].Name+"="+p.sweep.Axes[a].Value(v).Label)
		}
	}
	return fmt.Sprintf("coordinate %d: %s", i, strings.Join(parts, ", "))
}

// seal names the plan.
func (c *compilation) seal() bool {
	c.plan.hash = c.plan.computeHash()
	return true
}
