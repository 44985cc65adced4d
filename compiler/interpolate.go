// ${axis} in texts. It is put in before dynamic prompts are read, so an axis may bring braces of its own.
// Prompts have variables of the same notation, ${name}, and a workflow's texts may come from other tools;
// so only names of axes are taken where such texts stand.

package compiler

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// piece is a part of a string that holds ${axis}: literal text, or an axis.
type piece struct {
	text       string
	axis       int // index of the axis, -1 for literal text
	start, end int // byte offsets in the string's content
}

// interpolation reads the ${axis} of a string. $${ stands for ${ itself; every other $ is left alone, so that $$ in prompts survives. strict says that
// an unknown name is a mistake; a workflow's own texts may hold ${…} of other meaning, which stays. Nil means that the string is just text.
func interpolation(v *source.Value, axes []string, strict bool, list *diag.List) []piece {
	if v == nil || v.Kind != source.String || !strings.Contains(v.Text, "${") {
		return nil
	}
	var out []piece
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			out = append(out, piece{text: text.String(), axis: -1})
			text.Reset()
		}
	}
	found := false
	for at := 0; at < len(v.Text); {
		rest := v.Text[at:]
		switch end := strings.IndexByte(rest, '}'); {
		case strings.HasPrefix(rest, "$${") && (strict || isAxis(rest[1:], axes)):
			text.WriteString("${")
			found = true
			at += 3
		case strings.HasPrefix(rest, "${") && end > 0 && indexOf(axes, rest[2:end]) >= 0:
			flush()
			out = append(out, piece{axis: indexOf(axes, rest[2:end]), start: at, end: at + end + 1})
			found = true
			at += end + 1
		case strings.HasPrefix(rest, "${") && strict:
			list.Add(unknownName(v, rest, at, axes))
			return nil
		default:
			text.WriteByte(rest[0])
			at++
		}
	}
	if flush(); !found {
		return nil
	}
	return out
}

// isAxis tells that a text, which begins with ${, begins with ${name} of an axis.
func isAxis(text string, axes []string) bool {
	end := strings.IndexByte(text, '}')
	return end > 0 && indexOf(axes, text[2:end]) >= 0
}

// indexOf gives the index of an axis, -1 if there is none of that name.
func indexOf(axes []string, name string) int {
	for i, a := range axes {
		if a == name {
			return i
		}
	}
	return -1
}

// unknownName says which ${…} is no axis, and how to write the text itself.
func unknownName(v *source.Value, rest string, at int, axes []string) diag.Diagnostic {
	end := strings.IndexByte(rest, '}')
	if end < 0 {
		return diag.Errorf("unknown_name", within(v, at, at+2), "${ is not closed by }").Hinted("write $${ for the text ${ itself")
	}
	hint := diag.Suggest(rest[2:end], axes)
	if hint == "" {
		hint = "write $${ for the text ${ itself"
	}
	return diag.Errorf("unknown_name", within(v, at, at+end+1), "no axis is called %q", rest[2:end]).Hinted(hint)
}

// within gives the place of some bytes of a string's content, if the file holds the string as it is read
// (without escapes, plain or behind one quote); else the whole string's.
func within(v *source.Value, start, end int) diag.Place {
	at := diag.Of(v)
	if v.File == nil || v.End > len(v.File.Data) {
		return at
	}
	raw := string(v.File.Data[v.Start:v.End])
	if i := strings.Index(raw, v.Text); i >= 0 && i <= 1 {
		at.Start, at.End = v.Start+i+start, v.Start+i+end
	}
	return at
}
