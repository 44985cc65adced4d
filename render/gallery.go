package render

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// The page's parts. They stand in the page itself, so that it is one file that opens
// from disk and asks for nothing but its pictures.
var (
	//go:embed gallery/page.html
	pageHTML string
	//go:embed gallery/page.css
	pageCSS string
	//go:embed gallery/js/*.js
	scripts embed.FS
	//go:embed gallery/themes
	themeFolders embed.FS
)

// pageJS is the script: its parts in the order of their names.
var pageJS = sync.OnceValue(func() string {
	var b strings.Builder
	names, _ := fs.Glob(scripts, "gallery/js/*.js") // the pattern is right, and embedded files can be read
	for _, name := range names {
		text, _ := scripts.ReadFile(name)
		b.Write(text)
	}
	return b.String()
})

// Themes are the names of the built-in themes, the usual one first.
func Themes() []string { return []string{"plain", "paper", "contrast"} }

// BuiltInTheme gives one of [Themes] as a folder; nil, which overrides nothing, for the usual one and the empty name. The error says
// which there are.
func BuiltInTheme(name string) (fs.FS, error) {
	if name == "" || name == "plain" {
		return nil, nil
	}
	if !slices.Contains(Themes(), name) {
		return nil, fmt.Errorf("there is no theme %q, only %s", name, strings.Join(Themes(), ", "))
	}
	return fs.Sub(themeFolders, "gallery/themes/"+name)
}

// GalleryOptions change how a gallery is made. The zero value is the usual gallery.
type GalleryOptions struct {
	// Title replaces the manifest's.
	Title string
	// Theme overrides parts of the page: a page.html, page.css or page.js in it stands in
	// for the built-in one, and what extra.css says comes after page.css. nil overrides nothing.
	// Scripts in it run with the gallery's data: a theme is as trusted as a program.
	Theme fs.FS
	// Live makes a page that follows the batch: over HTTP it asks for manifest.json beside it every so many seconds, from disk it loads
	// itself anew, until the manifest is no longer Running. 0 makes a page that never looks again.
	Live int
	// NoSheet leaves out contact-sheet.png.
	NoSheet bool
}

// maxThemeFile bounds a file of a theme, in bytes.
const maxThemeFile = 1 << 20

// parts are the page's sources with a theme's in place of the built-in ones.
type parts struct{ html, css, js string }

// themed reads a theme's files over the built-in ones. One that the theme lacks stays; one that is too
// large, or would end its element in the page, is an error.
func themed(theme fs.FS) (parts, error) {
	p := parts{pageHTML, pageCSS, pageJS()}
	if theme == nil {
		return p, nil
	}
	extra := ""
	for _, f := range []struct {
		name string
		text *string
	}{{"page.html", &p.html}, {"page.css", &p.css}, {"page.js", &p.js}, {"extra.css", &extra}} {
		data, err := readTheme(theme, f.name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return p, fmt.Errorf("theme: %w", err)
		default:
			*f.text = strings.ToValidUTF8(data, "\uFFFD")
		}
	}
	p.css += extra
	for _, f := range []struct{ name, text string }{{"css", p.css}, {"js", p.js}} {
		if strings.Contains(strings.ToLower(f.text), "</s") { // would end its element: </style, </script
			return p, fmt.Errorf("theme: the %s of the page has a closing tag in it", f.name)
		}
	}
	return p, nil
}

// readTheme reads one file of a theme, of at most maxThemeFile bytes.
func readTheme(theme fs.FS, name string) (string, error) {
	f, err := theme.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxThemeFile+1))
	if err == nil && len(data) > maxThemeFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxThemeFile)
	}
	return string(data), err
}

// page is what the template sees. CSS and JS are this package's own; Data is JSON in
// which no <, > or & stands.
type page struct {
	Title, CSP string
	Live       int
	CSS        template.CSS // not escaped: checked by themed
	JS, Data   template.JS  // not escaped: Data is JSON without <, > and &
}

