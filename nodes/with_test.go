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
