package graph

import (
	"strings"
	"testing"
)

// TestCoerce holds what Python 3.11 makes of JSON values by int, float, str and bool; "-" is an error.
func TestCoerce(t *testing.T) {
	for _, tc := range []struct{ in, asInt, asFloat, asString, asBool string }{
		{`20.7`, `20`, `20.7`, `'20.7'`, `True`},
		{`-0.5`, `0`, `-0.5`, `'-0.5'`, `True`},
		{`-0`, `0`, `0.0`, `'0'`, `False`},
		{`-0.0`, `0`, `-0.0`, `'-0.0'`, `False`},
		{`1e22`, `10000000000000000000000`, `1e+22`, `'1e+22'`, `True`},
		{`1e15`, `1000000000000000`, `1000000000000000.0`, `'1000000000000000.0'`, `True`},
		{`0.00001`, `0`, `1e-05`, `'1e-05'`, `True`},
		{`18446744073709551616`, `18446744073709551616`, `1.8446744073709552e+19`, `'18446744073709551616'`, `True`},
		{`NaN`, `-`, `nan`, `'nan'`, `True`},
		{`1e400`, `-`, `inf`, `'inf'`, `True`},
		{`1` + strings.Repeat("0", 400), `1` + strings.Repeat("0", 400), `-`, `'1` + strings.Repeat("0", 400) + `'`, `True`},
		{`true`, `1`, `1.0`, `'True'`, `True`},
		{`null`, `-`, `-`, `'None'`, `False`},
		{`""`, `-`, `-`, `''`, `False`},
		{`"false"`, `-`, `-`, `'false'`, `True`},
		{`" 7 "`, `7`, `7.0`, `' 7 '`, `True`},
		{`"1_0"`, `10`, `10.0`, `'1_0'`, `True`},
		{`"1__0"`, `-`, `-`, `'1__0'`, `True`},
		{`"_1"`, `-`, `-`, `'_1'`, `True`},
		{`"+5"`, `5`, `5.0`, `'+5'`, `True`},
		{`"-007"`, `-7`, `-7.0`, `'-007'`, `True`},
		{`"20.5"`, `-`, `20.5`, `'20.5'`, `True`},
		{`".5"`, `-`, `0.5`, `'.5'`, `True`},
		{`"5."`, `-`, `5.0`, `'5.'`, `True`},
		{`"1e3"`, `-`, `1000.0`, `'1e3'`, `True`},
		{`"1_0e1_0"`, `-`, `100000000000.0`, `'1_0e1_0'`, `True`},
		{`"1e400"`, `-`, `inf`, `'1e400'`, `True`},
		{`"-Infinity"`, `-`, `-inf`, `'-Infinity'`, `True`},
		{`"+nan"`, `-`, `nan`, `'+nan'`, `True`},
		{`"0x10"`, `-`, `-`, `'0x10'`, `True`},
		{`"0x1p3"`, `-`, `-`, `'0x1p3'`, `True`},
		{`"++1"`, `-`, `-`, `'++1'`, `True`},
		{`"٣"`, `3`, `3.0`, `'٣'`, `True`},
		{`"\u2003１２\u00a0"`, `12`, `12.0`, `'\u2003１２\xa0'`, `True`},
		{`"\u001c7"`, `-`, `-`, `'\x1c7'`, `True`},
		{`[]`, `-`, `-`, `'[]'`, `False`},
		{`{}`, `-`, `-`, `'{}'`, `False`},
		{`[null, true, "it's", "a\"b'", 1.0, {"k": [1e100]}]`, `-`, `-`, `'[None, True, "it\'s", \'a"b\\\'\', 1.0, {\'k\': [1e+100]}]'`, `True`},
		{`["\n\t\r\\\u0000\u00ad\u2028\ud83e\udd8a\ue000"]`, `-`, `-`, `"['\\n\\t\\r\\\\\\x00\\xad\\u2028🦊\\ue000']"`, `True`},
	} {
		v := parse(t, "t.json", tc.in)
		for _, want := range []struct{ kind, repr string }{{"INT", tc.asInt}, {"FLOAT", tc.asFloat}, {"STRING", tc.asString}, {"BOOLEAN", tc.asBool}} {
			got := "-"
			if made, err := coerce(want.kind, v); err == nil {
				got = string(appendRepr(nil, made))
			}
			if got != want.repr {
				t.Errorf("%s of %s is %s, want %s", want.kind, tc.in, got, want.repr)
			}
		}
		if same, err := coerce("COMBO", v); err != nil || same != v {
			t.Errorf("a COMBO is not coerced: %s", tc.in)
		}
	}
}

// TestPythonDigits holds that the longest integers that Python reads are read, and no longer ones.
func TestPythonDigits(t *testing.T) {
	for _, n := range []int{4300, 4301} {
		if _, ok := pythonInt("-" + strings.Repeat("1", n)); ok != (n == 4300) {
			t.Errorf("%d digits: %v", n, ok)
		}
	}
}

func TestCoerceKeepsThePlace(t *testing.T) {
	v := parse(t, "t.json", `  20.7`)
	made, err := coerce("INT", v)
	if err != nil || made.Text != "20" || made.Start != 2 || made.End != 6 || made.File == nil {
		t.Errorf("got %+v, %v", made, err)
	}
	if v.Text != "20.7" {
		t.Error("the value as written was changed")
	}
}
