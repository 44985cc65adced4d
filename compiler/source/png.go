package source

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf8"
)

// Pictures and videos that ComfyUI made carry the graph that made them. This file chooses the container, reads PNG and gathers the texts; the
// others have a file each. All of them get bytes from strangers: lengths are checked before they are used, and unpacking is bounded.

// maxEmbedded is the number of bytes up to which a text inside of a picture or a video is read, and to which a compressed one may grow.
const maxEmbedded = 64 << 20

// Container tells what kind of picture or video data begins with: "PNG", "WebP", "MP4" or "WebM"; "" for anything else.
func Container(data []byte) string {
	switch {
	case bytes.HasPrefix(data, pngSignature):
		return "PNG"
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return "WebP"
	// The first box of an MP4; its brand is not looked at, since players and writers disagree on those as well.
	case len(data) >= 12 && string(data[4:8]) == "ftyp":
		return "MP4"
	case bytes.HasPrefix(data, ebmlSignature):
		return "WebM"
	}
	return ""
}

// Embedded reads the prompt and the workflow that ComfyUI wrote into a picture or a video: the text chunks of a PNG (tEXt, zTXt, iTXt, and comf of
// an animated one), the EXIF of a WebP, the metadata keys of an MP4, the tags of a WebM. The files that it gives have the name of f with
// "#prompt" or "#workflow" behind it, and positions of their own; nil for what is not there. A text is read up to 64 MiB, and a packed one up
// to 16 MiB and 32 times its packed size. The error is about the container: not one of these, or damaged before a text was found.
func Embedded(f *File) (prompt, workflow *File, err error) {
	texts := &texts{}
	switch Container(f.Data) {
	case "PNG":
		err = texts.png(f.Data[len(pngSignature):])
	case "WebP":
		err = texts.webp(f.Data[12:])
	case "MP4":
		err = texts.mp4(f.Data)
	case "WebM":
		err = texts.webm(f.Data, 0)
	default:
		err = errors.New("this is no PNG, WebP, MP4 or WebM file")
	}
	// A file that is damaged behind its texts is as good as a whole one: the error counts only if nothing was found.
	prompt, workflow = f.embedded("prompt", texts.prompt), f.embedded("workflow", texts.workflow)
	if prompt != nil || workflow != nil {
		return prompt, workflow, nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil, nil, err
}

// embedded gives a text as a file of its own: what is wrong in it is shown as flow.png#workflow:3:14.
func (f *File) embedded(key string, text []byte) *File {
	if text == nil {
		return nil
	}
	return NewFile(f.Name+"#"+key, text)
}

// texts are the two texts looked for, nil until they are found. The first of each counts.
type texts struct {
	prompt, workflow []byte
}

// wants tells whether a key is one of the two and has not been found yet.
func (t *texts) wants(key string) bool {
	switch strings.ToLower(key) {
	case "prompt":
		return t.prompt == nil
	case "workflow":
		return t.workflow == nil
	}
	return false
}

// put keeps a text if it is the first under its key, is not empty, and is within the bound. Some writers end texts with zero bytes.
func (t *texts) put(key string, text []byte) {
	text = bytes.TrimRight(text, "\x00")
	if len(text) == 0 || len(text) > maxEmbedded || !t.wants(key) {
		return
	}
	if strings.EqualFold(key, "prompt") {
		t.prompt = text
	} else {
		t.workflow = text
	}
}

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// png walks the chunks of a PNG: length, type, data, checksum.
func (t *texts) png(data []byte) error {
	// A chunk has 12 bytes beside its data, so the subtraction below cannot go under zero. Pictures' own chunks are stepped over unchecked.
	for len(data) >= 12 {
		length := uint64(binary.BigEndian.Uint32(data))
		if length > uint64(len(data)-12) {
			return errors.New("a chunk of the PNG is longer than the file")
		}
		kind, body := string(data[4:8]), data[8:8+length]
		if kind == "IEND" {
			return nil
		}
		if isText(kind) {
			// The checksum covers type and data. A wrong one means bits that changed: better no graph than another one than was drawn.
			if crc32.ChecksumIEEE(data[4:8+length]) != binary.BigEndian.Uint32(data[8+length:]) {
				return fmt.Errorf("a %s chunk of the PNG is damaged: its checksum is wrong", kind)
			}
			if err := t.chunk(kind, body); err != nil {
				return err
			}
		}
		data = data[12+length:]
	}
	return errors.New("the PNG ends too early")
}

// isText tells whether a chunk may hold one of the two texts; comf is ComfyUI's own, for animated pictures.
func isText(kind string) bool {
	return kind == "tEXt" || kind == "zTXt" || kind == "iTXt" || kind == "comf"
}

// chunk reads a text chunk: a key, a zero byte, and the text in the chunk's way.
func (t *texts) chunk(kind string, body []byte) error {
	name, rest, ok := bytes.Cut(body, []byte{0})
	key := string(name)
	// Before anything is unpacked: a text under another name costs nothing.
	if !ok || !t.wants(key) {
		return nil
	}
	switch kind {
	case "tEXt", "comf":
		t.put(key, utf8Text(rest))
	case "zTXt":
		// Method 0, zlib, is the only one that the standard knows.
		if len(rest) == 0 || rest[0] != 0 {
			return errors.New("a zTXt chunk of the PNG has an unknown compression")
		}
		text, err := inflate(rest[1:])
		t.put(key, utf8Text(text))
		return err
	case "iTXt":
		return t.international(key, rest)
	}
	return nil
}

// international reads an iTXt chunk: whether it is compressed, how, a language, the key in that language, and the text.
func (t *texts) international(key string, rest []byte) error {
	if len(rest) < 2 {
		return errors.New("an iTXt chunk of the PNG is too short")
	}
	packed, method := rest[0], rest[1]
	// Three parts, of which the last is the text and may hold zero bytes when it is packed.
	parts := bytes.SplitN(rest[2:], []byte{0}, 3)
	if len(parts) < 3 {
		return errors.New("an iTXt chunk of the PNG is too short")
	}
	text := parts[2]
	if packed != 0 {
		if method != 0 {
			return errors.New("an iTXt chunk of the PNG has an unknown compression")
		}
		var err error
		if text, err = inflate(text); err != nil {
			return err
		}
	}
	t.put(key, text)
	return nil
}

// inflateBase and inflateRatio bound what a packed text may grow to, below [maxEmbedded]: workflows shrink to a tenth or so, bombs to a
// thousandth. For example 1 MiB may become 48 MiB, and anything above 1.5 MiB meets maxEmbedded.
const (
	inflateBase  = 16 << 20
	inflateRatio = 32
)

// inflate unpacks a text of zlib's form, and stops reading one byte behind the bound, so a bomb costs that much memory and no more.
func inflate(data []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("a compressed text cannot be unpacked: %w", err)
	}
	most := min(maxEmbedded, inflateBase+inflateRatio*min(len(data), maxEmbedded/inflateRatio)) // so that no int overflows
	// A stream that is cut off is an error, even where its beginning could be read.
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("a compressed text cannot be unpacked: %w", err)
	}
	if len(text) > most {
		return nil, fmt.Errorf("a compressed text grows beyond %d MiB", most>>20)
	}
	return text, nil
}

// utf8Text reads a text that is Latin-1 by the standard. Writers that put UTF-8 there are believed.
func utf8Text(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	// Each byte of Latin-1 is the character of the same number.
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}
