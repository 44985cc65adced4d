package dialect_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
)

// speaking is a server whose websocket says some texts and ends.
type speaking []string

// RoundTrip implements http.RoundTripper.
func (s speaking) RoundTrip(r *http.Request) (*http.Response, error) {
	var frames bytes.Buffer
	for _, text := range s {
		frames.Write(textFrame(text))
	}
	return &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{}, Request: r, Body: silent{&frames}}, nil
}

// silent is a connection that takes whatever is written.
type silent struct{ io.Reader }

func (silent) Write(p []byte) (int, error) { return len(p), nil }
func (silent) Close() error                { return nil }

// textFrame is a whole text as a server sends it.
func textFrame(text string) []byte {
	frame := binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(len(text)))
	return append(frame, text...)
}
