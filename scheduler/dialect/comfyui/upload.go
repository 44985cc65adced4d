// Input files are sent by POST /upload/image into the server's input folder, whatever kind they are of. The server keeps the same content under
// the same name as it is; other content under a name that is taken becomes "name (1).png", and then the graph is sent with that name.

package comfyui

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/call"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// uploads knows under which name each content lies on the server. The slot is held while one is sent, so that no content is sent twice.
type uploads struct {
	slot  chan struct{}
	names map[string]string // SHA-256 → name; only with the slot
}

// newUploads knows nothing yet: what lies on the server from earlier is found when it is needed.
func newUploads() uploads { return uploads{slot: make(chan struct{}, 1), names: map[string]string{}} }

// forget drops files and tells whether any of them was known.
func (u *uploads) forget(files []compiler.InputFile) (known bool) {
	u.slot <- struct{}{}
	defer func() { <-u.slot }()
	for _, file := range files {
		if _, ok := u.names[file.SHA256]; ok {
			known = true
			delete(u.names, file.SHA256)
		}
	}
	return known
}

// upload makes sure that the server has all files, and gives the names of those that it gave another name than the graph.
func (e *Endpoint) upload(ctx context.Context, files []compiler.InputFile) (map[string]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	select {
	case e.uploads.slot <- struct{}{}:
		defer func() { <-e.uploads.slot }()
	case <-ctx.Done():
		return nil, e.client.Fail("upload", scheduler.Transient, "interrupted while other inputs were uploaded")
	}
	other := map[string]string{}
	for _, file := range files {
		name, ok := e.uploads.names[file.SHA256]
		if !ok {
			var err error
			if name, err = e.place(ctx, file); err != nil {
				return nil, err
			}
			// A file without a hash is sent for every job: its content may have changed under the same name.
			if file.SHA256 != "" {
				e.uploads.names[file.SHA256] = name
			}
		}
		if name != file.Name {
			other[file.Name] = name
		}
	}
	return other, nil
}

// place makes sure that the server has a file. One whose name holds its content's hash is looked for first: a file of that name and size is it.
func (e *Endpoint) place(ctx context.Context, file compiler.InputFile) (string, error) {
	if len(file.SHA256) >= hashInName && strings.Contains(file.Name, file.SHA256[:hashInName]) && e.there(ctx, file) {
		return file.Name, nil
	}
	return e.send(ctx, file)
}

// hashInName is how many hex digits of the hash a name must hold to stand for its content: 64 bits, together with the file's size.
const hashInName = 16

// there asks for a file's size. Any trouble means that it has to be sent.
func (e *Endpoint) there(ctx context.Context, file compiler.InputFile) bool {
	query := url.Values{"filename": {file.Name}, "type": {"input"}}
	// HEAD of /view gives a file's length without its bytes.
	a, err := e.client.Do(ctx, call.Request{Op: "find", Method: http.MethodHead, Path: viewPath + query.Encode(), Timeout: 10 * time.Second})
	return err == nil && a.Header.Get("Content-Length") == strconv.FormatInt(file.Size, 10)
}

// send uploads one file. The server compares: the same content under the same name stays as it is, another gets a name of its own.
func (e *Endpoint) send(ctx context.Context, file compiler.InputFile) (string, error) {
	content, err := worker.ReadInput(file, e.options.ReadFile)
	if err != nil {
		return "", e.client.Fail("upload", scheduler.Rejected, "%s", err)
	}
	// In memory as a whole: the call must be able to say its length, and inputs are pictures of some megabytes. One upload at a time bounds it.
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("image", file.Name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("writing to memory failed: %v", err))
	}
	var a struct {
		Name      string `json:"name"`
		Subfolder string `json:"subfolder"`
	}
	r := call.Request{Op: "upload", Method: http.MethodPost, Path: "/upload/image", Body: body.Bytes(), Type: form.FormDataContentType(), Timeout: 5 * time.Minute}
	if _, err := e.client.JSON(ctx, r, &a); err != nil {
		return "", err
	}
	if a.Name == "" {
		return "", e.client.Senseless(r, "the answer to the upload holds no name")
	}
	return path.Join(a.Subfolder, a.Name), nil
}
