package source

import (
	"errors"
	"strings"
	"testing"
)

func TestParseJSON(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"order and big integers are kept", `{"b":18446744073709551615,"a":[1.50,-0,1e5]}`, `{"b":18446744073709551615,"a":[1.50,-0,1e5]}`},
		{"byte order mark", "\ufeff{\"é\":null}", `{"é":null}`},
		{"python's non-finite numbers", `{"a":NaN,"b":[-Infinity,Infinity,"NaN"]}`, `{"a":NaN,"b":[-Infinity,Infinity,"NaN"]}`},
		{"words in strings are left alone", `["NaN is \"Infinity\"", NaN]`, `["NaN is \"Infinity\"",NaN]`},
		{"lone surrogate", `["\ud800"]`, "[\"\ufffd\"]"},
		{"huge exponent", `1e100000000`, `1e100000000`},
		{"blanks around", " \r\n[ true , false ]\n\n", `[true,false]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, err := ParseJSON(NewFile("t.json", []byte(tc.in)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(v.AppendJSON(nil)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestParseJSONErrors(t *testing.T) {
	for _, tc := range []struct{ name, in, want, code string }{
		{"trailing comma", "{\n \"a\": 1,\n}", "t.json:2:8: not JSON", "syntax"},
		{"text after the end", "{\"a\":1} x", "t.json:1:9: text after the end", "syntax"},
		{"second value", "{}\n{}", "t.json:2:1: text after the end", "syntax"},
		{"cut", "[1,2", "t.json:1:5: the JSON text ends too early", "syntax"},
		{"empty", " \n", "the file is empty", "syntax"},
		{"duplicate", "{\"a\":1,\r\n\"b\":2,\r\n\"a\":3}", "t.json:3:1: key \"a\" is there twice", "duplicate_key"},
		{"missing colon", `{"a" 1}`, "t.json:1:6:", "syntax"},
		{"half a literal", `{"a":tru}`, "t.json:1:9:", "syntax"},
		{"depth", strings.Repeat("[", 300) + strings.Repeat("]", 300), "deeper than 256", "too_deep"},
		{"long number", strings.Repeat("1", 5000), "5000 characters", "number_too_long"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseJSON(NewFile("t.json", []byte(tc.in)), Limits{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(e.Error(), tc.want) || e.Code != tc.code {
				t.Errorf("got %q [%s], want %q [%s]", e.Error(), e.Code, tc.want, tc.code)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	text := "{\"a\\\"b\": [1, \"x\\\\\"],\n \"ü\": {\"k\": NaN}}"
	v, err := ParseJSON(NewFile("t.json", []byte(text)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(start, end int, want string) {
		t.Helper()
		if got := text[start:end]; got != want {
			t.Errorf("place holds %q, want %q", got, want)
		}
	}
	m := v.Member("a\"b")
	check(m.KeyStart, m.KeyEnd, `"a\"b"`)
	check(m.Value.Start, m.Value.End, `[1, "x\\"]`)
	check(m.Value.Items[1].Start, m.Value.Items[1].End, `"x\\"`)
	nan, member := v.Pointer("/ü/k")
	check(nan.Start, nan.End, "NaN")
	check(member.KeyStart, member.KeyEnd, `"k"`)
	if line, col := v.File.Position(nan.Start); line != 2 || col != 13 {
		t.Errorf("NaN stands at %d:%d, want 2:13", line, col)
	}
}

func TestValueLimit(t *testing.T) {
	_, err := ParseJSON(NewFile("t.json", []byte("[1,2,3,4]")), Limits{Values: 3})
	if err == nil || !strings.Contains(err.Error(), "more than 3 values") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `[NaN,-Infinity]`, "\ufeff{}", `{"a":1,"a":2}`, `"\u00e9\ud800"`, `[[[[`, `1e999`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseJSON(NewFile("f.json", data), Limits{Values: 100_000})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Start < 0 || e.End < e.Start || e.Start > len(data) {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		checkSpans(t, v, len(data))
		again, err := ParseJSON(NewFile("g.json", v.AppendJSON(nil)), Limits{})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if a, b := string(v.AppendJSON(nil)), string(again.AppendJSON(nil)); a != b {
			t.Fatalf("%s became %s", a, b)
		}
	})
}

func checkSpans(t *testing.T, v *Value, size int) {
	if v.Start < 0 || v.End < v.Start || v.End > size {
		t.Fatalf("span %d:%d of %d bytes", v.Start, v.End, size)
	}
	for _, item := range v.Items {
		checkSpans(t, item, size)
	}
	for _, m := range v.Members {
		checkSpans(t, m.Value, size)
	}
}

func BenchmarkParseJSON(b *testing.B) {
	data := []byte("[" + strings.Repeat(`{"class_type":"KSampler","inputs":{"seed":1,"text":"a red fox","model":["4",0]}},`, 1000) + "null]")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := ParseJSON(NewFile("b.json", data), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
