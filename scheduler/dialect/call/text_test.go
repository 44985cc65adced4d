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
		"our own cmfy_0Xa9Zk3QpLm7 here":               "our own [redacted] here",
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

// An answer of nothing but brackets is not parsed again at each of its levels, and one that is too long for an error is cut.
func TestSaid(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"error":`, n) + `"at last"` + strings.Repeat("}", n) }
	for body, want := range map[string]string{
		deep(1):    "at last",
		deep(8):    "at last",
		deep(9):    `{"error":{"error"`,
		deep(9000): `{"error":{"error"`,
		`{"a":"` + strings.Repeat("x", 60<<10) + `","detail":"at last"}`:  "at last",
		`{"a":"` + strings.Repeat("x", 200<<10) + `","detail":"at last"}`: `{"a":"xxxx`,
	} {
		if got := said(Answer{Body: []byte(body)}); !strings.HasPrefix(got, want) || len(got) > 210 {
			t.Errorf("said(%.40s) = %q, want %q", body, got, want)
		}
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
