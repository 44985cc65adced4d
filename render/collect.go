package render

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/comfyc/comfyc/compiler/filename"
	"github.com/comfyc/comfyc/render/post"
	"github.com/comfyc/comfyc/scheduler"
)

// Folders of a run directory.
const (
	ImagesDir    = "images"
	ThumbsDir    = "thumbs"
	OriginalsDir = "originals"

	tempDir = ".comfyc/tmp" // emptied by the first use of a collector
)

// Collector makes the outputs of results safe in a run directory. It implements
// [scheduler.Sink]. Its fields are set before first use and not changed after. It may
// be used from many goroutines at once; MaxMemory bounds how many of them hold a
// decoded picture, GOMAXPROCS at most.
type Collector struct {
	// Dir is the run directory. It is made when it is missing. No other process may
	// collect into it at the same time, unless it is Shared.
	Dir string
	// Shared says that other processes collect other renders into Dir meanwhile. Then what a
	// killed one was receiving stays in .comfyc/tmp.
	Shared bool
	// Name gives the path of one file of a render below images/, with forward slashes and
	// without an extension; see package filename. Equal arguments must give equal names. Two renders
	// must not be given the same name: if they are, the later one gets a suffix.
	Name func(render int, f FileInfo) (string, error)
	// Post is applied to each picture. If there are steps, the outputs as they came are in
	// originals/ and what became of them in images/. It is short for a Recipe of one
	// variant without a name.
	Post []post.Step
	// Recipe is what is made of each picture, used if Post is empty. A variant with a name
	// has its files below images/NAME/; each is a file of the render, the first one first.
	Recipe post.Recipe
	// Token gives the value of a token in a text of the recipe, such as axis.prompt or seed; nil
	// knows none. See [TokenText].
	Token func(render int, f FileInfo, token string) (string, bool)
	// MaxBytes bounds one output, in bytes; 0 is DefaultMaxBytes.
	MaxBytes int64
	// Provenance says what the pictures of a render carry of where they come from. nil leaves their metadata as it came, apart from
	// secrets.
	Provenance func(render int) Provenance
	// Secrets are texts that must not stand in any file's metadata, such as the keys in use. What has the form or the name of a secret
	// is taken out in any case.
	Secrets []string
	// Object opens an output that a worker names by an s3:// URL. nil refuses those.
	Object func(ctx context.Context, url string, from scheduler.Resume) (io.ReadCloser, error)
	// Depot, if it is set, must have the files of a render before it is done; see [Depot].
	Depot Depot
	// Keeper is told what is safe. May be nil.
	Keeper Keeper
	// MaxMemory bounds what pictures take together while they are decoded and made into others, in bytes; 0 is DefaultMaxMemory. A single
	// picture of [post.MaxPixels] may take more.
	MaxMemory int64
	// RetryDelays are the pauses before an interrupted download is tried again; nil is
	// DefaultRetryDelays. Empty means one try.
	RetryDelays []time.Duration

	once   sync.Once
	memory *memory
	mu     sync.Mutex
	claims map[string]int // filename.Key of a path without extension → render
}

// DefaultMaxBytes bounds one output: 2 GiB.
const DefaultMaxBytes = 2 << 30

// DefaultRetryDelays make two tries in all: the scheduler looks at a result again
// whose files could not be fetched.
var DefaultRetryDelays = []time.Duration{500 * time.Millisecond}

// FileInfo is what a file's name may be made of besides its render.
type FileInfo struct {
	Node          string // the output node's id
	Batch         int    // index in the image batch, from 0
	Width, Height int    // in pixels, 0 if unknown
}

var _ scheduler.Sink = (*Collector)(nil)

// Claim tells the collector, before its first use, which files a render already has
// from an earlier run, so that no other render is given their names.
func (c *Collector) Claim(render int, files []scheduler.FileRecord) {
	c.init()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		c.claims[claimKey(f.Path)] = render
		if f.Original != "" {
			c.claims[claimKey(f.Original)] = render
		}
	}
}

// claimKey is the key of a file's path: the name below its folder without extension.
func claimKey(path string) string {
	if _, rest, ok := strings.Cut(path, "/"); ok {
		path = rest
	}
	for _, ext := range []string{".html.txt", ".svg.txt", ".xml.txt"} {
		if s, ok := strings.CutSuffix(path, ext); ok {
			return filename.Key(s)
		}
	}
	if dot := strings.LastIndexByte(path, '.'); dot > strings.LastIndexByte(path, '/') {
		path = path[:dot]
	}
	return filename.Key(path)
}

// init makes what the zero value lacks. All entry points call it, as a Collector is made as a literal.
func (c *Collector) init() {
	c.once.Do(func() {
		c.claims = make(map[string]int)
		c.memory = newMemory(c.MaxMemory)
		if c.MaxMemory <= 0 {
			c.memory = newMemory(DefaultMaxMemory)
		}
		// What an earlier process was receiving when it ended belongs to nobody.
		if !c.Shared {
			_ = os.RemoveAll(filepath.Join(c.Dir, tempDir))
		}
	})
}

