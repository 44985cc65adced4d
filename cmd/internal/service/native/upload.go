package native

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler/source"
)

// Bounds of what one key keeps here. Folders that are empty go with the next upload.
const (
	maxUploads    = 10_000 // files, in all folders
	maxSubfolders = 1000   // folders, each part of a path is one
	maxDepth      = 8      // parts of a subfolder
	maxNamesakes  = 1000   // files "name.png", "name (1).png", …
)

// uploadDir is where an owner's uploads lie. Owners are ids of keys; without keys there is one.
// The folder's name cannot lead elsewhere: ids of keys have no dots or slashes.
func (f *Face) uploadDir(owner string) string {
	if owner == "" {
		owner = "anyone"
	}
	return filepath.Join(f.Dir, owner)
}

// upload is POST /upload/image: equal content under a name that is taken keeps the name, other content gets " (1)".
// 400 for a name that is not plain or a body that cannot be read, 403 for what is more than one key may keep. Only the first 16 parts are looked
// at.
func (f *Face) upload(c *web.Call) {
	reader := multipart.NewReader(bytes.NewReader(c.Body()), c.Multipart())
	fields := map[string]string{}
	var data []byte
	name := ""
	for range 16 {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(part)
		}
		if err != nil {
			c.Problem(400, "bad_body", "the multipart body cannot be read")
			return
		}
		if part.FormName() == "image" {
			data, name = text, rawName(part)
		} else {
			fields[part.FormName()] = string(text)
		}
	}
	sub := strings.Trim(fields["subfolder"], "/")
	if data == nil || queue.CheckPath(name) != nil || path.Base(name) != name || strings.HasPrefix(name, ".") || sub != "" && (queue.CheckPath(sub) != nil || strings.Contains("/"+sub, "/.") || strings.Count(sub, "/") >= maxDepth) {
		c.Problem(400, "bad_name", "the form has no file \"image\" with a plain name, or its subfolder leads elsewhere or is too deep")
		return
	}
	overwrite := fields["overwrite"] == "true" || fields["overwrite"] == "1"
	name, err := f.store(c, sub, name, data, overwrite)
	var quota *queue.QuotaError
	switch {
	case errors.As(err, &quota):
		c.Problem(403, quota.Code, quota.Message)
	case errors.Is(err, errName):
		c.Problem(400, "bad_name", err.Error())
	case err != nil:
		c.Failed(err)
	default:
		c.JSON(200, map[string]string{"name": name, "subfolder": sub, "type": "input"})
	}
}

// errName refuses a name under which nothing can be kept.
var errName = errors.New("the name, or its subfolder, is that of something else here; with overwrite=true, of a folder")

// store keeps an upload if this client has room for it. The lock covers all owners of the face: uploads are counted, named and written one at a
// time.
func (f *Face) store(c *web.Call, sub, name string, data []byte, overwrite bool) (string, error) {
	f.uploads.Lock()
	defer f.uploads.Unlock()
	if err := f.room(c, int64(len(data))); err != nil {
		return "", err
	}
	return keep(filepath.Join(f.uploadDir(c.Key.ID), filepath.FromSlash(sub)), name, data, overwrite)
}

