package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/post"
)

// postRecipe reads output.post. Paths in it start from the batch's folder, dir, or from the root of files, if that is not nil.
func postRecipe(plan *compiler.Plan, dir string, files fs.FS) (post.Recipe, []diag.Diagnostic) {
	v := plan.Batch().Output.Post
	if v == nil {
		return post.Recipe{}, nil
	}
	open := func(path string) (io.ReadSeekCloser, error) {
		if files != nil {
			return openIn(files, path)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, filepath.FromSlash(path))
		}
		return os.Open(path)
	}
	recipe, err := post.ParseRecipe(v.AppendJSON(nil), open)
	var wrong *post.ParseError
	switch {
	case errors.As(err, &wrong):
		at := v
		if inner, _ := v.Pointer(wrong.Pointer); inner != nil {
			at = inner
		}
		return recipe, []diag.Diagnostic{diag.Errorf("schema", diag.Of(at), "output.post: %v", wrong.Err)}
	case err != nil:
		return recipe, []diag.Diagnostic{diag.Errorf("schema", diag.Of(v), "output.post: %v", err)}
	}
	var findings []diag.Diagnostic
	for _, token := range recipe.Tokens() {
		if _, ok := render.TokenText(plan.Axes(), plan.Coordinate(0), plan.Params(0), render.FileInfo{}, token); !ok {
			findings = append(findings, diag.Errorf("schema", diag.Of(v), "output.post: there is no token %%%s%%", token).
				Hinted("there are %axis.NAME%, %prompt%, %negative%, %seed%, %index%, %batch%, %node%, %width%, %height% and the settings that galleries show"))
		}
	}
	return recipe, findings
}

// openIn opens a file of a batch that came over a network.
func openIn(files fs.FS, name string) (io.ReadSeekCloser, error) {
	f, err := files.Open(path.Clean(name))
	if err != nil {
		return nil, err
	}
	seeker, ok := f.(io.ReadSeekCloser)
	if !ok {
		f.Close()
		return nil, fmt.Errorf("%s is no file that can be read", name)
	}
	return seeker, nil
}
