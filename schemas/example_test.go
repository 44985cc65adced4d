package schemas_test

import (
	"encoding/json"
	"fmt"

	"github.com/comfyc/comfyc/schemas"
)

// A value is held against a schema; each violation says where, as a JSON pointer.
func ExampleCheck() {
	value := map[string]any{"version": json.Number("1"), "workflow": "flux.json", "swep": map[string]any{}}
	for _, v := range schemas.Check("batch", value) {
		fmt.Printf("%q %s\n", v.Pointer, v.Message)
	}
	// Output:
	// "/swep" unknown key "swep"
}
