package post

import (
	"encoding/binary"
	"encoding/json"
	"slices"
)

// entry is one line of an EXIF directory: its value is either in the line (at most 4 bytes) or behind the directory.
type entry struct {
	tag, kind uint16 // see meta_exif.go
	count     uint32 // of values, not of bytes
	value     []byte
}

// appendTIFF writes texts as the inner form of EXIF, little-endian: workflow and prompt where ComfyUI itself puts them in a WebP (Make
// and Model, as "key:JSON", so that its frontend finds them), everything else as one JSON object in the user comment. orientation 0 and
// 1 are left out.
func appendTIFF(out []byte, texts []Text, orientation int) []byte {
	var first []entry
	var rest []Text
	for _, t := range texts {
		tag := map[string]uint16{"workflow": tagMake, "prompt": tagModel}[t.Key]
		if tag == 0 || !json.Valid([]byte(t.Value)) || slices.ContainsFunc(first, func(e entry) bool { return e.tag == tag }) {
			rest = append(rest, t)
			continue
		}
		value := append(append([]byte(t.Key+":"), asciiLetters(t.Value)...), 0)
		first = append(first, entry{tag, 2, uint32(len(value)), value})
	}
	if orientation > 1 {
		first = append(first, entry{tagOrientation, 3, 1, []byte{byte(orientation), 0, 0, 0}})
	}
	if len(rest) > 0 {
		first = append(first, entry{tagExif, 4, 1, nil}) // its value, a place, is known below
	}
	// Readers expect entries by rising tag. tagExif is the largest of ours, so the second directory's place is
	// in the last one.
	slices.SortFunc(first, func(a, b entry) int { return int(a.tag) - int(b.tag) })
	start := len(out) // places count from here
	out = append(out, "II*\x00\x08\x00\x00\x00"...)
	end := 8 + 2 + 12*len(first) + 4 // where the values begin, counted from the start of the TIFF
	for _, e := range first {
		if len(e.value) > 4 {
			end += len(e.value) + len(e.value)%2
		}
	}
	if len(rest) > 0 {
		first[len(first)-1].value = binary.LittleEndian.AppendUint32(nil, uint32(end))
	}
	out = appendDirectory(out, start, first)
	if len(rest) > 0 {
		comment := append([]byte(asciiMark), asciiJSON(rest)...)
		out = appendDirectory(out, start, []entry{{tagUserComment, 7, uint32(len(comment)), comment}})
	}
	return out
}

// appendDirectory writes a directory at the end of out, then the values that do not fit into its lines. start is where the TIFF begins.
func appendDirectory(out []byte, start int, entries []entry) []byte {
	// The directory: a count, the entries, and the place of a next one.
	at := len(out) - start + 2 + 12*len(entries) + 4
	out = binary.LittleEndian.AppendUint16(out, uint16(len(entries)))
	var behind []byte
	for _, e := range entries {
		out = binary.LittleEndian.AppendUint16(out, e.tag)
		out = binary.LittleEndian.AppendUint16(out, e.kind)
		out = binary.LittleEndian.AppendUint32(out, e.count)
		if len(e.value) <= 4 {
			out = append(out, append(slices.Clone(e.value), 0, 0, 0, 0)[:4]...)
			continue
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(at+len(behind)))
		behind = append(behind, e.value...)
		if len(behind)%2 == 1 {
			behind = append(behind, 0)
		}
	}
	out = append(out, 0, 0, 0, 0) // there is no further directory
	return append(out, behind...)
}

// asciiLetters is a JSON text in which every letter beyond ASCII is escaped.
func asciiLetters(text string) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range text {
		out = appendASCII(out, r)
	}
	return out
}

// maxSegment is what a JPEG's segment holds behind its length, in bytes.
const maxSegment = 65533

// jpegTexts are the segments of a JPEG that carry texts: EXIF, and XMP for what EXIF has no room for, as a segment ends at 64 KB. A
// text that fits into neither is left out and named. orientation is EXIF's, 0 for none.
func jpegTexts(texts []Text, orientation int) (segments []byte, left []string) {
	inside, overflow := slices.Clone(texts), []Text(nil)
	for len(inside) > 0 || orientation > 1 {
		body := appendTIFF([]byte(exifMark), inside, orientation)
		if len(body) <= maxSegment {
			segments = appendSegment(segments, body)
			break
		}
		// Nearly always the workflow: it repeats the prompt with places and colours.
		longest := slices.MaxFunc(inside, func(a, b Text) int { return len(a.Value) - len(b.Value) })
		inside = slices.DeleteFunc(inside, func(t Text) bool { return t == longest })
		overflow = append(overflow, longest)
	}
	xmp, left := jpegXMP(overflow)
	return append(segments, xmp...), left
}

// jpegXMP is an XMP segment with as many of the texts as fit.
func jpegXMP(texts []Text) (segment []byte, left []string) {
	texts = slices.Clone(texts)
	for len(texts) > 0 {
		body := appendXMP([]byte(xmpMark), texts)
		if len(body) <= maxSegment {
			return appendSegment(nil, body), left
		}
		longest := slices.MaxFunc(texts, func(a, b Text) int { return len(a.Value) - len(b.Value) })
		texts = slices.DeleteFunc(texts, func(t Text) bool { return t == longest })
		left = append(left, longest.Key)
	}
	return nil, left
}

// appendSegment appends an APP1 segment.
func appendSegment(out, body []byte) []byte {
	out = binary.BigEndian.AppendUint16(append(out, 0xff, 0xe1), uint16(2+len(body)))
	return append(out, body...)
}
