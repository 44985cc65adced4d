package cli

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
)

// galleryFlags say how the page looks and whether it is to be seen while the batch runs.
// --theme is kept in run.json, --watch is not: a run that is gone on with need not be watched.
type galleryFlags struct {
	theme string // "" is the default look
	watch bool
}

// register is called by every command that can write a page while it renders.
func (f *galleryFlags) register(cmd *cobra.Command) {
	registerTheme(cmd, &f.theme)
	cmd.Flags().BoolVar(&f.watch, "watch", false, "serve the gallery on a loopback address while the batch runs; the page follows it")
}

// registerTheme makes a flag that is shared with `comfyc gallery`, which writes the page anew without rendering.
func registerTheme(cmd *cobra.Command, theme *string) {
	cmd.Flags().StringVar(theme, "theme", "", "a built-in `THEME` ("+strings.Join(render.Themes(), ", ")+") or a folder with an extra.css, page.css, page.js or page.html of your own")
}

// themeFolder opens a theme by name, or a folder. What a theme's script does it does with the gallery's data, so it is named on the
// command line only.
func themeFolder(name string) (fs.FS, error) {
	if name == "" || slices.Contains(render.Themes(), name) {
		return render.BuiltInTheme(name)
	}
	// Neither a built-in name nor a folder: wrong usage (2). What is in the folder is read when the page is written.
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return nil, exitf(exitUsage, "there is no theme %q: it is none of %s, and no folder", name, strings.Join(render.Themes(), ", "))
	}
	return os.DirFS(name), nil
}

// options are those of the page at the end. The command line beats the batch.
// A batch can name a built-in theme only through its schema; a folder comes from the command line.
func (f *galleryFlags) options(plan *compiler.Plan) (render.GalleryOptions, error) {
	theme, err := themeFolder(orElse(f.theme, plan.Batch().Gallery.Theme))
	return render.GalleryOptions{Theme: theme}, err
}

// The page polls the manifest, so the two depend on each other: a page that asks every 2 s sees the end within 3.
const (
	watchEvery = 2 * time.Second // how often the page is written and asks, at least
	watchAfter = 3 * time.Second // how long the server stays for a page that is open to see the end
)

// watch writes the gallery again and again while a batch runs, and serves it. The caller calls stop after the last gallery is written.
// pause stops the writing and waits for a page that is being written; stop ends the server. Both do nothing without --watch. A
// port that cannot be opened is exit code 5, since loopback always has one.
func (e *Env) watch(ctx context.Context, b *run.Batch, f *galleryFlags, o render.GalleryOptions) (pause, stop func(), err error) {
	if !f.watch {
		return func() {}, func() {}, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, exitf(exitInternal, "watch: %v", err)
	}
	o.Live = int(watchEvery / time.Second) // in seconds, in the page's own script
	// Two goroutines from here on: one writes pages until pause, one serves until stop.
	ctx, cancel := context.WithCancel(ctx)
	idle := make(chan struct{})
	if err := b.WriteGallery(ctx, o); err != nil { // the first page is there before the address is printed
		cancel()
		l.Close()
		return nil, nil, err
	}
	go func() {
		defer close(idle)
		rewrite(ctx, b, o)
	}()
	// Both spellings of loopback are names that the browser may have asked for; all others are refused.
	page := &liveFiles{dir: b.Dir(), hosts: []string{l.Addr().String(), strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)}}
	// A slow or idle client is cut off; the bodies of requests are never read.
	server := &http.Server{Handler: page, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	go func() { _ = server.Serve(l) }()
	fmt.Fprintf(e.Stderr, "comfyc: watch it at http://%s/\n", l.Addr())
	pause = func() { cancel(); <-idle }
	stop = func() {
		page.linger(watchAfter)
		_ = server.Close()
	}
	return pause, stop, nil
}

// rewrite makes the page anew until the context ends, a large one less often: it takes a tenth of the time at most.
// After a page that took 3 s to write, the next is begun 30 s later.
func rewrite(ctx context.Context, b *run.Batch, o render.GalleryOptions) {
	for wait := watchEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		start := time.Now()
		_ = b.WriteGallery(ctx, o) // the last one, at the end of the run, tells of errors
		wait = max(watchEvery, 10*time.Since(start))
	}
}

// liveFiles serves the part of a run directory that a gallery shows, to this machine's browser only: the name that a request is for is
// checked, so that no other web page can read it by a name of its own.
type liveFiles struct {
	dir   string       // the run directory; nothing outside of it is served, symbolic links included
	hosts []string     // Host headers that are let in, "127.0.0.1:PORT" and "localhost:PORT"
	asked atomic.Int64 // when the manifest was last asked for, in Unix nanoseconds
}

// ServeHTTP implements http.Handler.
// ServeHTTP answers 403 for another Host (DNS rebinding), 405 for other methods than GET and HEAD, and 404 for all that is not
// part of the page: state and lock in .comfyc are never served.
func (s *liveFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	folder, _, inside := strings.Cut(name, "/")
	// Only whole names from a list, and what lies in the folders of pictures.
	shown := render.IsPage(name) ||
		inside && slices.Contains([]string{render.ImagesDir, render.ThumbsDir, render.OriginalsDir}, folder)
	switch {
	case !slices.Contains(s.hosts, r.Host):
		http.Error(w, "this address is for the browser of this machine", http.StatusForbidden)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	case !shown:
		http.NotFound(w, r)
		return
	}
	if name == render.ManifestPath { // an open page asks for this all the time, which is how linger knows of it
		s.asked.Store(time.Now().UnixNano())
	}
	// OpenInRoot refuses a path or a link that leads out of the directory.
	f, err := os.OpenInRoot(s.dir, name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	// "no-cache" lets the browser keep pictures but ask each time; with the ETag an unchanged one costs a 304.
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, path.Base(name), time.Time{}, f) // no time: the ETag alone decides, since files may change twice a second
}

// linger waits until an open page has seen the end, if there is one.
// No page that asked within the last 20 s, no waiting. It blocks for at most about 3.2 s in all.
func (s *liveFiles) linger(most time.Duration) {
	last := s.asked.Load()
	if last == 0 || time.Since(time.Unix(0, last)) > 10*watchEvery {
		return
	}
	for end := time.Now().Add(most); time.Now().Before(end) && s.asked.Load() == last; {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // for the last picture
}

// publish brings the gallery into the batch's bucket and says so.
// A batch without output.s3 has nothing to publish: nil. Trouble is exit code 3: the pictures are there, only not where they
// should be too. Files that the bucket has already are not sent again.
func (e *Env) publish(ctx context.Context, b *run.Batch) error {
	report, ok, err := b.Publish(ctx)
	switch {
	case !ok:
		return nil
	case err != nil:
		return exitf(exitIncomplete, "the gallery is complete here, but not published: %v\nRun the same command again to go on.", err)
	}
	fmt.Fprintf(e.Stderr, "comfyc: published %s: %s, %d sent, the others were there\n", report.URL, count(report.Files, "file"), report.Sent)
	return nil
}
