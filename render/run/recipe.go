package run

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/post"
)

// Everything that can be wrong with post-processing is found here, before the first render is paid for: unknown steps, files that cannot be
// opened, tokens that stand for nothing, parameters of a program's own steps.

// postRecipe reads output.post. Paths in it start from the batch's folder, dir, or from the root of files, if that is not nil.
func postRecipe(plan *compiler.Plan, dir string, files fs.FS) (post.Recipe, []diag.Diagnostic) {
	v := plan.Batch().Output.Post
	if v == nil {
		return post.Recipe{}, nil
	}
	open := func(path string) (io.ReadSeekCloser, error) {
		// With a file system of the caller's nothing of this machine can be reached, not even by an absolute path.
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
		// The parser speaks of JSON without places; its pointer leads to the value in the user's own file, YAML or not.
		if inner, _ := v.Pointer(wrong.Pointer); inner != nil {
			at = inner
		}
		return recipe, []diag.Diagnostic{diag.Errorf("schema", diag.Of(at), "output.post: %v", wrong.Err)}
	// The whole of output.post is shown where the parser cannot say which part it is.
	case err != nil:
		return recipe, []diag.Diagnostic{diag.Errorf("schema", diag.Of(v), "output.post: %v", err)}
	}
	var findings []diag.Diagnostic
	for _, token := range recipe.Tokens() {
		// Which tokens there are does not depend on the render, so the first one answers for all.
		if _, ok := render.TokenText(plan.Axes(), plan.Coordinate(0), plan.Params(0), render.FileInfo{}, token); !ok {
			findings = append(findings, diag.Errorf("schema", diag.Of(v), "output.post: there is no token %%%s%%", token).
				Hinted("there are %axis.NAME%, %prompt%, %negative%, %seed%, %index%, %batch%, %node%, %width%, %height% and the settings that galleries show"))
		}
	}
	return recipe, findings
}

// withSteps puts a program's own steps behind those of each variant. Their parameters are checked before anything is rendered.
func withSteps(recipe post.Recipe, steps []post.Step) (post.Recipe, error) {
	if len(steps) == 0 {
		return recipe, nil
	}
	for i, step := range steps {
		// A step of a program's own can be as wrong as one in a file, and costs as much if that is found after the renders.
		if err := step.Check(); err != nil {
			return recipe, fmt.Errorf("step %d of Options.Post (%s): %w", i+1, step.Name(), err)
		}
	}
	variants := recipe.Variants
	if len(variants) == 0 {
		// Without variants a recipe changes nothing; with steps of a program there is one, without a name, made of them alone.
		variants = []post.Variant{{}}
	}
	// New lists: the recipe that was given keeps its own.
	recipe.Variants = nil
	for _, v := range variants {
		recipe.Variants = append(recipe.Variants, post.Variant{Name: v.Name, Steps: slices.Concat(v.Steps, steps)})
	}
	return recipe, nil
}

// openIn opens a file of a batch that came over a network.
func openIn(files fs.FS, name string) (io.ReadSeekCloser, error) {
	f, err := files.Open(path.Clean(name))
	if err != nil {
		return nil, err
	}
	// A picture's head is read twice, for its kind and for its pixels.
	seeker, ok := f.(io.ReadSeekCloser)
	if !ok {
		f.Close()
		return nil, fmt.Errorf("%s is no file that can be read", name)
	}
	return seeker, nil
}
