package prompt_test

import (
	"fmt"

	"github.com/comfyc/comfyc/compiler/prompt"
	"github.com/comfyc/comfyc/compiler/source"
)

// All texts of a dynamic prompt, and some that are drawn: equal seeds give equal texts on every machine.
func ExampleParse() {
	t, findings := prompt.Parse(source.NewString("a {red|blue} {fox|owl}"), nil, prompt.Options{})
	if t == nil {
		fmt.Println(findings)
		return
	}
	for i := range t.Count().Uint64() {
		fmt.Println(t.All(i))
	}
	drawn := t.Random(7, 0)
	fmt.Println(t.Random(7, 0) == drawn)
	// Output:
	// a red fox
	// a red owl
	// a blue fox
	// a blue owl
	// true
}
