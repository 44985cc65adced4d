package worker

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
)

// PNG is written here and not by image/png, which knows no text chunks and
// would first want a picture in its own types. Readers get the same pixels
// either way.

// text is one tEXt chunk.
type text struct{ key, value string } // Latin-1 once it is written

// encodePNG writes one picture of 1 to 4 channels with 8 or 16 bits a sample,
// rows of samples most significant byte first. It is quick rather than small.
func encodePNG(rows []byte, w, h, channels, depth int, notes []text) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("\x89PNG\r\n\x1a\n")
	head := make([]byte, 13)
	binary.BigEndian.PutUint32(head, uint32(w))
	binary.BigEndian.PutUint32(head[4:], uint32(h))
	// The colour type by channels: 0 grey, 4 grey and alpha, 2 RGB, 6 RGBA.
	// What follows is 0: deflate, the standard filters, not interlaced.
	head[8], head[9] = byte(depth), [...]byte{0, 0, 4, 2, 6}[channels]
	chunk(&out, "IHDR", head)
	// Before the pixels, where readers look for them.
	for _, n := range notes {
		chunk(&out, "tEXt", append(append([]byte(latin1(n.key)), 0), latin1(n.value)...))
	}
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := writeRows(z, rows, w*channels*depth/8, channels*depth/8); err != nil {
		return nil, err
	}
	chunk(&out, "IDAT", packed.Bytes())
	chunk(&out, "IEND", nil)
	return out.Bytes(), nil
}

// writeRows filters and compresses the rows. Each row is stored as the
// difference to the row above or to the pixel at its left, whichever is smaller
// in sum.
func writeRows(z *zlib.Writer, rows []byte, stride, pixel int) error {
	above := make([]byte, stride)
	up, sub := make([]byte, stride+1), make([]byte, stride+1)
	// The number of a row's filter stands before it: 2 is Up, 1 is Sub.
	up[0], sub[0] = 2, 1
	for len(rows) > 0 {
		row := rows[:stride]
		rows = rows[stride:]
		sumUp, sumSub := 0, 0
		for i, v := range row {
			d := v - above[i]
			up[i+1] = d
			sumUp += size8(d)
		}
		// The first pixel has nothing at its left.
		copy(sub[1:], row[:pixel])
		for i := pixel; i < stride; i++ {
			d := row[i] - row[i-pixel]
			sub[i+1] = d
			sumSub += size8(d)
		}
		best := up
		if sumSub < sumUp {
			best = sub
		}
		if _, err := z.Write(best); err != nil {
			return err
		}
		above = row
	}
	return z.Close()
}

// size8 is how far a difference, taken as signed, is from 0.
func size8(d byte) int {
	v := int(int8(d))
	return max(v, -v)
}

// chunk writes one PNG chunk.
func chunk(out *bytes.Buffer, kind string, data []byte) {
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(data)))
	out.Write(n[:])
	out.WriteString(kind)
	out.Write(data)
	// The checksum covers kind and data, not the length.
	sum := crc32.Update(crc32.ChecksumIEEE([]byte(kind)), crc32.IEEETable, data)
	binary.BigEndian.PutUint32(n[:], sum)
	out.Write(n[:])
}

// latin1 makes text fit for a tEXt chunk; other characters become question marks.
func latin1(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r == 0 || r > 255 {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return string(out)
}
