package post

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

// A PNG is its signature and chunks: the length of the body in 32 bits, four letters, the
// body, a CRC-32 of letters and body. Big-endian throughout. IHDR is the first one, IEND
// the last. Texts are tEXt (Latin-1), zTXt (the same, deflated) or iTXt (UTF-8, deflated or
// not), each with a keyword of 1 to 79 letters and a zero byte before it.

const (
	pngSignature = "\x89PNG\r\n\x1a\n"
	// pngHead is how many bytes signature and IHDR have: texts go right behind them.
	pngHead = 8 + 25
)

// readPNG walks over the chunks.
func (m *Meta) readPNG(r io.ReadSeeker) {
	if _, err := r.Seek(8, io.SeekStart); err != nil {
		return
	}
	var head [8]byte
	for range maxParts {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:])
		if size > 1<<31-1 || kind == "IEND" {
			return
		}
		var body []byte
		switch kind {
		case "IHDR", "tEXt", "zTXt", "iTXt", "eXIf":
			// Skipped like the pixels: a text of that size is none that anybody reads.
			if size > maxMetaBytes {
				break
			}
			var err error
			if body, err = io.ReadAll(io.LimitReader(r, size)); err != nil || int64(len(body)) < size {
				return
			}
		}
		m.pngChunk(kind, body)
		// Over the rest of the body and the CRC, which is not checked: the decoder of the
		// pixels checks those of the chunks that matter to it.
		if _, err := r.Seek(size-int64(len(body))+4, io.SeekCurrent); err != nil {
			return
		}
	}
}

// pngChunk takes what a chunk says; body is empty if it is not needed.
func (m *Meta) pngChunk(kind string, body []byte) {
	key, rest, ok := bytes.Cut(body, []byte{0})
	switch kind {
	case "IHDR":
		// IHDR is width and height in 4 bytes each, then the bits of a sample.
		m.Deep = len(body) > 8 && body[8] == 16
	case "iCCP":
		m.Profile = true
	case "eXIf":
		m.readTIFF(body)
	case "tEXt":
		if ok {
			m.add(latin1(key), latin1(rest))
		}
	case "zTXt":
		if ok && len(rest) > 0 {
			if text, err := inflate(rest[1:]); err == nil {
				m.add(latin1(key), latin1(text))
			}
		}
	case "iTXt":
		if ok {
			m.addInternational(latin1(key), rest)
		}
	}
}

// addInternational reads an iTXt chunk behind its key: two flags, a language, the key in
// that language, the text in UTF-8.
func (m *Meta) addInternational(key string, rest []byte) {
	if len(rest) < 2 {
		return
	}
	packed := rest[0] == 1
	parts := bytes.SplitN(rest[2:], []byte{0}, 3)
	if len(parts) < 3 {
		return
	}
	text := parts[2]
	if packed {
		var err error
		if text, err = inflate(text); err != nil {
			return
		}
	}
	m.add(key, string(text))
}

// inflate unpacks at most maxMetaBytes.
func inflate(data []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	out, err := io.ReadAll(io.LimitReader(z, maxMetaBytes+1))
	if err == nil && len(out) > maxMetaBytes {
		err = fmt.Errorf("a text of more than %d bytes", maxMetaBytes)
	}
	return out, err
}

// latin1 reads the alphabet of tEXt, in which a byte is a letter.
func latin1(b []byte) string {
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

// checkKey accepts what PNG accepts as a keyword, less the upper half of Latin-1, so that
// one key is the same in all file types. PNG forbids blanks at its ends, and two in a row.
func checkKey(key string) error {
	if key == "" || len(key) > 79 {
		return fmt.Errorf("a key of metadata has 1 to 79 letters")
	}
	for _, r := range key {
		if r < ' ' || r > '~' {
			return fmt.Errorf("key %q has letters beyond ASCII", key)
		}
	}
	if strings.Trim(key, " ") != key || strings.Contains(key, "  ") {
		return fmt.Errorf("key %q has blanks at an end, or several in a row", key)
	}
	return nil
}

// appendPNGTexts appends a chunk for each text: tEXt, or iTXt where ASCII is not enough.
func appendPNGTexts(out []byte, texts []Text) []byte {
	for _, t := range texts {
		kind, body := "tEXt", append([]byte(t.Key+"\x00"), t.Value...)
		if !ascii(t.Value) {
			kind, body = "iTXt", append([]byte(t.Key+"\x00\x00\x00\x00\x00"), t.Value...)
		}
		out = appendPNGChunk(out, kind, body)
	}
	return out
}

// appendPNGChunk appends a chunk with its length and checksum.
func appendPNGChunk(out []byte, kind string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	start := len(out)
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

// ascii tells whether tEXt can hold a text as it is; line breaks and tabs are allowed in
// it.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] > '~' || s[i] == 0 {
			return false
		}
	}
	return true
}

// inserter writes extra behind the first at bytes of what goes through it: encoders write a
// whole file, and texts belong right behind its head. at may fall anywhere, also between
// two Writes.
type inserter struct {
	w     io.Writer // where everything goes
	at    int       // bytes still to pass before extra
	extra []byte    // empty once it is written
}

// Write implements io.Writer. The count it gives is of p alone, as encoders compare it.
func (i *inserter) Write(p []byte) (int, error) {
	if len(i.extra) == 0 || len(p) < i.at {
		i.at -= len(p)
		return i.w.Write(p)
	}
	n, err := i.w.Write(p[:i.at])
	if err != nil {
		return n, err
	}
	_, err = i.w.Write(i.extra)
	i.extra = nil
	if err != nil {
		return n, err
	}
	more, err := i.w.Write(p[n:])
	return n + more, err
}

// appendASCII appends a letter of a JSON text, escaped where it is none of ASCII.
func appendASCII(out []byte, r rune) []byte {
	switch {
	case r < 0x80:
		return append(out, byte(r))
	case r > 0xffff:
		a, b := utf16.EncodeRune(r)
		return fmt.Appendf(out, `\u%04x\u%04x`, a, b)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}
