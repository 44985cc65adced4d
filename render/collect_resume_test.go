package render

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/scheduler"
)

// part is a body that begins somewhere and breaks off after n bytes.
type part struct {
	io.Reader
	at scheduler.Resume
}

func (p *part) Close() error             { return nil }
func (p *part) Resume() scheduler.Resume { return p.at }

// TestCollectResume goes on with a download that breaks off again and again, begins anew where the file has changed or parts are not to
// be had, and gives up in the end.
func TestCollectResume(t *testing.T) {
	pic := sent(t, 1)
	give := func(from, n int, match string) *part {
		return &part{&broken{bytes.NewReader(pic[from:min(len(pic), from+n)]), errors.New("reset")}, scheduler.Resume{From: int64(from), Match: match}}
	}
	whole := func(from int, match string) *part {
		return &part{bytes.NewReader(pic[from:]), scheduler.Resume{From: int64(from), Match: match}}
	}
	step := len(pic) / 8
	for name, c := range map[string]struct {
		asked  []int64 // where each call asks to begin
		bodies []*part
		done   bool
	}{
		"again and again": {[]int64{0, int64(step), int64(2 * step), int64(3 * step)}, []*part{give(0, step, "v"), give(step, step, "v"), give(2*step, step, "v"), whole(3*step, "v")}, true},
		"changed":         {[]int64{0, int64(step)}, []*part{give(0, step, "v"), whole(0, "w")}, true},
		"no parts":        {[]int64{0, 0}, []*part{give(0, step, ""), whole(0, "")}, true},
		"wrong part":      {[]int64{0, int64(step), 0}, []*part{give(0, step, "v"), whole(1, "v"), whole(0, "v")}, true},
		"no gain":         {[]int64{0, int64(step), int64(step)}, []*part{give(0, step, "v"), give(step, 0, "v"), give(step, 0, "v")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			col := &Collector{Dir: t.TempDir(), Name: numbered, RetryDelays: []time.Duration{1, 1}}
			got, err := col.Collect(t.Context(), scheduler.Result{
				Job:     &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
				Outputs: []scheduler.Output{{Filename: "p_1.png", URL: "https://x.invalid/"}},
				Fetch: func(_ context.Context, o scheduler.Output) (io.ReadCloser, error) {
					if calls++; calls > len(c.bodies) {
						return nil, errors.New("no more")
					}
					if o.Resume.From != c.asked[calls-1] {
						t.Errorf("call %d asks for byte %d, want %d", calls, o.Resume.From, c.asked[calls-1])
					}
					return c.bodies[calls-1], nil
				},
			})
			if err != nil || (len(got.Done) == 1) != c.done {
				t.Fatalf("%d calls, %+v, %v", calls, got, err)
			}
			if c.done && (calls != len(c.bodies) || got.Done[0].Files[0].Bytes != int64(len(pic))) {
				t.Errorf("%d calls, %+v", calls, got.Done[0].Files[0])
			}
			if left := tree(t, col.Dir); !c.done && len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestCollectObject: an address in a bucket is opened by credentials of our own, or not at all.
func TestCollectObject(t *testing.T) {
	pic := sent(t, 1)
	result := scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}}, Outputs: []scheduler.Output{{Filename: "p_1.png", URL: "s3://b/k.png"}},
		Fetch: func(context.Context, scheduler.Output) (io.ReadCloser, error) {
			return nil, errors.New("the dialect was asked")
		}}
	col := &Collector{Dir: t.TempDir(), Name: numbered}
	got, err := col.Collect(t.Context(), result)
	if err != nil || len(got.Missing) != 1 || !strings.Contains(got.Missing[0].Reason, "output.s3") {
		t.Errorf("%+v, %v", got, err)
	}
	col.Object = func(_ context.Context, url string, _ scheduler.Resume) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(pic))), map[bool]error{true: nil, false: errors.New(url)}[url == "s3://b/k.png"]
	}
	if got, err = col.Collect(t.Context(), result); err != nil || len(got.Done) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMemoryCancelled: one that waits for room goes when its context ends, and takes nothing with it.
func TestMemoryCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1000 * pixelBytes)
		back, err := m.take(t.Context(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := m.take(ctx, 1)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		back()
		if m.free != m.total {
			t.Errorf("%d of %d free", m.free, m.total)
		}
	})
}

// TestMemory lets in what fits, one larger than everything alone, and nobody waits for ever.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1000 * pixelBytes)
		var inside, most, large atomic.Int64
		var wg sync.WaitGroup
		for i := range 40 {
			pixels := int64([]int{100, 600, 5000, 1}[i%4])
			wg.Go(func() {
				back, err := m.take(t.Context(), pixels)
				if err != nil {
					t.Error(err)
					return
				}
				defer back()
				if inside.Add(1) > 1 && pixels == 5000 {
					large.Add(1)
				}
				most.Store(max(most.Load(), inside.Load()))
				time.Sleep(time.Second)
				inside.Add(-1)
			})
		}
		wg.Wait()
		if n := most.Load(); large.Load() > 0 || n > int64(runtime.GOMAXPROCS(0)) || n < 1 || m.free != m.total {
			t.Errorf("at most %d at once, %d large ones beside others, %d of %d free", n, large.Load(), m.free, m.total)
		}
	})
}
