package post

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A WebP is RIFF, its length in 32 bits (less these eight bytes), WEBP, and chunks; little-endian. The simple
// form has one chunk: VP8 with a blank (lossy) or VP8L (lossless). The extended form begins with VP8X: a byte
// of flags, three of nothing, and the canvas' sides.

// The bits of a VP8X chunk that say what else there is.
const (
	webpXMP   = 1 << 2
	webpEXIF  = 1 << 3
	webpAlpha = 1 << 4
)

// webpChunk is where a chunk of a file stands; size is that of its body, without the byte that makes it even.
type webpChunk struct {
	kind string
	at   int64 // of the body, from the beginning of the file
	size int64
}

// rewriteWebP copies chunks and puts texts into an EXIF chunk, whose place is behind the pixels and before XMP and all that is unknown. A file in
// the simple form, which has one chunk with the pixels and nothing else, gets the head of the extended one.
func (m Meta) rewriteWebP(w io.Writer, r io.ReadSeeker) error {
	chunks, err := webpChunks(r)
	if err != nil {
		return err
	}
	// size is what RIFF will say: it begins with the four bytes of WEBP.
	extended, kept, size := []byte(nil), []webpChunk(nil), int64(4)
	for _, c := range chunks {
		switch {
		case c.kind == "VP8X":
			if extended, err = bodyOf(r, c, 10); err != nil {
				return err
			}
		case c.kind == "EXIF" && (m.exifTexts || len(m.Text) > 0), c.kind == "XMP " && m.xmpTexts:
		default:
			kept = append(kept, c)
			size += 8 + c.size + c.size%2
		}
	}
	if extended == nil {
		if extended, err = webpHead(r, kept); err != nil {
			return err
		}
	}
	var exif []byte
	if len(m.Text) > 0 || m.exifTexts && m.Orientation > 1 {
		exif = appendTIFF(nil, m.Text, m.Orientation)
	}
	extended[0] = extended[0]&^(webpXMP|webpEXIF) | flags(kept)
	if exif != nil {
		extended[0] |= webpEXIF
		size += int64(8 + len(exif) + len(exif)%2)
	}
	// VP8X itself: eight bytes of head and ten of body.
	if size += 18; size > 1<<32-10 {
		return errors.New("the WebP would be over 4 GB")
	}
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(size))
	out = appendWebPChunk(append(out, "WEBP"...), "VP8X", extended)
	if _, err := w.Write(out); err != nil {
		return err
	}
	behind := behindPixels(kept)
	for i, c := range kept {
		if exif != nil && i == behind {
			if _, err := w.Write(appendWebPChunk(nil, "EXIF", exif)); err != nil {
				return err
			}
		}
		if err := c.copy(w, r); err != nil {
			return err
		}
	}
	if exif != nil && behind == len(kept) {
		_, err = w.Write(appendWebPChunk(nil, "EXIF", exif))
	}
	return err
}

// behindPixels is the index behind the last chunk that the pixels need: colours, frames, alpha, and the pixels themselves.
func behindPixels(chunks []webpChunk) int {
	for i := len(chunks); i > 0; i-- {
		switch chunks[i-1].kind {
		case "ICCP", "ANIM", "ANMF", "ALPH", "VP8 ", "VP8L":
			return i
		}
	}
	return 0
}

// flags are the bits of the chunks that stay.
func flags(kept []webpChunk) (bits byte) {
	for _, c := range kept {
		switch c.kind {
		case "XMP ":
			bits |= webpXMP
		case "EXIF":
			bits |= webpEXIF
		}
	}
	return bits
}

// webpChunks lists a file's chunks; the last one must end within the file.
func webpChunks(r io.ReadSeeker) (list []webpChunk, err error) {
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if _, err := r.Seek(12, io.SeekStart); err != nil {
		return nil, err
	}
	var head [8]byte
	for at := int64(12); at+8 <= end; {
		if len(list) == maxParts {
			return nil, errors.New("the WebP has too many chunks")
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, err
		}
		c := webpChunk{string(head[:4]), at + 8, int64(binary.LittleEndian.Uint32(head[4:]))}
		if c.at+c.size > end {
			return nil, fmt.Errorf("the WebP ends within its chunk %q", c.kind)
		}
		list = append(list, c)
		if at, err = r.Seek(c.at+c.size+c.size%2, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// bodyOf reads the first n bytes of a chunk.
func bodyOf(r io.ReadSeeker, c webpChunk, n int) ([]byte, error) {
	if c.size < int64(n) {
		return nil, fmt.Errorf("the WebP's chunk %q is too short", c.kind)
	}
	if _, err := r.Seek(c.at, io.SeekStart); err != nil {
		return nil, err
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

// webpHead makes the extended form's head from that of the pixels: flags, and the canvas' size less one in 24 bits each.
func webpHead(r io.ReadSeeker, chunks []webpChunk) ([]byte, error) {
	for _, c := range chunks {
		switch c.kind {
		case "VP8L":
			b, err := bodyOf(r, c, 5)
			if err != nil {
				return nil, err
			}
			// Behind a byte of signature: width less one in 14 bits, height less one in 14, a bit for alpha.
			bits := binary.LittleEndian.Uint32(b[1:])
			return canvas(bits&(1<<14-1), bits>>14&(1<<14-1), bits>>28&1 == 1), nil
		case "VP8 ":
			b, err := bodyOf(r, c, 10)
			if err != nil {
				return nil, err
			}
			// A frame's tag of three bytes and a start code of three; then 14 bits for each side, and two for
			// scaling.
			wide, high := uint32(binary.LittleEndian.Uint16(b[6:]))&0x3fff, uint32(binary.LittleEndian.Uint16(b[8:]))&0x3fff
			if wide == 0 || high == 0 {
				return nil, errors.New("the WebP has no pixels")
			}
			return canvas(wide-1, high-1, false), nil
		}
	}
	return nil, errors.New("the WebP has no pixels")
}

// canvas is the body of a VP8X chunk for a canvas whose sides are one more than given.
func canvas(wide, high uint32, alpha bool) []byte {
	b := []byte{0, 0, 0, 0, byte(wide), byte(wide >> 8), byte(wide >> 16), byte(high), byte(high >> 8), byte(high >> 16)}
	if alpha {
		b[0] = webpAlpha
	}
	return b
}

// copy copies a chunk with its head, and makes it even.
func (c webpChunk) copy(w io.Writer, r io.ReadSeeker) error {
	if _, err := r.Seek(c.at-8, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyN(w, r, 8+c.size); err != nil {
		return err
	}
	_, err := w.Write(make([]byte, c.size%2))
	return err
}

// appendWebPChunk appends a chunk, made even.
func appendWebPChunk(out []byte, kind string, body []byte) []byte {
	out = binary.LittleEndian.AppendUint32(append(out, kind...), uint32(len(body)))
	return append(append(out, body...), make([]byte, len(body)%2)...)
}
