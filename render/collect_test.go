package render

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// numbered names a file by its render.
func numbered(render int, _ FileInfo) (string, error) { return fmt.Sprintf("fox/%d", render), nil }

// tree lists the files below dir with their sizes, sorted.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		out = append(out, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sent is a picture as workers send it.
func sent(t *testing.T, seed int) []byte {
	return pngWith(t, landscape(40, 30, 20*seed, 1, seed), pngChunk("tEXt", fmt.Sprintf("prompt\x00{%d}", seed)))
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func owed(render int, node, prefix string) compiler.Owed {
	return compiler.Owed{Render: render, Node: node, Title: "Final", Class: "SaveImage", Prefix: prefix, Images: 1}
}

func TestCollectForms(t *testing.T) {
	pic := sent(t, 1)
	for _, c := range []struct {
		name string
		out  scheduler.Output
	}{
		{"base64", scheduler.Output{Filename: "p_00001_.png", Base64: b64(pic)}},
		{"data URI", scheduler.Output{Filename: "p_00001_.png", Base64: "data:image/png;base64," + b64(pic)}},
		{"no padding", scheduler.Output{Filename: "p_00001_.png", Base64: strings.TrimRight(b64(pic), "=")}},
		{"lines", scheduler.Output{Filename: "p_00001_.png", Base64: b64(pic)[:76] + "\r\n" + b64(pic)[76:] + "\n"}},
		{"URL alphabet", scheduler.Output{Filename: "p_00001_.png", Base64: base64.URLEncoding.EncodeToString(pic)}},
		{"URL", scheduler.Output{Filename: "p_00001_.png", URL: "https://example.invalid/x"}},
		{"no name", scheduler.Output{Base64: b64(pic)}},
		{"folder in the name", scheduler.Output{Filename: `..\..\sub/p_00001_.png`, Base64: b64(pic)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			col := &Collector{Dir: dir, Name: numbered}
			got, err := col.Collect(t.Context(), scheduler.Result{
				Job:     &compiler.Job{Renders: []int{7}, Owed: []compiler.Owed{owed(7, "9", "p")}},
				Outputs: []scheduler.Output{c.out},
				Fetch: func(context.Context, scheduler.Output) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(pic)), nil
				},
			})
			if err != nil || len(got.Done) != 1 || len(got.Done[0].Files) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			f := got.Done[0].Files[0]
			if f.Path != "images/fox/7.png" || f.Thumb != "thumbs/fox/7.jpg" || f.Width != 40 || f.Height != 30 || f.Type != "image/png" || !slices.Equal(f.Metadata, []string{"prompt"}) {
				t.Errorf("record %+v", f)
			}
			saved, err := os.ReadFile(filepath.Join(dir, f.Path))
			if err != nil || !bytes.Equal(saved, pic) || f.Bytes != int64(len(pic)) {
				t.Errorf("the saved bytes are not those that were sent: %v", err)
			}
			if got := tree(t, dir); !slices.Equal(got, []string{"images/fox/7.png", "thumbs/fox/7.jpg"}) {
				t.Errorf("files %v", got)
			}
		})
	}
}

// TestCollectFused collects a job of two renders, a batch of two pictures and two output
// nodes, twice.
func TestCollectFused(t *testing.T) {
	dir := t.TempDir()
	second := owed(1, "57:9", "c_r1_b")
	batch := owed(1, "9", "c_r1_a")
	batch.Images = 2
	job := &compiler.Job{Renders: []int{1, 10}, Owed: []compiler.Owed{batch, second, owed(10, "9", "c_r10")}}
	result := scheduler.Result{Job: job, Outputs: []scheduler.Output{
		{Filename: "c_r10_00001_.png", Base64: b64(sent(t, 5))},
		{Filename: "c_r1_a_00010_.png", Base64: b64(sent(t, 2))},
		{Filename: "c_r1_a_00009_.png", Base64: b64(sent(t, 1))},
		{Filename: "c_r1_b_00001_.png", Base64: b64(sent(t, 3))},
		{Filename: "stranger.png", Base64: b64(sent(t, 9))},
	}}
	var first scheduler.Collected
	for again := range 2 {
		col := &Collector{Dir: dir, Name: numbered}
		got, err := col.Collect(t.Context(), result)
		if err != nil || len(got.Missing) != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		if again == 0 {
			first = got
		} else if fmt.Sprint(got) != fmt.Sprint(first) {
			t.Errorf("collected again it is\n%v\nand was\n%v", got, first)
		}
	}
	var paths []string
	for _, d := range first.Done {
		for _, f := range d.Files {
			paths = append(paths, f.Path+" of "+f.Node)
		}
	}
	want := []string{"images/fox/1.png of 9", "images/fox/1-2.png of 9", "images/fox/1-n57_9.png of 57:9", "images/fox/10.png of 9"}
	if !slices.Equal(paths, want) {
		t.Errorf("paths %q\nwant  %q", paths, want)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "images/fox/1.png")); !bytes.Equal(data, sent(t, 1)) {
		t.Error("the pictures of the batch are not in the order of their counter")
	}
	if n := len(tree(t, dir)); n != 8 {
		t.Errorf("%d files, want 4 pictures and 4 thumbnails: %v", n, tree(t, dir))
	}
}

