package prompt

import (
	"path"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// find lists the wildcards that a pattern fits, sorted by name. A pattern without * ? [ is a name; a nil
// library has none.
func (l *Library) find(pattern string) []string {
	if l == nil {
		return nil
	}
	if !strings.ContainsAny(pattern, "*?[") {
		if l.lists[pattern] != nil {
			return []string{pattern}
		}
		return nil
	}
	var out []string
	parts := strings.Split(pattern, "/")
	for _, name := range l.names {
		if fits(parts, strings.Split(name, "/")) {
			out = append(out, name)
		}
	}
	return out
}

// fits matches a name with a pattern, both by folder. ** stands for any number of folders, and for any name
// at the end: a/**/x fits a/x and a/b/x, a/** fits a/b and a/b/c. Greedy with one way back, so that many **
// cost no more than the product of the lengths.
func fits(pattern, name []string) bool {
	p, n, star, from := 0, 0, -1, 0 // star is the last ** that was met, from the folder at which what follows it was last tried
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, n
			p++
		case p < len(pattern) && fitsOne(pattern[p], name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	if p == len(pattern)-1 && p > 0 && pattern[p] == "**" && star < p {
		return false // a/** needs something below a
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

// fitsOne matches one folder or name; a malformed pattern such as "[" fits nothing.
func fitsOne(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// unknown reports a wildcard that is not there, with the likeliest way out: no folder given, an empty one,
// a file of that name deeper down, a name that is nearly the same.
func (l *Library) unknown(pattern string, at diag.Place) diag.Diagnostic {
	d := diag.Errorf("unknown_wildcard", at, "no wildcard is called %q", pattern)
	switch {
	case l == nil:
		return d.Hinted("say where the files are: prompts: {wildcards: FOLDER/}")
	case len(l.names) == 0:
		return d.Hinted("the folder of wildcards has none")
	case strings.ContainsAny(pattern, "*?["):
		return diag.Errorf("unknown_wildcard", at, "no wildcard fits %q", pattern)
	}
	var inside string
	for _, name := range l.names {
		if strings.HasSuffix(name, "/"+pattern) {
			if inside != "" {
				return d.Hinted("did you mean __**/" + pattern + "__?")
			}
			inside = name
		}
	}
	if inside != "" {
		return d.Hinted(`did you mean "` + inside + `"?`)
	}
	return d.Hinted(diag.Suggest(pattern, l.names))
}
