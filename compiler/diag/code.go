package diag

// Explanation is what `comfyc explain CODE` prints of a code. Code and Title are always there; examples
// stand where one line shows more than a sentence does. The workflows among them are whole, so that they
// can be pasted into a file and checked.
type Explanation struct {
	Code  string // lower case with underscores; stable, since scripts and CI jobs look for it
	Title string // one line
	Text  string // what it means, why it matters, what to do; paragraphs are separated by empty lines
	Bad   string // a short example that has the mistake
	Good  string // the same, mended
}

// tables holds all codes, a file per kind. ComfyUI's own names are in code_prompt.go. A new code is one
// entry in one of them; no code stands in two.
var tables = [][]Explanation{fileCodes, promptCodes, convertCodes, lintCodes, batchCodes, promptingCodes, scriptCodes, runCodes}

// Explain gives what is known of a code.
func Explain(code string) (Explanation, bool) {
	for _, table := range tables {
		for _, info := range table {
			if info.Code == code {
				return info, true
			}
		}
	}
	return Explanation{}, false
}

// Codes lists all codes in the order of the tables.
func Codes() []string {
	var out []string
	for _, table := range tables {
		for _, info := range table {
			out = append(out, info.Code)
		}
	}
	return out
}