func TestCollectMissing(t *testing.T) {
	pic := sent(t, 1)
	one := []compiler.Owed{owed(0, "9", "p")}
	two := owed(0, "9", "p")
	two.Images = 2
	for _, c := range []struct {
		name    string
		owed    []compiler.Owed
		outputs []scheduler.Output
		kind    scheduler.Kind
		reason  []string
	}{
		{"nothing", one, nil, scheduler.Lost, []string{"SaveImage 9 (Final)", "without any output", "the worker says: node 4 burnt"}},
		{"another's", one, []scheduler.Output{{Filename: "q.png", Base64: b64(pic)}}, scheduler.Lost, []string{"not among the 1 that came"}},
		{"half a batch", []compiler.Owed{two}, []scheduler.Output{{Filename: "p_1.png", Base64: b64(pic)}}, scheduler.Lost, []string{"1 of 2 pictures"}},
		{"truncated", one, []scheduler.Output{{Filename: "p_1.png", Base64: b64(pic[:len(pic)-30])}}, scheduler.Lost, []string{"damaged picture"}},
		{"bad base64", one, []scheduler.Output{{Filename: "p_1.png", Base64: "iVBO*Rw0"}}, scheduler.Lost, []string{"damaged base64"}},
		{"empty", one, []scheduler.Output{{Filename: "p_1.png"}}, scheduler.Lost, []string{"empty"}},
		{"an error page", one, []scheduler.Output{{Filename: "p_1.png", Base64: b64([]byte("<html>no</html>"))}}, scheduler.Lost, []string{"no picture but text/html"}},
		{"no bucket", one, []scheduler.Output{{Filename: "p_1.png", URL: "simulated_uploaded/ab12.png"}}, scheduler.Rejected, []string{"BUCKET_ACCESS_KEY_ID"}},
		{"no bucket, newer", one, []scheduler.Output{{Filename: "p_1.png", URL: "local_upload/ab12.png"}}, scheduler.Rejected, []string{"BUCKET_ENDPOINT_URL"}},
		{"told by the dialect", one, []scheduler.Output{{Filename: "p_1.png", Problem: "a path\x1b[31m on the worker"}}, scheduler.Rejected, []string{"a path [31m on the worker"}},
		{"too large", one, []scheduler.Output{{Filename: "p_1.png", Base64: b64(make([]byte, 200_000))}}, scheduler.Rejected, []string{"limit of 100000 bytes"}},
		{"no way to fetch", one, []scheduler.Output{{Filename: "p_1.png", URL: "https://x.invalid/"}}, scheduler.Rejected, []string{"cannot fetch"}},
		{"nothing owed", nil, nil, scheduler.Rejected, []string{"owes no output"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			col := &Collector{Dir: dir, Name: numbered, MaxBytes: 100_000}
			got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: c.owed}, Outputs: c.outputs, Problems: []string{"node 4\nburnt"}})
			if err != nil || len(got.Done) != 0 || len(got.Missing) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			m := got.Missing[0]
			for _, want := range c.reason {
				if !strings.Contains(m.Reason, want) || m.Kind != c.kind {
					t.Errorf("%v: %s\nwant %v: %s", m.Kind, m.Reason, c.kind, want)
				}
			}
			if left := tree(t, dir); len(left) != 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

// TestCollectOthers keeps outputs that are no pictures.
func TestCollectOthers(t *testing.T) {
	dir := t.TempDir()
	col := &Collector{Dir: dir, Name: func(render int, f FileInfo) (string, error) { return fmt.Sprintf("%d-%d", render, f.Batch), nil }}
	sound := compiler.Owed{Node: "4", Class: "SaveAudio", Prefix: "a", Images: 1}
	got, err := col.Collect(t.Context(), scheduler.Result{
		Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{sound}},
		Outputs: []scheduler.Output{
			{Filename: "a_1.flac", Base64: b64([]byte("fLaC....."))}, {Filename: "a_2.txt", Base64: b64([]byte(strings.Repeat("ä", 4000)))},
			{Filename: "a_3.svg", Base64: b64([]byte("<svg onload=alert(1)></svg>"))}, {Filename: "a_4.exe", Base64: b64([]byte("MZ\x90\x00"))},
		},
	})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{"images/0-0.flac", "images/0-1.txt", "images/0-2.svg.txt", "images/0-3.bin"}
	if left := tree(t, dir); !slices.Equal(left, want) {
		t.Errorf("files %v", left)
	}
	if text := got.Done[0].Files[1].Text; !strings.HasSuffix(text, "ä…") || len(text) > maxText+3 {
		t.Errorf("text of %d bytes: …%q", len(text), text[len(text)-8:])
	}
}

