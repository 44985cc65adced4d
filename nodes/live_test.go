package nodes

import (
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

func parse(t testing.TB, text string) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile("t.json", []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLive lists the inputs that nodes take; a star marks the required ones.
func TestLive(t *testing.T) {
	for _, tc := range []struct{ name, class, given, want string }{
		{"plain", "EmptyImage", `{}`, "width* height* batch_size* color*"},
		{"key missing", "ResizeImageMaskNode", `{}`, "input* scale_method*"},
		{"key unknown", "ResizeImageMaskNode", `{"resize_type": "bigger"}`, "input* scale_method*"},
		{"key is null", "ResizeImageMaskNode", `{"resize_type": null}`, "input* scale_method*"},
		{"key", "ResizeImageMaskNode", `{"resize_type": "scale by multiplier"}`, "input* resize_type.multiplier* resize_type* scale_method*"},
		{"nested keys", "SaveVideo", `{"format": "auto", "format.codec": "h264", "format.codec.encoding": "re-encode"}`,
			"video* filename_prefix* format.codec.encoding.crf* format.codec.encoding.color_space* format.codec.encoding format.codec* format*"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			class, ok := BuiltIn().Class(tc.class)
			if !ok {
				t.Fatal("no such class")
			}
			var got []string
			for _, l := range class.Live(parse(t, tc.given).Get) {
				name := l.Name
				if l.Required {
					name += "*"
				}
				got = append(got, name)
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("got  %s\nwant %s", s, tc.want)
			}
		})
	}
}

func TestLiveAutogrow(t *testing.T) {
	class, _ := BuiltIn().Class("BatchImagesNode")
	live := class.Live(parse(t, `{}`).Get)
	if len(live) != 50 || live[0].Name != "images.image0" || !live[0].Required || live[1].Required || live[0].Def.Type != "IMAGE" || !class.Dynamic() {
		t.Errorf("%d inputs, the first %+v", len(live), live[0])
	}
}

func TestEqualAndCompare(t *testing.T) {
	for _, tc := range []struct {
		a, b  string
		equal bool
		order int // 9: no order
	}{
		{`1`, `1.0`, true, 0}, {`1`, `true`, true, 0}, {`false`, `0`, true, 0}, {`"1"`, `1`, false, 9}, {`null`, `null`, true, 9}, {`null`, `0`, false, 9},
		{`NaN`, `NaN`, false, 9}, {`Infinity`, `1e400`, true, 0}, {`[1,"a"]`, `[1.0,"a"]`, true, 9}, {`[1]`, `[1,2]`, false, 9},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, true, 9}, {`{"a":1}`, `{"c":1}`, false, 9}, {`"a"`, `"b"`, false, -1},
		{`18446744073709551616`, `18446744073709551615`, false, 1}, {`9007199254740993`, `9007199254740992.0`, false, 1},
		{`100000000000000000000000000000`, `1e29`, false, 1}, {`-Infinity`, `-99999999999999999999`, false, -1}, {`0.1`, `1`, false, -1},
	} {
		a, b := parse(t, tc.a), parse(t, tc.b)
		if got := Equal(a, b); got != tc.equal {
			t.Errorf("Equal(%s, %s) is %v", tc.a, tc.b, got)
		}
		order, ok := Compare(a, b)
		if ok != (tc.order != 9) || ok && order != tc.order {
			t.Errorf("Compare(%s, %s) is %d, %v", tc.a, tc.b, order, ok)
		}
	}
}
