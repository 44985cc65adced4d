package sweep

import (
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		text string
		kind Kind
		want string // joined by blanks, or "!message"
	}{
		{"7", Int, "7"},
		{"1-5", Int, "1 2 3 4 5"},
		{" 1 - 3 ", Int, "1 2 3"},
		{"5-1", Int, "5 4 3 2 1"},
		{"-2-1", Int, "-2 -1 0 1"},
		{"-5--3", Int, "-5 -4 -3"},
		{"1-5 (+2)", Int, "1 3 5"},
		{"1-6(+2)", Int, "1 3 5"},
		{"10-1 (-3)", Int, "10 7 4 1"},
		{"5-10:2", Int, "5 7 9"},
		{"10-5:2", Int, "10 8 6"},
		{"1-10 [5]", Int, "1 3 5 7 10"},
		{"1-10 [5]", Float, "1 3.25 5.5 7.75 10"},
		{"0-1 [4]", Float, "0 0.333333 0.666667 1"},
		{"1-9 [1]", Float, "1"},
		{"0.1-0.5 (+0.1)", Float, "0.1 0.2 0.3 0.4 0.5"},
		{"3.5-5 (+.5)", Float, "3.5 4 4.5 5"},
		{"1, 2, .., 10", Int, "1 2 3 4 5 6 7 8 9 10"},
		{"1, 2, ..., 5, 9", Int, "1 2 3 4 5 9"},
		{"10, 8, .., 2", Int, "10 8 6 4 2"},
		{"0.1, 0.3, .., 0.9", Float, "0.1 0.3 0.5 0.7 0.9"},
		{"1-3, 7, 10-20 (+5)", Int, "1 2 3 7 10 15 20"},
		{"18446744073709551614-18446744073709551615", Int, "18446744073709551614 18446744073709551615"},
		{"", Int, "!a number was expected in the range"},
		{"a", Int, "!a number was expected in the range"},
		{"1-5 (+0.5)", Int, "!1.5 is not an integer, as the input needs"},
		{"1-5 (-1)", Int, "!steps of -1 lead away from 5"},
		{"1-5 (+0)", Int, "!a step of 0 never arrives"},
		{"1-5 [0]", Int, "!a count is an integer from 1 to 1000000"},
		{"1-5 [2", Int, "!the count is not closed by ]"},
		{"1-5 (2", Int, "!the step is not closed by )"},
		{"1, .., 5", Int, "!two numbers are expected before .., as in 1, 2, .., 10"},
		{"1, 3, .., 10", Int, "!steps of 2 from 3 do not arrive at 10"},
		{"1, 2, ..", Int, "!a number is expected after .."},
		{"1 2", Int, `!"2" was not expected after a range`},
		{"1-99999999999", Int, "!the range has more than 1000000 values"},
	} {
		got, err := ParseRange(c.text, c.kind)
		text := strings.Join(got, " ")
		if err != nil {
			text = "!" + err.Message
			if err.Start < 0 || err.End < err.Start {
				t.Errorf("%q: the error is at %d-%d", c.text, err.Start, err.End)
			}
		}
		if text != c.want {
			t.Errorf("ParseRange(%q, %d) = %s, want %s", c.text, c.kind, text, c.want)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"1-5", "1-5 (+2)", "1-10 [5]", "1, 2, .., 10", "5-10:2", "-1--5", "0.1-1:.1", "..", "1-", "[", "1-1000000"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, integer bool) {
		kind := Float
		if integer {
			kind = Int
		}
		got, err := ParseRange(text, kind)
		if err != nil {
			if err.Start < 0 || err.End < err.Start || err.Message == "" {
				t.Fatalf("%q: error %+v", text, err)
			}
			return
		}
		if len(got) == 0 || len(got) > MaxValues {
			t.Fatalf("%q: %d values", text, len(got))
		}
		for _, v := range got {
			if _, ok := parseDecimal(v); !ok && len(v) <= maxDigits {
				t.Fatalf("%q gives %q", text, v)
			}
			if integer && strings.Contains(v, ".") {
				t.Fatalf("%q gives the fraction %q", text, v)
			}
		}
	})
}
