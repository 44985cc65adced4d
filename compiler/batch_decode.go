// From the tree of batch.yaml to a Batch. The schema was held against the tree before, so nothing is
// checked twice here: a key that is there has a value of the right type, and Get of one that is absent
// gives nil, on which every method gives its zero.

package compiler

import (
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/compiler/sweep"
)

// LoadBatch reads a batch file, YAML or JSON, and holds it against the schema. The Batch is nil if there
// is an error among the findings.
func LoadBatch(file *source.File) (*Batch, []diag.Diagnostic) {
	root, err := source.Parse(file, source.Limits{})
	if err != nil {
		return nil, []diag.Diagnostic{hintQuotes(diag.FromError(err, file.Name))}
	}
	if findings := schemaFindings("batch", root); len(findings) > 0 {
		return nil, findings
	}
	return decodeBatch(file, root), nil
}

// quotedKey is an address that begins with a quoted title and stands as a YAML key, which YAML reads as a key that ends with the quote.
var quotedKey = regexp.MustCompile(`^\s*("[^"]*"\.[^:'"]+?)\s*:`)

// hintQuotes says how an address with a quoted title is written as a key: `"My Node".text: x` is a
// mistake in YAML, '"My Node".text': x is not.
func hintQuotes(d diag.Diagnostic) diag.Diagnostic {
	if d.Code != "syntax" || d.Place.File == nil {
		return d
	}
	line, _ := d.Place.File.Position(d.Place.Start)
	text, _ := d.Place.File.Line(line)
	if m := quotedKey.FindSubmatch(text); m != nil {
		return d.Hinted("put the whole address in quotes: '" + string(m[1]) + "':")
	}
	return d
}

// decodeBatch reads a tree that fits the schema.
func decodeBatch(file *source.File, root *source.Value) *Batch {
	b := &Batch{
		File: file, Root: root, Name: root.Get("name").Str(), Workflow: root.Get("workflow"), Seed: decodeSeed(root.Get("seed")),
		Inputs: settings(root.Get("inputs")), Set: settings(root.Get("set")), Bind: settings(root.Get("bind")),
		Templates: oneOrMany(root.Get("templates")), Sweep: decodeSweep(root.Get("sweep"), root), Prompts: decodePrompts(root.Member("prompts")), Endpoints: oneOrMany(root.Get("endpoints")),
		Schedule: decodeSchedule(root.Get("schedule")), Output: decodeOutput(root.Get("output")),
		Reduction: decodePasses(root.Get("passes")),
	}
	if b.Name == "" {
		b.Name = nameOf(file.Name)
	}
	n := root.Get("notify")
	b.Notify = Notify{n.Get("webhook").Str(), n.Get("secret_env").Str()}
	g := root.Get("gallery")
	b.Gallery = Gallery{Title: g.Get("title").Str(), Rows: g.Get("rows").Str(), Cols: g.Get("cols").Str(), Pages: g.Get("pages").Str(), Theme: g.Get("theme").Str()}
	b.Gallery.NoSheet = g.Get("contact-sheet") != nil && !g.Get("contact-sheet").Bool
	return b
}

// nameOf names a batch without a name: after its file, or after its folder if the file is called batch:
// foxes/batch.yaml is foxes.
func nameOf(file string) string {
	stem := stemOf(file)
	if stem != "batch" {
		return stem
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return stem
	}
	return filepath.Base(filepath.Dir(abs))
}

// stemOf is a file's name without its folder and extension.
func stemOf(file string) string { return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) }

// decodeSeed reads any seed that ComfyUI takes, up to 2^64-1; 0 if there is none.
func decodeSeed(v *source.Value) uint64 {
	if n, ok := v.BigInt(); ok && n.IsUint64() {
		return n.Uint64()
	}
	return 0
}

// settings lists the members of an object with the places of their keys.
func settings(v *source.Value) []Setting {
	if v == nil {
		return nil
	}
	out := make([]Setting, len(v.Members))
	for i := range v.Members {
		m := &v.Members[i]
		out[i] = Setting{m.Key, diag.OfKey(m), m.Value}
	}
	return out
}

