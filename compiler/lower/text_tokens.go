package lower

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// savers are the classes whose filename_prefix may hold tokens.
var savers = []string{"SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveWEBM", "SaveAudio", "SaveAudioMP3",
	"SaveAudioOpus", "SaveAudioAdvanced", "SaveGLB", "Save3DAdvanced", "SaveGaussianSplat", "SavePointCloud", "SaveAnimatedPNG", "CLIPSave",
	"VAESave", "ModelSave", "LoraSave", "SaveLatent"}

func savesFiles(class string) bool { return slices.Contains(savers, class) }

// token is any text between two percent signs; "100% sure, 50%" holds one that names nothing and stays.
var token = regexp.MustCompile(`%([^%]+)%`)

// unsafeName are the characters that a file name may not have.
var unsafeName = regexp.MustCompile(`[/?<>\\:*|"\x00-\x1F\x7F]`)

// replaceTokens expands %Node.widget% and %date:…% with the nodes of a graph and of all definitions used in it. What is not understood stays.
func (l *lowering) replaceTokens(text string, g *graph) string {
	// Nearly all prefixes.
	if !strings.Contains(text, "%") {
		return text
	}
	if !l.spendText(len(text)) {
		return text
	}
	// Each distinct token is looked up once: a text may repeat one as often as its length allows.
	known := map[string]string{}
	return token.ReplaceAllStringFunc(text, func(match string) string {
		value, ok := known[match]
		if !ok {
			value = l.replaceToken(match, g)
			known[match] = value
		}
		// A short token may stand for a long text, many times.
		if !l.spendText(len(value)) {
			return ""
		}
		return value
	})
}

// replaceToken gives the value of one token: "%KSampler.seed%" becomes the seed, with _ for what a file name cannot hold. A date's format
// ends at its first dot, and with exactly one dot it is read as node and widget.
func (l *lowering) replaceToken(match string, g *graph) string {
	inner := match[1 : len(match)-1]
	parts := strings.Split(inner, ".")
	if len(parts) != 2 {
		if format, ok := strings.CutPrefix(parts[0], "date:"); ok {
			return formatDate(format, l.opt.Now)
		}
		return match
	}
	n := l.named(g, parts[0])
	if n == nil {
		return match
	}
	if n.kind == hostNode {
		if at := n.inputNamed(parts[1]); at >= 0 && n.inputs[at].value != nil {
			return unsafeName.ReplaceAllString(textOf(n.inputs[at].value.value), "_")
		}
		return match
	}
	w := n.widgetNamed(parts[1])
	if w == nil {
		return match
	}
	return unsafeName.ReplaceAllString(textOf(n.get(w)), "_")
}

// names finds nodes by the name that tokens use.
type names struct {
	alias, title map[string]*node
}

// named finds a node by its S&R name, or else by its title: the first one, inner nodes of an instance before the instance.
func (l *lowering) named(g *graph, name string) *node {
	if l.names == nil {
		l.names = map[*graph]*names{}
	}
	table := l.names[g]
	if table == nil {
		table = &names{map[string]*node{}, map[string]*node{}}
		table.collect(g, map[*graph]bool{})
		l.names[g] = table
	}
	// "Node name for S&R" is what users set for this purpose, so it goes before titles.
	if n := table.alias[name]; n != nil {
		return n
	}
	return table.title[name]
}

// collect goes through a graph and the definitions used in it, each once; inner nodes come before their instance.
func (t *names) collect(g *graph, seen map[*graph]bool) {
	if seen[g] {
		return
	}
	seen[g] = true
	for _, n := range g.nodes {
		if n.kind == hostNode {
			t.collect(n.sub, seen)
		}
		if name, ok := n.replaceName(); ok && t.alias[name] == nil {
			t.alias[name] = n
		}
		if t.title[n.title] == nil {
			t.title[n.title] = n
		}
	}
}

var datePart = regexp.MustCompile(`dd?|MM?|hh?|mm?|ss?|yyy?y?`)

// formatDate writes a time in the frontend's notation: yyyy, yy, MM, dd, hh (24 hours), mm, ss; one letter means no leading zero.
func formatDate(format string, now time.Time) string {
	return datePart.ReplaceAllStringFunc(format, func(part string) string {
		switch part {
		// "yyy" is let through as it is; the frontend knows no such part.
		case "yyyy":
			return strconv.Itoa(now.Year())
		case "yy":
			return strconv.Itoa(now.Year())[2:]
		}
		values := map[byte]int{'d': now.Day(), 'M': int(now.Month()), 'h': now.Hour(), 'm': now.Minute(), 's': now.Second()}
		if v, ok := values[part[0]]; ok {
			return fmt.Sprintf("%0*d", len(part), v)
		}
		return part
	})
}
