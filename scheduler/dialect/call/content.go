package call

import (
	"encoding/base64"
	"io"
	"strings"

	"github.com/comfyc/comfyc/scheduler"
)

// Decode reads base64, bare or as a data URI, of either alphabet, with or without padding and line breaks.
func (c *Client) Decode(text string) (io.ReadCloser, error) {
	if strings.HasPrefix(strings.ToLower(text[:min(len(text), 5)]), "data:") {
		head, content, found := strings.Cut(text, ",")
		if !found || !strings.Contains(strings.ToLower(head), ";base64") {
			return nil, c.Fail("fetch", scheduler.Lost, "the output is a data URI without base64")
		}
		text = content
	}
	// The first sign that only one alphabet has decides; a text with signs of both fails while it is read. "Raw" and the trimmed
	// padding take what is padded, what is not, and what was padded wrongly; the decoder itself skips \r and \n.
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoder := base64.NewDecoder(encoding, strings.NewReader(strings.TrimRight(text, "=\r\n \t")))
	return io.NopCloser(&decoded{decoder, c}), nil
}

// decoded gives errors of a kind.
type decoded struct {
	io.Reader
	client *Client
}

// Read implements io.Reader.
func (d *decoded) Read(b []byte) (int, error) {
	n, err := d.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = d.client.Fail("fetch", scheduler.Lost, "the output is not valid base64: %s", err)
	}
	return n, err
}
