package native

import (
	"encoding/json"

	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler/source"
)

// objectInfo is GET /object_info[/{class}]: the snapshot that the service was given, else what the built-in catalogue knows.
// The answer of each class is written once and kept.
func (f *Face) objectInfo(c *web.Call) {
	class := c.Param("class")
	text, ok := f.info.Load(class)
	if !ok {
		var err error
		if text, err = f.describe(class); err != nil {
			c.Failed(err)
			return
		}
		if class == "" || f.Catalogue.Has(class) { // bounded by what there is
			f.info.Store(class, text)
		}
	}
	c.Text(200, web.JSON, text.([]byte))
}

// describe writes the definitions; a class that is not known gives {}, as a real server does.
// It parses the whole snapshot for one class, which is why the result is kept.
func (f *Face) describe(class string) ([]byte, error) {
	if f.ObjectInfo == nil {
		names := f.Catalogue.Names()
		if class != "" {
			names = []string{class}
		}
		out := source.NewObject()
		for _, name := range names {
			if c, ok := f.Catalogue.Class(name); ok {
				out.Members = append(out.Members, source.Member{Key: name, Value: c.ObjectInfo()})
			}
		}
		return out.AppendJSON(nil), nil
	}
	if class == "" {
		return f.ObjectInfo, nil
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(f.ObjectInfo, &all); err != nil {
		return nil, err
	}
	one := map[string]json.RawMessage{}
	if raw := all[class]; raw != nil {
		one[class] = raw
	}
	return json.Marshal(one)
}
