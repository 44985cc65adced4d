package native

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/queue"
	"github.com/comfyc/comfyc/cmd/internal/service/web"
	"github.com/comfyc/comfyc/compiler/source"
)

// maxUploads bounds the entries of one folder of uploads; each subfolder of an owner is one more.
const maxUploads = 10_000

// uploadDir is where an owner's uploads lie. Owners are ids of keys; without keys there is one.
// The folder's name cannot lead elsewhere: ids of keys have no dots or slashes.
func (f *Face) uploadDir(owner string) string {
	if owner == "" {
		owner = "anyone"
	}
	return filepath.Join(f.Dir, owner)
}

// upload is POST /upload/image: equal content under a name that is taken keeps the name, other content gets " (1)".
// 400 for a name that is not plain or a body that cannot be read, 403 for a full disk quota. Only the first 16 parts are looked
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
	if data == nil || queue.CheckPath(name) != nil || path.Base(name) != name || strings.HasPrefix(name, ".") || sub != "" && (queue.CheckPath(sub) != nil || strings.Contains("/"+sub, "/.")) {
		c.Problem(400, "bad_name", "the form has no file \"image\" with a plain name, or its subfolder leads elsewhere")
		return
	}
	if err := f.room(c, int64(len(data))); err != nil {
		c.Problem(403, "disk_full", err.Error())
		return
	}
	overwrite := fields["overwrite"] == "true" || fields["overwrite"] == "1"
	name, err := f.keep(filepath.Join(f.uploadDir(c.Key.ID), filepath.FromSlash(sub)), name, data, overwrite)
	if err != nil {
		c.Failed(err)
		return
	}
	c.JSON(200, map[string]string{"name": name, "subfolder": sub, "type": "input"})
}

// room drops this client's uploads whose time is over, and holds that another one fits into what its key may keep on disk.
// Old uploads go at the next upload of the same key, not by the clock. The walk costs a stat for each file.
func (f *Face) room(c *web.Call, more int64) error {
	keep := c.Key.Retention
	if keep == 0 { // without keys, or without a limit: as long as batches are kept
		keep = f.Queue.KeepBatch
	}
	var held int64
	filepath.WalkDir(f.uploadDir(c.Key.ID), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // a folder that is not there holds nothing
		}
		info, err := d.Info()
		if err != nil {
			return nil // it went in the meantime
		}
		if f.Now().Sub(info.ModTime()) <= keep || os.Remove(path) != nil {
			held += info.Size()
		}
		return nil
	})
	if c.Key.DiskBytes == 0 {
		return nil
	}
	_, works, err := f.Ledger.Usage(c.Ctx, c.Key.ID, f.Now())
	if err == nil && held+works+more > c.Key.DiskBytes {
		err = fmt.Errorf("this key's uploads and works hold %d of the %d bytes that they may", held+works, c.Key.DiskBytes)
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

// keep writes an upload under a free name.
// The lock covers all owners of the face: names are chosen and written one upload at a time. Written under another name first,
// so that no reader sees half a picture.
func (f *Face) keep(dir, name string, data []byte, overwrite bool) (string, error) {
	f.uploads.Lock()
	defer f.uploads.Unlock()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 1; i < 1000; i++ {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || overwrite {
			break
		}
		if bytes.Equal(have, data) {
			return name, nil
		}
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) >= maxUploads {
		return "", fmt.Errorf("more than %d uploads", maxUploads)
	}
	temp := filepath.Join(dir, ".new")
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return "", err
	}
	return name, os.Rename(temp, filepath.Join(dir, name))
}

// used gives the uploads that a prompt's inputs name.
// Whatever text names an upload counts as its use, as the front end's widgets for images are plain texts. Files are read whole
// into the job.
func (f *Face) used(k *keys.Key, prompt *source.Value) (out []queue.File) {
	root, err := os.OpenRoot(f.uploadDir(k.ID))
	if err != nil {
		return nil // nothing was uploaded
	}
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
			if data, err := root.ReadFile(name); err == nil {
				out = append(out, queue.File{Path: name, Data: data, Size: int64(len(data))})
			}
		}
	}
	return out
}
