package comfyc_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// libraries are the folders whose packages belong to other programs too: they print nothing and keep nothing global.
var libraries = []string{"schemas", "compiler", "nodes", "scheduler", "render"}

// TestLibrariesAreQuiet reads the source of every library package: nothing in it prints, ends the process, or changes a package's variable, and there is
// no init function. What a package keeps for all callers is made once and never changed (sync.OnceValue), or is not to be seen (sync.Pool).
func TestLibrariesAreQuiet(t *testing.T) {
	files := 0
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		folder, _, _ := strings.Cut(name, "/")
		if !slices.Contains(libraries, folder) {
			continue
		}
		q := quiet{t: t, set: token.NewFileSet(), vars: map[string]bool{}}
		for _, f := range p.GoFiles {
			parsed, err := parser.ParseFile(q.set, filepath.Join(filepath.FromSlash(name), f), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			q.files = append(q.files, parsed)
			q.declare(parsed)
		}
		for _, f := range q.files {
			ast.Inspect(f, q.look)
		}
		files += len(q.files)
	}
	if files < 200 {
		t.Errorf("only %d files were read", files)
	}
}

// quiet looks through one package.
type quiet struct {
	t     *testing.T
	set   *token.FileSet
	files []*ast.File
	vars  map[string]bool // of the package
	specs []*ast.ValueSpec
}

// declare notes the package's variables.
func (q *quiet) declare(f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.ValueSpec)
			q.specs = append(q.specs, spec)
			for _, n := range spec.Names {
				q.vars[n.Name] = n.Name != "_"
			}
		}
	}
}

// loud are the names of other packages by which a program would hear of a library without having asked.
var loud = []string{"fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Exit", "log.Print", "log.Printf", "log.Println", "log.Fatal", "log.Fatalf",
	"slog.Info", "slog.Warn", "slog.Error", "slog.Debug", "slog.Default"}

// childOnly is the main loop of the child process that runs templates; it ends that process where its memory is used up.
const childOnly = "nodes/script/child.go"

func (q *quiet) look(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		at := filepath.ToSlash(q.set.Position(n.Pos()).Filename)
		if x, ok := n.X.(*ast.Ident); ok && slices.Contains(loud, x.Name+"."+n.Sel.Name) && at != childOnly {
			q.t.Errorf("%s: %s.%s in a library", q.set.Position(n.Pos()), x.Name, n.Sel.Name)
		}
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			q.t.Errorf("%s: an init function", q.set.Position(n.Pos()))
		}
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, left := range n.Lhs {
				q.changed(left)
			}
		}
	case *ast.IncDecStmt:
		q.changed(n.X)
	}
	return true
}

// changed holds that what is assigned to is no variable of the package, nor a part of one.
func (q *quiet) changed(x ast.Expr) {
	for {
		switch inner := x.(type) {
		case *ast.IndexExpr:
			x = inner.X
		case *ast.SelectorExpr:
			x = inner.X
		case *ast.StarExpr:
			x = inner.X
		case *ast.ParenExpr:
			x = inner.X
		case *ast.Ident:
			if q.global(inner) {
				q.t.Errorf("%s: %s is a variable of the package", q.set.Position(inner.Pos()), inner.Name)
			}
			return
		default:
			return
		}
	}
}

// global tells whether a name means a variable of the package. The parser resolves names within a file; what it leaves open is declared in another.
func (q *quiet) global(id *ast.Ident) bool {
	if id.Obj == nil {
		return q.vars[id.Name]
	}
	spec, ok := id.Obj.Decl.(*ast.ValueSpec)
	return ok && slices.Contains(q.specs, spec)
}
