package web

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Serve returns also if Shutdown comes at the moment at which it begins, or before.
func TestShutdownAtTheStart(t *testing.T) {
	for range 200 {
		s := &Site{}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := s.Serve(ln); err != nil {
				t.Error(err)
			}
		})
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	}
}
