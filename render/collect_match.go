package render

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// Which output belongs to which owed one? Workers give file names, not nodes: ComfyUI names a file
// PREFIX_00001_.png, and the compiler gave every SaveImage of a job a prefix of its own. So the longest prefix
// that fits decides; a native server also names the node.

// badOutput says what is wrong with an output, as opposed to with this machine.
type badOutput struct {
	kind   scheduler.Kind // what is to be done: Rejected never again, Transient fetch again, others render again
	reason string         // for the user; holds no secret and no control characters
}

func (b *badOutput) Error() string { return b.reason }

// missing is what the scheduler is told: a refusal, a download worth another look, or
// something worth another attempt.
func (b *badOutput) missing(render int) scheduler.MissingRender {
	kind := scheduler.Lost
	if b.kind == scheduler.Rejected || b.kind == scheduler.Transient {
		kind = b.kind
	}
	return scheduler.MissingRender{Render: render, Kind: kind, Reason: b.reason}
}

// match sorts the outputs to what the job owes: element i belongs to job.Owed[i], in
// the order of the image batch. What belongs nowhere is left out.
func match(job *compiler.Job, outputs []scheduler.Output) [][]scheduler.Output {
	matched := make([][]scheduler.Output, len(job.Owed))
	var unnamed []scheduler.Output
	for _, o := range outputs {
		if i := owner(job.Owed, o); i >= 0 {
			matched[i] = append(matched[i], o)
		} else if o.Filename == "" && o.Node == "" {
			unnamed = append(unnamed, o)
		}
	}
	// The oldest worker form gives one picture without a name: there is no doubt whose it
	// is when only one output is owed.
	if len(job.Owed) == 1 && len(matched[0]) == 0 {
		matched[0] = unnamed
	}
	for _, m := range matched {
		slices.SortStableFunc(m, func(a, b scheduler.Output) int { return compareNatural(a.Filename, b.Filename) })
	}
	return matched
}

// owner is the index of the owed output that o belongs to, or -1: the one with the
// longest prefix of its file name, else the only one of its node.
func owner(owed []compiler.Owed, o scheduler.Output) int {
	best, size := -1, 0
	name := baseName(o.Filename)
	for i, w := range owed {
		prefix := baseName(w.Prefix)
		if len(prefix) > size && hasPrefix(name, prefix) {
			best, size = i, len(prefix)
		}
	}
	if best >= 0 || o.Node == "" {
		return best
	}
	for i, w := range owed {
		// Two owed outputs of one node cannot be told apart: then it is neither's.
		if w.Prefix == "" && w.Node == o.Node {
			if best >= 0 {
				return -1
			}
			best = i
		}
	}
	return best
}

// hasPrefix reports whether name is prefix with a counter: the character after it must
// not go on the word, as the 0 of r10 goes on r1.
func hasPrefix(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (rest == "" || rest[0] == '_' || rest[0] == '.' || rest[0] == '-' || rest[0] == ' ')
}

// baseName is the last part of a path of either system.
func baseName(p string) string {
	return path.Base(strings.ReplaceAll(p, `\`, "/"))
}

// compareNatural compares by characters, runs of digits by their number, so that
// picture 10 follows picture 9.
func compareNatural(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da != "" && db != "" {
			// Compared as text by length first, since a counter may have more digits than an integer holds.
			na, nb := strings.TrimLeft(da, "0"), strings.TrimLeft(db, "0")
			if len(na) != len(nb) {
				return len(na) - len(nb)
			}
			if na != nb {
				return strings.Compare(na, nb)
			}
			a, b = a[len(da):], b[len(db):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// digits is the run of digits that s begins with.
func digits(s string) string {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[:i]
}

// missing explains an owed output that did not come.
func missing(owed compiler.Owed, got int, result *scheduler.Result) error {
	p := place{owed: owed}
	var b strings.Builder
	switch want := max(1, owed.Images); {
	case len(result.Outputs) == 0:
		fmt.Fprintf(&b, "%s: the job completed without any output", p)
	case got == 0:
		fmt.Fprintf(&b, "%s: its picture is not among the %d that came", p, len(result.Outputs))
	default:
		fmt.Fprintf(&b, "%s: %d of %d pictures came", p, got, want)
	}
	const most = 5
	for i, problem := range result.Problems {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(result.Problems)-most)
			break
		}
		fmt.Fprintf(&b, "; the worker says: %s", clip(problem, 500))
	}
	return &badOutput{scheduler.Lost, b.String()}
}

// clip makes a remote's text fit to print: one line of at most n bytes.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(cleanText(s)), " ")
	if len(s) > n {
		s = cutRunes(s, n) + "…"
	}
	return s
}

// cleanText takes the control characters out, which could move a terminal's cursor.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

// cutRunes keeps at most n bytes without cutting a character.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
