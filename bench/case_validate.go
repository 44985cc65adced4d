package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/nodes"
)

// There are no goals here: the figures are for the table, next to how often each validator is right.
var validateCases = []Case{
	{Name: "ValidateComfyLint", What: "recorded prompts read and checked in process, against comfy-lint on parsed ones; same /object_info. right: verdicts equal to a real server's",
		Skip: needComfyLint, Run: validateComfyLint},
	{Name: "ValidateComfyUI", What: "the same against ComfyUI's own validate_prompt in its process, with its own classes. It has none of the recorded server's models, so its verdicts are not held against them",
		Skip: needComfyUI, Run: validateComfyUI},
}

// validator is another validator and where it finds its classes.
// place is a file or a folder, as peer_validate.py takes it for that name.
type validator struct{ name, python, place string }

// findComfyLint looks where comfy-cli is looked for.
// The program is started once to see whether the package is there; that costs a Python start and no more.
func (e *Env) findComfyLint() (validator, error) {
	v := validator{"comfy-lint", "python3", e.shared("truth/validation_object_info.json")}
	if venv := os.Getenv("COMFYC_PEER_VENV"); venv != "" {
		v.python = filepath.Join(venv, "bin", "python")
	}
	if err := exec.Command(v.python, "-c", "import comfy_lint").Run(); err != nil {
		return v, errors.New("comfy-lint is not found: install it into the virtual environment that COMFYC_PEER_VENV names")
	}
	return v, nil
}

// findComfyUI takes the checkout that COMFYC_COMFYUI_DIR names, and the Python that has what it needs: COMFYC_COMFYUI_PYTHON, else that of a virtual
// environment beside or in it.
// Nothing of the checkout is changed; what ComfyUI writes at its start goes where its own options say.
func findComfyUI() (validator, error) {
	dir := os.Getenv("COMFYC_COMFYUI_DIR")
	if dir == "" {
		return validator{}, errors.New("no ComfyUI is given: name a checkout in COMFYC_COMFYUI_DIR, and its Python in COMFYC_COMFYUI_PYTHON")
	}
	// The first that exists; an empty name never does.
	for _, python := range []string{os.Getenv("COMFYC_COMFYUI_PYTHON"), filepath.Join(dir, "venv", "bin", "python"), filepath.Join(dir, "..", "venv", "bin", "python")} {
		if _, err := os.Stat(python); err == nil {
			return validator{"comfyui", python, dir}, nil
		}
	}
	return validator{}, errors.New("the ComfyUI in COMFYC_COMFYUI_DIR has no virtual environment: name its Python in COMFYC_COMFYUI_PYTHON")
}

// needComfyLint says both reasons, if both are missing.
func needComfyLint(e *Env) error {
	_, err := e.findComfyLint()
	return errors.Join(e.needShared("truth/validation.jsonl"), err)
}

func needComfyUI(e *Env) error {
	_, err := findComfyUI()
	return errors.Join(e.needShared("truth/validation.jsonl"), err)
}

// validateComfyLint is judged: both sides have the classes that the recorded server had.
func validateComfyLint(e *Env, b *testing.B) error {
	v, err := e.findComfyLint()
	if err != nil {
		return err
	}
	return e.validate(b, v, true)
}

// validateComfyUI is not judged on the peer's verdicts, only on its time.
func validateComfyUI(e *Env, b *testing.B) error {
	v, err := findComfyUI()
	if err != nil {
		return err
	}
	return e.validate(b, v, false)
}

// recorded is a prompt with a server's verdict.
type recorded struct {
	prompt []byte // an API prompt as it was sent
	valid  bool   // the server would run at least one output
}

