package cli

import (
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// A theme that is a folder is kept as a path, so that resume finds it from elsewhere; a built-in one by its name.
func TestThemesAreKeptAsWhatTheyAre(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	theme := filepath.Join(t.TempDir(), "mine")
	for given, want := range map[string]string{theme: theme, "paper": "paper"} {
		f, cmd := &renderFlags{}, &cobra.Command{}
		f.registerAll(cmd)
		if err := cmd.Flags().Set("theme", given); err != nil {
			t.Fatal(err)
		}
		r := recordOf(dir, filepath.Join(dir, "batch.yaml"), "n", f, cmd.Flags())
		t.Chdir(t.TempDir()) // as resume is called from elsewhere
		_, back, err := r.restore(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := back.gallery.theme
		if given == theme && !filepath.IsAbs(got) { // as seen from here
			if got, err = filepath.Abs(got); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil || got != want {
			t.Errorf("--theme %s comes back as %q, %v; want %q", given, got, err, want)
		}
	}
}
