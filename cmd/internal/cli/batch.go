package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

// batchFlags are the flags of the commands that compile a batch.
type batchFlags struct {
	nodes, endpointsFile string   // --nodes, --endpoints; "" means the built-in catalogue and the usual places
	endpoints, allowKeys []string // the names of --endpoint, in order, and the pairs of --allow-key
	preview, verbose     bool     // --preview replaces all endpoints; --verbose shows findings of severity info too
	expand               bool     // language models may be asked (prompts.expand) although nothing is rendered
	maxCost              float64  // USD of --max-cost; 0 leaves schedule.budget as it is
	seed                 int64    // --seed; below 0 is "not given", since 0 is a seed like any other
	set, sweep           []string // for a workflow without a batch
	write                string   // the file of --write; it must not be there yet
	cache                cacheFlags
}

// register is called by check, plan and render, and by the commands that read a record back: the names of the flags are
// therefore also the keys in run.json.
func (f *batchFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.nodes, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	flags.StringVar(&f.endpointsFile, "endpoints", "", "the endpoints `file`, instead of comfyc-endpoints.yaml beside the batch or in the user's configuration")
	flags.StringArrayVar(&f.endpoints, "endpoint", nil, "run on this endpoint instead of the batch's; may be given several times")
	flags.BoolVar(&f.preview, "preview", false, "run on the built-in preview endpoint, which costs nothing")
	flags.StringArrayVar(&f.allowKeys, "allow-key", nil, "let the key in `VARIABLE=HOST` go to that host")
	flags.Float64Var(&f.maxCost, "max-cost", 0, "stop before more than this many `USD` are spent, instead of schedule.budget")
	flags.StringArrayVar(&f.set, "set", nil, "with a workflow instead of a batch: set an input, `ADDRESS=VALUE`")
	flags.StringArrayVar(&f.sweep, "sweep", nil, "with a workflow instead of a batch: vary an input, `ADDRESS=VALUES` (a list, a range, {random: 4})")
	flags.StringVar(&f.write, "write", "", "with a workflow: save what --set and --sweep say as this batch `file`")
	f.cache.register(cmd)
	flags.Int64Var(&f.seed, "seed", -1, "the seed of all that is random, instead of the batch's")
}

// compile turns the batch file into a plan, prints the findings, and ends the command if there is an error among them.
// The error carries an exit code: 2 for flags that do not go together, 1 for all that is wrong with files. run tells the
// compiler that money may be spent next: then a missing key is an error and not a warning.
func (e *Env) compile(ctx context.Context, file string, f *batchFlags, run bool) (*compiler.Plan, error) {
	if f.preview && len(f.endpoints) > 0 {
		return nil, exitf(exitUsage, "--preview and --endpoint do not go together")
	}
	cat, err := e.catalogue(f.nodes)
	if err != nil {
		return nil, err
	}
	text, err := source.ReadFile(file)
	if err != nil {
		return nil, e.failed([]diag.Diagnostic{diag.FromError(err, file)})
	}
	// Most findings end in exit code 1 at once; from here on the compiler knows the text and can point into it.
	src := e.source(f)
	src.Catalogue, src.Run = cat, run
	if src.File, src.Dir, err = batchFile(text, f); err != nil {
		return nil, err
	}
	// A plan asks no language model unless --expand says so, because `plan` promises to spend nothing.
	if run || f.expand {
		src.Asker = e.asker(&src)
	}
	// A nil plan means that at least one finding is an error; findings beside a plan are warnings and remarks.
	plan, findings := compiler.Compile(ctx, src)
	if plan == nil {
		return nil, e.failed(findings)
	}
	e.print(atLeast(f.shown(), findings))
	return plan, nil
}

// shown is what is printed of findings that stop nothing: warnings, and remarks with -v.
func (f *batchFlags) shown() diag.Severity {
	if f.verbose {
		return diag.Info
	}
	return diag.Warning
}

