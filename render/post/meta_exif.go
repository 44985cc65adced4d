package post

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// EXIF is a TIFF without a picture: a byte order ("II" little-endian or "MM"), the number
// 42, and the place of a directory. A directory is a count of 16 bits and entries of 12
// bytes: tag, type, count, and 4 bytes that are the value, or its place if it is longer.
// Places count from the byte order on. In a JPEG the TIFF stands in an APP1 segment, in a
// WebP in the chunk EXIF, in a PNG in the chunk eXIf.

// Tags of EXIF that are read or written.
const (
	tagMake        = 0x010f // ComfyUI puts "workflow:…" there
	tagModel       = 0x0110 // and "prompt:…" there
	tagOrientation = 0x0112
	tagExif        = 0x8769 // the place of a second directory
	tagUserComment = 0x9286 // eight bytes that name its alphabet, then the text

	maxEXIFEntries = 512 // of one directory
)

const (
	asciiMark = "ASCII\x00\x00\x00" // before a user comment
	exifMark  = "Exif\x00\x00"      // before the TIFF of a JPEG's segment, and of some WebP chunks
)

// readJPEG walks over the segments up to the pixels.
func (m *Meta) readJPEG(r io.ReadSeeker) {
	if _, err := r.Seek(2, io.SeekStart); err != nil {
		return
	}
	// Each segment is 0xff, its kind, and its length in 16 bits, which counts itself. 0xda
	// begins the pixels; what comes behind them is of no interest.
	var head [4]byte
	for range maxParts {
		if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0xff || head[1] == 0xda {
			return
		}
		body := make([]byte, max(0, int(binary.BigEndian.Uint16(head[2:]))-2))
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		switch {
		case head[1] == 0xe1 && bytes.HasPrefix(body, []byte(exifMark)):
			m.readTIFF(body[len(exifMark):])
		case head[1] == 0xe1 && bytes.HasPrefix(body, []byte(xmpMark)):
			m.readXMP(body[len(xmpMark):])
		case head[1] == 0xe2 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")):
			m.Profile = true
		}
	}
}

// readWebP walks over the RIFF chunks.
func (m *Meta) readWebP(r io.ReadSeeker) {
	if _, err := r.Seek(12, io.SeekStart); err != nil {
		return
	}
	var head [8]byte
	for range maxParts {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		// A chunk is four letters, the length of its body, the body, and a byte if that is
		// odd.
		size, read := int64(binary.LittleEndian.Uint32(head[4:])), int64(0)
		switch string(head[:4]) {
		case "ICCP":
			m.Profile = true
		case "XMP ":
			if size <= maxMetaBytes {
				body, _ := io.ReadAll(io.LimitReader(r, size))
				read = int64(len(body))
				m.readXMP(body)
			}
		case "EXIF":
			if size <= maxMetaBytes {
				body, _ := io.ReadAll(io.LimitReader(r, size))
				read = int64(len(body))
				m.readTIFF(bytes.TrimPrefix(body, []byte(exifMark)))
			}
		}
		if _, err := r.Seek(size-read+size%2, io.SeekCurrent); err != nil {
			return
		}
	}
}

// tiff is the inner form of EXIF.
type tiff struct {
	data  []byte // from the byte order on
	order binary.ByteOrder
}

// readTIFF takes orientation and texts from an EXIF block.
func (m *Meta) readTIFF(data []byte) {
	t, before := tiff{data: data, order: binary.LittleEndian}, len(m.Text)
	m.exif = true
	if len(data) < 8 {
		return
	}
	defer func() { m.exifTexts = m.exifTexts || len(m.Text) > before }()
	if string(data[:2]) == "MM" {
		t.order = binary.BigEndian
	}
	// kind is TIFF's type: 2 is text, 3 is 16 bits, 4 is 32 bits.
	t.directory(int(t.order.Uint32(data[4:])), func(tag, kind uint16, value []byte) {
		switch {
		case tag == tagOrientation && kind == 3 && len(value) >= 2:
			if o := int(t.order.Uint16(value)); o >= 1 && o <= 8 {
				m.Orientation = o
			}
		case (tag == tagMake || tag == tagModel) && kind == 2:
			m.addNamed(value)
		case tag == tagExif && kind == 4 && len(value) >= 4:
			t.directory(int(t.order.Uint32(value)), func(tag, _ uint16, value []byte) {
				if text, ok := bytes.CutPrefix(value, []byte(asciiMark)); ok && tag == tagUserComment {
					m.addComment(text)
				}
			})
		}
	})
}

// directory calls see for each entry of the directory at a place.
func (t tiff) directory(at int, see func(tag, kind uint16, value []byte)) {
	if at < 8 || at > len(t.data)-2 {
		return
	}
	count := int(t.order.Uint16(t.data[at:]))
	for i := range min(count, maxEXIFEntries) {
		e := at + 2 + 12*i
		if e > len(t.data)-12 {
			return
		}
		kind := t.order.Uint16(t.data[e+2:])
		if kind == 0 || kind > 10 {
			continue
		}
		// The table holds the bytes of one value by type, from 1 (BYTE) to 10 (SRATIONAL).
		size := int64(t.order.Uint32(t.data[e+4:])) * int64([]int{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8}[kind])
		from := int64(e + 8)
		if size > 4 {
			from = int64(t.order.Uint32(t.data[e+8:]))
		}
		if from+size <= int64(len(t.data)) {
			see(t.order.Uint16(t.data[e:]), kind, t.data[from:from+size])
		}
	}
}

// addNamed reads a text in ComfyUI's form for EXIF: the key, a colon, JSON.
func (m *Meta) addNamed(value []byte) {
	key, text, ok := strings.Cut(strings.TrimRight(string(value), "\x00"), ":")
	if ok && (key == "prompt" || key == "workflow") {
		m.add(key, text)
	}
}

// addComment reads a user comment as [appendTIFF] writes it.
func (m *Meta) addComment(text []byte) {
	var texts map[string]string
	if json.Unmarshal(bytes.TrimRight(text, "\x00 "), &texts) != nil {
		return
	}
	// Sorted, since a JSON object has no order: reading a file twice gives the same list.
	keys := make([]string, 0, len(texts))
	for key := range texts {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		m.add(key, texts[key])
	}
}
