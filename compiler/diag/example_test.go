package diag_test

import (
	"fmt"
	"os"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// A finding of a program's own, with a place, prints as those of the compiler do.
func ExamplePrint() {
	file := source.NewFile("sweep.json", []byte("{\n  \"sampler\": \"eulr\"\n}\n"))
	v, err := source.ParseJSON(file, source.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sampler := v.Get("sampler")
	finding := diag.Errorf("value_not_in_list", diag.Of(sampler), "there is no sampler %q", sampler.Str()).
		Hinted(diag.Suggest(sampler.Str(), []string{"euler", "heun", "lms"}))
	_ = diag.Print(os.Stdout, []diag.Diagnostic{finding}, diag.Options{})
	// Output:
	// sweep.json:2:14: error: there is no sampler "eulr" [value_not_in_list]
	//     2 |   "sampler": "eulr"
	//       |              ^~~~~~ did you mean "euler"?
}

// What `comfyc explain` says of a code.
func ExampleExplain() {
	e, ok := diag.Explain("value_not_in_list")
	fmt.Println(ok, e.Title)
	// Output:
	// true a value is none of the options
}
