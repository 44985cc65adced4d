package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/schemas"
)

// initFlags are the flags of `comfyc init`. What is not given is asked for on a terminal, else the default is taken.
type initFlags struct {
	workflow, name, endpoint, id, url, gpu, worker, keyEnv string    // --id is the platform's, --url a whole address; one of them is enough
	price                                                  float64   // USD a second; 0 writes none
	set, sweep                                             []string  // as in `comfyc render`: ADDRESS=VALUE and ADDRESS=VALUES
	yes                                                    bool      // --yes: take every default, also on a terminal
	now                                                    time.Time // the price is as of
}

// cmdInit ends with 2 if what it needs was neither given nor found, with 1 if the workflow or the batch made of it is wrong.
// Then nothing was written.
func cmdInit(env *Env) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "write a first batch.yaml and an endpoints file for a workflow",
		Long: `Writes batch.yaml, comfyc-endpoints.yaml (unless the batch runs on the preview endpoint) and the schemas that editors check them with,
into DIR or the working directory. On a terminal it asks for what the flags do not say. Files that are there already are never replaced.

The batch sweeps the seed, and lists what else the workflow offers to sweep, with the values it has now.`,
		Example: "  comfyc init --workflow flux.json\n  comfyc init foxes --workflow flux.json --endpoint novita --id 0f43a6867e05fddd --gpu rtx4090 --sweep cfg=3-6",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return env.init(cmd.Context(), dir, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.workflow, "workflow", "", "the workflow `file`: API or UI form, or a picture that carries one")
	flags.StringVar(&f.name, "name", "", "the batch's `name`; the workflow's if it is not given")
	flags.StringVar(&f.endpoint, "endpoint", "", "the `type` of the endpoint: "+strings.Join(dialect.Types(), ", "))
	flags.StringVar(&f.id, "id", "", "the endpoint's `id` at Novita or RunPod")
	flags.StringVar(&f.url, "url", "", "or its whole `URL`")
	flags.StringVar(&f.gpu, "gpu", "", "the endpoint's `GPU`: rtx4090, h100, …")
	flags.StringVar(&f.worker, "worker", "", "the worker `image`, which tells its models and the form of its answers")
	flags.StringVar(&f.keyEnv, "key-env", "", "the environment `variable` with the key, if it is not the platform's usual one")
	flags.Float64Var(&f.price, "price", 0, "what a second costs, in `USD`")
	flags.StringArrayVar(&f.set, "set", nil, "set an input, `ADDRESS=VALUE`")
	flags.StringArrayVar(&f.sweep, "sweep", nil, "vary an input, `ADDRESS=VALUES`, instead of the seed")
	flags.BoolVarP(&f.yes, "yes", "y", false, "ask nothing")
	return cmd
}

// init asks first, compiles what it would write, and writes last: a batch that does not compile is never left behind.
func (e *Env) init(ctx context.Context, dir string, f *initFlags) error {
	f.now = e.Now()
	q := questions{env: e, in: bufio.NewScanner(e.Stdin), ask: e.Terminal && !f.yes}
	if err := q.workflow(dir, f); err != nil {
		return err
	}
	if err := q.endpoint(f); err != nil {
		return err
	}
	// The batch names its workflow relative to itself; where that cannot be (another drive on Windows), as it was given.
	workflow, err := filepath.Rel(dir, f.workflow)
	if err != nil {
		workflow = f.workflow
	}
	batch, err := e.firstBatch(ctx, dir, filepath.ToSlash(workflow), f)
	if err != nil {
		return err
	}
	return e.writeFirst(dir, f, batch)
}

// writeFirst writes all files, or none if one of those with the user's words in it is there.
// Only batch.yaml holds such words. An endpoints file that is there is kept as it is; what it lacks for the batch is said.
func (e *Env) writeFirst(dir string, f *initFlags, batch string) error {
	files := []struct {
		name, text string
		keep       bool // one that is there already is as good
	}{{"batch.yaml", batch, false}, {compiler.EndpointsFileName, f.endpointsText(), true}, {"batch.schema.json", schema("batch"), true}, {"endpoints.schema.json", schema("endpoints"), true}}
	if exists(filepath.Join(dir, "batch.yaml")) {
		return exitf(exitUsage, "%s is there already; init replaces nothing", filepath.Join(dir, "batch.yaml"))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return exitf(exitInput, "%v", err)
	}
	for _, file := range files {
		path := filepath.Join(dir, file.name)
		if file.text == "" { // the preview endpoint has no endpoints file
			continue
		}
		if file.keep && exists(path) {
			e.mention(path, f)
			continue
		}
		if err := writeFile(path, []byte(file.text)); err != nil {
			return exitf(exitInput, "%v", err)
		}
		fmt.Fprintln(e.Stdout, path)
	}
	e.nextSteps(filepath.Join(dir, "batch.yaml"), f)
	return nil
}

