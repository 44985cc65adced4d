package source

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A WebP is a RIFF file: chunks behind a head of 12 bytes, numbers with the low byte first. ComfyUI's animated pictures carry their texts in EXIF,
// which is a TIFF file inside of the chunk and names its own byte order.

// webp finds the EXIF chunk among the chunks of a WebP: type, length, data, padded to even lengths.
func (t *texts) webp(data []byte) error {
	for len(data) >= 8 {
		length := uint64(binary.LittleEndian.Uint32(data[4:]))
		if length > uint64(len(data)-8) {
			return errors.New("a chunk of the WebP is longer than the file")
		}
		if string(data[:4]) == "EXIF" {
			return t.exif(bytes.TrimPrefix(data[8:8+length], []byte("Exif\x00\x00")))
		}
		// The padding of the last chunk is missing in some files, so the step is cut off at the end.
		data = data[min(8+length+length%2, uint64(len(data))):]
	}
	return nil
}

// maxTags bounds the entries of an EXIF directory that are looked at.
// It bounds the names of an MP4 as well. ComfyUI writes a handful.
const maxTags = 4096

// exif reads the first directory of a TIFF structure. ComfyUI writes its texts as "prompt:…" and "workflow:…" into text tags.
func (t *texts) exif(data []byte) error {
	if len(data) < 8 {
		return errors.New("the EXIF of the WebP is too short")
	}
	// "II" is Intel's order, "MM" Motorola's; whatever is neither is read as the second and then fails on its own figures.
	var order binary.ByteOrder = binary.BigEndian
	if string(data[:2]) == "II" {
		order = binary.LittleEndian
	}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return errors.New("the EXIF of the WebP leads outside of it")
	}
	count := min(int(order.Uint16(data[at:])), maxTags)
	for i := range count {
		entry := at + 2 + uint64(i)*12
		if entry+12 > uint64(len(data)) {
			return errors.New("the EXIF of the WebP ends too early")
		}
		// An entry has 12 bytes: tag, type, count, and the value or where it is. Type 2 is text. Which tag it is does not matter: ComfyUI counts
		// down from Make and Model, and the text says itself what it is.
		if order.Uint16(data[entry+2:]) == 2 {
			t.tag(data, order.Uint32(data[entry+4:]), order.Uint32(data[entry+8:]))
		}
	}
	return nil
}

// tag reads a text tag "key:text" of count bytes at offset, both from the file. Up to four bytes would stand in the entry itself and hold no
// text of ours. The sum is made in 64 bits, where two numbers of 32 bits cannot overflow.
func (t *texts) tag(data []byte, count, offset uint32) {
	end := uint64(offset) + uint64(count)
	if count <= 4 || end > uint64(len(data)) {
		return
	}
	key, text, ok := bytes.Cut(data[offset:end], []byte(":"))
	if ok && len(key) <= len("workflow") {
		t.put(string(key), text)
	}
}
