package worker

import (
	"fmt"
	"strconv"
	"strings"
)

// model is any value that stands for loaded weights (MODEL, CLIP, VAE,
// CONTROL_NET, …) or for what they computed and only they can read: the names of
// the files that made it, in the order they were applied.
type model struct{ names []string }

// mostNames bounds what is kept of a model's history.
const mostNames = 32

// with gives the model with one more name.
func (m *model) with(name string) *model {
	out := &model{}
	if m != nil {
		out.names = append(out.names, m.names...)
	}
	if len(out.names) < mostNames {
		out.names = append(out.names, name[:min(len(name), 1000)])
	}
	return out
}

// String lists the names.
func (m *model) String() string {
	if m == nil {
		return ""
	}
	return strings.Join(m.names, " + ")
}

// drawn is a class that stands in for model work.
func drawn(run func(*args) ([]value, error)) class { return class{support: Drawn, run: run} }

// loads is a class that gives the same model in some slots, named by inputs.
func loads(slots int, inputs ...string) class {
	return drawn(func(a *args) ([]value, error) {
		// One pointer for all slots: what a checkpoint gives as MODEL, CLIP and
		// VAE has one name.
		m := &model{}
		for _, name := range inputs {
			if a.has(name) {
				m = m.with(a.text(name))
			}
		}
		out := make([]value, slots)
		for i := range out {
			out[i] = m
		}
		return out, a.err
	})
}

// carries is a class whose outputs are some of its inputs, unchanged as far as a
// drawing can tell. A missing input gives an empty output.
func carries(inputs ...string) class {
	return drawn(func(a *args) ([]value, error) {
		out := make([]value, len(inputs))
		for i, name := range inputs {
			out[i] = a.in[name]
		}
		return out, nil
	})
}

// loadLora adds a LoRA to the model and to the text encoder when there is one.
func loadLora(a *args) ([]value, error) {
	name := a.text("lora_name")
	strength := a.numberOr("strength_model", a.numberOr("strength", 1))
	m := get[*model](a, "model")
	clip, _ := a.in["clip"].(*model)
	if a.err != nil {
		return nil, a.err
	}
	// A LoRA of strength 0 changes nothing in ComfyUI either.
	if strength != 0 {
		m = m.with(fmt.Sprintf("%s:%g", name, strength))
	}
	if a.has("clip") && a.numberOr("strength_clip", strength) != 0 {
		clip = clip.with(name)
	}
	if !a.has("clip") {
		return []value{m}, a.err
	}
	return []value{m, clip}, a.err
}

// mergeModels names both.
func mergeModels(one, two string) class {
	return drawn(func(a *args) ([]value, error) {
		x, y := get[*model](a, one), get[*model](a, two)
		if a.err != nil {
			return nil, a.err
		}
		return []value{x.with(y.String())}, nil
	})
}

// gives is a class that gives constant values.
func gives(values ...value) class {
	return drawn(func(*args) ([]value, error) { return values, nil })
}

// upscaleWithModel enlarges with Lanczos by the factor in the model's name
// (RealESRGAN_x4, 2x-…; 4 when there is none), and says so in the picture.
func upscaleWithModel(a *args) ([]value, error) {
	t, m := a.picture("image"), get[*model](a, "upscale_model")
	if a.err != nil {
		return nil, a.err
	}
	by := factorOf(m.String())
	out, err := upscale(a, t, t.w*by, t.h*by, "lanczos", "")
	if err != nil {
		return nil, err
	}
	if !t.captioned {
		caption(out, fmt.Sprintf("%d times by %s", by, m), "")
	}
	out.drawn, out.captioned = joinNotes(t.drawn, "upscale by "+m.String()), true
	return given(out, nil)
}

// joinNotes puts what was drawn before and after into one line.
func joinNotes(one, two string) string {
	if one == "" {
		return two
	}
	return one + "; " + two
}

// mostFactor is the largest factor that a name is believed to mean.
const mostFactor = 16

// factorOf finds "4x" or "x4" in a name: the largest, since x4 may stand beside
// 1x. Larger numbers beside an x are sizes (512x512) and say nothing.
func factorOf(name string) int {
	best := 0
	low := strings.ToLower(name)
	for i := range len(low) {
		if low[i] != 'x' {
			continue
		}
		// The digits that end before the x, and those that begin behind it.
		before, after := strings.TrimRight(low[:i], digits), strings.TrimLeft(low[i+1:], digits)
		for _, number := range []string{low[len(before):i], low[i+1 : len(low)-len(after)]} {
			if by, err := strconv.Atoi(number); err == nil && by <= mostFactor {
				best = max(best, by)
			}
		}
	}
	if best == 0 {
		return 4
	}
	return best
}
