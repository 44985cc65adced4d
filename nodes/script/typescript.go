package script

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/go-sourcemap/sourcemap"
)

// esbuild takes the types out and lowers newer syntax to ES2020; a source map says where each piece came from, so
// that findings show the author's own lines. esbuild works on the text alone: it reads no tsconfig.json and no
// imports.

// isTypeScript goes by the extension. A .tsx file is not among them: there is nothing to render.
func isTypeScript(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, ".ts") || strings.HasSuffix(lower, ".mts") || strings.HasSuffix(lower, ".cts")
}

// stripTypes turns TypeScript into JavaScript. It checks no types; editors do, with the file that Types writes.
func stripTypes(f fileText) (string, *lineMap, *trouble) {
	out := api.Transform(f.Text, api.TransformOptions{
		Loader: api.LoaderTS, Target: api.ES2020, Sourcemap: api.SourceMapExternal, Sourcefile: "script.ts",
		SourcesContent: api.SourcesContentExclude, LogLevel: api.LogLevelSilent, TsconfigRaw: "{}", LegalComments: api.LegalCommentsNone,
	})
	if len(out.Errors) > 0 {
		e := out.Errors[0]
		t := &trouble{Code: "script_syntax", Message: "not TypeScript: " + clip(e.Text)}
		if e.Location != nil {
			t.At.Line, t.At.Column = e.Location.Line, e.Location.Column+1
		}
		return "", nil, t
	}
	maps, err := sourcemap.Parse("", out.Map)
	if err != nil {
		return "", nil, &trouble{Code: "script_syntax", Message: "the types cannot be taken out: " + err.Error()}
	}
	return string(out.Code), &lineMap{maps, strings.Split(f.Text, "\n")}, nil
}

// lineMap gives places of the compiled text in the text as written. The compiled text is ASCII, so its columns are bytes.
type lineMap struct {
	maps  *sourcemap.Consumer // from places of the compiled text
	lines []string            // of the text as written
}

// original gives the line and the column in bytes, both from 1, for those of the compiled text. What stands between two marks
// is counted from the earlier one if the texts are the same there, else its place is that of the mark.
func (m *lineMap) original(line, column int) (int, int) {
	// Source maps count columns from 0 and lines from 1.
	_, _, toLine, toColumn, ok := m.maps.Source(line, column-1)
	if !ok || toLine < 1 || toLine > len(m.lines) {
		return line, column
	}
	return toLine, bytesOf(m.lines[toLine-1], toColumn) + 1
}

// bytesOf turns a column in UTF-16 units, as source maps have them, into bytes.
func bytesOf(line string, units int) int {
	return sort.Search(len(line), func(i int) bool {
		n := 0
		for _, r := range line[:i] {
			// A character beyond the first plane is two units in UTF-16.
			if n++; r > 0xffff {
				n++
			}
		}
		return n >= units && (i == len(line) || utf8.RuneStart(line[i]))
	})
}
