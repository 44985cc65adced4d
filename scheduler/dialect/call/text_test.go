package call

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/comfyc/comfyc/scheduler"
)

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"plain words":                                  "plain words",
		"Authorization: Bearer abc.def-123":            "Authorization: [redacted] [redacted]",
		"get https://h/a/b.png?X-Amz-Signature=ff&x=1": "get https://h/a/b.png?…",
		"https://user:pass@h/a#token":                  "https://h/a",
		"api_key=abcdef, next":                         "api_key=[redacted], next",
		`{"token": "abc"}`:                             `{"token": "[redacted]"}`,
		"with hf_abcdefghijk inside":                   "with [redacted] inside",
		"no url here? yes":                             "no url here? yes",
	} {
		if got := Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	c := client(t, "http://h", Options{})
	if got := c.Clean("a\x1b[31mred\x00 " + key + " \xffend\n"); got != "a[31mred [redacted] end" {
		t.Errorf("got %q", got)
	}
	if got := c.Clean(strings.Repeat("é", 5000)); len(got) > maxText+4 || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
	}
}

func TestDecode(t *testing.T) {
	c := client(t, "http://h", Options{})
	content := []byte{0xfb, 0xff, 0xfe, 1, 2, 3, 4}
	std := base64.StdEncoding.EncodeToString(content)
	for _, text := range []string{std, strings.TrimRight(std, "="), base64.URLEncoding.EncodeToString(content), "data:image/png;base64," + std, "DATA:;base64," + std, std[:4] + "\r\n" + std[4:] + "\n"} {
		body, err := c.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); string(got) != string(content) || err != nil {
			t.Errorf("%q: got %x, %v", text, got, err)
		}
	}
	if _, err := c.Decode("data:image/png,abc"); asError(t, err).Kind != scheduler.Lost {
		t.Error("a data URI without base64 was taken")
	}
	body, err := c.Decode("AAAA!!!!")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(body); asError(t, err).Kind != scheduler.Lost {
		t.Error("broken base64 was taken")
	}
}

func FuzzClean(f *testing.F) {
	f.Add("https://h/x?X-Amz-Signature=deadbeef Bearer " + key)
	f.Add("<html><title>x")
	c, err := New(Options{Base: "http://h", Key: key})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := c.Clean(text)
		if strings.Contains(got, key) || len(got) > maxText+4 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x1b\r") {
			t.Errorf("Clean(%q) = %q", text, got)
		}
	})
}
