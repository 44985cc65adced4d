package nodes

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/comfyc/comfyc/compiler/source"
)

// The compact form: a zstd frame around a first line with packHeader, then one line per class, sorted: the name as a JSON string, a blank,
// and the definition as JSON without line breaks. So the index is made by looking for line ends, and a class costs nothing until it is used.
const packHeader = "comfyc catalogue 1\n"

// maxUnpacked bounds the text of a catalogue: 64 MiB. The built-in one has less than 1 MiB.
const maxUnpacked = 64 << 20

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd} // 0xfd2fb528, little-endian (RFC 8878)

// pack compresses a catalogue's text. Equal texts give equal bytes.
func pack(text []byte) ([]byte, error) {
	// One goroutine: with more, where a block ends would depend on the machine, and the bytes would not be equal.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress a catalogue: %w", err)
	}
	defer w.Close()
	return w.EncodeAll(text, nil), nil
}

// unpack reads the compact form and indexes its lines.
func unpack(data []byte) (*Catalogue, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, fmt.Errorf("decompress a catalogue: %w", err)
	}
	defer r.Close()
	text, err := r.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress a catalogue: %w", err)
	}
	text, ok := bytes.CutPrefix(text, []byte(packHeader))
	if !ok {
		return nil, errors.New("this is no catalogue of this version; make it again with `comfyc nodes import`")
	}
	return index(text)
}

// index finds the lines of a catalogue's text, whose names must be sorted.
func index(text []byte) (*Catalogue, error) {
	count := bytes.Count(text, []byte{'\n'})
	if count > maxClasses {
		return nil, fmt.Errorf("a catalogue of %d classes; at most %d are read", count, maxClasses)
	}
	// One allocation for all, as there are hundreds.
	entries := make([]entry, count)
	c := &Catalogue{entries: make(map[string]*entry, count), names: make([]string, 0, count)}
	for i := range entries {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		name, def, ok := cutName(line)
		// Line 1 is the header, so class i stands on line i+2. Out of order also means that a name is there twice.
		if !ok || i > 0 && name <= c.names[i-1] {
			return nil, fmt.Errorf("line %d of the catalogue is broken", i+2)
		}
		entries[i].text = def
		c.entries[name] = &entries[i]
		c.names = append(c.names, name)
	}
	return c, nil
}

// cutName takes the name off a line. Names with escapes are rare; the others need no decoder.
func cutName(line []byte) (string, []byte, bool) {
	at := bytes.Index(line, []byte(`" {`))
	if at < 1 || line[0] != '"' {
		return "", nil, false
	}
	if bytes.IndexByte(line[:at], '\\') < 0 {
		return string(line[1:at]), line[at+2:], true
	}
	name, err := source.ParseJSON(source.NewFile("", line[:at+1]), source.Limits{})
	return name.Str(), line[at+2:], err == nil
}

// parseClass reads one line's definition. Its values are given no place, as they stand in no file that a user has. A broken text gives an
// empty definition: only a catalogue that was changed by hand has one.
func parseClass(text []byte) *source.Value {
	v, err := source.ParseJSON(source.NewFile("catalogue", text), source.Limits{})
	if err != nil {
		return source.NewObject()
	}
	unplace(v)
	return v
}

// unplace takes the places off a tree.
func unplace(v *source.Value) {
	v.File, v.Start, v.End = nil, 0, 0
	for _, item := range v.Items {
		unplace(item)
	}
	for i := range v.Members {
		v.Members[i].KeyStart, v.Members[i].KeyEnd = 0, 0
		unplace(v.Members[i].Value)
	}
}
