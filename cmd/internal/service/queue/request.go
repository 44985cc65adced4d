package queue

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/durable"
)

// Request is what a work is made of: what a client sent, without its secrets.
// It is stored as JSON in the row; its form must be readable by later versions, so members are only ever added.
type Request struct {
	Name      string   `json:"name"`                // of the batch's text: batch.yaml or batch.json
	Body      []byte   `json:"body"`                // the batch
	Files     []File   `json:"files,omitempty"`     // that came with it
	Endpoints []string `json:"endpoints,omitempty"` // that take the place of the batch's; nil for its own
	MaxUSD    float64  `json:"max_usd,omitempty"`   // 0 for the batch's own budget
	Job       *Job     `json:"job,omitempty"`       // nil for a batch
	Trace     string   `json:"trace,omitempty"`     // traceparent of the request that it came with, if that is traced
	In        string   `json:"in,omitempty"`        // the folder of its large files, below the work's; "" means "in", as earlier versions had it
}

// Job is what a single job has besides.
// Durations are in nanoseconds in the row. Nothing of it is secret: what is stands in Secrets.
type Job struct {
	Timeout  time.Duration     // of execution, 0 for the pool's
	Deadline time.Duration     // from submit to end, 0 for none
	Webhook  bool              // an address is among the secrets
	Prefixes map[string]string // output node → filename_prefix, for the names that the client sees
	Prompt   []byte            // as the native face must show it again
	Extra    []byte            // extra_data of the native face
	Number   int64             // of the native face's queue
	Bucket   bool              // s3Config is among the secrets: outputs go there
}

// File is a file that came with a batch. Large ones lie in the work's folder, where At says.
// A file is either in Data or below At, never in both.
type File struct {
	Path string // relative to the batch, with slashes
	Data []byte // encoding/json writes it in base64
	At   string // name below the folder that Request.In names, "" if Data has it
	Size int64
}

// Bounds of what comes with a batch.
const (
	maxFiles  = 10_000   // files of one batch
	maxPath   = 255      // bytes of a name: what most file systems take for one part
	rowBytes  = 1 << 20  // files of so many bytes together are kept in the row
	maxStored = 64 << 20 // bytes of a row, base64 included
)

// CheckPath holds that a file's name stays below the batch's folder on every system.
// It also refuses what only Windows understands as leading elsewhere: backslashes and drive letters.
func CheckPath(name string) error {
	switch {
	case name == "" || len(name) > maxPath:
		return fmt.Errorf("a file's name has 1 to %d bytes", maxPath)
	case !fs.ValidPath(name) || name == ".":
		return fmt.Errorf("the file name %q must be relative, with forward slashes and without \".\" or \"..\" in it", name)
	case strings.ContainsAny(name, "\\:") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("the file name %q holds a backslash, a colon or a control character", name)
	}
	return nil
}

