package render

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Keys get into workflows: api nodes take them as inputs, URLs carry them in queries, and workers embed the
// whole prompt in every PNG. Before a picture is kept, its texts are searched in three ways: by the names of
// members, by forms that only keys have, and for the keys that this run itself uses.

// removed stands where a secret stood.
const removed = "***"

// secretNames are the names of inputs and members whose text is a secret, in lower case without - and _.
var secretNames = []string{
	"apikey", "apikeycomfyorg", "comfyorgapikey", "authtokencomfyorg", "token", "accesstoken", "authtoken", "bearertoken", "refreshtoken",
	"sessiontoken", "hftoken", "huggingfacetoken", "civitaitoken", "secret", "clientsecret", "secretkey", "secretaccesskey", "accesskey", "accesskeyid",
	"accessid", "accesssecret", "password", "passwd", "authorization", "privatekey", "webhooksecret",
}

// secretEndings end names that providers put something before: openai_api_key, my_password.
var secretEndings = []string{"apikey", "secretkey", "accesstoken", "password", "authtoken"}

// secretForms are texts that are secrets wherever they stand; what the groups match, before and behind, stays.
var secretForms = []*regexp.Regexp{
	regexp.MustCompile(`()\b(?:sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|rpa_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|comfyui-[0-9a-f]{40,}|AIza[0-9A-Za-z_-]{35}|xox[abposr]-[0-9A-Za-z-]{20,})`),
	// A JSON web token, whose first part begins with {" in base64.
	regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`),
	regexp.MustCompile(`((?i:bearer)\s+)[A-Za-z0-9._~+/-]{16,}=*`),
	regexp.MustCompile(`([?&](?i:x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature|signature|sig|token|access_token|api_?key|key)=)[^&\s"'\\]+`),
	regexp.MustCompile(`((?i:https?|s3)://)[^/\s"'@\\]+:[^/\s"'@\\]+(@)`),
}

// scrubber takes secrets out of texts that go into files. It holds no state.
type scrubber struct {
	known []string // texts that are secrets in themselves, such as the keys in use
}

// minSecret is how long a known secret must be to be looked for; a shorter one would be found in words.
const minSecret = 8

func newScrubber(known []string) scrubber {
	var s scrubber
	for _, k := range known {
		if len(k) >= minSecret {
			s.known = append(s.known, k)
		}
	}
	return s
}

// clean takes secrets out of a text, JSON or not, and counts them. Of JSON it knows the names of members, and everything but the secrets
// stays byte for byte.
func (s scrubber) clean(text string) (string, int) {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "[") {
		return s.value(text)
	}
	var b strings.Builder
	count, from, name := 0, 0, ""
	data := []byte(text)
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c != '"' {
			if c != ':' && c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				name = "" // the next text is no member's value
			}
			continue
		}
		end := skipString(data, i)
		if end < 0 {
			break
		}
		var value string
		if json.Unmarshal(data[i:end+1], &value) != nil {
			i = end
			continue
		}
		if isName(data[end+1:]) {
			name, i = value, end
			continue
		}
		clean, n := s.member(name, value)
		if name = ""; n > 0 {
			b.Write(data[from:i])
			b.Write(quoteJSON(clean))
			from, count = end+1, count+n
		}
		i = end
	}
	b.Write(data[from:])
	// A known secret may also stand in a name, or behind a string that does not end.
	clean, n := s.replaceKnown(b.String())
	return clean, count + n
}

// quoteJSON writes a string as JSON, with < > & as they are.
func quoteJSON(text string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string into a Buffer: cannot fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// replaceKnown takes out the known secrets and counts them.
func (s scrubber) replaceKnown(text string) (string, int) {
	count := 0
	for _, k := range s.known {
		if n := strings.Count(text, k); n > 0 && !strings.ContainsAny(k, "\"\\") {
			text, count = strings.ReplaceAll(text, k, removed), count+n
		}
	}
	return text, count
}

// isName tells whether the string that rest follows is a member's name.
func isName(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == ':'
	}
	return false
}

// member cleans the text of a member, "" for none.
func (s scrubber) member(name, value string) (string, int) {
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
	secret := slices.Contains(secretNames, plain) || slices.ContainsFunc(secretEndings, func(end string) bool { return strings.HasSuffix(plain, end) })
	if plain != "" && secret && value != "" && value != removed {
		return removed, 1
	}
	return s.value(value)
}

// value cleans a text by what is in it.
func (s scrubber) value(text string) (string, int) {
	text, count := s.replaceKnown(text)
	for _, form := range secretForms {
		clean := form.ReplaceAllString(text, "${1}"+removed+"${2}")
		if clean != text {
			text, count = clean, count+1
		}
	}
	return text, count
}