// TestCollectTakenName gives two renders one name, in one run and after a restart.
func TestCollectTakenName(t *testing.T) {
	dir := t.TempDir()
	same := func(render int, _ FileInfo) (string, error) {
		return []string{"Fox", "fox", "other"}[render], nil
	}
	one := func(col *Collector, render int) string {
		t.Helper()
		got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{render}, Owed: []compiler.Owed{owed(render, "9", "p")}},
			Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, render))}}})
		if err != nil || len(got.Done) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		return got.Done[0].Files[0].Path
	}
	col := &Collector{Dir: dir, Name: same}
	if a, b, again := one(col, 0), one(col, 1), one(col, 0); a != "images/Fox.png" || b != "images/fox-r1.png" || again != a {
		t.Errorf("%s, %s, %s", a, b, again)
	}
	col = &Collector{Dir: dir, Name: same}
	col.Claim(0, []scheduler.FileRecord{{Path: "images/Fox.png"}})
	if b := one(col, 1); b != "images/fox-r1.png" {
		t.Errorf("after a restart the second render's file is %s", b)
	}
	col.Name = func(int, FileInfo) (string, error) { return "../../etc/x", nil }
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{2}, Owed: []compiler.Owed{owed(2, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, 2))}}})
	if err != nil || len(got.Missing) != 1 || !strings.Contains(got.Missing[0].Reason, "leads out") {
		t.Errorf("a name that leads out: %+v, %v", got, err)
	}
}

func TestCollectPost(t *testing.T) {
	dir := t.TempDir()
	steps, err := post.Parse([]byte(`[{"resize": {"width": 20, "filter": "lanczos"}}, {"format": {"type": "jpeg", "quality": 90}}]`))
	if err != nil {
		t.Fatal(err)
	}
	col := &Collector{Dir: dir, Name: numbered, Post: steps}
	got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{3}, Owed: []compiler.Owed{owed(3, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, 3))}}})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if left := tree(t, dir); !slices.Equal(left, []string{"images/fox/3.jpg", "originals/fox/3.png", "thumbs/fox/3.jpg"}) {
		t.Errorf("files %v", left)
	}
	f := got.Done[0].Files[0]
	if f.Path != "images/fox/3.jpg" || f.Original != "originals/fox/3.png" || f.Type != "image/jpeg" || f.Width != 20 || f.Height != 15 {
		t.Errorf("record %+v", f)
	}
	data, err := os.ReadFile(filepath.Join(dir, f.Path))
	if err != nil {
		t.Fatal(err)
	}
	if img, err := jpeg.Decode(bytes.NewReader(data)); err != nil || img.Bounds().Dx() != 20 || int64(len(data)) != f.Bytes {
		t.Errorf("%v, %v", img, err)
	}

	steps, _ = post.Parse([]byte(`[{"crop": {"x": 500, "width": 5, "height": 5}}]`))
	col = &Collector{Dir: t.TempDir(), Name: numbered, Post: steps}
	got, err = col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{3}, Owed: []compiler.Owed{owed(3, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, 3))}}})
	if err != nil || len(got.Done) != 1 {
		t.Fatalf("steps that do not fit cost the picture: %+v, %v", got, err)
	}
	if f := got.Done[0].Files[0]; f.Path != "originals/fox/3.png" || !strings.Contains(f.Note, "outside the picture") {
		t.Errorf("record %+v", f)
	}
}

