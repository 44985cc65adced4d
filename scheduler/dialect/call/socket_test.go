package call

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// spoken is a websocket whose server has said something and ended; what is written to it is kept.
type spoken struct {
	io.Reader
	sent bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) { return s.sent.Write(p) }
func (s *spoken) Close() error                { return nil }

type upgrading struct{ conn *spoken }

func (u upgrading) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 101, Header: http.Header{}, Request: r, Body: u.conn}, nil
}

// listened gives the texts that were heard, and what ended it.
func listened(t *testing.T, said string) (texts []string, sent []byte, err error) {
	t.Helper()
	conn := &spoken{Reader: strings.NewReader(said)}
	c, err := New(Options{Endpoint: "ep", Base: "http://ws.invalid", Transport: upgrading{conn}})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Listen(context.Background(), "/ws", func() {}, func(text []byte) { texts = append(texts, string(text)) })
	return texts, conn.sent.Bytes(), err
}

// TestFrames reads what servers send: whole texts, texts in parts with a ping between, pictures, and what breaks the rules.
func TestFrames(t *testing.T) {
	for name, c := range map[string]struct {
		said  string
		texts string // separated by |
		ends  string // part of the error
	}{
		"a text":                {"\x81\x02hi", "hi", "EOF"},
		"two, one of them long": {"\x81\x7e\x00\x03abc\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x01d", "abc|d", "EOF"},
		"in parts":              {"\x01\x02he\x89\x01p\x80\x03llo", "hello", "EOF"},
		"a picture between":     {"\x82\x04\x89PNG\x81\x01x", "x", "EOF"},
		"a picture in parts":    {"\x02\x01a\x80\x01b\x81\x01x", "x", "EOF"},
		"a close":               {"\x88\x02\x03\xe8\x81\x01x", "", "the server closed it"},
		"half a frame":          {"\x81\x05hi", "", "unexpected EOF"},
		"a masked frame":        {"\x81\x82abcdhi", "", "no server may send"},
		"an extension":          {"\xc1\x02hi", "", "no server may send"},
		"an unknown opcode":     {"\x83\x00", "", "no server may send"},
		"a large text":          {"\x81\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "", "a text of more than"},
		"a negative size":       {"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "", "a text of more than"},
		"a large picture":       {"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "", "a message of"},
		"a large ping":          {"\x89\x7e\x01\x00", "", "a control frame of"},
	} {
		texts, _, err := listened(t, c.said)
		if got := strings.Join(texts, "|"); got != c.texts || err == nil || !strings.Contains(err.Error(), c.ends) {
			t.Errorf("%s: heard %q, %v; want %q and %q", name, got, err, c.texts, c.ends)
		}
	}
}

// TestPong: a ping is answered with its own data, masked as a client has to.
func TestPong(t *testing.T) {
	_, sent, _ := listened(t, "\x89\x03abc")
	if len(sent) < 9 || sent[0] != 0x8a || sent[1] != 0x83 {
		t.Fatalf("sent %x", sent)
	}
	for i, want := range []byte("abc") {
		if got := sent[6+i] ^ sent[2+i]; got != want {
			t.Errorf("byte %d is %q", i, got)
		}
	}
}

// FuzzFrames: whatever a server sends, the reader ends, and no text is longer than its bound.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x02hi\x89\x01p"))
	f.Add([]byte("\x01\x7e\x00\x03abc\x80\x7f\x00\x00\x00\x00\x00\x00\x00\x01d"))
	f.Fuzz(func(t *testing.T, said []byte) {
		s := &socket{conn: &spoken{Reader: bytes.NewReader(said)}, r: bufio.NewReader(bytes.NewReader(said)), timer: time.NewTimer(time.Hour)}
		defer s.timer.Stop()
		for {
			text, err := s.next()
			if err != nil {
				return
			}
			if len(text) > len(said) {
				t.Fatalf("%d bytes out of %d", len(text), len(said))
			}
		}
	})
}
