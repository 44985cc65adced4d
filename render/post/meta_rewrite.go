package post

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errNoTexts is for files that texts cannot be put into.
var errNoTexts = errors.New("this type of file carries no texts")

// Rewrite copies a PNG, JPEG or WebP with m's texts in place of its own; pixels, profile and everything else
// stay byte for byte, but for another program's EXIF in a WebP: there is room for one such chunk, so if there
// are texts ours takes its place and keeps its orientation only. m is what [ReadMeta] gave for the file, with
// its Text changed. left names the texts that a JPEG has no room for. r is read from its beginning and moved.
// An error says that the file's structure is damaged, or of another type; what was written then is of no use.
func Rewrite(w io.Writer, r io.ReadSeeker, mime string, m Meta) (left []string, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	switch mime {
	case "image/png":
		err = m.rewritePNG(b, r)
	case "image/jpeg":
		left, err = m.rewriteJPEG(b, r)
	case "image/webp":
		err = m.rewriteWebP(b, r)
	default:
		err = errNoTexts
	}
	if err != nil {
		return nil, err
	}
	return left, b.Flush()
}

// rewritePNG copies chunks. Texts go behind the head, as readers stop looking at the pixels.
func (m Meta) rewritePNG(w io.Writer, r io.Reader) error {
	head := make([]byte, pngHead)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:8]) != pngSignature || string(head[12:16]) != "IHDR" {
		return errors.New("the PNG does not begin with its head")
	}
	head = appendPNGTexts(head, m.Text)
	// The chunk that held texts is left out below; how the picture is to be turned must survive it.
	if m.exifTexts && m.Orientation > 1 {
		head = appendPNGChunk(head, "eXIf", appendTIFF(nil, nil, m.Orientation))
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	var next [8]byte
	for range maxParts {
		if _, err := io.ReadFull(r, next[:]); err != nil {
			return fmt.Errorf("the PNG does not end: %w", err)
		}
		size, kind := int64(binary.BigEndian.Uint32(next[:4])), string(next[4:])
		if size > 1<<31-1 {
			return errors.New("a chunk of the PNG is longer than is allowed")
		}
		to := w
		if kind == "tEXt" || kind == "zTXt" || kind == "iTXt" || kind == "eXIf" && m.exifTexts {
			to = io.Discard
		}
		if _, err := to.Write(next[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(to, r, size+4); err != nil {
			return err
		}
		if kind == "IEND" { // what lies behind the picture is kept too
			_, err := io.Copy(w, r)
			return err
		}
	}
	return errors.New("the PNG has too many chunks")
}

// rewriteJPEG copies segments. EXIF that holds something other than our texts stays; ours go to XMP then.
func (m Meta) rewriteJPEG(w io.Writer, r io.Reader) (left []string, err error) {
	var ours []byte
	if m.exif && !m.exifTexts {
		ours, left = jpegXMP(m.Text)
	} else {
		ours, left = jpegTexts(m.Text, m.Orientation)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	if mark, err := in.Peek(2); err != nil || string(mark) != "\xff\xd8" {
		return nil, errors.New("the JPEG does not begin as one")
	}
	if _, err := io.CopyN(w, in, 2); err != nil {
		return nil, err
	}
	for range maxParts {
		head, err := in.Peek(4)
		if err != nil {
			return nil, fmt.Errorf("the JPEG does not end: %w", err)
		}
		if head[0] != 0xff {
			return nil, errors.New("the JPEG's segments are damaged")
		}
		if len(ours) > 0 && head[1] != 0xe0 { // JFIF's own segment must stay the first
			if _, err := w.Write(ours); err != nil {
				return nil, err
			}
			ours = nil
		}
		if head[1] == 0xda { // the pixels
			_, err := io.Copy(w, in)
			return left, err
		}
		size := 2 + int64(binary.BigEndian.Uint16(head[2:]))
		to := w
		if head[1] == 0xe1 && m.replaces(in) {
			to = io.Discard
		}
		if _, err := io.CopyN(to, in, size); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the JPEG has too many segments")
}

// replaces tells whether the APP1 segment that comes next is one that holds texts which are written anew.
func (m Meta) replaces(in *bufio.Reader) bool {
	// 0xff, the kind, two bytes of length, then the mark that says whose segment it is.
	start, _ := in.Peek(4 + len(xmpMark))
	body := start[min(4, len(start)):]
	return m.exifTexts && bytes.HasPrefix(body, []byte(exifMark)) || m.xmpTexts && bytes.HasPrefix(body, []byte(xmpMark))
}
