package lower

import (
	"testing"

	"github.com/comfyc/comfyc/compiler/source"
)

func parse(t testing.TB, text string) *source.Value {
	t.Helper()
	v, err := source.ParseJSON(source.NewFile("test.json", []byte(text)), source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestUnwrap(t *testing.T) {
	const api, ui = `{"1":{"class_type":"A","inputs":{}}}`, `{"nodes":[],"links":[]}`
	for _, c := range []struct {
		text, inner, wrapper string
		form                 Form
	}{
		{api, api, "", API},
		{ui, ui, "", UI},
		{`{"prompt":` + api + `,"client_id":"x"}`, api, `{"prompt":` + api + `,"client_id":"x"}`, API},
		{`{"input":{"workflow":` + api + `,"images":[1]}}`, api, `{"workflow":` + api + `,"images":[1]}`, API},
		{`{"input":{"workflow":` + ui + `,"output_node_id":"9"}}`, ui, `{"workflow":` + ui + `,"output_node_id":"9"}`, UI},
		{`{"workflow":` + ui + `}`, ui, `{"workflow":` + ui + `}`, UI},
		{`{"input":{"prompt":` + api + `}}`, api, `{"prompt":` + api + `}`, API},
		{`{"prompt":"a red fox","workflow":` + api + `}`, api, `{"prompt":"a red fox","workflow":` + api + `}`, API},
		{`{"input":{"input":{"input":{"input":` + api + `}}}}`, "", "", Unknown},
		{`{"steps":20}`, `{"steps":20}`, "", Unknown},
		{`[1]`, `[1]`, "", Unknown},
		{`{}`, `{}`, "", Unknown},
	} {
		v, form, wrapper := Unwrap(parse(t, c.text))
		if form != c.form || c.inner != "" && show(v) != c.inner {
			t.Errorf("%s: %s %s", c.text, form, show(v))
		}
		if got := show(wrapper); c.form != Unknown && (c.wrapper == "" && wrapper != nil || c.wrapper != "" && got != c.wrapper) {
			t.Errorf("%s: wrapper %s, want %s", c.text, got, c.wrapper)
		}
	}
}
