package worker

import (
	"fmt"
	"math"
	"strings"
)

// A sampler does not sample: it paints a picture from what it was told, mixes
// in what was there before as far as denoise leaves it, and notes the pass. A
// second pass with denoise below 1 (an upscale and refine) keeps the
// composition of the first, so that it looks like the same picture with more
// detail.

// pass is one sampler's work on a latent.
type pass struct {
	seed      uint64  // as the node has it; shown in the strip
	compose   uint64  // the seed that the composition comes from
	steps     int     // 0 if it is not known
	cfg       float64 // 0 for guiders without one
	denoise   float64 // 1 makes all anew
	sampler   string  // such as euler
	scheduler string  // such as karras
	pos, neg  *cond   // never nil once sampled has it
	model     *model  // nil if none is linked
}

// heading is the first small line of a picture's strip.
func (p pass) heading() string {
	parts := []string{fmt.Sprintf("seed %d", p.seed)}
	if p.steps > 0 {
		parts = append(parts, fmt.Sprintf("%d steps", p.steps))
	}
	if p.cfg > 0 {
		parts = append(parts, fmt.Sprintf("cfg %g", p.cfg))
	}
	if p.pos.guidance > 0 {
		parts = append(parts, fmt.Sprintf("guidance %g", p.pos.guidance))
	}
	if p.sampler != "" {
		parts = append(parts, strings.TrimSuffix(p.sampler+"/"+p.scheduler, "/"))
	}
	if p.denoise < 1 {
		parts = append(parts, fmt.Sprintf("denoise %g", p.denoise))
	}
	return strings.Join(parts, " · ")
}

// note says in the metadata what the picture stands in for.
func (p pass) note() string {
	s := p.heading()
	if m := p.model.String(); m != "" {
		s += "; " + m
	}
	if p.pos.text != "" {
		s += "; " + p.pos.text
	}
	return s
}

// setting is a value of type NOISE, SAMPLER, SIGMAS or GUIDER: what is known of
// a pass so far.
type setting struct{ pass }

// sampled gives the latent after a pass.
func sampled(a *args, l *latent, p pass) (*latent, error) {
	a.fits(l.n, l.h, l.w)
	if a.err != nil {
		return nil, a.err
	}
	p.compose = p.seed
	if n := len(l.passes); n > 0 && p.denoise < 1 {
		p.compose = l.passes[n-1].compose
	}
	if p.denoise <= 0 {
		return l, nil
	}
	out := *l
	out.passes = append(append([]pass(nil), l.passes...), p)
	pic := newTensor(l.n, l.h, l.w, 3)
	for i := range l.n {
		// Frames of one video share their place and so their composition; see
		// paint.
		paint(pic.one(i), l.w, l.h, p, l.index[i]/l.frames, l.index[i]%l.frames)
	}
	for _, h := range p.pos.hints {
		pic = mixHint(pic, h)
	}
	if p.denoise < 1 {
		part := float32(1 - p.denoise)
		var err error
		if pic, err = pairwise(l.shown(), pic, lerp(part)); err != nil {
			return nil, err
		}
	} else if l.frames > 1 && l.pic != nil { // a video that starts from an image
		pic = mixHint(pic, hint{l.pic, 0.5})
	}
	// Only what the mask marks is new; the rest is what was there.
	if l.noise != nil {
		pic = mixMasked(l.shown(), pic, l.noise)
	}
	pic.drawn = p.note()
	out.pic = pic
	return &out, nil
}

// mixHint mixes a steering picture in.
func mixHint(t *tensor, h hint) *tensor {
	if h.weight <= 0 || h.t.c < 3 {
		return t
	}
	src := h.t.channels(3, 1).repeatTo(t.n)
	if !src.sameSize(t) {
		src = taps(src, linearTaps(src.w, t.w), linearTaps(src.h, t.h))
	}
	out, err := pairwise(src, t, lerp(float32(h.weight)))
	if err != nil {
		return t
	}
	return out
}

// modelOf gives an input of a model type; nil for what is missing.
func (a *args) modelOf(name string) *model {
	m, _ := a.in[name].(*model)
	return m
}

// kSampler reads a whole pass from its inputs.
func kSampler(a *args) ([]value, error) {
	l := a.latentOf("latent_image")
	p := pass{
		seed: a.seed("seed"), steps: a.integer("steps"), cfg: a.number("cfg"), denoise: a.numberOr("denoise", 1),
		sampler: a.text("sampler_name"), scheduler: a.text("scheduler"),
		pos: a.condOf("positive"), neg: a.condOf("negative"), model: a.modelOf("model"),
	}
	out, err := sampled(a, l, p)
	return []value{out}, err
}