// batchFile is the file as it is, if it is a batch; for a workflow it is a batch made of the flags, and the folder that its paths start from.
// What IsBatch looks at is the content, not the name: `comfyc render flow.json` and `comfyc render batch.yaml` are told apart
// by their keys. For a batch dir is "", and the compiler takes the folder of the file.
func batchFile(file *source.File, f *batchFlags) (batch *source.File, dir string, err error) {
	if compiler.IsBatch(file) {
		if len(f.set)+len(f.sweep) > 0 || f.write != "" {
			return nil, "", exitf(exitUsage, "--set, --sweep and --write go with a workflow; in a batch, write set: and sweep:")
		}
		return file, "", nil
	}
	dir, name := filepath.Split(file.Name)
	// The saved batch names its workflow relative to itself, as all paths in a batch are, so it works from wherever it is run.
	if f.write != "" {
		if name, err = filepath.Rel(filepath.Dir(f.write), file.Name); err != nil {
			return nil, "", exitf(exitUsage, "--write %s: %v", f.write, err)
		}
		dir = filepath.Dir(f.write)
	}
	text, err := compiler.BatchText(filepath.ToSlash(name), f.set, f.sweep)
	if err != nil {
		return nil, "", exitf(exitUsage, "%v", err)
	}
	// Without --write the text has no file: findings point into "command line", and paths start where the workflow lies.
	if f.write == "" {
		return source.NewFile("command line", text), orElse(dir, "."), nil
	}
	// Checked before the write and without a lock: --write is for people at a prompt, who would lose a file they wrote by hand.
	if exists(f.write) {
		return nil, "", exitf(exitUsage, "%s is there already; --write does not replace files", f.write)
	}
	if err := writeFile(f.write, text); err != nil {
		return nil, "", exitf(exitInput, "%v", err)
	}
	return source.NewFile(f.write, text), dir, nil
}

// allowedKeys gives the pairs of --allow-key: variable → hosts that its key may go to.
// A pair without "=" allows the empty host, which none has. The same variable may stand in several pairs.
func allowedKeys(pairs []string) map[string][]string {
	allow := map[string][]string{}
	for _, pair := range pairs {
		name, host, _ := strings.Cut(pair, "=")
		allow[name] = append(allow[name], host)
	}
	return allow
}

// source is what the flags say of a batch that is to be compiled.
// Everything that a batch must not decide for itself comes from here: where keys may go, the user's own configuration folder,
// the environment.
func (e *Env) source(f *batchFlags) compiler.Source {
	src := compiler.Source{Scripts: e.scripts(), Endpoints: f.endpoints, EndpointsFile: f.endpointsFile, AllowKeys: f.allowKeys, Env: e.lookup, MaxUSD: f.maxCost}
	// The endpoints file in this folder is the user's own, and so may name any pair of key variable and host.
	if e.ConfigDir != "" {
		src.ConfigDir = filepath.Join(e.ConfigDir, "comfyc")
	}
	if f.preview {
		src.Endpoints = []string{"preview"} // the name that is built in; it has no price and needs no key
	}
	if f.seed >= 0 {
		seed := uint64(f.seed)
		src.Seed = &seed // a copy, since nil is what says "the batch's own seed"
	}
	return src
}

// lookup is Getenv with the difference between an empty variable and none.
// An empty variable counts as none: `KEY= comfyc …` is how people switch one off for a single command.
func (e *Env) lookup(name string) (string, bool) {
	v := e.Getenv(name)
	return v, v != ""
}

// atLeast leaves out what is less severe.
// Severities are numbered from the worst (error is 0), hence the comparison. The order of the findings, which is by place,
// stays.
func atLeast(s diag.Severity, findings []diag.Diagnostic) []diag.Diagnostic {
	var out []diag.Diagnostic
	for _, d := range findings {
		if d.Severity <= s {
			out = append(out, d)
		}
	}
	return out
}

// runDir is the folder that a batch's pictures go to.
// A relative output.dir starts at the batch file and not at the working directory, so that a batch writes to one folder
// wherever it is started.
func runDir(file string, plan *compiler.Plan) string {
	dir := filepath.FromSlash(plan.Batch().Output.Dir)
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(filepath.Dir(file), dir)
}

// exists tells whether a path is there.
// A path that may not be looked at (no permission on a folder above it) counts as not there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