// room drops this client's uploads whose time is over, and holds that another one fits into what its key may keep: bytes on disk, files and folders.
// Old uploads go at the next upload of the same key, not by the clock. The walk costs a stat for each file.
func (f *Face) room(c *web.Call, more int64) error {
	keep := c.Key.Retention
	if keep == 0 { // without keys, or without a limit: as long as batches are kept
		keep = f.Queue.KeepBatch
	}
	var held int64
	files := 0
	var dirs []string
	filepath.WalkDir(f.uploadDir(c.Key.ID), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a folder that is not there holds nothing
		}
		if d.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // it went in the meantime
		}
		if f.Now().Sub(info.ModTime()) <= keep || os.Remove(path) != nil {
			held += info.Size()
			files++
		}
		return nil
	})
	folders := 0
	for _, dir := range slices.Backward(dirs) { // what is inside comes before what it is in
		if os.Remove(dir) != nil { // it is not empty
			folders++
		}
	}
	switch {
	case files >= maxUploads:
		return &queue.QuotaError{Code: "too_many_uploads", Message: fmt.Sprintf("there are %d uploads already, as many as one key may have", files)}
	case folders >= maxSubfolders:
		return &queue.QuotaError{Code: "too_many_uploads", Message: fmt.Sprintf("there are %d folders of uploads already, as many as one key may have", folders)}
	case c.Key.DiskBytes == 0:
		return nil
	}
	_, works, err := f.Ledger.Usage(c.Ctx, c.Key.ID, f.Now())
	if err == nil && held+works+more > c.Key.DiskBytes {
		err = &queue.QuotaError{Code: "disk_full", Message: fmt.Sprintf("this key's uploads and works hold %d of the %d bytes that they may", held+works, c.Key.DiskBytes)}
	}
	return err
}

// rawName is the file's name as it was sent; the part's own method would cut folders off, which must be refused.
// A backslash or quote inside of the name ends it here; such names are refused by the caller.
func rawName(part *multipart.Part) string {
	_, rest, ok := strings.Cut(part.Header.Get("Content-Disposition"), `filename="`)
	if !ok {
		return part.FileName()
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// keep writes an upload under a free name, and gives that. Written under another name first, so that no reader sees half a picture.
// The names that are tried are bounded; when all of them are taken by other content the upload is refused, and nothing is written over.
func keep(dir, name string, data []byte, overwrite bool) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", errors.Join(errName, err) // a part of the path is a file
	}
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 1; ; i++ {
		info, err := os.Lstat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, place(dir, name, data)
		case err != nil:
			return "", err
		case overwrite && info.IsDir():
			return "", errName
		case overwrite:
			return name, place(dir, name, data)
		case equal(filepath.Join(dir, name), info, data):
			return name, nil
		case i == maxNamesakes:
			return "", &queue.QuotaError{Code: "too_many_uploads", Message: fmt.Sprintf("%d other files of this name are here already; send it under another one, or with overwrite=true", i)}
		}
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
}

// equal tells whether a file holds some bytes. Files of another size are not read.
func equal(file string, info fs.FileInfo, data []byte) bool {
	if !info.Mode().IsRegular() || info.Size() != int64(len(data)) {
		return false
	}
	have, err := os.ReadFile(file)
	return err == nil && bytes.Equal(have, data)
}

// place writes a file whole.
func place(dir, name string, data []byte) error {
	temp := filepath.Join(dir, ".new")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(dir, name))
}

// used gives the uploads that a prompt's inputs name.
// Whatever text names an upload counts as its use, as the front end's widgets for images are plain texts. Files are read whole
// into the job.
// All of them together may be as large as one request's body, but at least 64 MiB; more is an error for the client.
func (f *Face) used(k *keys.Key, prompt *source.Value) (out []queue.File, err error) {
	root, err := os.OpenRoot(f.uploadDir(k.ID))
	if err != nil {
		return nil, nil // nothing was uploaded
	}
	left := int64(max(64<<20, f.Site.MaxBody))
	defer root.Close()
	seen := map[string]bool{}
	for _, node := range prompt.Members {
		inputs := node.Value.Get("inputs")
		if inputs == nil {
			continue
		}
		for _, in := range inputs.Members {
			name := strings.TrimSuffix(in.Value.Str(), " [input]")
			if in.Key == "filename_prefix" || seen[name] || !fs.ValidPath(name) || name == "." || queue.CheckPath(name) != nil {
				continue
			}
			seen[name] = true
			info, err := root.Stat(name)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			if left -= info.Size(); left < 0 {
				return nil, fmt.Errorf("the uploads that the prompt uses are larger together than one job may bring; the first that does not fit is %q", name)
			}
			if data, err := root.ReadFile(name); err == nil {
				out = append(out, queue.File{Path: name, Data: data, Size: int64(len(data))})
			}
		}
	}
	return out, nil
}
