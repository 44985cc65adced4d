package bench

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect/worker"
)

// pillowPictures is how many pictures each side makes safe in one pass.
// Enough that starting Pillow's processes does not matter, and few enough for a small disk.
const pillowPictures = 24

// findPillow names a Python that has Pillow.
// No python3 of the path is tried: a Pillow that is there by chance would be an unknown version.
func findPillow() (string, error) {
	if python := os.Getenv("COMFYC_PILLOW"); python != "" {
		return exec.LookPath(python)
	}
	return "", errors.New("no Python with Pillow is named in COMFYC_PILLOW")
}

// noPillow skips the case, and says why.
func noPillow(*Env) error {
	_, err := findPillow()
	return err
}

// collectMany makes pictures safe with two goroutines, and the same pictures with Pillow in two processes, in turn.
func collectMany(e *Env, b *testing.B) error {
	python, err := findPillow()
	if err != nil {
		return err
	}
	data, err := picture(1024)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.Temp, "many")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "picture.png")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(data)
	var ours, theirs []time.Duration
	for i := 0; b.Loop(); i++ { // a new folder each time: overwriting would be cheaper than writing
		took, err := twoGoroutines(b.Context(), filepath.Join(dir, "ours"+strconv.Itoa(i)), text)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		out := filepath.Join(dir, "theirs"+strconv.Itoa(i))
		if err := os.Mkdir(out, 0o755); err != nil {
			return err
		}
		// It prints its seconds on the clock, without Python's own start.
		said, err := exec.Command(python, filepath.Join(e.Root, "bench", "peer_pillow.py"), file, strconv.Itoa(pillowPictures), out).Output()
		if err != nil {
			return fmt.Errorf("run Pillow: %w", err)
		}
		s, err := strconv.ParseFloat(strings.TrimSpace(string(said)), 64)
		if err != nil {
			return err
		}
		theirs = append(theirs, seconds(s))
	}
	rate := func(d time.Duration) float64 { return pillowPictures / d.Seconds() } // d is the time of all pictures
	b.ReportMetric(rate(middle(ours)), "pictures/s")
	b.ReportMetric(rate(middle(theirs)), "pillow-pictures/s")
	b.ReportMetric(float64(middle(theirs))/float64(middle(ours)), "of-pillow")
	b.ReportMetric(0, "ns/op")
	return nil
}

// twoGoroutines collects the pictures and writes the manifest.
// Two goroutines because the peer has two processes, whatever the machine has.
func twoGoroutines(ctx context.Context, dir, text string) (time.Duration, error) {
	// Shared by both goroutines, as in a run.
	col := &render.Collector{Dir: dir, Name: func(r int, f render.FileInfo) (string, error) { return fmt.Sprint(r), nil }}
	// Cells are filled at their own index, so no lock is needed for them.
	m := &render.Manifest{Version: render.ManifestVersion, Cells: make([]render.Cell, pillowPictures)}
	var mu sync.Mutex
	var failed error
	next := 0
	start := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next // the next picture, whoever comes first
				next++
				mu.Unlock()
				if i >= pillowPictures {
					return
				}
				got, err := col.Collect(ctx, resultOf(i, scheduler.Output{Filename: "p_1.png", Base64: text}, "SaveImage"))
				if err != nil || len(got.Done) != 1 {
					mu.Lock()
					failed = fmt.Errorf("%+v, %w", got, err)
					mu.Unlock()
					return
				}
				f := got.Done[0].Files[0] // each job owes one file
				m.Cells[i] = render.Cell{ID: fmt.Sprint(i), Index: i, State: render.StateDone, Files: []render.File{{Path: f.Path, Thumb: f.Thumb, SHA256: f.SHA256, Bytes: f.Bytes, Type: f.Type}}}
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return 0, failed
	}
	// The manifest is part of the time on both sides.
	err := m.WriteFile(filepath.Join(dir, "manifest.json"))
	return time.Since(start), err
}