// Collect implements [scheduler.Sink]. A render is Done if at least as many files as
// each of its outputs owes came whole. The same result again gives the same files and
// the same answer.
func (c *Collector) Collect(ctx context.Context, result scheduler.Result) (scheduler.Collected, error) {
	c.init()
	var out scheduler.Collected
	matched := match(result.Job, result.Outputs)
	// Render by render: what one lacks does not keep the others of a merged job from being done.
	for _, render := range result.Job.Renders {
		files, err := c.collectRender(ctx, &result, render, matched)
		if err == nil {
			err = c.deposit(ctx, files)
		}
		var bad *badOutput
		switch {
		case errors.As(err, &bad):
			out.Missing = append(out.Missing, bad.missing(render))
		case err != nil:
			return out, fmt.Errorf("collect from %s: %w", result.Endpoint.Name, err)
		default:
			out.Done = append(out.Done, scheduler.DoneRender{Render: render, Files: files})
			if c.Keeper != nil {
				c.Keeper.KeepRender(ctx, &result, render)
			}
		}
	}
	return out, nil
}

// collectRender collects the files of one render. What is wrong with an output is a
// *badOutput; any other error concerns this machine or the context.
func (c *Collector) collectRender(ctx context.Context, result *scheduler.Result, render int, matched [][]scheduler.Output) ([]scheduler.FileRecord, error) {
	var files []scheduler.FileRecord
	first := true
	for i, owed := range result.Job.Owed {
		if owed.Render != render {
			continue
		}
		// More than is owed is kept too: how many pictures a node gives is not always known beforehand.
		if want := max(1, owed.Images); len(matched[i]) < want {
			return nil, missing(owed, len(matched[i]), result)
		}
		for batch, o := range matched[i] {
			made, err := c.collectFile(ctx, result, o, place{owed, batch, first})
			if err != nil {
				return nil, err
			}
			files = append(files, made...)
		}
		first = false
	}
	if len(files) == 0 {
		return nil, &badOutput{scheduler.Rejected, "this render owes no output"}
	}
	return files, nil
}

// collectFile brings one output to its final name and makes the records of what became
// of it: one, or one for each variant.
func (c *Collector) collectFile(ctx context.Context, result *scheduler.Result, o scheduler.Output, p place) ([]scheduler.FileRecord, error) {
	got, err := c.receive(ctx, result, o)
	if err != nil {
		return nil, p.explain(err)
	}
	defer got.drop()
	if got.typ.Kind == KindImage {
		size, _ := PictureSize(got.file, got.typ.MIME) // what is wrong with it inspect will say
		// From here on, until this function is left, the picture may be decoded.
		giveBack, err := c.memory.take(ctx, int64(size.X)*int64(size.Y))
		if err != nil {
			return nil, err
		}
		defer giveBack()
	}
	if err := inspect(got, p); err != nil {
		return nil, p.explain(err)
	}
	if err := c.embed(got, result, p); err != nil {
		return nil, err
	}
	c.tellKeeper(ctx, result, got, p)
	name, err := c.fileName(p, got)
	if err != nil {
		return nil, p.explain(err)
	}
	rec := scheduler.FileRecord{
		Node: p.owed.Node, Title: p.owed.Title, Type: got.typ.MIME, SHA256: got.sha256, Bytes: got.size,
		Width: got.pixels.X, Height: got.pixels.Y, Preview: result.Endpoint.Preview,
		Metadata: keysOf(got.meta.Text), Text: got.text, Note: got.note,
	}
	return c.store(rec, got, name, p)
}

// recipe is what is made of each picture.
func (c *Collector) recipe() post.Recipe {
	if len(c.Post) > 0 {
		return post.Recipe{Variants: []post.Variant{{Steps: c.Post}}}
	}
	return c.Recipe
}

// store renames the received file and writes what is derived from it. The picture is
// safe before anything is derived; a failure of the derived parts leaves them out.
func (c *Collector) store(rec scheduler.FileRecord, got *received, name string, p place) ([]scheduler.FileRecord, error) {
	folder, recipe := ImagesDir, c.recipe()
	if got.img != nil && len(recipe.Variants) > 0 {
		folder = OriginalsDir
	}
	rec.Path = folder + "/" + name + got.typ.Ext
	if err := got.keep(c.path(rec.Path)); err != nil {
		return nil, err
	}
	if got.safe != nil {
		got.safe(c.path(rec.Path))
	}
	if got.img == nil {
		return []scheduler.FileRecord{rec}, nil
	}
	if folder == OriginalsDir {
		return c.process(rec, got, name, p, recipe)
	}
	err := c.thumb(&rec, got.img, name)
	return []scheduler.FileRecord{rec}, err
}

// path is where a file of the run directory lies.
func (c *Collector) path(slashed string) string {
	return filepath.Join(c.Dir, filepath.FromSlash(slashed))
}

// thumb writes the thumbnail of a picture.
func (c *Collector) thumb(rec *scheduler.FileRecord, img image.Image, name string) error {
	thumb := ThumbsDir + "/" + name + ".jpg"
	if err := WriteThumb(c.path(thumb), img); err != nil {
		return diskTrouble(err)
	}
	rec.Thumb = thumb
	return nil
}

// diskTrouble passes on errors of this machine; what is wrong with a picture was found
// before and costs it only what is derived.
func diskTrouble(err error) error {
	var path *os.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return err
	}
	return nil
}
