package script

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
)

// maxRequest and maxReply bound a line in bytes.
const (
	maxRequest = maxFiles * maxFile
	maxReply   = 64 << 20
)

// readMessage reads one JSON object of at most limit bytes, which a line feed ends.
func readMessage(in *bufio.Reader, limit int, into any) error {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return fmt.Errorf("a message of more than %d bytes", limit)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	return json.Unmarshal(line, into)
}
