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

// maxUploads bounds the files that one owner has uploaded to one pool.
const maxUploads = 10_000

// uploadDir is where an owner's uploads lie. Owners are ids of keys; without keys there is one.
func (f *Face) uploadDir(owner string) string {
	if owner == "" {
		owner = "anyone"
	}
	return filepath.Join(f.Dir, owner)
}

// upload is POST /upload/image: equal content under a name that is taken keeps the name, other content gets " (1)".
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
	overwrite := fields["overwrite"] == "true" || fields["overwrite"] == "1"
	name, err := f.keep(filepath.Join(f.uploadDir(c.Key.ID), filepath.FromSlash(sub)), name, data, overwrite)
	if err != nil {
		c.Failed(err)
		return
	}
	c.JSON(200, map[string]string{"name": name, "subfolder": sub, "type": "input"})
}

// rawName is the file's name as it was sent; the part's own method would cut folders off, which must be refused.
func rawName(part *multipart.Part) string {
	_, rest, ok := strings.Cut(part.Header.Get("Content-Disposition"), `filename="`)
	if !ok {
		return part.FileName()
	}
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// keep writes an upload under a free name.
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