// checkFiles holds the bounds.
// Errors name the file that breaks a bound; they are the client's fault.
func (r *Request) checkFiles() error {
	if len(r.Files) > maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	seen := map[string]bool{}
	for _, f := range r.Files {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("the file %q is there twice", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

// encode writes a request for its row.
// The bound is checked on the encoded text, of which files are the greatest part.
func (r *Request) encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err == nil && len(text) > maxStored {
		err = fmt.Errorf("the request has more than the %d MiB that are kept of one", maxStored>>20)
	}
	return text, err
}

// decodeRequest reads what encode wrote.
// A row that cannot be read fails its work, and none of the others.
func decodeRequest(data []byte) (*Request, error) {
	r := &Request{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read a stored request: %w", err)
	}
	return r, nil
}

// spill writes the files to a new folder below the work's if they are large, and syncs them, so that they are durable before the work's row is.
// Below 1 MiB one commit writes everything; above, the row would make every read of it slow. It changes the request: the data
// moves from memory to disk. The folder's name is of this submit alone: a client may name the id of a work that is there
// already, whose files must neither be written over nor removed with those of the submit that came too late.
func (r *Request) spill(work string) (size int64, err error) {
	for _, f := range r.Files {
		size += int64(len(f.Data))
	}
	if size <= rowBytes {
		return 0, nil
	}
	r.In = "in-" + rand.Text()
	dir := r.inDir(work)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	for i := range r.Files {
		f := &r.Files[i]
		f.At, f.Size = fmt.Sprintf("%05d", i), int64(len(f.Data)) // our own name, so that a client's cannot matter
		if err := writeSynced(filepath.Join(dir, f.At), f.Data); err != nil {
			return 0, err
		}
		f.Data = nil
	}
	// The names last as well: the folder's in the work's, the work's in that of all works. The data folder itself is as old as the ledger.
	for _, dir := range []string{dir, work, filepath.Dir(work)} {
		if err := durable.SyncDir(dir); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// inDir is where the large files of a work lie.
func (r *Request) inDir(work string) string {
	if r.In == "" {
		return filepath.Join(work, "in")
	}
	return filepath.Join(work, r.In)
}

// spilled names the large files below inDir.
func (r *Request) spilled() (names []string) {
	for _, f := range r.Files {
		if f.At != "" {
			names = append(names, f.At)
		}
	}
	return names
}

// unspill removes what spill wrote, and the work's folder if nothing else is in it.
func (r *Request) unspill(work string) {
	if r.In == "" {
		return
	}
	os.RemoveAll(r.inDir(work))
	os.Remove(work) // fails, as it should, if another work of this id has files there
}

// writeSynced writes a file whose content is durable when it returns; its name is once the folder is synced.
func writeSynced(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// tree gives the files to the compiler: nothing else can be opened.
// It implements fs.FS for the compiler: no path of a batch ever reaches the server's disk, except files that this very request
// brought. It never changes and may be used from many goroutines.
type tree struct {
	files map[string]*File
	dir   string // where those lie that have At
}

// newTree gives a request's files; dir is where the large ones lie, see inDir.
func newTree(r *Request, dir string) tree {
	t := tree{map[string]*File{}, dir}
	for i := range r.Files {
		t.files[r.Files[i].Path] = &r.Files[i]
	}
	return t
}

// tree gives the files of a work that was stored.
func (q *Queue) tree(id string, r *Request) tree { return newTree(r, r.inDir(q.workDir(id))) }

// Open implements fs.FS.
// There are no folders in it: only whole names exist.
func (t tree) Open(name string) (fs.File, error) {
	f := t.files[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it did not come with the request")}
	}
	if f.At != "" {
		return os.Open(filepath.Join(t.dir, f.At))
	}
	return &memory{Reader: bytes.NewReader(f.Data), name: path.Base(name), size: int64(len(f.Data))}, nil
}

// Glob implements fs.GlobFS.
// The compiler needs it for file axes; "*" does not cross a slash. Sorted, as plans must be equal for equal requests.
func (t tree) Glob(pattern string) (out []string, err error) {
	for name := range t.files {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// read gives a file's content, for uploads.
func (t tree) read(name string) ([]byte, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// memory is an open file whose content is in memory.
// It is its own FileInfo.
type memory struct {
	*bytes.Reader
	name string
	size int64
}

// The rest of fs.File and fs.FileInfo.
func (m *memory) Stat() (fs.FileInfo, error) { return m, nil }
func (m *memory) Close() error               { return nil }
func (m *memory) Name() string               { return m.name }
func (m *memory) Size() int64                { return m.size }
func (m *memory) Mode() fs.FileMode          { return 0o400 }
func (m *memory) ModTime() time.Time         { return time.Time{} }
func (m *memory) IsDir() bool                { return false }
func (m *memory) Sys() any                   { return nil }

// Sum names a request by its content, for idempotency keys.
// Files count in the order in which they were sent, so the same multipart body gives the same sum.
func (r *Request) Sum() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %v %d\n", r.Name, r.Endpoints, r.MaxUSD, len(r.Body))
	h.Write(r.Body)
	for _, f := range r.Files {
		fmt.Fprintf(h, "%q %d\n", f.Path, len(f.Data))
		h.Write(f.Data)
	}
	return [32]byte(h.Sum(nil))
}

// Webhook gives the address of a batch's notify.webhook, "" if it has none.
// Bodies without the word are not parsed. One that cannot be parsed has none: its mistakes have been found by then.
func (r *Request) Webhook() string {
	if !bytes.Contains(r.Body, []byte("webhook")) {
		return ""
	}
	root, err := source.Parse(source.NewFile(r.Name, r.Body), source.Limits{})
	if err != nil {
		return ""
	}
	return root.Get("notify").Get("webhook").Str()
}

// Stored gives a work's request as it came.
// With its sealed body opened and its large files read, as it was submitted; used for plans that are asked for later.
func (q *Queue) Stored(ctx context.Context, id string) (*Request, error) {
	data, sealed, err := q.Ledger.Request(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := decodeRequest(data)
	if err != nil {
		return nil, err
	}
	secrets, err := q.openSecrets(id, sealed)
	if err == nil && secrets.Body != nil {
		r.Body = secrets.Body
	}
	if err == nil {
		err = q.bringRequest(ctx, id, r)
	}
	for i := range r.Files {
		f := &r.Files[i]
		if f.At != "" && err == nil {
			f.Data, err = os.ReadFile(filepath.Join(r.inDir(q.workDir(id)), f.At))
		}
	}
	return r, err
}
