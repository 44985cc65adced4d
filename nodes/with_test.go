package nodes

import (
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

func TestWith(t *testing.T) {
	v, err := source.ParseJSON(source.NewFile("t", []byte(`{"Mine": {"input": {"required": {"a": ["INT", {}]}}, "output": ["IMAGE"]},
		"KSampler": {"input": {}, "output": []}}`)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	mine, _ := Load(v)
	all := BuiltIn().With(mine)
	if all.Len() != BuiltIn().Len()+1 || !all.Has("Mine") || BuiltIn().Has("Mine") || all.Literal() {
		t.Errorf("%d classes of %d", all.Len(), BuiltIn().Len())
	}
	if c, _ := all.Class("KSampler"); len(c.Outputs) != 0 {
		t.Error("the other catalogue's class does not count")
	}
	if c, _ := BuiltIn().Class("KSampler"); len(c.Outputs) != 1 {
		t.Error("the first catalogue has changed")
	}
	if BuiltIn().With(nil) != BuiltIn() {
		t.Error("nothing is added, and the catalogue is another one")
	}
}

// TestWithIsTheSameInAnyOrder holds that a class says the same whichever catalogue is asked for it first.
func TestWithIsTheSameInAnyOrder(t *testing.T) {
	for _, mixedFirst := range []bool{false, true} {
		data, err := Import(parse(t, `{"P": {"input": {"required": {"ckpt_name": [[]]}}}}`), ImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		packed, err := unpack(data)
		if err != nil {
			t.Fatal(err)
		}
		snapshot, _ := Load(parse(t, `{"S": {"input": {"required": {"a": [["x"], {"open": true}]}}}}`))
		for _, mixed := range []*Catalogue{snapshot.With(packed), packed.With(snapshot)} {
			own := []*Catalogue{packed, snapshot}
			if mixedFirst {
				own = []*Catalogue{mixed, mixed}
			}
			p, _ := own[0].Class("P")
			s, _ := own[1].Class("S")
			if !p.Inputs[0].Open || s.Inputs[0].Open {
				t.Errorf("mixed first %v, literal %v: the imported list is open: %v, the snapshot's: %v", mixedFirst, mixed.Literal(), p.Inputs[0].Open, s.Inputs[0].Open)
			}
		}
	}
}
