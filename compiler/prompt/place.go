// Places within strings. The parser counts bytes of a string's content, while a finding points into the
// file, where the same string may be written with escapes, with doubled quotes, or indented as a block.
// Places are only looked for when there is a finding.

package prompt

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// place gives the place of some bytes of a string's content: exact where the file holds the string as it is read, in quotes with escapes, or
// as a block of YAML; else the whole string's.
func place(v *source.Value, start, end int) diag.Place {
	at := diag.Of(v) // the whole string, if nothing better is found
	if v.File == nil || v.Start < 0 || v.Start > v.End || v.End > len(v.File.Data) {
		return at
	}
	raw := v.File.Data[v.Start:v.End]
	if i := bytes.Index(raw, []byte(v.Text)); i >= 0 {
		at.Start, at.End = v.Start+i+start, v.Start+i+end
		return at
	}
	offsets := quoted(v.File.Data[v.Start:], v.Text)
	if offsets == nil {
		offsets = block(v.File.Data[v.Start:], v.Text)
	}
	if offsets != nil && start < end && end <= len(offsets) {
		at.Start, at.End = v.Start+offsets[start], v.Start+offsets[end-1]+1
	}
	return at
}

// quoted gives for each byte of a text where it stands between quotes, nil if it does not stand there. raw
// begins with the quote.
func quoted(raw []byte, text string) []int {
	if len(raw) < 2 || raw[0] != '"' && raw[0] != '\'' {
		return nil
	}
	raw = raw[:min(len(raw), 6*len(text)+2)] // no escape is longer
	offsets := make([]int, 0, len(text))
	var got strings.Builder
	for i := 1; i < len(raw) && got.Len() < len(text); {
		piece, size := string(raw[i]), 1
		if raw[0] == '\'' && bytes.HasPrefix(raw[i:], []byte("''")) {
			size = 2
		}
		if raw[0] == '"' && raw[i] == '\\' {
			if piece, size = escape(raw[i:]); size == 0 {
				return nil
			}
		}
		if raw[i] >= utf8.RuneSelf { // byte by byte
			piece = string(raw[i : i+1])
		}
		for range len(piece) {
			offsets = append(offsets, i)
		}
		got.WriteString(piece)
		i += size
	}
	if got.String() != text {
		return nil
	}
	return offsets
}

// escape reads one escape of a string in double quotes; size 0 means that it is another one than these.
func escape(raw []byte) (string, int) {
	if len(raw) < 2 {
		return "", 0
	}
	simple := map[byte]string{'"': `"`, '\\': `\`, '/': "/", 'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", ' ': " "}
	if s, ok := simple[raw[1]]; ok {
		return s, 2
	}
	if raw[1] == 'u' && len(raw) >= 6 {
		if n, err := strconv.ParseUint(string(raw[2:6]), 16, 16); err == nil && utf8.ValidRune(rune(n)) {
			return string(rune(n)), 6
		}
	}
	return "", 0
}

// block finds the lines of a text below its header (| or >), each with its indentation taken away.
func block(raw []byte, text string) []int {
	at := bytes.IndexByte(raw, '\n') + 1
	if at == 0 || len(raw) == 0 || raw[0] != '|' && raw[0] != '>' {
		return nil
	}
	offsets := make([]int, 0, len(text))
	for _, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimSuffix(line, "\n")
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			end = len(raw) - at
		}
		found := bytes.TrimSuffix(raw[at:at+end], []byte("\r"))
		if !bytes.HasSuffix(found, []byte(bare)) || len(bytes.TrimLeft(found[:len(found)-len(bare)], " ")) > 0 {
			return nil
		}
		from := at + len(found) - len(bare)
		for k := range len(line) {
			offsets = append(offsets, from+k)
		}
		at = min(at+end+1, len(raw))
	}
	return offsets
}