// mention says so if an endpoints file that is kept lacks the endpoint that the batch names, with the lines to add. One that cannot be read is told
// of by the next command.
func (e *Env) mention(path string, f *initFlags) {
	if filepath.Base(path) != compiler.EndpointsFileName {
		return
	}
	file, err := source.ReadFile(path)
	if err != nil {
		return
	}
	root, err := source.Parse(file, source.Limits{})
	if err != nil || root.Get("endpoints").Get(f.endpointName()) != nil {
		return
	}
	_, lines, _ := strings.Cut(f.endpointsText(), "endpoints:\n")
	fmt.Fprintf(e.Stderr, "comfyc: %s is kept as it is, and has no endpoint %s, which the batch names; add:\n%s", path, f.endpointName(), lines)
}

// schema gives "" for a name that is not there, which writeFirst would skip.
func schema(name string) string {
	text, _ := schemas.Text(name)
	return text
}

// nextSteps says what to do now.
// It goes to stderr: stdout has the paths of the files that were written, and nothing else. The order is that of growing cost:
// look, plan, preview, render.
func (e *Env) nextSteps(batch string, f *initFlags) {
	if key := f.key(); key != "" && e.Getenv(key) == "" {
		fmt.Fprintf(e.Stderr, "comfyc: the key is missing: export %s=…\n", key)
	}
	if f.endpoint != "preview" {
		fmt.Fprintf(e.Stderr, "comfyc: is the endpoint there?         comfyc doctor --endpoints %s\n", filepath.Join(filepath.Dir(batch), compiler.EndpointsFileName))
	}
	fmt.Fprintf(e.Stderr, "comfyc: what would it do and cost?     comfyc plan %s\ncomfyc: see it without paying:         comfyc render %s --preview\n", batch, batch)
	if f.endpoint != "preview" {
		fmt.Fprintf(e.Stderr, "comfyc: render it:                     comfyc render %s --max-cost 1\n", batch)
	}
}

// key is the variable of the endpoint's key, "" if it needs none.
// The two platforms' variables are the ones that need no --allow-key for the platforms' own hosts.
func (f *initFlags) key() string {
	if f.keyEnv != "" {
		return f.keyEnv
	}
	return map[string]string{"novita": "NOVITA_API_KEY", "runpod": "RUNPOD_API_KEY"}[f.endpoint]
}

// endpointName is the name in the endpoints file: type and GPU.
// For example "novita-rtx4090", or "comfyui-1" if no GPU is named.
func (f *initFlags) endpointName() string {
	if f.gpu == "" {
		return f.endpoint + "-1"
	}
	return f.endpoint + "-" + strings.ToLower(f.gpu)
}

// endpointsText is the endpoints file; "" for the preview endpoint, which needs none.
// Keys that are not known are left out, and so take the type's defaults.
func (f *initFlags) endpointsText() string {
	if f.endpoint == "preview" {
		return ""
	}
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=endpoints.schema.json\nendpoints:\n  " + plain(f.endpointName()) + ":\n    type: " + f.endpoint + "\n")
	line := func(key, value string) {
		if value != "" {
			b.WriteString("    " + key + ": " + plainOrURL(value) + "\n")
		}
	}
	line("url", f.address())
	line("key_env", f.key())
	line("gpu", f.gpu)
	line("worker", f.worker)
	// as_of says later how old the figure is; the month is enough. The figure is written without an exponent, as people read
	// prices.
	if f.price > 0 {
		fmt.Fprintf(&b, "    price: {usd_per_second: %s, as_of: %s}\n", strconv.FormatFloat(f.price, 'f', -1, 64), f.now.Format("2006-01"))
	}
	return b.String()
}

// plainOrURL leaves addresses and image names, whose colons are followed by no space, as people write them.
// "runpod/worker-comfyui:5.5.0" stays bare; what is not plain even without its colons is quoted.
func plainOrURL(s string) string {
	if plainText.MatchString(strings.ReplaceAll(s, ":", "")) {
		return s
	}
	return quote(s)
}

// address is the endpoint's URL, made of its id if it is not given.
// "" if neither is known: `comfyui` and `serverless` have no address that an id could be put into.
func (f *initFlags) address() string {
	switch {
	case f.url != "":
		return f.url
	case f.id != "" && f.endpoint == "novita":
		return "https://async.novita.ai/v1/" + f.id
	case f.id != "" && f.endpoint == "runpod":
		return "https://api.runpod.ai/v2/" + f.id
	}
	return ""
}

