package compiler

import "testing"

func TestFindGPU(t *testing.T) {
	for name, want := range map[string]string{
		"rtx4090": "rtx4090", "4090": "rtx4090", "NVIDIA GeForce RTX 4090": "rtx4090", "RTX 4090 D": "", "rtx40901": "",
		"h100": "h100", "H100 SXM5 80GB": "h100", "NVIDIA H100 80GB HBM3": "h100", "H100-PCIe": "h100", "H100 NVL": "h100", "h1000": "", "h100 mini": "", "": "",
	} {
		got, ok := FindGPU(name)
		if got.Name != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", name, got.Name, want)
		}
	}
}
