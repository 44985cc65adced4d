package comfyui

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"path"
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

// newUploads knows nothing yet: what lies on the server from earlier is found by sending it again, which changes nothing there.
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
			if name, err = e.send(ctx, file); err != nil {
				return nil, err
			}
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

// send uploads one file. The server compares: the same content under the same name stays as it is, another gets a name of its own.
func (e *Endpoint) send(ctx context.Context, file compiler.InputFile) (string, error) {
	content, err := worker.ReadInput(file, e.options.ReadFile)
	if err != nil {
		return "", e.client.Fail("upload", scheduler.Rejected, "%s", err)
	}
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