// oneOrMany takes a value that may stand alone where a list is meant.
func oneOrMany(v *source.Value) []*source.Value {
	switch {
	case v == nil:
		return nil
	case v.Kind == source.Array:
		return v.Items
	}
	return []*source.Value{v}
}

// decodeSweep keeps the parts as they are written: package sweep reads them once it is known what each axis sets.
func decodeSweep(v, root *source.Value) sweep.Spec {
	s := sweep.Spec{Matrix: v.Get("matrix"), Zip: v.Get("zip"), Include: v.Get("include"), Exclude: v.Get("exclude"), Sample: v.Get("sample")}
	s.At = diag.OfKey(root.Member("sweep"))
	return s
}

// decodeSchedule fills in the defaults, which are those of formats that people know (GitHub Actions), but
// for fail-fast: a failed picture is no reason to throw the others away.
func decodeSchedule(v *source.Value) Schedule {
	s := Schedule{Objective: "cheapest", Retries: defaultRetries, MaxParallel: defaultMaxParallel}
	if o := v.Get("objective").Str(); o != "" {
		s.Objective = o
	}
	s.Deadline, _ = parseDuration(v.Get("deadline").Str())
	if usd, ok := v.Get("budget").Get("usd").Float(); ok {
		s.BudgetUSD, s.budget = usd, diag.Of(v.Get("budget").Get("usd"))
	}
	if fuse := v.Get("fuse"); fuse.Str() == "off" { // a number k fuses k at most; auto and nothing are 0
		s.Fuse = 1
	} else if n, ok := fuse.Int(); ok {
		s.Fuse = n
	}
	if n, ok := v.Get("retries").Int(); ok {
		s.Retries = n
	}
	if n, ok := v.Get("max-parallel").Int(); ok {
		s.MaxParallel = n
	}
	s.Hedge = v.Get("hedge").Str() == "auto"
	s.FailFast = v.Get("fail-fast") != nil && v.Get("fail-fast").Bool
	s.Resubmit = v.Get("uncertain").Str() == "resubmit"
	return s
}

// decodePasses reads which passes are off; all are on where nothing is said.
func decodePasses(v *source.Value) Reduction {
	off := func(key string) bool { return v.Get(key) != nil && !v.Get(key).Bool }
	return Reduction{KeepDead: off("drop-dead"), KeepAsked: off("only-asked"), KeepEqual: off("merge-equal")}
}

// decodeOutput reads output; post and s3 stay trees for the packages that carry them out.
func decodeOutput(v *source.Value) Output {
	o := Output{Dir: v.Get("dir").Str(), Filename: v.Get("filename").Str(), Post: v.Get("post"), S3: v.Get("s3"), filename: v.Get("filename")}
	if o.Dir == "" {
		o.Dir = defaultDir
	}
	if o.Filename == "" {
		o.Filename = defaultFilename
	}
	return o
}

// parseDuration reads Go's notation and days: 90s, 30m, 2h, 1h30m, 7d; fractions are allowed, signs are
// not. False for what is none, and for more than 146 years.
func parseDuration(text string) (time.Duration, bool) {
	total := time.Duration(0)
	for rest := text; rest != ""; {
		i := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(rest[:i], 64)
		j := strings.IndexFunc(rest[i:], func(r rune) bool { return r >= '0' && r <= '9' })
		if j < 0 {
			j = len(rest) - i
		}
		unit, ok := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[rest[i:i+j]]
		if err != nil || !ok || n*float64(unit)+float64(total) > math.MaxInt64/2 {
			return 0, false
		}
		total += time.Duration(n * float64(unit))
		rest = rest[i+j:]
	}
	return total, text != ""
}

// parseSize reads 4194304, 4MiB (1024² bytes) or 10MB (1000² bytes); false for what is none, and for more
// than 2^60 bytes.
func parseSize(v *source.Value) (int64, bool) {
	if n, ok := v.Int(); ok {
		return int64(n), n >= 0
	}
	text := strings.ReplaceAll(v.Str(), " ", "")
	i := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i <= 0 {
		return 0, false
	}
	n, err := strconv.ParseFloat(text[:i], 64)
	unit, ok := map[string]float64{"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[text[i:]]
	if err != nil || !ok || n*unit > 1<<60 {
		return 0, false
	}
	return int64(n * unit), true
}
