package post

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// Watermark images. They are the user's files, but a batch may come from anywhere, so they
// get the same care as a worker's: a size from the head first, then the pixels, under
// recover.

// openPicture reads a PNG or JPEG that a step names, turned as its EXIF says.
func openPicture(open Opener, path string) (pix *image.NRGBA, err error) {
	if open == nil {
		return nil, errors.New("files cannot be read here: " + path)
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer func() {
		if r := recover(); r != nil {
			pix, err = nil, fmt.Errorf("%s: damaged picture: %v", path, r)
		}
	}()
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, fmt.Errorf("%s is no picture", path)
	}
	// What is no PNG is tried as a JPEG; its decoder says so if it is none.
	mime, config, decode := "image/jpeg", jpeg.DecodeConfig, jpeg.Decode
	if string(head) == pngSignature {
		mime, config, decode = "image/png", png.DecodeConfig, png.Decode
	}
	meta := ReadMeta(f, mime)
	img, err := decodeWithin(f, config, decode)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read as PNG or JPEG: %w", path, err)
	}
	if pix, err = Convert(img); err != nil {
		return nil, err
	}
	return Orient(pix, meta.Orientation), nil
}

// decodeWithin decodes a picture of an allowed size.
func decodeWithin(f io.ReadSeeker, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error)) (image.Image, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	c, err := config(bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	if err := checkSize(c.Width, c.Height); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return decode(bufio.NewReader(f))
}
