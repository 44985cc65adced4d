package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
	"github.com/comfyc/comfyc/scheduler/durable"
)

// maxObjectInfo bounds an /object_info answer: 256 MiB. The largest installations known answer with about 20 MB.
const maxObjectInfo = 256 << 20

// cmdNodes is a family with one flag for all: --nodes names the catalogue that ls, show and types read instead of the built-in
// one. import makes such a file.
func cmdNodes(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "nodes", Short: "the node classes known: list, show, import from a ComfyUI server"}
	file := cmd.PersistentFlags().String("nodes", "", "an /object_info `file` instead of the built-in catalogue")
	cmd.AddCommand(nodesList(env, file), nodesShow(env, file), nodesImport(env), nodesTypes(env, file))
	return cmd
}

// catalogue loads the snapshot that a --nodes flag names, or gives the built-in one.
// Built-in or not, the catalogue is read-only from here on and is shared by all goroutines of the command.
func (e *Env) catalogue(file string) (*nodes.Catalogue, error) {
	if file == "" {
		return nodes.BuiltIn(), nil
	}
	f, err := source.ReadFile(file)
	if err != nil {
		return nil, e.failed([]diag.Diagnostic{diag.FromError(err, file)})
	}
	// Warnings of a snapshot that can be used are not printed; an error leaves no catalogue, and ends with 1.
	c, findings := nodes.LoadFile(f)
	if c == nil {
		return nil, e.failed(findings)
	}
	return c, nil
}

// failed prints findings and ends the command with exit code 1.
// The return value is for `return e.failed(…)`: Main prints nothing more.
func (e *Env) failed(findings []diag.Diagnostic) error {
	e.print(findings)
	return silent(exitInput)
}

// print ignores that stderr may be closed: the exit code still says what happened.
func (e *Env) print(findings []diag.Diagnostic) {
	_ = diag.Print(e.Stderr, findings, diag.Options{Color: e.color()})
}

// nodesList prints in the catalogue's order, one name a line. Nothing that fits is no error: exit code 0 and no output.
func nodesList(env *Env, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "ls [PATTERN]",
		Short: "list class names; PATTERN is a glob such as 'KSampler*'",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := env.catalogue(*file)
			if err != nil {
				return err
			}
			for _, name := range c.Names() {
				if len(args) == 1 {
					// path.Match, not filepath.Match: class names may hold slashes and backslashes, and must read alike on all
					// systems.
					if ok, err := path.Match(args[0], name); err != nil {
						return exitf(exitUsage, "%q is no pattern: %v", args[0], err)
					} else if !ok {
						continue
					}
				}
				fmt.Fprintln(env.Stdout, name)
			}
			return nil
		},
	}
}

// nodesShow is for reading, not for parsing; a class that is not there gives the nearest name, and exit code 1.
func nodesShow(env *Env, file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "show CLASS",
		Short: "print a class's inputs, with types, ranges and options, and its outputs",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := env.catalogue(*file)
			if err != nil {
				return err
			}
			class, ok := c.Class(args[0])
			if !ok {
				return exitf(exitInput, "there is no class %q; %s", args[0],
					orElse(diag.Suggest(args[0], c.Names()), "`comfyc nodes ls` lists them"))
			}
			showClass(env.Stdout, class)
			return nil
		},
	}
}

// showClass prints inputs in the order of their definition, which is also that of widgets in the UI, and outputs with the index
// that links use.
func showClass(w io.Writer, c *nodes.Class) {
	fmt.Fprintf(w, "%s\n", c.Name)
	if c.DisplayName != "" && c.DisplayName != c.Name {
		fmt.Fprintf(w, "  shown as %q\n", c.DisplayName)
	}
	fmt.Fprintf(w, "  category %s, module %s\n", orElse(c.Category, "none"), orElse(c.Module, "unknown"))
	if c.OutputNode {
		fmt.Fprintln(w, "  an output node: execution starts from it")
	}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		fmt.Fprintf(w, "  %-8s %-24s %s\n", in.Group, in.Name, describeInput(in))
	}
	for i, out := range c.Outputs {
		fmt.Fprintf(w, "  output %d %-24s %s\n", i, out.Name, out.Type)
	}
}

