package compiler

import (
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// layout holds that the gallery's axes exist. Names that end with # are axes of prompt variants, which
// are made later; sidesExist looks at those.
func (c *compilation) layout() bool {
	names := c.axisNames()
	for _, side := range []string{"rows", "cols", "pages"} {
		v := c.batch.Root.Get("gallery").Get(side)
		if v == nil || slices.Contains(names, v.Text) || c.batch.Prompts.at != nil && strings.HasSuffix(v.Text, "#") {
			continue
		}
		c.list.Add(diag.Errorf("unknown_axis", diag.Of(v), "gallery.%s names an axis %q, which the sweep does not have", side, v.Text).
			Hinted(suggestOr(v.Text, names, "the axes are "+joined(names))))
	}
	return true
}
