// Reading settings, one method per kind of value. Each gives a function that takes the value, so that the tables of keys in config_parse.go say
// in one line what a key is called, what it may be and where it goes. The first mistake does not end the reading: all are told at once.

package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// reader turns values into settings and collects what is wrong with them.
type reader struct{ list []diag.Diagnostic }

// fields says what to do with each key of an object.
type fields map[string]func(*source.Value)

func (r *reader) add(d diag.Diagnostic) { r.list = append(r.list, d) }

// wrong notes a value of the wrong kind.
func (r *reader) wrong(v *source.Value, want string) {
	r.add(diag.Errorf("schema", diag.Of(v), "%s is not possible here, expected %s", v.Kind, want))
}

// object reads the keys that are known; others are findings, with the nearest known key as a hint. Null counts as left out.
func (r *reader) object(v *source.Value, what string, known fields) {
	if v == nil || v.Kind == source.Null {
		return
	}
	if v.Kind != source.Object {
		r.wrong(v, "an object: "+what)
		return
	}
	for i := range v.Members {
		m := &v.Members[i]
		if read := known[m.Key]; read != nil {
			read(m.Value)
			continue
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		r.add(diag.Errorf("schema", diag.OfKey(m), "%s has no key %q", what, m.Key).Hinted(diag.Suggest(m.Key, names)))
	}
}

func (r *reader) text(to *string) func(*source.Value) {
	return func(v *source.Value) {
		if v.Kind != source.String {
			r.wrong(v, "a text")
			return
		}
		*to = v.Text
	}
}

// texts reads a list of texts, or one.
func (r *reader) texts(v *source.Value, f func(string)) {
	items := []*source.Value{v}
	if v.Kind == source.Array {
		items = v.Items
	}
	for _, item := range items {
		var s string
		if r.text(&s)(item); item.Kind == source.String {
			f(s)
		}
	}
}

func (r *reader) boolean(to *bool) func(*source.Value) {
	return func(v *source.Value) {
		if v.Kind != source.Bool {
			r.wrong(v, "true or false")
			return
		}
		*to = v.Bool
	}
}

func (r *reader) number(to *float64) func(*source.Value) {
	return func(v *source.Value) {
		n, ok := v.Float()
		if !ok || !(n >= 0) {
			r.wrong(v, "a number that is not negative")
			return
		}
		*to = n
	}
}

// count reads a whole number from 0 on.
func (r *reader) count(v *source.Value, f func(int)) {
	n, ok := v.Int()
	if !ok || n < 0 {
		r.wrong(v, "a whole number that is not negative")
		return
	}
	f(n)
}

func (r *reader) integer(to *int) func(*source.Value) {
	return func(v *source.Value) { r.count(v, func(n int) { *to = n }) }
}

// counts reads a list of whole numbers, or one.
func (r *reader) counts(v *source.Value, to *[]int) {
	if v.Kind != source.Array {
		r.count(v, func(n int) { *to = append(*to, n) })
		return
	}
	for _, item := range v.Items {
		r.count(item, func(n int) { *to = append(*to, n) })
	}
}

// none is the word for no limit.
func none(v *source.Value) bool { return v.Str() == "none" }

// limit reads a whole number or none, which is -1.
func (r *reader) limit(to *int) func(*source.Value) {
	return func(v *source.Value) {
		if none(v) {
			*to = -1
			return
		}
		r.integer(to)(v)
	}
}

// duration reads "1m30s", or a number of seconds.
func (r *reader) duration(to *time.Duration) func(*source.Value) {
	return func(v *source.Value) {
		// 1e9 s are 31 years; a Duration ends at 292.
		if n, ok := v.Float(); ok && n >= 0 && n < 1e9 {
			*to = time.Duration(n * float64(time.Second))
			return
		}
		d, err := time.ParseDuration(v.Str())
		if err != nil || d < 0 {
			r.add(diag.Errorf("schema", diag.Of(v), "%q is no duration, expected one such as 45s, 1m30s or 2h", v.Text))
			return
		}
		*to = d
	}
}

// units are looked for in this order: the longest ends come first, as "4MiB" ends in "B" too.
var units = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// size reads "4MiB", a number of bytes, or none.
func (r *reader) size(to *int64) func(*source.Value) {
	return func(v *source.Value) {
		if none(v) {
			*to = -1
			return
		}
		for _, unit := range units {
			text, ok := strings.CutSuffix(v.Text, unit.name)
			if n, err := strconv.ParseFloat(strings.TrimSpace(text), 64); ok && err == nil && n >= 0 && n*unit.bytes < 1<<50 {
				*to = int64(n * unit.bytes)
				return
			}
		}
		r.add(diag.Errorf("schema", diag.Of(v), "%q is no size, expected one such as 4MiB, 500KB or none", v.Text))
	}
}
