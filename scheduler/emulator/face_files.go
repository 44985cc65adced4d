package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// files is the bucket to which workers upload: /files/JOB/8HEX.EXT with a signature in the query, as presigned S3 addresses have it. GET only, 7 days. It
// has a lock of its own.
type files struct {
	em     *Emulator
	secret []byte
	mu     sync.Mutex
	known  map[string]upload
	order  []string // oldest first
}

type upload struct {
	blob    *blob
	expires time.Time
}

// uploadLife is that of worker-comfyui's presigned addresses; the 604800 in their query is the same in seconds.
const uploadLife = 7 * 24 * time.Hour

func newFiles(e *Emulator) files {
	return files{em: e, secret: []byte(e.ids.hex(32)), known: map[string]upload{}}
}

// link uploads an image and gives its presigned address: /files/JOB/8HEX.png?X-Amz-Algorithm=…&X-Amz-Signature=….
func (f *files) link(base, job string, s saved) string {
	key := job + "/" + f.em.ids.hex(8) + path.Ext(s.filename)
	f.mu.Lock()
	f.known[key] = upload{s.blob, time.Now().Add(uploadLife)}
	f.order = append(f.order, key)
	if len(f.order) > keepJobs {
		delete(f.known, f.order[0])
		f.order = f.order[1:]
	}
	f.mu.Unlock()
	return base + "/files/" + key + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=" + f.sign(key)
}

// sign makes the signature of one file's address. The secret is the emulator's own, so addresses of another emulator do not work.
func (f *files) sign(key string) string {
	mac := hmac.New(sha256.New, f.secret)
	mac.Write([]byte(key))
	return hex.EncodeToString(mac.Sum(nil))
}

// handle serves a file as S3 does: only the signed method, no second way to say who one is, XML for errors.
func (f *files) handle(r *Request) *Response {
	key := strings.TrimPrefix(r.Path, "/files/")
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return xmlError(400, "InvalidArgument")
	}
	// S3 refuses two ways of signing at once; a client that sends its platform's key along to a bucket is caught by this.
	if r.Authorization != "" {
		return xmlError(400, "InvalidArgument") // a key that was sent where it does not belong
	}
	// The method is a part of what is signed, so HEAD gives 403 as it does on S3. X-Amz-Expires is not signed here: files.known decides.
	if r.Method != "GET" || !hmac.Equal([]byte(query.Get("X-Amz-Signature")), []byte(f.sign(key))) {
		return xmlError(403, "SignatureDoesNotMatch")
	}
	f.mu.Lock()
	up, ok := f.known[key]
	f.mu.Unlock()
	if !ok || time.Now().After(up.expires) {
		return xmlError(403, "AccessDenied")
	}
	data, ok := f.em.vault.get(up.blob)
	if !ok {
		return xmlError(404, "NoSuchKey")
	}
	f.em.vault.release(up.blob)
	return file(r, key, data)
}

// xmlError is an error as S3 writes it.
func xmlError(status int, code string) *Response {
	return &Response{Status: status, Type: "application/xml", Body: []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>" + code + "</Code></Error>")}
}

// mediaType goes by the name's end, as a bucket without a declared type does.
func mediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".png":
		return "image/png"
	case ".webp":
		return "image/webp"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	}
	return "application/octet-stream"
}