// describeInput prints an input's type with what bounds it.
// Long defaults (prompts) are cut to about 60 bytes and lists to twelve options, so that a class fits a screen.
func describeInput(in *nodes.Input) string {
	var b strings.Builder
	b.WriteString(in.Type)
	for _, key := range []string{"default", "min", "max", "step"} { // the keys of /object_info, in the order people ask for them
		if v := in.Spec.Get(key); v != nil {
			text := string(v.AppendJSON(nil))
			if len(text) > 60 {
				text = text[:57] + "…"
			}
			fmt.Fprintf(&b, " %s=%s", key, text)
		}
	}
	if in.Open {
		b.WriteString(" (open: whatever the worker has)")
	}
	if names := in.OptionNames(); len(names) > 0 {
		fmt.Fprintf(&b, " %s", strings.Join(names[:min(len(names), 12)], " | "))
		if len(names) > 12 {
			fmt.Fprintf(&b, " | … (%d in all)", len(names))
		}
	}
	return b.String()
}

// nodesImport ends with 1 if the server does not answer, answers with something else, or the file cannot be written; a file
// that was there is replaced whole.
func nodesImport(env *Env) *cobra.Command {
	var out string
	var literal bool
	cmd := &cobra.Command{
		Use:   "import URL or FILE",
		Short: "make a catalogue file from a ComfyUI server's /object_info",
		Long: `Makes a catalogue file from a ComfyUI server's /object_info answer, or from a file that holds one. It keeps facts only (types, defaults, ranges,
options) and is given to other commands by --nodes. Lists of models that were empty on that server are marked open: any name passes.`,
		Example: "  comfyc nodes import http://127.0.0.1:8188 -o mine.catalogue\n  comfyc check --nodes mine.catalogue workflow.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := objectInfo(cmd.Context(), args[0])
			if err != nil {
				return exitf(exitInput, "%v", err)
			}
			v, err := source.ParseJSON(f, source.Limits{}) // strictly JSON, unlike other files: no server answers in YAML
			if err != nil {
				return env.failed([]diag.Diagnostic{diag.FromError(err, args[0])})
			}
			data, err := nodes.Import(v, nodes.ImportOptions{Closed: literal})
			if err != nil {
				return exitf(exitInput, "%s: %v", args[0], err)
			}
			if err := writeFile(out, data); err != nil {
				return exitf(exitInput, "%v", err)
			}
			fmt.Fprintln(env.Stdout, out)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "nodes.catalogue", "the `file` to write")
	cmd.Flags().BoolVar(&literal, "closed", false, "keep empty lists empty: only names that this server has are valid")
	return cmd
}

// objectInfo reads a file, or asks a server; the address may be the server's or that of /object_info itself.
// One minute in all and 256 MiB bound the answer. No key is sent; redirects are followed as a browser would.
func objectInfo(ctx context.Context, where string) (*source.File, error) {
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		return source.ReadFile(where)
	}
	url := strings.TrimRight(where, "/")
	if !strings.HasSuffix(url, "/object_info") {
		url += "/object_info"
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	// The minute covers the body too: a server that trickles bytes does not hold the command.
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s, the class definitions were expected", url, resp.Status)
	}
	// One byte more than allowed is read, to tell an answer of exactly the limit from one that goes on.
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxObjectInfo+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxObjectInfo {
		return nil, fmt.Errorf("%s answered with more than %d bytes", url, maxObjectInfo)
	}
	return source.NewFile(url, data), nil
}

// writeFile writes a file that is there whole or not at all, and that others may read.
func writeFile(name string, data []byte) error {
	return durable.WriteFile(name, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
