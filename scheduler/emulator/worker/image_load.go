package worker

import (
	"errors"
	"fmt"
	"strings"
)

// loaded is what a file holds: pictures of 3 channels, and their alpha channel
// when the file's pixel format has one.
type loaded struct{ colour, alpha *tensor } // alpha has one channel, or is nil

// load reads an uploaded file.
func load(a *args, name string) (*loaded, error) {
	if a.err != nil {
		return nil, a.err
	}
	// ComfyUI marks the folder behind a name; [input] is the default.
	name = strings.TrimSuffix(name, " [input]")
	if a.env.opt.Inputs == nil {
		return nil, fmt.Errorf("invalid image file: %s (no file was uploaded)", name)
	}
	data, err := a.env.opt.Inputs(name)
	if err != nil {
		return nil, fmt.Errorf("invalid image file: %s: %w", name, err)
	}
	l, err := decodeFile(data, a.env.limit)
	if err != nil {
		return nil, fmt.Errorf("invalid image file: %s: %w", name, err)
	}
	return l, nil
}

// mask is 1 where the picture is clear; a file without alpha has an empty mask
// of 64 × 64.
func (l *loaded) mask() *tensor {
	if l.alpha == nil {
		return newTensor(l.colour.n, 64, 64, 1)
	}
	return l.alpha.each(func(v float32) float32 { return 1 - v })
}

// loadImage serves LoadImage and LoadImageOutput.
func loadImage(a *args) ([]value, error) {
	l, err := load(a, a.text("image"))
	if err != nil {
		return nil, err
	}
	return []value{picture{l.colour}, mask{l.mask()}}, nil
}

// loadImageMask gives one channel as it is, or the inverted alpha channel.
func loadImageMask(a *args) ([]value, error) {
	name, channel := a.text("image"), a.text("channel")
	if a.err == nil && channel == "" {
		a.err = errors.New("input channel is empty")
	}
	l, err := load(a, name)
	if err != nil {
		return nil, err
	}
	// ComfyUI looks at the first letter only: red, green, blue, alpha.
	switch channel[0] {
	case 'a':
		return givenMask(l.mask())
	case 'g':
		return givenMask(l.colour.channel(1))
	case 'b':
		return givenMask(l.colour.channel(2))
	}
	return givenMask(l.colour.channel(0))
}