// recordedPrompts are the cases that every validator can read: objects of nodes that name a class, asked for as a whole.
// Left out are prompts on which the server itself failed (500), partial executions, and values that JSON cannot say
// ("__float__" stands for NaN and the like). The file that is written has one prompt a line, for the peer.
func (e *Env) recordedPrompts() (out []recorded, path string, err error) {
	data, err := os.ReadFile(e.shared("truth/validation.jsonl"))
	if err != nil {
		return nil, "", err
	}
	var lines bytes.Buffer
	for line := range bytes.Lines(data) {
		var c struct {
			Prompt  json.RawMessage `json:"prompt"`
			Valid   bool            `json:"valid"`
			Status  int             `json:"status"`
			Targets json.RawMessage `json:"partial_execution_targets"`
		}
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, "", err
		}
		var graph map[string]struct {
			Class  string                     `json:"class_type"`
			Inputs map[string]json.RawMessage `json:"inputs"`
		}
		// No map of nodes: some validators cannot read it.
		if c.Status == 500 || c.Targets != nil || json.Unmarshal(c.Prompt, &graph) != nil || len(graph) == 0 || bytes.Contains(c.Prompt, []byte("__float__")) {
			continue
		}
		out = append(out, recorded{c.Prompt, c.Valid})
		fmt.Fprintf(&lines, "{\"prompt\":%s,\"valid\":%v}\n", c.Prompt, c.Valid)
	}
	path, err = e.write("validate.jsonl", lines.String())
	return out, path, err
}

// validate takes the best pass of each side.
// Both sides validate all prompts in each pass. Ours reads the text as well, which is more work than the peer's.
func (e *Env) validate(b *testing.B, v validator, judged bool) error {
	cases, path, err := e.recordedPrompts()
	if err != nil {
		return err
	}
	theirs, err := v.run(e, path, len(cases))
	if err != nil {
		return err
	}
	e.versioned(v.name, theirs.Version)
	info, err := source.ReadFile(e.shared("truth/validation_object_info.json")) // the classes of the server that gave the verdicts
	if err != nil {
		return err
	}
	cat, _ := nodes.LoadFile(info)
	if cat == nil {
		return errors.New("the /object_info file cannot be read")
	}
	var wall, cpu []time.Duration
	right := 0
	for b.Loop() {
		right = 0 // counted anew each time; the passes are alike
		start, before := time.Now(), processorTime()
		for _, c := range cases {
			r := compiler.Check(context.Background(), source.NewFile("prompt.json", c.prompt), compiler.CheckOptions{Catalogue: cat})
			if (len(r.GoodOutputs) > 0) == c.valid { // a server runs what is good of a prompt, so one good output is enough
				right++
			}
		}
		wall, cpu = append(wall, time.Since(start)), append(cpu, processorTime()-before)
	}
	each := 1e6 / float64(len(cases)) // microseconds for each prompt
	b.ReportMetric(float64(len(cases)), "prompts")
	b.ReportMetric(slices.Min(wall).Seconds()*each, "µs/prompt")
	b.ReportMetric(slices.Min(theirs.WallS)*each, "peer-µs/prompt")
	b.ReportMetric(slices.Min(theirs.WallS)/slices.Min(wall).Seconds(), "times")
	b.ReportMetric(slices.Min(theirs.CPUS)/slices.Min(cpu).Seconds(), "cpu-times")
	b.ReportMetric(100*float64(right)/float64(len(cases)), "%-right")
	if judged {
		b.ReportMetric(100*float64(theirs.Right)/float64(len(cases)), "peer-%-right")
	}
	b.ReportMetric(0, "ns/op")
	return nil
}

// validated is what peer_validate.py prints.
type validated struct {
	Version string    `json:"version"`
	Prompts int       `json:"prompts"` // how many it read
	Right   int       `json:"right"`   // verdicts equal to the recorded ones
	WallS   []float64 `json:"wall_s"`  // of each pass over all prompts
	CPUS    []float64 `json:"cpu_s"`   // processor time of each pass
}

// run lets the validator look at all cases three times.
// Three passes, of which the caller takes the best. stderr is shown, up to 2000 bytes, only if it fails.
func (v validator) run(e *Env, cases string, n int) (*validated, error) {
	cmd := exec.Command(v.python, filepath.Join(e.Root, "bench", "peer_validate.py"), v.name, v.place, cases, strconv.Itoa(3))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w\n%s", v.name, err, said.Bytes()[:min(said.Len(), 2000)])
	}
	var got validated
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("read what %s printed: %w", v.name, err)
	}
	// Both sides must have looked at the same prompts.
	if got.Prompts != n {
		return nil, fmt.Errorf("%s read %d prompts, not %d", v.name, got.Prompts, n)
	}
	return &got, nil
}
