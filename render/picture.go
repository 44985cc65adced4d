package render

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"

	"github.com/comfyc/comfyc/render/post"
)

// codec reads one image type. The global registry of package image is not used: any
// import could add a decoder to it.
type codec struct {
	mime   string                                // as DetectType gives it
	config func(io.Reader) (image.Config, error) // reads the size from the head
	decode func(io.Reader) (image.Image, error)  // reads the pixels to the end of the file
}

var codecs = []codec{
	{"image/png", png.DecodeConfig, png.Decode},
	{"image/jpeg", jpeg.DecodeConfig, jpeg.Decode},
	{"image/gif", gif.DecodeConfig, gif.Decode}, // the first frame
	{"image/webp", webp.DecodeConfig, webp.Decode},
}

// errNoDecoder is for images that browsers show and this program cannot read.
var errNoDecoder = errors.New("no decoder for this type")

// DecodePicture reads a PNG, JPEG, GIF (first frame) or WebP (not animated) of at most
// [post.MaxPixels] to its end, so that a truncated file is an error, and returns the
// size that its header declares even when the rest is not read. A panic of a decoder
// is an error. err wraps errTooLarge or errNoDecoder if the picture may be good.
func DecodePicture(r io.ReadSeeker, mime string) (img image.Image, size image.Point, err error) {
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, fmt.Errorf("damaged picture: %v", p)
		}
	}()
	for _, c := range codecs {
		if c.mime == mime {
			return c.read(r)
		}
	}
	return nil, size, errNoDecoder
}

// errTooLarge is for pictures over the pixel cap: kept, but not read.
var errTooLarge = errors.New("too many pixels")

func (c codec) read(r io.ReadSeeker) (image.Image, image.Point, error) {
	if c.mime == "image/webp" {
		if size, err := checkWebP(r); err != nil {
			return nil, size, err
		}
	}
	size, err := c.size(r)
	if err != nil {
		return nil, size, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, size, err
	}
	img, err := c.decode(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return nil, size, fmt.Errorf("damaged picture: %w", err)
	}
	return img, size, nil
}

// size reads the head of a picture and refuses what is over the pixel cap.
func (c codec) size(r io.Reader) (size image.Point, err error) {
	cfg, err := c.config(bufio.NewReader(r))
	size = image.Pt(cfg.Width, cfg.Height)
	switch {
	case err != nil:
		return size, fmt.Errorf("damaged picture: %w", err)
	case size.X < 1 || size.Y < 1:
		return size, errors.New("damaged picture: no pixels")
	// Divided, as the product of two sides of 32 bits could overflow.
	case size.X > post.MaxPixels/size.Y:
		return size, fmt.Errorf("%w: %d×%d", errTooLarge, size.X, size.Y)
	}
	return size, nil
}

// PictureSize reads the size that a picture's head declares, in pixels, and nothing behind it. Errors are those of [DecodePicture], and
// the size is 0 with each of them. r is moved.
func PictureSize(r io.ReadSeeker, mime string) (size image.Point, err error) {
	defer func() {
		if p := recover(); p != nil {
			size, err = image.Point{}, fmt.Errorf("damaged picture: %v", p)
		}
	}()
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return size, err
	}
	for _, c := range codecs {
		if c.mime == mime {
			if size, err = c.size(r); err != nil {
				return image.Point{}, err // it will not be decoded
			}
			return size, nil
		}
	}
	return size, errNoDecoder
}

// checkWebP compares the RIFF length with the file's, and finds animations, which the
// decoder does not read: for those it returns the canvas' size and errNoDecoder. It
// leaves r at its beginning.
func checkWebP(r io.ReadSeeker) (size image.Point, err error) {
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return size, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return size, err
	}
	// RIFF, size, WEBP, then the first chunk: its name at 12, its size at 16, its body at 20. Of VP8X the
	// body is flags, three bytes of nothing, and width and height less one in 24 bits each: the whole head is
	// there then. A picture of one pixel in the simple form is shorter, and the decoder says whether it is whole.
	head := make([]byte, 30)
	if n, err := io.ReadFull(r, head); err != nil && (n < 20 || string(head[12:16]) == "VP8X") {
		return size, fmt.Errorf("damaged picture: %w", err)
	}
	if int64(binary.LittleEndian.Uint32(head[4:]))+8 > end {
		return size, errors.New("damaged picture: shorter than it says")
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return size, err
	}
	const animated = 1 << 1
	if string(head[12:16]) == "VP8X" && head[20]&animated != 0 {
		return image.Pt(1+uint24(head[24:]), 1+uint24(head[27:])), errNoDecoder
	}
	return size, nil
}

// uint24 reads 24 bits, little-endian.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
