package render

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// maxPNGChunks bounds the walk over a file's chunks.
const maxPNGChunks = 4096

// wantedKeys are the text chunks that ComfyUI or comfyc can read back.
var wantedKeys = []string{"prompt", "workflow", "comfyc"}

// pngTextKeys lists which of the wanted keys a PNG's text chunks have, sorted. It
// reads headers only, inflates nothing, and stops quietly where the file is damaged.
func pngTextKeys(r io.ReadSeeker) []string {
	if _, err := r.Seek(8, io.SeekStart); err != nil {
		return nil
	}
	var keys []string
	var head [8]byte
	key := make([]byte, 80)
	for range maxPNGChunks {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			break
		}
		size, kind := int64(binary.BigEndian.Uint32(head[:4])), string(head[4:])
		if kind == "IEND" || size > 1<<31-1 {
			break
		}
		if kind == "tEXt" || kind == "iTXt" || kind == "zTXt" {
			n, err := io.ReadFull(r, key[:min(size, int64(len(key)))])
			if err != nil {
				break
			}
			size -= int64(n)
			if name, _, ok := bytes.Cut(key[:n], []byte{0}); ok && slices.Contains(wantedKeys, string(name)) {
				keys = append(keys, string(name))
			}
		}
		if _, err := r.Seek(size+4, io.SeekCurrent); err != nil {
			break
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
