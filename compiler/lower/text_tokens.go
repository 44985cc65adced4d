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

var token = regexp.MustCompile(`%([^%]+)%`)

// unsafeName are the characters that a file name may not have.
var unsafeName = regexp.MustCompile(`[/?<>\\:*|"\x00-\x1F\x7F]`)

// replaceTokens expands %Node.widget% and %date:…% with the nodes of a graph and of all definitions used in it. What is not understood stays.
func (l *lowering) replaceTokens(text string, g *graph) string {
	if !strings.Contains(text, "%") {
		return text
	}
	if !l.spendText(len(text)) {
		return text
	}
	known := map[string]string{}
	return token.ReplaceAllStringFunc(text, func(match string) string {
		value, ok := known[match]
		if !ok {
			value = l.replaceToken(match, g)
			known[match] = value
		}
		if !l.spendText(len(value)) {
			return ""
		}
		return value
	})
}

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
	if n := table.alias[name]; n != nil {
		return n
	}
	return table.title[name]
}

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
