package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/comfyc/comfyc/compiler/diag"
	"github.com/comfyc/comfyc/compiler/source"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "30d": 720 * time.Hour, "36500d": MaxDuration} {
		if d, err := Duration(text); d != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, d, err, want)
		}
	}
	for _, text := range []string{"", "0s", "0.0d", "nans", "infd", "Infs", "-5s", "+5s", "1e9h", "0x1s", "5", "5 s", "s", "1_0s", "36500d1s", "36501d", "99999999999999d", strings.Repeat("9", 400) + "s", "1h-1h"} {
		if d, err := Duration(text); err == nil {
			t.Errorf("%.20s is taken for %v", text, d)
		}
	}
}

// Every number and duration of the configuration is bounded, and a mistake has its place in the file.
func TestConfigIsBounded(t *testing.T) {
	for text, at := range map[string]string{
		"limits:\n  body_mib: 0": "3:13", "limits:\n  body_mib: 1025": "3:13", "limits:\n  body_mib: .nan": "3:13", "limits:\n  body_mib: 1e300": "3:13", "limits:\n  body_mib: 1.5": "3:13",
		"limits:\n  batches: -1": "3:12", "limits:\n  batches: 1001": "3:12", "limits:\n  renders: 0": "3:12", "limits:\n  renders: .inf": "3:12", "limits:\n  renders: 99999999999999999999": "3:12",
		"retention:\n  jobs: 0h": "3:9", "retention:\n  jobs: 99999999d": "3:9", "retention:\n  batches: nand": "3:12", "retention:\n  batches: -1d": "3:12", "retention:\n  batches: 5": "3:12",
		"pools: {a: {endpoints: [preview],\n  timeout: 0s}}": "3:12", "pools: {a: {endpoints: [preview],\n  timeout: 9999999999h}}": "3:12",
		"trusted_proxies:\n- 10.0.0.0/99": "3:3",
	} {
		_, findings := ParseConfig(source.NewFile("service.yaml", []byte("version: 1\n"+text+"\n")))
		if len(findings) != 1 || !strings.Contains(diag.Where(findings[0].Place), "service.yaml:"+at) {
			t.Errorf("%q: %s, want one at %s", text, where(findings), at)
		}
	}
	c, findings := ParseConfig(source.NewFile("service.yaml", []byte("version: 1\nlimits: {body_mib: 2.0, renders: 1e3, batches: 1000}\nretention: {jobs: 36500d}\n")))
	if len(findings) > 0 || c.MaxBody != 2<<20 || c.MaxRenders != 1000 || c.MaxBatches != 1000 || c.KeepJob != MaxDuration {
		t.Errorf("%+v, %s", c, where(findings))
	}
}

// where prints findings with their places.
func where(findings []diag.Diagnostic) string {
	var out []string
	for _, d := range findings {
		out = append(out, fmt.Sprintf("%s: %s", diag.Where(d.Place), d.Message))
	}
	return strings.Join(out, "; ")
}
