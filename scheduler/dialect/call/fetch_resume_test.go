package call

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/scheduler"
)

// TestFetchFrom goes on with a file from a byte, and takes the whole where the remote has another version or knows no parts.
func TestFetchFrom(t *testing.T) {
	content, etag, parts := "0123456789", `"v1"`, true
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("encodings %q are asked for", r.Header.Get("Accept-Encoding"))
		}
		if !parts {
			io.WriteString(w, content)
			return
		}
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(content)))
	})
	c := client(t, s.URL, Options{})
	read := func(from scheduler.Resume) (string, scheduler.Resume) {
		t.Helper()
		body, err := c.FetchFrom(t.Context(), s.URL+"/x", from)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(data), body.(scheduler.Resumable).Resume()
	}
	if got, at := read(scheduler.Resume{}); got != content || at != (scheduler.Resume{Match: `"v1"`}) {
		t.Errorf("the whole: %q, %+v", got, at)
	}
	if got, at := read(scheduler.Resume{From: 4, Match: `"v1"`}); got != "456789" || at.From != 4 {
		t.Errorf("the rest: %q, %+v", got, at)
	}
	if got, at := read(scheduler.Resume{From: 4}); got != content || at.From != 0 {
		t.Errorf("without a version: %q, %+v", got, at)
	}
	etag = `"v2"`
	if got, at := read(scheduler.Resume{From: 4, Match: `"v1"`}); got != content || at != (scheduler.Resume{Match: `"v2"`}) {
		t.Errorf("another version: %q, %+v", got, at)
	}
	if parts = false; true {
		if got, at := read(scheduler.Resume{From: 4, Match: `"v2"`}); got != content || at.From != 0 {
			t.Errorf("no parts: %q, %+v", got, at)
		}
	}
}

// TestFetchWrongPart refuses a part that was not asked for.
func TestFetchWrongPart(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 2-9/10")
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, "23456789")
	})
	_, err := client(t, s.URL, Options{}).FetchFrom(t.Context(), s.URL, scheduler.Resume{From: 4, Match: `"v"`})
	if e := asError(t, err); e.Kind != scheduler.Transient || !strings.Contains(e.Message, "another part") {
		t.Errorf("%v: %s", e.Kind, e.Message)
	}
}