// resultOf is the result of a job that owes one file.
// class decides what the file may be: a latent is bytes of any kind, a video has to look like one.
func resultOf(i int, o scheduler.Output, class string) scheduler.Result {
	return scheduler.Result{Outputs: []scheduler.Output{o},
		Job: &compiler.Job{Renders: []int{i}, Owed: []compiler.Owed{{Render: i, Node: "9", Class: class, Prefix: "p", Images: 1}}}}
}

// allocated runs f and gives how much it allocated, in bytes.
// It counts what the whole process allocates, so nothing else may run meanwhile. TotalAlloc only grows: garbage that is
// collected counts too.
func allocated(f func() error) (uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// collectBase64 counts how often the text of a 3 MB answer is copied on its way to the file: the body that was read, and what is allocated
// to take it apart and to write it.
func collectBase64(e *Env, b *testing.B) error {
	data := make([]byte, 3<<20) // 3 MiB: about 4 MiB of text, which is what platforms take in one answer
	r := rand.NewChaCha8([32]byte{1})
	// ChaCha8 bytes cannot be compressed, so no buffer is saved by luck.
	_, _ = r.Read(data) // never fails
	text := base64.StdEncoding.EncodeToString(data)
	dir, err := os.MkdirTemp(e.Temp, "base64")
	if err != nil {
		return err
	}
	// The form of worker-comfyui's answers.
	body := []byte(`{"id":"1","status":"COMPLETED","output":{"images":[{"filename":"p_1.latent","type":"base64","data":"` + text + `"}]}}`)
	col := &render.Collector{Dir: dir, Name: func(r int, f render.FileInfo) (string, error) { return fmt.Sprint(r), nil }}
	most := uint64(0)
	for i := 0; b.Loop(); i++ {
		// The path is that of a dialect: the body, its output, the outputs, the file. The body itself counts as one copy.
		n, err := allocated(func() error {
			var answer struct{ Output json.RawMessage }
			if err := json.Unmarshal(body, &answer); err != nil {
				return err
			}
			parsed := worker.Parse(answer.Output)
			if len(parsed.Outputs) != 1 {
				return fmt.Errorf("%+v", parsed.Failure)
			}
			got, err := col.Collect(b.Context(), resultOf(i, parsed.Outputs[0], "SaveLatent"))
			if err == nil && len(got.Done) != 1 {
				err = fmt.Errorf("%+v", got)
			}
			return err
		})
		if err != nil {
			return err
		}
		most = max(most, n+uint64(len(body))) // the worst turn counts: a pool that is filled once would hide in a mean
	}
	b.ReportMetric(float64(most)/float64(len(text)), "copies")
	b.ReportMetric(float64(most)/1e6, "MB-allocated")
	return nil
}

// collectVideo downloads 100 MB.
// The remote is a reader in this process, so network buffers are not in the figure.
func collectVideo(e *Env, b *testing.B) error {
	const size = 100 << 20
	dir, err := os.MkdirTemp(e.Temp, "video")
	if err != nil {
		return err
	}
	col := &render.Collector{Dir: dir, Name: func(r int, f render.FileInfo) (string, error) { return "video", nil }}
	var most uint64
	for b.Loop() {
		n, err := allocated(func() error {
			r := resultOf(0, scheduler.Output{Filename: "p_1.mp4", URL: "https://worker.example/p_1.mp4"}, "SaveVideo")
			// The head of an MP4, then zeros: content is looked at before it is kept.
			r.Fetch = func(context.Context, scheduler.Output) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(strings.NewReader("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"), io.LimitReader(zeros{}, size-32))), nil
			}
			got, err := col.Collect(b.Context(), r)
			if err == nil && (len(got.Done) != 1 || got.Done[0].Files[0].Bytes != size) {
				err = fmt.Errorf("%+v", got)
			}
			return err
		})
		if err != nil {
			return err
		}
		most = max(most, n)
	}
	b.ReportMetric(float64(most)/1e6, "MB-allocated")
	return nil
}

// zeros gives zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
