package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// peer is an installed comfy-cli.
// program and python are of one virtual environment, so that both parts of the comparison are of one version.
type peer struct {
	program, python string
	status          int // with which its validate ends for flow against an /object_info without model files
}

var errNoPeer = errors.New("comfy-cli is not found: name a virtual environment that has it in COMFYC_PEER_VENV, or put comfy on PATH")

// findPeer looks for comfy-cli, once.
// A link is followed to the environment that it leads into, since the python beside the link may be another one.
func (e *Env) findPeer() (*peer, error) {
	if e.peer != nil {
		return e.peer, nil
	}
	program, err := exec.LookPath("comfy") // the environment variable comes before the path
	if venv := os.Getenv("COMFYC_PEER_VENV"); venv != "" {
		program, err = exec.LookPath(filepath.Join(venv, "bin", "comfy"))
	}
	if err != nil {
		return nil, errNoPeer
	}
	if resolved, err := filepath.EvalSymlinks(program); err == nil {
		program = resolved
	}
	p := &peer{program: program, python: filepath.Join(filepath.Dir(program), "python"), status: 1}
	if _, err := os.Stat(p.python); err != nil {
		return nil, fmt.Errorf("comfy is at %s, but no python beside it", program)
	}
	e.peer = p
	return p, nil
}

// converted is what peer_comfy_cli.py prints.
type converted struct {
	Version   string    `json:"version"`       // of comfy-cli
	Files     int       `json:"files"`         // how many it tried
	Refused   int       `json:"refused"`       // of them, those without a result
	WallS     []float64 `json:"wall_s"`        // of each pass over all files
	CPUS      []float64 `json:"cpu_s"`         // processor time of each pass
	ParsedS   float64   `json:"parse_s"`       // reading the JSON of all files, which the passes leave out
	ObjectS   float64   `json:"object_info_s"` // reading the /object_info file, which is in neither side's figure
	Converter string    `json:"converter"`     // the name of the function that was called
}

// convert lets the peer convert every workflow of a folder some times over.
// Each pass is over all files. The peer's imports and its reading of the class file are outside of its own clock.
func (p *peer) convert(e *Env, folder string, passes int) (*converted, error) {
	cmd := exec.Command(p.python, filepath.Join(e.Root, "bench", "peer_comfy_cli.py"), e.shared("truth/object_info.json"), folder, strconv.Itoa(passes))
	cmd.Stderr = nil // it warns of every class that it does not know
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the peer: %w", err)
	}
	var c converted
	if err := json.Unmarshal(out, &c); err != nil {
		return nil, fmt.Errorf("read what the peer printed: %w", err)
	}
	if len(c.WallS) != passes || c.Files == 0 {
		return nil, errors.New("the peer converted nothing")
	}
	return &c, nil
}

// seconds turns what scripts print into a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
