package service

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// chunk writes a chunk of a PNG.
func chunk(kind string, data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// png writes a picture of declared sizes from chunks.
func png(width, height int, chunks ...[]byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(width))
	head = append(binary.BigEndian.AppendUint32(head, uint32(height)), 8, 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head)...)
	for _, c := range chunks {
		out = append(out, c...)
	}
	return append(out, chunk("IEND", nil)...)
}

// deflated is n bytes of the same, packed: a thousandth of that.
func deflated(n int) []byte {
	var b bytes.Buffer
	w, _ := zlib.NewWriterLevel(&b, zlib.BestCompression)
	for block := make([]byte, 1<<20); n > 0; n -= len(block) {
		w.Write(block[:min(n, len(block))])
	}
	w.Close()
	return b.Bytes()
}

// grown is how much more the process has allocated in all after something was done.
func grown(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A picture of some kilobytes that declares gigabytes of pixels, or of text, is refused before that is allocated.
func TestPicturesThatAreBombs(t *testing.T) {
	c := serve(t, Options{})
	packed := deflated(64 << 20)
	pixels := png(30_000, 30_000, chunk("IDAT", packed))
	took := grown(func() {
		s := c.want(200, "POST", "/v2/preview/runsync", map[string]any{"input": map[string]any{"workflow": json.RawMessage(loadImage), "images": []any{map[string]any{"name": "a.png", "image": base64.StdEncoding.EncodeToString(pixels)}}}}, nil)
		if s["status"] != "FAILED" || s["error"] == "" {
			t.Errorf("900 million pixels: %.300v", s)
		}
	})
	if took > 600<<20 {
		t.Errorf("900 million pixels took %d MiB", took>>20)
	}
	text := png(1, 1, chunk("zTXt", append([]byte("workflow\x00\x00"), deflated(256<<20)...)))
	took = grown(func() {
		for _, path := range []string{"/api/v1/check", "/api/v1/convert"} {
			var body bytes.Buffer
			m := multipart.NewWriter(&body)
			w, _ := m.CreateFormFile("file", "flow.png")
			w.Write(text)
			m.Close()
			if answer, said := c.do("POST", path, &body, header{"Content-Type": m.FormDataContentType()}); answer.StatusCode >= 500 || bytes.Contains(said, []byte(`"valid":true`)) {
				t.Errorf("POST %s of a quarter GiB of text: %d %.300s", path, answer.StatusCode, said)
			}
		}
	})
	if took > 300<<20 {
		t.Errorf("a quarter GiB of text, twice, took %d MiB", took>>20)
	}
	zip := strings.NewReader("PK\x03\x04 whatever")
	c.want(415, "POST", "/api/v1/batches", zip, header{"Content-Type": "application/zip"})
	c.want(200, "GET", "/readyz", nil, nil)
}

// A body of 100 MB in pieces, which announces no length, is cut off where it is too much.
func TestAHugeBodyInPieces(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: 100 MB are sent")
	}
	c := serve(t, Options{Listen: loopbackListen, Config: Config{MaxBody: 4 << 20}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	took := grown(func() {
		fmt.Fprint(conn, "POST /api/v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
		piece := append(append([]byte("100000\r\n"), bytes.Repeat([]byte(" "), 1<<20)...), "\r\n"...)
		sent := 0
		for ; sent < 100; sent++ {
			if _, err := conn.Write(piece); err != nil {
				break
			}
		}
		if sent == 100 {
			t.Error("all of it was taken")
		}
	})
	if took > 64<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && answer.StatusCode != 413 { // the answer may be lost with the connection
		t.Errorf("status %d", answer.StatusCode)
	}
	c.want(200, "GET", "/readyz", nil, nil)
}
