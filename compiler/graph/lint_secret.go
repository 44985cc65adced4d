// Keys in workflows: custom nodes take them as plain texts, and every picture carries the workflow. The
// forms are narrow, since a finding on an ordinary prompt would teach people to ignore it.

package graph

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// secretForms are the published forms of keys and tokens. start is looked for first, as a text seldom has it.
var secretForms = []struct {
	start, what string // a part that every match has, in its case
	form        *regexp.Regexp
}{
	{"sk-", "an API key", regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{20,}`)},
	{"sk_", "an API key", regexp.MustCompile(`\bsk_[A-Za-z0-9]{20,}`)},
	{"hf_", "a Hugging Face token", regexp.MustCompile(`\bhf_[A-Za-z0-9]{30,}`)},
	{"ghp_", "a GitHub token", regexp.MustCompile(`\bghp_[A-Za-z0-9]{36}`)},
	{"github_pat_", "a GitHub token", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{50,}`)},
	{"AKIA", "an AWS access key", regexp.MustCompile(`\bAKIA[A-Z0-9]{16}\b`)},
	{"AIza", "a Google API key", regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}`)},
	{"xox", "a Slack token", regexp.MustCompile(`\bxox[abprs]-[A-Za-z0-9-]{20,}`)},
	{"rpa_", "a RunPod key", regexp.MustCompile(`\brpa_[A-Z0-9]{40,}`)},
	{"r8_", "a Replicate token", regexp.MustCompile(`\br8_[A-Za-z0-9]{37}`)},
	{"nvapi-", "an NVIDIA key", regexp.MustCompile(`\bnvapi-[A-Za-z0-9_-]{40,}`)},
	{"comfyui-", "a Comfy API key", regexp.MustCompile(`\bcomfyui-[0-9a-f]{40,}`)},
	{"eyJ", "a web token", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)},
	{"PRIVATE KEY-----", "a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"earer ", "a bearer token", regexp.MustCompile(`\b[Bb]earer [A-Za-z0-9._~+/-]{20,}`)},
	{"://", "a password in a URL", regexp.MustCompile(`[a-z]://[^/\s:@]+:[^/\s:@]{3,}@`)},
}

// secretNames are how inputs are named that are there for keys, whole or behind an underscore; any text of some length in one is taken for a secret.
var secretNames = []string{"api_key", "apikey", "token", "secret", "password", "passwd"}

// forSecrets tells whether an input is there for keys. It is asked for every file name in a workflow, which a regular expression would make dear.
func forSecrets(input string) bool {
	for _, word := range secretNames {
		before := len(input) - len(word)
		if before >= 0 && strings.EqualFold(input[before:], word) && (before == 0 || input[before-1] == '_') {
			return true
		}
	}
	return false
}

// letters is a set of bytes, a bit for each of the 256.
type letters [4]uint64

func lettersOf(text string) (set letters) {
	for i := range len(text) {
		set[text[i]>>6] |= 1 << (text[i] & 63)
	}
	return set
}

// hold tells whether all of a text's bytes are in the set.
func (set *letters) hold(text string) bool {
	for i := range len(text) {
		if set[text[i]>>6]&(1<<(text[i]&63)) == 0 {
			return false
		}
	}
	return true
}

// secretIn tells what kind of secret a text holds, "" for none. Long prompts are common: one look at their
// letters rules most forms out, and the patterns run on what is left, each in time linear in the text.
func secretIn(name, text string) string {
	set := lettersOf(text)
	for i := range secretForms {
		if f := &secretForms[i]; set.hold(f.start) && strings.Contains(text, f.start) && f.form.MatchString(text) {
			return f.what
		}
	}
	// Shorter ones and ones with blanks are words such as "none" or a label.
	if len(text) >= 12 && !strings.ContainsAny(text, " \t\n{}") && forSecrets(name) {
		return "a secret"
	}
	return ""
}

// Secret tells what kind of key or token an input's text holds, as a phrase such as "an API key"; "" for none. Drawings leave such texts out.
func Secret(input, text string) string { return secretIn(input, text) }

// lintSecrets finds keys and tokens among the inputs of all nodes: they would be stored in every picture's metadata and in every log.
func lintSecrets(l *linter) {
	for i := range l.g.Nodes {
		n := &l.g.Nodes[i]
		for j := range n.Inputs {
			in := &n.Inputs[j]
			if in.Value.Kind != source.String || len(in.Value.Text) < 12 {
				continue
			}
			if what := secretIn(in.Name, in.Value.Text); what != "" {
				l.warn("secret_in_input", l.mask(in), n, in.Name, "pictures carry the workflow: whoever gets one gets the secret",
					"%s holds what looks like %s", n.of(in.Name), what)
			}
		}
	}
}

// mask gives a value's place in a copy of its file in which it cannot be read, so that the excerpt does not
// show it. Offsets stay the same, as each byte becomes one asterisk; the first and last, which are quotes
// in JSON, stay.
func (l *linter) mask(in *Input) diag.Place {
	at := diag.Of(in.Value)
	if at.File == nil || at.End > len(at.File.Data) || at.Start >= at.End {
		return at
	}
	if l.masked == nil || l.masked.Name != at.File.Name {
		l.masked = source.NewFile(at.File.Name, bytes.Clone(at.File.Data))
	}
	data := l.masked.Data
	for i := at.Start + 1; i < at.End-1; i++ {
		if data[i] != '\n' && data[i] != '\r' {
			data[i] = '*'
		}
	}
	at.File = l.masked
	return at
}
