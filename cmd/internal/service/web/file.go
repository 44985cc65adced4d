package web

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// mediaTypes are those of the files that run directories hold. Everything else is sent as bytes that no browser shows.
// An extension that a client chose decides nothing else: "nosniff" keeps browsers from guessing.
var mediaTypes = map[string]string{".html": "text/html; charset=utf-8", ".json": "application/json", ".csv": "text/csv; charset=utf-8", ".txt": "text/plain; charset=utf-8",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".mp4": "video/mp4", ".webm": "video/webm",
	".flac": "audio/flac", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg", ".opus": "audio/ogg"}

// lockedDown is the policy of files that are not pages: if one of them were taken for a page, nothing in it would run.
const lockedDown = "default-src 'none'; sandbox"

// File answers with a file below a folder: ranges, entity tag, 304. Links in the folder do not lead out of it, and hidden files are not there.
// Not found is a plain 404 of the route's own form.
// The client must be allowed to see the folder: that is checked by the caller. The file is sent by fasthttp as a stream and
// closed when it is sent.
func (c *Call) File(dir, name string) {
	f, info, err := openBelow(dir, name)
	if err != nil {
		c.NotFound()
		return
	}
	h := &c.Response.Header
	kind := mediaTypes[strings.ToLower(path.Ext(name))]
	if kind == "" {
		kind = "application/octet-stream"
		h.Set("Content-Disposition", "attachment")
	}
	c.SetContentType(kind)
	tag := fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()) // changes with every rename over it, which is how results are written
	h.Set("ETag", tag)
	h.Set("Last-Modified", info.ModTime().UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Accept-Ranges", "bytes")
	// Pages bring a policy of their own in the HTML.
	if !strings.HasPrefix(kind, "text/html") {
		h.Set("Content-Security-Policy", lockedDown)
	}
	if notModified(c, tag, info) {
		f.Close()
		c.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	c.send(f, info.Size(), tag)
}

// notModified holds the client's conditions; a tag goes before a date.
// Without conditions it is false. Dates have whole seconds, so the file's time is cut to that.
func notModified(c *Call, tag string, info fs.FileInfo) bool {
	if match := c.Header("If-None-Match"); match != "" {
		return matches(match, tag)
	}
	since, err := http.ParseTime(c.Header("If-Modified-Since"))
	return err == nil && !info.ModTime().Truncate(1e9).After(since)
}

// send answers with a file or the range of it that was asked for. Several ranges are answered by the whole.
// 206 for one range, 416 for one that is beyond the end. f is closed by fasthttp, or here on an error.
func (c *Call) send(f *os.File, size int64, tag string) {
	asked := c.Header("Range")
	if condition := c.Header("If-Range"); condition != "" && condition != tag { // the file is another by now: all of it
		asked = ""
	}
	from, n, ok := byteRange(asked, size)
	switch {
	case !ok || !c.IsGet():
		c.SetBodyStream(f, int(size))
	case n == 0:
		f.Close()
		c.Response.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		c.Problem(416, "range", "the file has no such range")
	default:
		c.SetStatusCode(fasthttp.StatusPartialContent)
		c.Response.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+n-1, size))
		c.SetBodyStream(section{io.NewSectionReader(f, from, n), f}, int(n))
	}
}

// byteRange reads a Range of one part: "bytes=2-5", "bytes=2-" or "bytes=-5". ok is false for what is none, or several: those are answered by the
// whole file. n is 0 for a range of which the file has nothing.
func byteRange(header string, size int64) (from, n int64, ok bool) {
	unit, text, _ := strings.Cut(header, "=")
	first, last, two := strings.Cut(strings.TrimSpace(text), "-")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") || !two || first == "" && last == "" || strings.Trim(first+last, "0123456789") != "" {
		return 0, 0, false
	}
	a, b := bound(first, 0), bound(last, math.MaxInt64)
	if first == "" { // so many at the end
		n = min(b, size)
		return size - n, n, true
	}
	if b < a {
		return 0, 0, false
	}
	return a, max(0, min(b, size-1)-a+1), true
}

// bound reads a number of digits; what is missing is `otherwise`, and what is too large for an int64 is the largest.
func bound(digits string, otherwise int64) int64 {
	if digits == "" {
		return otherwise
	}
	n, _ := strconv.ParseInt(digits, 10, 64) // of an error, which can only be the size, n is the largest
	return n
}

// section is a part of a file that closes the file.
// fasthttp closes what it streams, if that has a Close.
type section struct {
	io.Reader
	io.Closer
}

// errHidden refuses names of hidden files.
var errHidden = errors.New("not a file that is shown")

// openBelow opens a regular file below a folder.
// The root does not let links or ".." out; names that begin with a dot hide the state and files that are being written.
func openBelow(dir, name string) (*os.File, fs.FileInfo, error) {
	if !fs.ValidPath(name) || strings.Contains(name, "\\") {
		return nil, nil, errHidden
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return nil, nil, errHidden
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errHidden
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
