package nodes

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

// served is the answer that a server of ours gives for a whole catalogue, as its clients parse it.
func served(t *testing.T, c *Catalogue) *source.Value {
	t.Helper()
	all := source.NewObject()
	for _, name := range c.Names() {
		class, _ := c.Class(name)
		all.Members = append(all.Members, source.Member{Key: name, Value: class.ObjectInfo()})
	}
	return parse(t, string(all.AppendJSON(nil)))
}

// wholly prints all that a class says; open lists as what they are, or as lists like any other.
func wholly(c *Class, open bool) string {
	var b strings.Builder
	fmt.Fprintln(&b, c.Name, c.DisplayName, c.Category, c.Module, c.OutputNode, c.InputList, c.Deprecated, c.Experimental, c.APINode, c.Intermediate, c.V3, c.Dynamic())
	wholeInputs(&b, c.Inputs, open)
	for _, o := range c.Outputs {
		fmt.Fprintln(&b, o.Name, o.Type, o.List, o.Match, o.OldList, string(source.NewArray(o.Options...).AppendJSON(nil)))
	}
	for _, l := range c.plain {
		fmt.Fprintln(&b, l.Name, l.Required)
	}
	return b.String()
}

func wholeInputs(b *strings.Builder, inputs []Input, open bool) {
	for _, in := range inputs {
		fmt.Fprintln(b, in.Name, in.Type, in.Group, in.OldList, open && in.Open, string(source.NewArray(in.Options...).AppendJSON(nil)), string(in.Spec.AppendJSON(nil)))
		for _, c := range in.Choices {
			fmt.Fprintln(b, "choice", string(c.Key.AppendJSON(nil)))
			wholeInputs(b, c.Inputs, open)
		}
		if in.Grow != nil {
			fmt.Fprintln(b, "grows", in.Grow.Names, in.Grow.Min)
			wholeInputs(b, []Input{in.Grow.Input}, open)
		}
		wholeInputs(b, in.Slot, open)
	}
}

// equalCatalogues holds that two catalogues say the same.
func equalCatalogues(t *testing.T, got, want *Catalogue, open bool) {
	t.Helper()
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("%d classes, want %d", got.Len(), want.Len())
	}
	for _, name := range want.Names() {
		a, _ := got.Class(name)
		b, _ := want.Class(name)
		if g, w := wholly(a, open), wholly(b, open); g != w {
			t.Errorf("%s:\ngot  %s\nwant %s", name, g, w)
		}
	}
}

// TestObjectInfoOfTheBuiltIn reads again what clients are served of the built-in catalogue: the same classes, of which an import makes the same
// catalogue, with the same open lists.
func TestObjectInfoOfTheBuiltIn(t *testing.T) {
	answer := served(t, BuiltIn())
	again, findings := Load(answer)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	equalCatalogues(t, again, BuiltIn(), false)
	dynamic := 0
	for _, name := range again.Names() {
		if class, _ := again.Class(name); class.Dynamic() {
			dynamic++
		}
	}
	if dynamic < 100 {
		t.Errorf("only %d classes are dynamic", dynamic)
	}
	data, err := Import(answer, ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, coreCatalogue) {
		t.Error("an import of what is served is not the built-in catalogue")
	}
	if text := answer.AppendJSON(nil); bytes.Contains(text, []byte(`"open":`)) {
		t.Error("our mark for open lists is shown")
	}
}

// TestObjectInfoIsWhatAServerSays compares with real servers' answers, byte by byte. Two things differ: the snapshots have no descriptions, and
// a few classes say null for an output that is no list, where most say false.
func TestObjectInfoIsWhatAServerSays(t *testing.T) {
	for _, name := range []string{"object_info.json", "validation_object_info.json"} {
		t.Run(name, func(t *testing.T) {
			given := truth(t, name)
			c, findings := Load(given)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			answer := served(t, c)
			for _, m := range answer.Members {
				class := *m.Value
				class.Members = slices.DeleteFunc(slices.Clone(class.Members), func(m source.Member) bool { return m.Key == "description" })
				if got, want := class.AppendJSON(nil), bytes.ReplaceAll(given.Get(m.Key).AppendJSON(nil), []byte(`"output_is_list":[null]`), []byte(`"output_is_list":[false]`)); !bytes.Equal(got, want) {
					t.Errorf("%s:\ngot  %s\nwant %s", m.Key, got, want)
				}
			}
			again, findings := Load(answer)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			equalCatalogues(t, again, c, true)
		})
	}
}

// TestObjectInfoOfOddClasses is about what is in no snapshot: outputs that are lists, flags of old-style classes, no title, an option named open.
func TestObjectInfoOfOddClasses(t *testing.T) {
	const text = `{"A":{"input":{"required":{"m":[["a","b"],{"open":true}],"n":["INT"]},"hidden":{"p":"PROMPT"}},"input_order":{"required":["m","n"],"hidden":["p"]},"is_input_list":true,` +
		`"output":[["x","y"],"IMAGE"],"output_is_list":[false,true],"output_name":["c","IMAGE"],"name":"A","display_name":null,"description":"","python_module":"custom_nodes.a",` +
		`"category":"","output_node":true,"has_intermediate_output":true,"deprecated":true,"api_node":true},` +
		`"B":{"input":{"required":{"s":["COMFY_DYNAMICSLOT_V3",{"inputs":{"required":{"t":["INT",{}]}}}]}},"input_order":{"required":["s"]},"is_input_list":false,"output":["*","*"],` +
		`"output_is_list":[false,false],"output_name":["a","b"],"output_matchtypes":[null,"t"],"name":"B","display_name":"b","description":"","python_module":"custom_nodes.a","category":"x",` +
		`"output_node":false,"deprecated":false,"experimental":true,"api_node":false,"has_intermediate_output":false}}`
	c, findings := Load(parse(t, text))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if got := string(served(t, c).AppendJSON(nil)); got != text {
		t.Errorf("got  %s\nwant %s", got, text)
	}
	if a, _ := c.Class("A"); a.Input("m").Open || !a.Input("m").Flag("open") {
		t.Error("a server's own option named open is taken for our mark")
	}
}