// questions asks on a terminal.
// Questions go to stderr, answers come from stdin a line at a time (of at most 64 KiB, the scanner's bound).
type questions struct {
	env *Env
	in  *bufio.Scanner
	ask bool // stdin is only read if this is true: in a pipe it may belong to another program
}

// answer asks for one value; what is given already, and the default where nothing is asked or said, is taken.
// The order is: what a flag gave, what is typed, the default. The end of the input counts as an empty line.
func (q *questions) answer(given *string, question, otherwise string) {
	if *given != "" {
		return
	}
	*given = otherwise
	if !q.ask {
		return
	}
	hint := ""
	if otherwise != "" {
		hint = " [" + otherwise + "]"
	}
	fmt.Fprintf(q.env.Stderr, "%s%s: ", question, hint)
	if q.in.Scan() {
		if text := strings.TrimSpace(q.in.Text()); text != "" {
			*given = text
		}
	}
}

// workflow finds out which workflow it is: the only one in the folder needs no question.
// With several and no terminal it is exit code 2, with their names in the message: guessing would sweep the wrong picture.
func (q *questions) workflow(dir string, f *initFlags) error {
	candidates := workflowsIn(dir)
	otherwise := ""
	if len(candidates) == 1 || q.ask && len(candidates) > 0 {
		otherwise = candidates[0]
	}
	if q.ask && len(candidates) > 1 && f.workflow == "" {
		fmt.Fprintf(q.env.Stderr, "Workflows here: %s\n", strings.Join(candidates, ", "))
	}
	q.answer(&f.workflow, "Workflow file", otherwise)
	if f.workflow == "" {
		found := "there is none in " + dir
		if len(candidates) > 1 {
			found = "there are " + strings.Join(candidates, ", ")
		}
		return exitf(exitUsage, "which workflow? Give it with --workflow FILE; %s", found)
	}
	return nil
}

// maxLooked bounds the files of a folder that are opened to see whether they are workflows, and maxLookedBytes the size of one.
// A home folder can hold anything; a workflow of more than 4 MiB is no first batch.
const maxLooked, maxLookedBytes = 200, 4 << 20

// workflowsIn lists the files of a folder that hold workflows, by name.
// A folder that cannot be read gives none. The order is by name, as ReadDir sorts.
func workflowsIn(dir string) (out []string) {
	entries, _ := os.ReadDir(dir)
	for i, entry := range entries {
		info, err := entry.Info()
		if i == maxLooked {
			break
		}
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxLookedBytes || !slices.Contains([]string{".json", ".png", ".webp"}, strings.ToLower(filepath.Ext(entry.Name()))) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		file, err := source.ReadFile(path)
		if err != nil {
			continue
		}
		if prompt, _ := compiler.Convert(file, nil); hasNodes(prompt) { // UI form, API form and pictures alike: whatever converts
			out = append(out, path)
		}
	}
	return out
}

// hasNodes tells a prompt from any other object, which conversion lets through.
// Conversion passes API form through without a look at its nodes, so any JSON object would count; a workflow has at least one
// class_type.
func hasNodes(prompt *source.Value) bool {
	return prompt != nil && slices.ContainsFunc(prompt.Members, func(m source.Member) bool { return m.Value.Get("class_type") != nil })
}

// endpoint finds out where to render.
// The two serverless platforms are known by id; the others need a URL. The worker image may be unknown: then models and nodes
// are not checked.
func (q *questions) endpoint(f *initFlags) error {
	q.answer(&f.endpoint, "Endpoint type ("+strings.Join(dialect.Types(), ", ")+")", "preview")
	if !slices.Contains(dialect.Types(), f.endpoint) {
		return exitf(exitUsage, "there is no endpoint type %q; %s", f.endpoint, orElse(diag.Suggest(f.endpoint, dialect.Types()), "there are "+strings.Join(dialect.Types(), ", ")))
	}
	if f.endpoint == "preview" {
		return nil
	}
	if f.endpoint == "novita" || f.endpoint == "runpod" {
		if f.url == "" {
			q.answer(&f.id, "Endpoint id, as the platform's console shows it", "")
		}
		q.answer(&f.gpu, "GPU", "rtx4090")
		q.answer(&f.worker, "Worker image (empty if you do not know)", "")
	} else {
		q.answer(&f.url, "URL", map[string]string{"comfyui": "http://127.0.0.1:8188"}[f.endpoint])
	}
	if f.address() == "" {
		return exitf(exitUsage, "where is the endpoint? Give its id with --id, or its URL with --url")
	}
	return nil
}
