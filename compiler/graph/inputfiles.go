// Files that a workflow loads by name. A server looks on its own disk; here it is either the batch's files
// (Options.Files), or what the lists of an /object_info snapshot show, or nobody knows, and then every name
// passes.

package graph

import (
	"slices"
	"strings"
	"unicode"

	"github.com/comfyc/comfyc/compiler/source"
)

// loaders are the classes that load a file of the input folder, and the input that names it. Of a 3D model it may be "none".
var loaders = []struct {
	class, input string
	model        bool
}{
	{"Load3D", "model_file", true},
	{"Load3DAdvanced", "model_file", true},
	{"LoadAudio", "audio", false},
	{"LoadImage", "image", false},
	{"LoadImageMask", "image", false},
	{"LoadImageOutput", "image", false},
	{"LoadLatent", "latent", false},
	{"LoadVideo", "file", false},
	{"WebcamCapture", "image", false},
}

// FileInput gives the input by which a class loads a file of the input folder, "" for other classes.
func FileInput(class string) string {
	for _, l := range loaders {
		if l.class == class {
			return l.input
		}
	}
	return ""
}

// fileSet holds the files and folders of the input folder that a literal catalogue shows.
type fileSet struct {
	names   []string // sorted
	folders []string
}

// known reads the lists of all classes that load files. A server shows only files at the top of its input folder, and makes the folder 3d
// itself.
func (b *builder) known() *fileSet {
	if b.files != nil {
		return b.files
	}
	s := &fileSet{folders: []string{"3d"}}
	for _, l := range loaders {
		class, ok := b.cat.Class(l.class)
		if !ok || class.Input(l.input) == nil {
			continue
		}
		for _, name := range class.Input(l.input).OptionNames() {
			if name != "none" {
				s.names = append(s.names, name)
			}
		}
	}
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	for _, name := range s.names {
		for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
			s.folders = append(s.folders, name[:at])
		}
	}
	b.files = s
	return s
}

// knownFiles lists names for suggestions; none if the files are not known.
func (b *builder) knownFiles() []string {
	if b.opt.Files != nil || !b.cat.Literal() {
		return nil
	}
	return b.known().names
}

// fileExists tells what a server finds when it looks for a name that a Load* node gives, with an annotation
// such as " [input]" or without. What lies outside of the input folder is taken to be there: a server does
// look there, and we cannot; another lint warns of it.
func (b *builder) fileExists(annotated string) bool {
	name, folder := splitAnnotation(annotated)
	if rest, back := strings.CutPrefix(name, "../input/"); back { // a detour that leads back in
		name, folder = rest, "input"
	}
	// The order of the cases is that of the server's steps: a zero byte fails first, an absolute path is
	// never joined to the folder.
	path, isDir, outside := walkPath(name, b.isFolder)
	switch {
	case strings.ContainsRune(name, 0):
		return false
	case outside, path == "": // "" is the folder itself, which is there
		return true
	case b.opt.Files == nil && !b.cat.Literal():
		return true
	case folder != "input":
		return false // what earlier runs left in the other folders is not known, so it is taken to be absent
	case b.isFolder(path):
		return true
	case isDir:
		return false
	case b.opt.Files != nil:
		return b.opt.Files(path)
	}
	_, found := slices.BinarySearch(b.known().names, path)
	return found
}

// isFolder tells whether a folder below the input folder is known to exist.
func (b *builder) isFolder(path string) bool {
	return b.opt.Files == nil && b.cat.Literal() && slices.Contains(b.known().folders, path)
}

// splitAnnotation takes the folder off a name: "x.png [output]" lies in the output folder. As on the
// server, the mark ends the name and one character before it goes too, whatever it is: "x.png_[output]" is
// the same file.
func splitAnnotation(name string) (rest, folder string) {
	for _, folder := range []string{"output", "input", "temp"} {
		if mark := "[" + folder + "]"; strings.HasSuffix(name, mark) {
			r := []rune(name)
			return string(r[:max(0, len(r)-len(mark)-1)]), folder
		}
	}
	return name, "input"
}

// walkPath resolves a name below a folder as the system does. The path is "" for the folder itself; isDir says that the name can only be a
// folder's; outside says that it leaves the folder, or is absolute.
func walkPath(name string, isFolder func(string) bool) (path string, isDir, outside bool) {
	if strings.HasPrefix(name, "/") {
		return "", false, true
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		isDir = part == "" || part == "." || part == ".."
		switch {
		case part == ".." && len(parts) == 0:
			return "", false, true
		case part == ".." && !isFolder(strings.Join(parts, "/")):
			return name, true, false // a folder on the way does not exist
		case part == "..":
			parts = parts[:len(parts)-1]
		case !isDir:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), isDir && len(parts) > 0, false
}

// leavesFolder tells whether a name may point outside of its folder on any system: an absolute path, a
// drive, or "..". It is stricter than walkPath, as the worker's system is not known: a/../b stays inside,
// and is reported all the same.
func leavesFolder(v *source.Value) bool {
	name, _ := splitAnnotation(v.Str())
	name = strings.ReplaceAll(name, `\`, "/")
	drive := len(name) > 1 && name[1] == ':' && unicode.IsLetter(rune(name[0]))
	return drive || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..")
}
