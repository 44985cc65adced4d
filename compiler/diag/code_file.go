package diag

// fileCodes are findings about the text of a file, before it means anything. The limits named here are
// those of the readers in compiler/source; they are said so that a refusal can be understood without the
// code.
var fileCodes = []Explanation{
	{Code: "unreadable_file", Title: "a file cannot be read",
		Text: "The file does not exist, may not be read, is a folder, or is larger than 256 MiB. Paths in a batch are relative to the batch file."},
	{Code: "syntax", Title: "the text is not JSON or YAML",
		Text: "The reader stopped at the marked place. The real mistake is often just before it: a missing comma, a bracket that was not closed, a tab in YAML.",
		Bad:  `{"a": 1,}`, Good: `{"a": 1}`},
	{Code: "duplicate_key", Title: "a key is there twice in one object",
		Text: "JSON readers silently keep one of the two, so half of what was written would be lost. Remove one, or rename it.",
		Bad:  `{"seed": 1, "seed": 2}`, Good: `{"seed": 2}`},
	// The limits keep a hostile file from filling the memory; a file of the editor is a thousand times
	// smaller.
	{Code: "too_deep", Title: "the file is nested too deep",
		Text: "At most 256 levels of lists and objects are read. Real workflows need fewer than twenty."},
	{Code: "too_large", Title: "the file holds too many values",
		Text: "At most 5,000,000 values are read from one file, aliases expanded."},
	{Code: "number_too_long", Title: "a number has too many digits",
		Text: "Numbers of up to 4,300 characters are read, as in Python."},
	{Code: "schema", Title: "the file does not have the documented form",
		Text: "A key is unknown or missing, or a value has the wrong type. `comfyc schema batch` and `comfyc schema endpoints` print the forms; editors that know JSON Schema can check them as you type.",
		Bad:  "sweeps:\n  matrix: {cfg: [1, 2]}", Good: "sweep:\n  matrix: {cfg: [1, 2]}"},
}
