package lower

import (
	"math"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// What String(f) gives in JavaScript.
func TestFloatText(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", -2.5: "-2.5", 0.1: "0.1", 1e-6: "0.000001", 1e-7: "1e-7", -1.5e-7: "-1.5e-7", 1e-10: "1e-10", 5e-324: "5e-324", 1e-100: "1e-100",
		1e20: "100000000000000000000", 1e21: "1e+21", 1.25e100: "1.25e+100", math.Inf(1): "Infinity", math.Inf(-1): "-Infinity",
	} {
		if got := floatText(f); got != want {
			t.Errorf("%g: %q, want %q", f, got, want)
		}
	}
	if got := floatText(math.NaN()); got != "NaN" {
		t.Error(got)
	}
}

// What Number(text) gives in JavaScript; NaN is written as such.
func TestToNumber(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for text, want := range map[string]float64{
		"": 0, "  ": 0, "\n\t7 ": 7, "1": 1, "+1.5": 1.5, "-.5": -0.5, "5.": 5, "1e3": 1000, "1E-2": 0.01, "007": 7, "1e999": inf, "-1e999": -inf,
		"Infinity": inf, "+Infinity": inf, "-Infinity": -inf, "infinity": nan, "inf": nan, "Inf": nan, "nan": nan, "NaN": nan,
		"1_0": nan, "0x1_0": nan, "0x10": 16, "0XfF": 255, "0b101": 5, "0o17": 15, "0x": nan, "-0x10": nan, "0x-1": nan, "0x+1": nan, "0xg": nan, "0b2": nan, "0x1p3": nan,
		"0x1fffffffffffffffffff": 0x1fffffffffffffffffff, ".": nan, "1 2": nan, "1,5": nan, "abc": nan, "1e": nan, "--1": nan,
	} {
		if got := toNumber(source.NewString(text)); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	for _, tc := range []struct {
		v    *source.Value
		want float64
	}{{source.NewNull(), 0}, {source.NewBool(true), 1}, {source.NewArray(), 0}, {source.NewArray(source.NewString("0x10")), 16}, {source.NewObject(), nan}, {nil, nan}} {
		if got := toNumber(tc.v); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("%+v: %v, want %v", tc.v, got, tc.want)
		}
	}
}
