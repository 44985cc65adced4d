package source

import "encoding/json"

// Any gives a tree as Go's own values, as schemas are checked against: maps, slices, texts, bools, nil, and json.Number, which keeps every
// digit. Places are lost, and of keys that stand twice the last one counts.
//
// For example {"cfg": 8.0, "seed": 18446744073709551615} becomes a map of json.Number("8.0") and json.Number("18446744073709551615"): a float64
// would turn the first into 8 and lose the last digits of the second. Null is nil. All maps and slices are new; the caller may change them.
func (v *Value) Any() any {
	switch v.Kind {
	case Bool:
		return v.Bool
	case Number:
		return json.Number(v.Text)
	case String:
		return v.Text
	case Array:
		out := make([]any, len(v.Items))
		for i, item := range v.Items {
			out[i] = item.Any()
		}
		return out
	case Object:
		out := make(map[string]any, len(v.Members))
		for _, m := range v.Members {
			out[m.Key] = m.Value.Any()
		}
		return out
	}
	return nil
}
