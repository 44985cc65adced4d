package nodes

import (
	"strings"
	"testing"
)

func TestAppendTypes(t *testing.T) {
	got := string(AppendTypes(nil, BuiltIn(), []string{"ImageScaleBy", "NoSuchClass", "ResizeImageMaskNode", "VAELoader", "PreviewAny"}))
	for _, want := range []string{
		"declare function template(t: Template): void;",
		"  /** Upscale Image By */\n  ImageScaleBy(inputs: { image: Link<\"IMAGE\">; upscale_method: \"nearest-exact\" | \"bilinear\" | \"area\" | \"bicubic\" | \"lanczos\" | Link<\"COMBO\">; scale_by: number | Link<\"FLOAT\">; }): { readonly 0: Link<\"IMAGE\">; readonly IMAGE: Link<\"IMAGE\">; };\n",
		"resize_type: \"scale dimensions\" | ",
		"\"resize_type.multiplier\"?: number | Link<\"FLOAT\">;",
		"\"resize_type.match\"?: Link<\"IMAGE\" | \"MASK\">;",
		"vae_name: string | Link<\"COMBO\">;",
		"source: Link | Json;",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %s\nin %s", want, got)
		}
	}
	if strings.Contains(got, "NoSuchClass") || strings.Count(got, "{") != strings.Count(got, "}") {
		t.Error("an unknown class, or braces that do not match")
	}
}

func TestAppendTypesOfAll(t *testing.T) {
	got := string(AppendTypes(nil, BuiltIn(), nil))
	if n := strings.Count(got, "(inputs: {"); n != BuiltIn().Len() {
		t.Errorf("%d methods for %d classes", n, BuiltIn().Len())
	}
}
