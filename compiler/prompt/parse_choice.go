package prompt

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
)

// bounds is n$$, n-m$$, -m$$ or n-$$, and weight is n::, each with blanks around.
var (
	bounds = regexp.MustCompile(`^\s*([0-9]*)(-?)([0-9]*)\s*\$\$`)
	weight = regexp.MustCompile(`^\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*::`)
)

// choice reads {…}; p.at is at the brace.
func (p *parser) choice() part {
	start := p.at
	p.at++
	c := part{kind: choice, min: 1, max: 1, separator: defaultSeparator}
	if c.method = p.method(); c.method != inherit {
		p.at++
	}
	p.bounds(&c)
	for {
		w := p.weight()
		c.options = append(c.options, option{layout(p.sequence(inOption)), w})
		if p.at >= len(p.text) {
			p.unclosed(start, start+1, "a brace", "}")
			return c
		}
		if len(c.options) > maxOptions {
			p.report(start, start+1, diag.Errorf("prompt_too_large", diag.Place{}, "a choice has more than %d options", maxOptions))
			p.stopped, p.at = true, len(p.text)
			return c
		}
		if p.at++; p.text[p.at-1] == '}' {
			break
		}
	}
	p.weigh(&c, start)
	return c
}

// method gives the method whose letter stands here.
func (p *parser) method() method {
	if p.at < len(p.text) {
		return methods[p.text[p.at]]
	}
	return inherit
}

// bounds reads n$$, n-m$$ and a separator behind it. 2-1 is taken for 1-2. A separator ends at the next $$
// before any brace, with \| and the like unescaped; else it is ", ".
func (p *parser) bounds(c *part) {
	m := bounds.FindStringSubmatch(limited(p.text[p.at:]))
	if m == nil || m[1]+m[2]+m[3] == "" {
		return
	}
	start := p.at
	c.bounded = true
	c.min, c.max = bound(m[1], 1), bound(m[3], -1)
	if m[2] == "" {
		c.min = bound(m[1]+m[3], 1)
		c.max = c.min
	}
	if c.max >= 0 && c.max < c.min {
		c.min, c.max = c.max, c.min
	}
	if p.at += len(m[0]); max(c.min, c.max) > maxTaken {
		p.report(start, p.at, diag.Errorf("prompt_count", diag.Place{}, "at most %d options are taken at once", maxTaken))
		c.min, c.max = 1, 1
	}
	rest := limited(p.text[p.at:])
	if end := strings.Index(rest, "$$"); end >= 0 && !strings.ContainsAny(rest[:end], "{}") {
		c.separator = unescape.Replace(rest[:end])
		p.at += end + 2
	}
}

var unescape = strings.NewReplacer(`\|`, `|`, `\$`, `$`, `\#`, `#`, `\_`, `_`, `\/`, `/`, `\:`, `:`)

// bound reads a number of options; one that fits no int is more than any limit.
func bound(digits string, absent int) int {
	if digits == "" {
		return absent
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return math.MaxInt
	}
	return n
}

// weight reads n:: before an option; 1 if there is none.
func (p *parser) weight() float64 {
	m := weight.FindStringSubmatch(limited(p.text[p.at:]))
	if m == nil {
		return 1
	}
	start := p.at
	p.at += len(m[0])
	w, err := strconv.ParseFloat(m[1], 64)
	if err != nil || w < 0 || math.IsInf(w, 0) {
		p.report(start, p.at, diag.Errorf("prompt_weight", diag.Place{}, "a weight is a number from 0 on, not %s", m[1]).Hinted("options without a weight have 1"))
		return 1
	}
	return w
}

// weigh holds that something can be drawn: {0::a|0::b} leaves nothing. All weights are finite here, but
// their sum may not be.
func (p *parser) weigh(c *part, start int) {
	sum := 0.0
	for _, o := range c.options {
		sum += o.weight
	}
	if sum == 0 || math.IsInf(sum, 0) {
		p.report(start, start+1, diag.Errorf("prompt_weight", diag.Place{}, "the weights of a choice add up to %v", sum))
	}
	if n := len(c.options); c.bounded && n > 1 && max(c.min, c.max) > n {
		p.report(start, start+1, diag.Warnf("prompt_count", diag.Place{}, "%d options are to be taken, and there are %d; all of them are", max(c.min, c.max), n))
	}
}
