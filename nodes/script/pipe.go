package script

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
)

// maxRequest and maxReply bound a line in bytes. The largest requests hold all files, or all that a use is given; JSON
// writes a byte of them as six at most (\u0001), and the rest of a request, a few dozen bytes for each file or value and
// the outputs of a class, stays below 16 MiB. A reply is bounded by Options.MaxOutput and MaxNodes, whose defaults stay far below.
const (
	maxRequest = 6*max(maxSource, maxArgs) + 16<<20
	maxReply   = 64 << 20
)

// readMessage reads one JSON object of at most limit bytes, which a line feed ends.
func readMessage(in *bufio.Reader, limit int, into any) error {
	var line []byte
	for {
		// ReadSlice gives what the buffer holds, 64 KiB at most, so a line that never ends is noticed before it fills
		// the memory.
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return garbled{fmt.Errorf("a message of more than %d bytes", limit)}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if err := json.Unmarshal(line, into); err != nil {
		return garbled{err}
	}
	return nil
}

// garbled is the error about a message that came and cannot be read, as against one that did not come.
type garbled struct{ error }
