package worker

import (
	"bytes"
	"encoding/binary"
)

// Facts that Go's decoders do not tell: how a picture is to be turned, and how
// many frames a GIF has. All walks stop at the end of the data, however
// damaged.

// jpegExif gives the TIFF block of a JPEG's APP1 segment, or nil.
func jpegExif(data []byte) []byte {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		// A segment: 0xff, its kind, its length with these two bytes. 0xe1 is
		// APP1, in which EXIF stands; 0xda begins the pixels.
		marker, size := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xda || size < 2 || at+2+size > len(data) {
			return nil
		}
		body := data[at+4 : at+2+size]
		if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); marker == 0xe1 && ok {
			return tiff
		}
		at += 2 + size
	}
	return nil
}

// pngExif gives the TIFF block of a PNG's eXIf chunk, or nil.
func pngExif(data []byte) []byte {
	for at := 8; at+12 <= len(data); {
		size := int(binary.BigEndian.Uint32(data[at:]))
		if size < 0 || size > len(data)-at-12 {
			return nil
		}
		if string(data[at+4:at+8]) == "eXIf" {
			return data[at+8 : at+8+size]
		}
		at += 12 + size
	}
	return nil
}

// orientation reads tag 0x112 of the first directory; 1 when there is none.
func orientation(tiff []byte) int {
	if len(tiff) < 10 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if tiff[0] == 'M' {
		order = binary.BigEndian
	}
	// The place of the first directory: a count, then entries of twelve bytes
	// (tag, type, count, value).
	at := int(order.Uint32(tiff[4:]))
	if at < 0 || at+2 > len(tiff) {
		return 1
	}
	for i := range int(order.Uint16(tiff[at:])) {
		entry := at + 2 + 12*i
		if entry+12 > len(tiff) {
			return 1
		}
		if order.Uint16(tiff[entry:]) == 0x112 {
			return int(order.Uint16(tiff[entry+8:]))
		}
	}
	return 1
}

// gifFrames counts the pictures of a GIF without decoding them, at most one
// more than a batch may have, and as far as the file goes; at least 1.
func gifFrames(data []byte) int {
	count, at := 0, 13
	if len(data) < at {
		return 1
	}
	// Signature (6), width and height (4), flags, background, aspect: 13 bytes,
	// then the colours that all pictures share.
	at += colourTable(data[10])
	for at < len(data) && count <= maxBatch {
		switch data[at] {
		case 0x21: // extension
			at = subBlocks(data, at+2)
		case 0x2c: // picture
			count++
			if at+10 > len(data) {
				return count
			}
			// Behind the mark: place and size (8), flags, the picture's own
			// colours, and a byte that says how codes begin.
			at = subBlocks(data, at+11+colourTable(data[at+9]))
		default:
			return max(count, 1)
		}
	}
	return max(count, 1)
}

// colourTable is the size in bytes of the table that a flag byte announces.
func colourTable(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	// 2 to the power of one more than the lower three bits, three bytes each.
	return 3 << (flags&7 + 1)
}

// subBlocks skips a chain of blocks up to the empty one.
func subBlocks(data []byte, at int) int {
	for at < len(data) && data[at] != 0 {
		at += int(data[at]) + 1
	}
	return at + 1
}
