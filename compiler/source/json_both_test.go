package source

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// hardTexts are texts on which two readers could differ.
var hardTexts = []string{
	`{"a":[1,2.5,"x",null,true]}`, `[NaN,-Infinity]`, "\ufeff{}", `{"a":1,"a":2}`, `"\u00e9\ud800"`, `[[[[`, `1e999`, `{NaN:1}`, `{"a":NaN,"a":NaN}`,
	`"\ud83d\ude00 \ud83dx \ude00 \ud83d\ud83d\ude00"`, "\"\xff\xc3\"", "\"\xed\xa0\x80\"", `"\"`, `"\\"`, `"a\`, "\"\x1f\"", "\"\x00\"", "\x00", `"\u12"`, `"\u00zz"`,
	`01`, `-`, `-0`, `1.`, `.5`, `1e`, `1E+05`, `-Infinit`, `NaNN`, `+1`, `tru`, `nullx`, ` [ ] `, "[1,]", "{,}", `{"a":1,}`, `{"a"}`, `[1 2]`, `1 2`, "\t\r\n",
	`{"a":{"b":1,"b":2}}`, "[\"abcdefgh\",\"abcdefg\\n\",\"abcdefghijklmno\\u0041p\",\"日本語日本語\"]", "{\"k\":\"" + strings.Repeat("x", 40) + "é\"}",
	"\ufeff", "\ufeff\ufeff{}", "[\u00a0]", "'a'", "{\"\":{\"\":[]}}", "[1]\x00", "\"\u2028\"", "[-Infinity,\"-Infinity\"]", "{\"NaN\":NaN}", `"NaN`,
}

// same compares what the two readers make of a text: the tree with all places, or the error.
func same(t *testing.T, data []byte, limits Limits) {
	t.Helper()
	limits = limits.withDefaults()
	f := NewFile("f.json", data)
	fast, fastErr := readOnly(f, limits)
	want, err := strictJSON(f, limits, false)
	if (fast != nil) != (err == nil) {
		t.Fatalf("%q: read %v, but strictly %v", data, fast != nil, err)
	}
	if err == nil {
		sameValue(t, fast, want)
		return
	}
	var got, expected *Error
	if !errors.As(fastErr, &got) || !errors.As(err, &expected) || *got != *expected {
		t.Fatalf("%q: error %v, strictly %v", data, fastErr, err)
	}
}

// readOnly is ParseJSON, with nil for a text that its own pass refuses.
func readOnly(f *File, limits Limits) (*Value, error) {
	r := newReader(f, limits)
	if v := r.root(); v != nil {
		return v, nil
	}
	_, err := ParseJSON(f, limits)
	return nil, err
}

func sameValue(t *testing.T, a, b *Value) {
	t.Helper()
	if a.Kind != b.Kind || a.Bool != b.Bool || a.Text != b.Text || a.Start != b.Start || a.End != b.End || a.File != b.File ||
		len(a.Items) != len(b.Items) || len(a.Members) != len(b.Members) {
		t.Fatalf("%+v, strictly %+v", a, b)
	}
	for i := range a.Items {
		sameValue(t, a.Items[i], b.Items[i])
	}
	for i := range a.Members {
		x, y := a.Members[i], b.Members[i]
		if x.Key != y.Key || x.KeyStart != y.KeyStart || x.KeyEnd != y.KeyEnd {
			t.Fatalf("member %+v, strictly %+v", x, y)
		}
		sameValue(t, x.Value, y.Value)
	}
}

func TestBothReaders(t *testing.T) {
	large := make([]string, 40)
	for i := range large {
		large[i] = `"k` + strings.Repeat("x", i%7) + string(rune('a'+i)) + `":1`
	}
	texts := append(hardTexts, "{"+strings.Join(large, ",")+"}", "{"+strings.Join(large, ",")+","+large[3]+"}",
		strings.Repeat("[", 257)+strings.Repeat("]", 257), strings.Repeat("[", 258)+strings.Repeat("]", 258),
		strings.Repeat("[", 257)+"1"+strings.Repeat("]", 257), strings.Repeat("9", 4300), "-"+strings.Repeat("9", 4300))
	for _, text := range texts {
		for _, limits := range []Limits{{}, {Depth: 1}, {Values: 2}} {
			same(t, []byte(text), limits)
			for cut := range min(len(text), 60) {
				same(t, []byte(text[:cut]), limits)
			}
		}
	}
}

func TestLeave(t *testing.T) {
	leave := &Leave{Keys: []string{"pos"}, Within: []LeaveIn{{Key: "nodes", Leave: &Leave{Items: &Leave{Keys: []string{"pos", "size"}}}}, {Key: "groups", Leave: NoItems()},
		{Key: "ports", Leave: &Leave{Items: &Leave{Keep: []string{"name"}, Within: []LeaveIn{{Key: "in", Leave: &Leave{Keep: []string{"b"}}}}}}}}}
	for _, tc := range []struct{ in, want string }{
		{`{"pos":[1],"nodes":[{"id":1,"pos":[1,{"a":"\n"}],"size":{}},{"size":1}],"size":2,"groups":[1,[2]]}`, `{"nodes":[{"id":1},{}],"size":2,"groups":[]}`},
		{`{"nodes":{"pos":1}}`, `{"nodes":{"pos":1}}`},
		{`{"ports":[{"name":"a","pos":1,"in":{"b":1,"c":2}},{"x":[]}]}`, `{"ports":[{"name":"a","in":{"b":1}},{}]}`},
		{`{"nodes":[{"pos":1,"pos":2}]}`, `key "pos" is there twice`},
		{`{"nodes":[{"pos":{"a":1,"a":2}}]}`, `key "a" is there twice`},
		{`{"pos":"\q"}`, `not JSON`},
		{`{"pos":` + strings.Repeat("[", 300), `nested deeper`},
	} {
		v, err := ParseJSON(NewFile("t.json", []byte(tc.in)), Limits{Leave: leave})
		if err != nil && !strings.Contains(err.Error(), tc.want) || err == nil && string(v.AppendJSON(nil)) != tc.want {
			t.Errorf("%s gives %v, %v, want %s", tc.in, v, err, tc.want)
		}
	}
}

func FuzzBothReaders(f *testing.F) {
	for _, s := range hardTexts {
		f.Add([]byte(s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, depth uint8) {
		same(t, data, Limits{Values: 100_000, Depth: int(depth)})
		checkLeave(t, data)
	})
}

// checkLeave sees that what is left out is checked all the same.
func checkLeave(t *testing.T, data []byte) {
	file := NewFile("f.json", data)
	_, err := ParseJSON(file, Limits{})
	_, without := ParseJSON(file, Limits{Leave: &Leave{Keys: []string{"a"}, Items: leaveAll, Within: []LeaveIn{{Key: "b", Leave: NoItems()}}}})
	if (err == nil) != (without == nil) || err != nil && err.Error() != without.Error() {
		t.Fatalf("%q: %v, with parts left out %v", data, err, without)
	}
}

// FuzzUnescape compares the reader of escapes with the one of the library.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{`\ud83d\ude00`, `\ud83d\u0041`, "\xff\\n", `\u`, `\ud800\ud800\udc00`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\"") || bytes.ContainsFunc([]byte(s), func(r rune) bool { return r < ' ' }) {
			return
		}
		same(t, []byte(`"`+s+`"`), Limits{})
		if got, ok := unescape(s); ok && !utf8.ValidString(got) {
			t.Fatalf("%q gives %q", s, got)
		}
	})
}
