package emulator

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"path"
	"slices"
	"strings"
)

// folderTypes are the `type` of a file: where in the server's tree it lies.
var folderTypes = []string{"input", "output", "temp"}

// keep puts files into the server's folders.
func (s *server) keep(list []saved) {
	for _, f := range list {
		s.folders[f.folder+"/"+f.subfolder+"/"+f.filename] = f.blob
	}
	// Names whose bytes the vault has dropped already. Those that it still has stay, and Config.Memory bounds them.
	if len(s.folders) > keepJobs {
		for key, b := range s.folders {
			if _, ok := s.ep.em.vault.get(b); !ok {
				delete(s.folders, key)
			}
		}
	}
}

// view serves a file.
func (c *call) view() *Response {
	q, err := url.ParseQuery(c.Query)
	name, folder, sub := q.Get("filename"), q.Get("type"), q.Get("subfolder")
	if folder == "" {
		folder = "output"
	}
	switch {
	case err != nil || strings.Contains(name, "..") || strings.HasPrefix(name, "/") || name != "" && !slices.Contains(folderTypes, folder):
		return &Response{Status: 400}
	case climbs(sub):
		return &Response{Status: 403}
	case name == "":
		return &Response{Status: 404}
	}
	c.ep.mu.Lock()
	b := c.ep.server.folders[folder+"/"+sub+"/"+name]
	c.ep.mu.Unlock()
	data, ok := c.ep.em.vault.get(b)
	if !ok {
		return &Response{Status: 404}
	}
	// An output that was fetched may go first when memory is short; an input will be needed by prompts to come.
	if folder != "input" && c.Method != "HEAD" {
		c.ep.em.vault.release(b)
	}
	out := file(c.Request, name, data)
	out.Disposition = fmt.Sprintf("filename=%q", name)
	return out
}

// climbs tells whether a subfolder leaves its folder, or is not written in its shortest form: "a/../b" does, "a/b" does not.
func climbs(sub string) bool {
	clean := path.Clean("/" + sub)
	return strings.HasPrefix(sub, "/") || sub != "" && "/"+strings.Trim(sub, "/") != clean
}

// upload is POST /upload/image: equal content under a name that is taken keeps the name, other content gets " (1)".
func (c *call) upload() *Response {
	fields, file, name, err := readForm(c.ContentType, c.Body)
	if err != nil || file == nil || name == "" {
		return &Response{Status: 400}
	}
	folder, sub := fields["type"], fields["subfolder"]
	if folder == "" {
		folder = "input"
	}
	switch {
	// 500, as the real server joins the name to a path that is not there.
	case !slices.Contains(folderTypes, folder), strings.Contains(name, "/"):
		return crash()
	case climbs(sub), strings.Contains(name, ".."):
		return &Response{Status: 400}
	}
	overwrite := fields["overwrite"] == "true" || fields["overwrite"] == "1"
	c.ep.mu.Lock()
	defer c.ep.mu.Unlock()
	name = c.ep.server.free(folder+"/"+sub+"/", name, file, overwrite)
	c.ep.server.folders[folder+"/"+sub+"/"+name] = c.ep.em.vault.put(file)
	return native(200, uploaded{name, sub, folder})
}

// uploaded is how an upload is named in its answer.
type uploaded struct {
	Name      string `json:"name"`
	Subfolder string `json:"subfolder"`
	Type      string `json:"type"`
}

// free finds the name under which a file is kept.
func (s *server) free(folder, name string, data []byte, overwrite bool) string {
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 1; ; i++ {
		have, ok := s.ep.em.vault.get(s.folders[folder+name])
		if !ok || overwrite || bytes.Equal(have, data) {
			return name
		}
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
}

// maxFields bounds what is read of a form besides the file.
const maxFields = 64

// readForm reads a multipart body with one file named "image" and some text fields.
func readForm(contentType string, body []byte) (fields map[string]string, file []byte, name string, err error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, nil, "", err
	}
	fields = map[string]string{}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxFields {
		part, err := r.NextRawPart()
		if err == io.EOF {
			return fields, file, name, nil
		}
		if err != nil {
			return nil, nil, "", err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, "", err
		}
		if part.FormName() == "image" {
			file, name = data, rawFileName(part)
		} else {
			fields[part.FormName()] = string(data)
		}
	}
	return nil, nil, "", fmt.Errorf("more than %d fields", maxFields)
}

// rawFileName is the file's name as it was sent; the part's own method would cut folders off, which the server must refuse.
func rawFileName(part *multipart.Part) string {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return params["filename"]
}
