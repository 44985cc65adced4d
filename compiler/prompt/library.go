package prompt

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// The limits of a library.
const (
	maxFiles   = 10_000
	maxEntries = 100_000   // files of all kinds and folders that are looked at
	maxBytes   = 64 << 20  // of all files together, 64 MiB
	maxFolders = 32        // levels
	maxLines   = 2_000_000 // values in all
)

// Library holds wildcards: names with their values. The name of a text file's values is its path without
// .txt, with slashes; those of a .yaml or .json file are its folder and the keys down to a list, or the
// path without extension if the whole file is a list. animals/birds.txt is __animals/birds__;
// animals/all.yaml with {birds: {owls: […]}} is __animals/birds/owls__, without the name of the file.
type Library struct {
	lists map[string]*list
	names []string // sorted

	mu     sync.Mutex         // of closed and of the entries' text, which are filled in while prompts are linked
	closed map[string]*linked // what was made of patterns that use no variable from outside
}

// list is what one name stands for.
type list struct {
	values []*entry   // in the order of the files; equal texts of one list once
	at     diag.Place // of the file or key
}

// entry is one value.
type entry struct {
	value  *source.Value // a string with its place in its file
	weight float64       // from 0 on, 1 where none is given; counts in random draws only

	read     bool // text and findings are there; values are parsed when a prompt first uses them
	text     text
	findings []diag.Diagnostic
}

// LoadLibrary reads all .txt, .yaml, .yml and .json files of a folder and its folders. Files that cannot be read are warnings, and their wildcards
// are not there; a library that is too large is an error, and the Library nil.
func LoadLibrary(fsys fs.FS) (*Library, []diag.Diagnostic) { return LoadFolder(fsys, "") }

// LoadFolder is LoadLibrary for files whose names are to be shown with a folder before them.
func LoadFolder(fsys fs.FS, shown string) (*Library, []diag.Diagnostic) {
	l := &loader{lib: &Library{lists: map[string]*list{}, closed: map[string]*linked{}}, fs: fsys, shown: shown}
	if err := fs.WalkDir(fsys, ".", l.visit); err != nil {
		l.list.Add(diag.Errorf("wildcard_file", diag.Place{}, "wildcards: %v", err))
		return nil, l.list.Sorted()
	}
	l.lib.names = slices.Sorted(maps.Keys(l.lib.lists))
	return l.lib, l.list.Sorted()
}

// Names lists the wildcards, sorted.
func (l *Library) Names() []string {
	if l == nil {
		return nil
	}
	return slices.Clone(l.names)
}

// loader is the state of LoadLibrary.
type loader struct {
	lib                          *Library
	fs                           fs.FS
	shown                        string // stands before the names of files in findings
	list                         diag.List
	entries, files, bytes, lines int
}

// visit reads one file. Errors end the walk: they are limits, while trouble with one file is a warning.
func (l *loader) visit(name string, d fs.DirEntry, err error) error {
	if l.entries++; l.entries > maxEntries {
		return fmt.Errorf("more than %d files and folders", maxEntries)
	}
	if err != nil && name == "." {
		return err
	}
	if err != nil {
		l.unread(source.NewFile(path.Join(l.shown, name), nil), err)
		return nil
	}
	if d.IsDir() {
		if strings.Count(name, "/") >= maxFolders {
			return fmt.Errorf("%s: folders are nested deeper than %d levels", name, maxFolders)
		}
		return nil
	}
	read := l.reader(path.Ext(name))
	if read == nil {
		return nil
	}
	if l.files++; l.files > maxFiles {
		return fmt.Errorf("more than %d wildcard files", maxFiles)
	}
	file, err := l.open(name)
	if err != nil {
		l.unread(source.NewFile(path.Join(l.shown, name), nil), err)
		return nil
	}
	if l.bytes += len(file.Data); l.bytes > maxBytes {
		return fmt.Errorf("the files have more than %d MiB in all", maxBytes>>20)
	}
	read(file, name)
	if l.lines > maxLines {
		return fmt.Errorf("the files have more than %d values in all", maxLines)
	}
	return nil
}

// reader gives the reader of files with an extension.
func (l *loader) reader(ext string) func(f *source.File, name string) {
	switch strings.ToLower(ext) {
	case ".txt":
		return l.lineFile
	case ".yaml", ".yml", ".json":
		return l.treeFile
	}
	return nil
}

func (l *loader) open(name string) (*source.File, error) {
	f, err := l.fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1)) // one byte more than is allowed, by which visit notices
	return source.NewFile(path.Join(l.shown, name), data), err
}

func (l *loader) unread(f *source.File, err error) {
	d := diag.FromError(err, f.Name)
	l.list.Add(diag.Warnf("wildcard_file", d.Place, "the wildcards of %s cannot be read: %s", f.Name, d.Message))
}

// add gives a name a value; v is nil to make a name without values known. seen has the values that the same
// list gave already: equal ones are one, with their weights added.
func (l *loader) add(name string, at diag.Place, v *source.Value, w float64, seen map[string]*entry) {
	to := l.lib.lists[name]
	if to == nil {
		to = &list{at: at}
		l.lib.lists[name] = to
	}
	if v == nil {
		return
	}
	if have := seen[v.Text]; have != nil {
		have.weight += w
		return
	}
	l.lines++
	e := &entry{value: v, weight: w}
	seen[v.Text] = e
	to.values = append(to.values, e)
}
