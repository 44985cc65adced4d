package source

import (
	"encoding/binary"
	"errors"
)

// An MP4 is a tree of boxes (ISO/IEC 14496-12); ffmpeg, and with it ComfyUI, writes metadata in QuickTime's form: a list of keys and a list of
// values that name their key by its number. Lengths come from outside: each is checked against what is left before anything is cut.

// box finds the first box of a type among boxes: length, type, content. A length of 1 is followed by a longer one, 0 means "to the end".
func box(data []byte, kind string) ([]byte, bool) {
	for len(data) >= 8 {
		length, head := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		if length == 1 && len(data) >= 16 {
			length, head = binary.BigEndian.Uint64(data[8:]), 16
		} else if length == 0 {
			length = uint64(len(data))
		}
		// A length below that of its own head would make no progress, or go backwards.
		if length < head || length > uint64(len(data)) {
			return nil, false
		}
		if string(data[4:8]) == kind {
			return data[head:length], true
		}
		data = data[length:]
	}
	return nil, false
}

// mp4 reads the metadata keys of an MP4: moov/udta/meta, or moov/meta, with the names in keys and the values in ilst.
func (t *texts) mp4(data []byte) error {
	// The index may stand before the pictures or behind them, so it is looked for by its name; what else is there is stepped over.
	moov, ok := box(data, "moov")
	if !ok {
		return errors.New("the MP4 has no index (moov)")
	}
	// Both places are looked into: writers differ, and the first text found of each name counts.
	if udta, ok := box(moov, "udta"); ok {
		if meta, ok := box(udta, "meta"); ok {
			t.mp4Meta(meta)
		}
	}
	if meta, ok := box(moov, "meta"); ok {
		t.mp4Meta(meta)
	}
	return nil
}

// mp4Meta reads a meta box, which may begin with a version: ISO has one of four bytes, QuickTime has none. Damaged entries end the reading
// without an error, since what was found before them is good.
func (t *texts) mp4Meta(meta []byte) {
	keys, ok := box(meta, "keys")
	if !ok && len(meta) >= 4 {
		meta = meta[4:]
		keys, ok = box(meta, "keys")
	}
	list, okList := box(meta, "ilst")
	if !ok || !okList {
		return
	}
	// Entries of ilst may come in any order and need not name every key.
	names := mp4Keys(keys)
	for len(list) >= 8 {
		length := uint64(binary.BigEndian.Uint32(list))
		if length < 8 || length > uint64(len(list)) {
			return
		}
		// Where other boxes have a type, an entry of ilst has the number of its key, from 1. Its data begins with a type and a language, 4 bytes each.
		index := binary.BigEndian.Uint32(list[4:])
		if value, ok := box(list[8:length], "data"); ok && len(value) >= 8 && index >= 1 && uint64(index) <= uint64(len(names)) {
			t.put(names[index-1], value[8:])
		}
		list = list[length:]
	}
}

// mp4Keys reads the names: a version, a count, and for each its length, a namespace and the name.
func mp4Keys(data []byte) []string {
	if len(data) < 8 {
		return nil
	}
	// Four bytes of version and flags, four of count; the count is not believed, as the lengths say it too.
	data = data[8:]
	var names []string
	for len(data) >= 8 && len(names) < maxTags {
		length := uint64(binary.BigEndian.Uint32(data))
		if length < 8 || length > uint64(len(data)) {
			break
		}
		names = append(names, string(data[8:min(length, 8+maxKey)]))
		data = data[length:]
	}
	return names
}

// maxKey bounds the length of a key's name in bytes; the two that are looked for have at most eight.
const maxKey = 64
