package source

import (
	"bytes"
	"encoding/binary"
	"errors"
)

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
		data = data[min(8+length+length%2, uint64(len(data))):]
	}
	return nil
}

// maxTags bounds the entries of an EXIF directory that are looked at.
const maxTags = 4096

// exif reads the first directory of a TIFF structure. ComfyUI writes its texts as "prompt:…" and "workflow:…" into text tags.
func (t *texts) exif(data []byte) error {
	if len(data) < 8 {
		return errors.New("the EXIF of the WebP is too short")
	}
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
		if order.Uint16(data[entry+2:]) == 2 {
			t.tag(data, order.Uint32(data[entry+4:]), order.Uint32(data[entry+8:]))
		}
	}
	return nil
}

// tag reads a text tag "key:text".
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
