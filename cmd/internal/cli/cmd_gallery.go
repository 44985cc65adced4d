package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/render"
)

// cmdGallery needs manifest.json and the pictures, nothing else: no batch file, no state, no network. So it also works on a
// folder that came from elsewhere. Exit code 1 if there is no manifest.
func cmdGallery(env *Env) *cobra.Command {
	var title, theme string
	cmd := &cobra.Command{
		Use:   "gallery DIR",
		Short: "write the gallery of a run directory anew, from its manifest.json",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			folder, err := themeFolder(theme)
			if err != nil {
				return err
			}
			if err := render.WriteGallery(args[0], render.GalleryOptions{Title: title, Theme: folder}); err != nil {
				return exitf(exitInput, "%s: %v", args[0], err)
			}
			fmt.Fprintln(env.Stdout, filepath.Join(args[0], "index.html"))
			return nil
		},
	}
	cmd.Flags().StringVar(&title, "title", "", "a `title` instead of the batch's")
	registerTheme(cmd, &theme)
	return cmd
}