// broken gives n bytes and then an error.
type broken struct {
	io.Reader
	err error
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func TestCollectDownloads(t *testing.T) {
	pic := sent(t, 1)
	gone := &scheduler.Error{Kind: scheduler.Lost, Endpoint: "e", Op: "fetch", Message: "404"}
	for _, c := range []struct {
		name   string
		fetch  []any // what each call gives: bytes, or an error, or *broken
		calls  int
		done   bool
		kind   scheduler.Kind
		reason string
	}{
		{"broken off once", []any{&broken{bytes.NewReader(pic[:50]), errors.New("reset")}, pic}, 2, true, 0, ""},
		{"refused twice", []any{&scheduler.Error{Kind: scheduler.Busy, Message: "429"}, errors.New("no route"), pic}, 3, true, 0, ""},
		{"never", []any{errors.New("no"), errors.New("no"), errors.New("no way")}, 3, false, scheduler.Transient, "no way"},
		{"gone", []any{gone}, 1, false, scheduler.Lost, "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			col := &Collector{Dir: t.TempDir(), Name: numbered, RetryDelays: []time.Duration{1, 1}}
			got, err := col.Collect(t.Context(), scheduler.Result{
				Job:     &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
				Outputs: []scheduler.Output{{Filename: "p_1.png", URL: "https://x.invalid/"}},
				Fetch: func(context.Context, scheduler.Output) (io.ReadCloser, error) {
					calls++
					switch give := c.fetch[calls-1].(type) {
					case error:
						return nil, give
					case *broken:
						return io.NopCloser(give), nil
					default:
						return io.NopCloser(bytes.NewReader(give.([]byte))), nil
					}
				},
			})
			if err != nil || calls != c.calls || (len(got.Done) == 1) != c.done {
				t.Fatalf("%d calls, %+v, %v", calls, got, err)
			}
			if !c.done && (!strings.Contains(got.Missing[0].Reason, c.reason) || got.Missing[0].Kind != c.kind) {
				t.Errorf("%v: %q", got.Missing[0].Kind, got.Missing[0].Reason)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	col := &Collector{Dir: t.TempDir(), Name: numbered}
	_, err := col.Collect(ctx, scheduler.Result{
		Job:     &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", URL: "https://x.invalid/"}},
		Fetch: func(context.Context, scheduler.Output) (io.ReadCloser, error) {
			cancel()
			return nil, errors.New("cut")
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestCollectAtOnce collects many results from many goroutines, also with the race
// detector, and finds nothing of an earlier process left over.
func TestCollectAtOnce(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, tempDir, "output-1")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	col := &Collector{Dir: dir, Name: numbered}
	var wg sync.WaitGroup
	for render := range 12 {
		data := sent(t, render)
		wg.Go(func() {
			got, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{render}, Owed: []compiler.Owed{owed(render, "9", "p")}},
				Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(data)}}})
			if err != nil || len(got.Done) != 1 {
				t.Errorf("render %d: %+v, %v", render, got, err)
			}
		})
	}
	wg.Wait()
	if n := len(tree(t, dir)); n != 24 {
		t.Errorf("%d files: %v", n, tree(t, dir))
	}
}

// TestCollectNoSpace tells trouble of this machine from trouble of an output.
func TestCollectNoSpace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	col := &Collector{Dir: file, Name: numbered}
	_, err := col.Collect(t.Context(), scheduler.Result{Job: &compiler.Job{Renders: []int{0}, Owed: []compiler.Owed{owed(0, "9", "p")}},
		Outputs: []scheduler.Output{{Filename: "p_1.png", Base64: b64(sent(t, 1))}}})
	if err == nil {
		t.Error("a run directory that is a file is no error")
	}
}

func FuzzInline(f *testing.F) {
	f.Add("data:image/png;base64,iVBORw0KGgo=")
	f.Add("aGVsbG8")
	f.Add("____----")
	f.Fuzz(func(t *testing.T, text string) {
		data, err := io.ReadAll(inline(text))
		if err == nil && len(data) > len(text) {
			t.Fatalf("%d bytes from %d", len(data), len(text))
		}
		if whole, err := base64.StdEncoding.DecodeString(text); err == nil {
			if got, err := io.ReadAll(inline(text)); err != nil || !bytes.Equal(got, whole) {
				t.Fatalf("%q: %q, %v; want %q", text, got, err, whole)
			}
		}
	})
}
