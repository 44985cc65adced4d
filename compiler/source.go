package compiler

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/nodes/script"
)

// Source is a batch to compile, with all that decides what comes of it. Only File is needed.
type Source struct {
	File *source.File // batch.yaml, or the same as JSON
	// Dir is the folder from which relative paths start; "" means the folder of File.
	Dir string
	// FS, if it is set, is where every path is looked for, and nothing is read from anywhere else: for batches that come over a network.
	FS fs.FS
	// Catalogue holds the node classes; nil means the built-in one.
	Catalogue *nodes.Catalogue

	Endpoints     []string // names that take the place of the batch's own (--endpoint, --preview)
	EndpointsFile string   // the endpoints file to read (--endpoints); "" looks beside the batch, then in ConfigDir
	ConfigDir     string   // the user's configuration folder for comfyc; "" if there is none
	AllowKeys     []string // "VARIABLE=HOST" pairs that may meet although they are configured beside the batch (--allow-key)
	// Env looks up environment variables; nil means os.LookupEnv.
	Env func(name string) (string, bool)
	// Scripts says how templates are run; Seed is the batch's. Command must be given, or InProcess, for batches that have some.
	Scripts script.Options
	// Run says that the plan is going to be run: a key that is missing is an error then, else a warning.
	Run bool
	// Asker asks language models for prompts, where the batch has prompts.expand. nil asks nobody: placeholders stand for what is not stored, or,
	// if Run is set and an endpoint is no preview, it is an error.
	Asker Asker

	Seed   *uint64 // instead of the batch's (--seed)
	MaxUSD float64 // a budget that, if it is not 0, takes the place of the batch's (--max-cost)
}

// reader finds files for one batch: in a folder of this machine, or, if fs is set, only there.
type reader struct {
	dir string
	fs  fs.FS
}

// reader finds files relative to the batch.
func (s *Source) reader() reader {
	dir := s.Dir
	if dir == "" && s.File != nil {
		dir = filepath.Dir(s.File.Name)
	}
	return reader{dir, s.FS}
}

// locate gives the path of a file that a batch names, which has slashes on every system. Within fs, a
// path that leads out is refused when it is opened.
func (r reader) locate(name string) string {
	if r.fs != nil {
		return path.Clean(name)
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(r.dir, filepath.FromSlash(name))
}

// read reads a text file of at most source.MaxFileSize bytes.
func (r reader) read(name string) (*source.File, error) {
	at := r.locate(name)
	if r.fs == nil {
		return source.ReadFile(at)
	}
	f, err := r.fs.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, source.MaxFileSize+1))
	if err == nil && len(data) > source.MaxFileSize {
		err = fmt.Errorf("%s has more than the %d bytes that are read", at, source.MaxFileSize)
	}
	if err != nil {
		return nil, err
	}
	return source.NewFile(at, data), nil
}

// maxGlob bounds the files of one pattern.
const maxGlob = 100_000

// glob lists the files that a pattern fits, sorted, as the batch would name them: relative to it, with
// slashes. None is no error here.
func (r reader) glob(pattern string) (out []string, err error) {
	if r.fs != nil {
		out, err = fs.Glob(r.fs, path.Clean(pattern))
	} else {
		out, err = filepath.Glob(r.locate(pattern))
	}
	if errors.Is(err, filepath.ErrBadPattern) {
		return nil, fmt.Errorf("%q is not a pattern of file names", pattern)
	}
	if len(out) > maxGlob {
		return nil, fmt.Errorf("more than %d files fit %s", maxGlob, pattern)
	}
	for i, name := range out {
		if rel, err := filepath.Rel(r.dir, name); err == nil && r.fs == nil && !filepath.IsAbs(pattern) {
			name = rel
		}
		out[i] = filepath.ToSlash(name)
	}
	slices.Sort(out)
	return out, err
}

// maxInput bounds the size in bytes of one file that a workflow loads: 2 GiB, a long video.
const maxInput = 2 << 30

// input hashes a file that is to be uploaded and names it by its content: comfyc-, 16 hex digits of its
// SHA-256, and its extension. Two batches that use a file upload it once to a worker that keeps it.
func (r reader) input(name string) (InputFile, error) {
	at := r.locate(name)
	var f fs.File
	var err error
	if r.fs != nil {
		f, err = r.fs.Open(at)
	} else {
		f, err = os.Open(at)
	}
	if err != nil {
		return InputFile{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return InputFile{}, fmt.Errorf("%s is not a file", at)
	}
	h := sha256.New()
	size, err := io.Copy(h, io.LimitReader(f, maxInput+1))
	if err == nil && size > maxInput {
		err = fmt.Errorf("%s has more than the %d bytes that can be uploaded", at, maxInput)
	}
	if err != nil {
		return InputFile{}, err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	return InputFile{Name: "comfyc-" + sum[:16] + extension(name), Path: at, SHA256: sum, Size: size}, nil
}

// extension is what follows the last dot, if workers may see it: a few letters and digits.
func extension(name string) string {
	ext := strings.ToLower(path.Ext(filepath.ToSlash(name)))
	if len(ext) < 2 || len(ext) > 9 || strings.Trim(ext[1:], "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return ext
}
