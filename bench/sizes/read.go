package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// file is one source file with its functions. Lengths are in lines.
// One that is generated is not listed at all.
type file struct {
	path      string // from the module's folder, with slashes
	lines     int    // blank ones included
	comments  int    // lines that hold a comment and nothing else
	functions []function
}

// folder is "." for files in the module's own folder.
func (f file) folder() string { return path.Dir(f.path) }

// function is one declaration with a body, from the line of func to that of the closing brace.
// Methods have the name Type.Method.
type function struct {
	path, name string
	at, lines  int // at is the first line's number; lines is how many, the first and last included
}

// readModule reads every Go file below a folder but tests, test data and generated files.
// Order is that of the walk: by name, folder by folder. Folders that begin with a dot, testdata and out are not entered.
func readModule(root string) (files []file, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if base := d.Name(); name != root && (strings.HasPrefix(base, ".") || base == "testdata" || base == "out") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, generated, err := readFile(name, filepath.ToSlash(rel))
		if err == nil && !generated {
			files = append(files, f)
		}
		return err
	})
	return files, err
}

// readFile measures one file.
// The mark of a generated file is the comment "Code generated … DO NOT EDIT.", wherever it stands before the package clause.
func readFile(name, shown string) (f file, generated bool, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return f, false, err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		return f, false, err
	}
	f = file{path: shown, lines: bytes.Count(text, []byte("\n"))}
	lines := bytes.Split(text, []byte("\n"))
	// A comment behind code is no line of its own and is not counted; one of several lines counts with all of them.
	for _, group := range parsed.Comments {
		for _, c := range group.List {
			first, last := set.Position(c.Pos()).Line, set.Position(c.End()).Line
			if before := lines[first-1][:set.Position(c.Pos()).Column-1]; len(bytes.TrimSpace(before)) == 0 {
				f.comments += last - first + 1
			}
		}
	}
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			at := set.Position(fn.Pos()).Line
			f.functions = append(f.functions, function{shown, nameOf(fn), at, set.Position(fn.End()).Line - at + 1})
		}
	}
	return f, ast.IsGenerated(parsed), nil
}

// nameOf gives a function's name, with its receiver's type before it.
// Pointers and type parameters are left out: "(q *Queue[T])" gives Queue.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
