package lower

import (
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
)

// mend does what the frontend does to values after a file was loaded: samplers lose the prefix sample_, and combos without a value take
// their first option.
func (l *lowering) mend() {
	for _, n := range l.allNodes() {
		if n.kind == hostNode {
			n.mendHost()
			continue
		}
		for i := 0; i < len(n.widgets); i++ {
			n.mendWidget(n.widgets[i])
		}
	}
}

func (n *node) mendWidget(w *widget) {
	// An older notation; the server drops the prefix as well.
	if (n.class == "KSampler" || n.class == "KSamplerAdvanced") && w.name == "sampler_name" && w.value != nil &&
		w.value.Kind == source.String && strings.HasPrefix(w.value.Text, "sample_") {
		w.value = source.NewString(strings.TrimPrefix(w.value.Text, "sample_")).At(w.value)
	}
	// null stays null for numbers and texts, but a combo takes its first option.
	if w.typ == "combo" && len(w.options) > 0 && isNull(n.get(w)) {
		n.set(w, w.options[0].At(n.src))
	}
}

func (n *node) mendHost() {
	for _, in := range n.inputs {
		if p := in.value; p != nil && p.like.typ == "combo" && len(p.like.options) > 0 && isNull(p.value) {
			p.value = p.like.options[0].At(n.src)
		}
	}
}