// Gallery writes the page of a manifest. It needs no other file; the pictures, which
// the page names by their paths, must lie beside it. Equal manifests give equal bytes.
// Everything of the manifest is in the page as data, with the cells in order of their index,
// and the page's policy lets no script run but its own. m is only read.
func Gallery(w io.Writer, m *Manifest, opt GalleryOptions) error {
	// What is given out for the manifest: its Cells stand behind the others, in order.
	shown := struct {
		Manifest
		Cells []*Cell `json:"cells"`
	}{*m, m.inOrder()}
	shown.Gallery = m.layout()
	if opt.Title != "" {
		shown.Gallery.Title = opt.Title
	}
	if shown.Axes == nil {
		shown.Axes = []Axis{}
	}
	// json.Marshal escapes <, >, &, U+2028 and U+2029.
	data, err := json.Marshal(&shown)
	if err != nil {
		return err
	}
	p, err := themed(opt.Theme)
	if err != nil {
		return err
	}
	t, err := template.New("page").Parse(p.html)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	err = t.Execute(b, page{
		Title: shown.Gallery.Title, CSP: p.policy(opt.Live > 0), Live: opt.Live, CSS: template.CSS(p.css), JS: template.JS(p.js), Data: template.JS(data),
	})
	if err != nil {
		return err
	}
	return b.Flush()
}

// policy is the page's Content-Security-Policy: its own style and script by hash, and
// pictures, video and sound from beside it. On disk 'self' is not the same folder in
// every browser, so file: stands there too.
func (p parts) policy(live bool) string {
	csp := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src 'self' file: data:; media-src 'self' file:; base-uri 'none'; form-action 'none'",
		sourceHash(p.css), sourceHash(p.js))
	if live { // to ask for the manifest beside it
		csp += "; connect-src 'self'"
	}
	return csp
}

// sourceHash is how a policy names an inline style or script: by the SHA-256 of its text, in base64.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// layout is the manifest's layout with what it leaves open filled in: a title, and,
// when no side has an axis, rows and columns by [DefaultLayout].
func (m *Manifest) layout() Layout {
	l := m.Gallery
	if l.Rows == "" && l.Cols == "" && l.Pages == "" {
		l = DefaultLayout(m.Axes)
		l.Title = m.Gallery.Title
	}
	if l.Title == "" {
		l.Title = m.Name
	}
	if l.Title == "" {
		l.Title = "Gallery"
	}
	return l
}

// maxDefaultCols is how many columns can still be looked over at once.
const maxDefaultCols = 12

// DefaultLayout chooses sides for the axes that have several values: the last one that
// is short enough becomes the columns, the first other one the rows. A sweep with one
// such axis has no sides: its pictures flow.
func DefaultLayout(axes []Axis) Layout {
	var l Layout
	var wide []Axis
	for _, a := range axes {
		if len(a.Values) > 1 {
			wide = append(wide, a)
		}
	}
	if len(wide) < 2 {
		return l
	}
	for i := len(wide) - 1; i >= 0 && l.Cols == ""; i-- {
		if len(wide[i].Values) <= maxDefaultCols {
			l.Cols = wide[i].Name
		}
	}
	for _, a := range wide {
		if a.Name != l.Cols && l.Rows == "" {
			l.Rows = a.Name
		}
	}
	return l
}

// WriteGallery reads dir/manifest.json and writes dir/index.html, dir/index.csv and dir/contact-sheet.png,
// each whole or not at all. It may be called again at any time.
func WriteGallery(dir string, opt GalleryOptions) error {
	m, err := ReadManifestFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return err
	}
	return m.writeViews(dir, opt)
}

// WriteRun writes dir/manifest.json and the gallery made from it.
func (m *Manifest) WriteRun(dir string, opt GalleryOptions) error {
	if err := m.WriteFile(filepath.Join(dir, "manifest.json")); err != nil {
		return err
	}
	return m.writeViews(dir, opt)
}

// writeViews makes all that is derived from the manifest. A live page gets no contact sheet: it would be
// drawn anew every few seconds.
func (m *Manifest) writeViews(dir string, opt GalleryOptions) error {
	err := writeFile(filepath.Join(dir, "index.html"), func(w io.Writer) error { return Gallery(w, m, opt) })
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "index.csv"), m.WriteCSV); err != nil || opt.NoSheet || opt.Live > 0 {
		return err
	}
	return m.WriteSheet(dir)
}