// kSamplerAdvanced does the steps from start to end. Without noise of its own
// it goes on with what is there.
func kSamplerAdvanced(a *args) ([]value, error) {
	l := a.latentOf("latent_image")
	p := pass{
		seed: a.seed("noise_seed"), steps: a.integer("steps"), cfg: a.number("cfg"), denoise: 1,
		sampler: a.text("sampler_name"), scheduler: a.text("scheduler"),
		pos: a.condOf("positive"), neg: a.condOf("negative"), model: a.modelOf("model"),
	}
	// end_at_step is 10000 by default: to the end, however many steps there
	// are.
	start, end := a.integerOr("start_at_step", 0), min(a.integerOr("end_at_step", 10000), p.steps)
	if a.err == nil && l.pic != nil && p.steps > 0 {
		p.denoise = min(max(float64(end-start)/float64(p.steps), 0), 1)
	}
	// A refiner: it goes on where another sampler stopped, with its noise.
	if l.pic != nil && a.textOr("add_noise", "enable") == "disable" {
		p.denoise = min(p.denoise, 0.5)
	}
	if end <= start {
		return []value{l}, a.err
	}
	out, err := sampled(a, l, p)
	return []value{out}, err
}

// samplerCustom takes sampler and sigmas as values.
func samplerCustom(a *args) ([]value, error) {
	l := a.latentOf("latent_image")
	sampler, sigmas := get[*setting](a, "sampler"), get[*setting](a, "sigmas")
	if a.err != nil {
		return nil, a.err
	}
	p := pass{
		seed: a.seed("noise_seed"), cfg: a.number("cfg"), sampler: sampler.sampler,
		steps: sigmas.steps, scheduler: sigmas.scheduler, denoise: sigmas.denoise,
		pos: a.condOf("positive"), neg: a.condOf("negative"), model: a.modelOf("model"),
	}
	out, err := sampled(a, l, p)
	return []value{out, out}, err
}

// samplerCustomAdvanced takes noise and guider as values too.
func samplerCustomAdvanced(a *args) ([]value, error) {
	l := a.latentOf("latent_image")
	noise, guider := get[*setting](a, "noise"), get[*setting](a, "guider")
	sampler, sigmas := get[*setting](a, "sampler"), get[*setting](a, "sigmas")
	if a.err != nil {
		return nil, a.err
	}
	p := guider.pass
	p.seed, p.sampler = noise.seed, sampler.sampler
	p.steps, p.scheduler, p.denoise = sigmas.steps, sigmas.scheduler, sigmas.denoise
	// Any of the four may be a setting of another kind, linked in the wrong
	// place: they are one Go type.
	if p.pos == nil || p.neg == nil {
		p.pos, p.neg = &cond{}, &cond{}
	}
	out, err := sampled(a, l, p)
	return []value{out, out}, err
}

// randomNoise makes a NOISE of a seed.
func randomNoise(a *args) ([]value, error) {
	return []value{&setting{pass{seed: a.seed("noise_seed")}}}, a.err
}

// guides is a class that makes a GUIDER of its model, conditionings and cfg.
func guides(positive, negative, cfg string) class {
	return drawn(func(a *args) ([]value, error) {
		p := pass{model: a.modelOf("model"), pos: a.condOf(positive), neg: a.condOf(negative)}
		if cfg != "" {
			p.cfg = a.numberOr(cfg, 0)
		}
		return []value{&setting{p}}, a.err
	})
}

// picksSampler is a class that makes a SAMPLER of a fixed name.
func picksSampler(name string) class { return gives(&setting{pass{sampler: name}}) }

// samplerSelect makes a SAMPLER of its name.
func samplerSelect(a *args) ([]value, error) {
	return []value{&setting{pass{sampler: a.text("sampler_name")}}}, a.err
}

// schedules is a class that makes SIGMAS; the name is taken from the scheduler
// input where there is one.
func schedules(name string) class {
	return drawn(func(a *args) ([]value, error) {
		return []value{&setting{pass{
			scheduler: a.textOr("scheduler", name), steps: a.integerOr("steps", 20), denoise: a.numberOr("denoise", 1),
		}}}, a.err
	})
}

// manualSigmas counts the numbers.
func manualSigmas(a *args) ([]value, error) {
	// n sigmas bound n-1 steps.
	n := len(strings.FieldsFunc(a.text("sigmas"), func(r rune) bool { return r == ',' || r == ' ' }))
	return []value{&setting{pass{scheduler: "manual", steps: max(n-1, 0), denoise: 1}}}, a.err
}

// splitSigmas gives the steps before and after one.
func splitSigmas(a *args) ([]value, error) {
	s, at := get[*setting](a, "sigmas"), a.integer("step")
	if a.err != nil {
		return nil, a.err
	}
	return s.split(min(max(at, 0), s.steps))
}

// splitSigmasDenoise splits so that the second part does denoise of the work.
func splitSigmasDenoise(a *args) ([]value, error) {
	s, denoise := get[*setting](a, "sigmas"), a.number("denoise")
	if a.err != nil {
		return nil, a.err
	}
	return s.split(s.steps - int(math.Round(float64(s.steps)*min(max(denoise, 0), 1))))
}

// split gives the steps before at and those from it on, which do their share of
// the work.
func (s *setting) split(at int) ([]value, error) {
	high, low := *s, *s
	high.steps, low.steps = at, s.steps-at
	if s.steps > 0 {
		low.denoise = s.denoise * float64(low.steps) / float64(s.steps)
	}
	// No steps before: a sampler with these sigmas leaves the latent alone.
	if at == 0 {
		high.denoise = 0
	}
	return []value{&high, &low}, nil
}
