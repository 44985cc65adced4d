package call

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// maxText bounds a text of a remote in an error, in bytes.
const maxText = 2000

// The patterns of secrets, and of what is read out of web pages. token takes the beginnings of well-known keys: sk (Novita, OpenAI), rpa and
// rps (RunPod), hf (Hugging Face), comfyui (ComfyUI accounts), cmfy (our own service). RE2 takes linear time, so a hostile text costs no more than its length.
var (
	bearer    = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]+`)
	token     = regexp.MustCompile(`\b(sk|rpa|rps|ck|hf|comfyui|cmfy|key)[_-][A-Za-z0-9_-]{8,}`)
	address   = regexp.MustCompile(`(?i)\bhttps?://[^\s"'<>\\]+`)
	secret    = regexp.MustCompile(`(?i)\b(api[_-]?key|access[_-]?key|secret|token|password|authorization|x-amz-[a-z-]+)(["']?\s*[=:]\s*["']?)[^\s"'&,;}]+`)
	pageTitle = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
	markup    = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)
)

// Redact takes out of a text what may be a secret: bearer tokens, keys by their usual beginnings and names, and everything in a URL
// beyond its path.
func Redact(text string) string {
	// Each pattern needs one of these: most texts are names and words, and are looked at once instead of five times.
	if !strings.ContainsAny(text, "_-:= \t\n\f\r") {
		return text
	}
	text = address.ReplaceAllStringFunc(text, bareURL)
	text = bearer.ReplaceAllString(text, "$1 [redacted]")
	text = secret.ReplaceAllString(text, "$1$2[redacted]")
	return token.ReplaceAllString(text, "[redacted]")
}

// bareURL keeps scheme, host and path.
func bareURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		// Not a URL that Go can read, such as one with a stray %: what may be secret in it stands before the @ or after the ?.
		cut, _, _ := strings.Cut(text, "?")
		if _, rest, found := strings.Cut(cut, "@"); found {
			return "[redacted]@" + rest
		}
		return cut
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	return u.String()
}

// Clean makes a remote's text fit to be shown: without secrets, the endpoint's own key above all, without control characters, and at
// most 2,000 bytes long.
func (c *Client) Clean(text string) string {
	// The exact secrets first, before anything is cut: half a key would match no pattern.
	for _, secret := range append(c.options.Secrets[:len(c.options.Secrets):len(c.options.Secrets)], c.options.Key) {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	// The patterns then shorten the text further (URLs lose their queries), so four times the bound is enough to fill it.
	if len(text) > 4*maxText {
		text = text[:4*maxText]
	}
	return shorten(printable(Redact(text)), maxText)
}

// printable drops what would disturb a terminal, and bytes that are no text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		// ESC begins the sequences by which a text could move the cursor or set the title; bytes that are no UTF-8 arrive as U+FFFD.
		case r == unicode.ReplacementChar, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.TrimSpace(text))
}

// shorten cuts at a character's boundary.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// said is what an answer says in one short line: its JSON's error or message, a page's title, or its beginning.
func said(a Answer) string {
	text := string(a.Body[:min(len(a.Body), 16<<10)])
	if isHTML(a) {
		text = pageText(text)
	} else if found := jsonText(a.Body[:min(len(a.Body), maxJSON)], maxDepth); found != "" {
		text = found
	}
	return shorten(strings.Join(strings.Fields(printable(Redact(text))), " "), 200)
}

// isHTML looks at the declared type and at the beginning: proxies often declare nothing.
func isHTML(a Answer) bool {
	if strings.Contains(strings.ToLower(a.Header.Get("Content-Type")), "html") {
		return true
	}
	begin := strings.ToLower(strings.TrimSpace(string(a.Body[:min(len(a.Body), 64)])))
	return strings.HasPrefix(begin, "<!doctype") || strings.HasPrefix(begin, "<html")
}

// pageText is a page's title, or else its text.
func pageText(page string) string {
	if title := pageTitle.FindStringSubmatch(page); title != nil && strings.TrimSpace(title[1]) != "" {
		return html.UnescapeString(title[1])
	}
	return html.UnescapeString(markup.ReplaceAllString(page, " "))
}

// Bounds of an error's JSON: its bytes (a longer one is cut, and so is no JSON any more), and how far its members are looked into, as each level is
// parsed once more. ComfyUI's refusal of a large graph has some ten thousand bytes.
const (
	maxJSON  = 128 << 10
	maxDepth = 8
)

// jsonText finds the text in the usual members of an error's JSON, at most so many levels deep.
func jsonText(body []byte, levels int) string {
	var object map[string]json.RawMessage
	if levels == 0 || json.Unmarshal(body, &object) != nil {
		return ""
	}
	// Who says it so: RunPod and ComfyUI `error`, AWS-like APIs `message`, FastAPI `detail`, Kubernetes `reason`, RFC 9457 `title`.
	for _, key := range []string{"error", "message", "detail", "reason", "title"} {
		var text string
		if json.Unmarshal(object[key], &text) == nil && text != "" {
			return text
		}
		if inner := jsonText(object[key], levels-1); inner != "" {
			return inner
		}
	}
	return ""
}

// Size prints a number of bytes.
func Size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
