package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/render/cache"
)

// cmdCache is a family: `cache` alone does nothing and ends with 2. What the subcommands do needs no batch and no endpoint.
func cmdCache(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "look after the finished renders that are kept for all batches",
		Long: `Finished renders are kept, as the endpoints gave them, so that no batch pays for them again. Batches on previews keep nothing.

The cache is where --cache says, else COMFYC_CACHE, else the key cache of comfyc-endpoints.yaml in the user's configuration, else the user's
cache folder. It may be removed at any time: what is not there is rendered again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return exitf(exitUsage, "say ls, gc or verify (see `%s --help`)", cmd.CommandPath())
		},
	}
	cmd.AddCommand(cmdCacheList(env), cmdCacheSweep(env), cmdCacheVerify(env))
	return cmd
}

// mustCache opens the cache for a command that is about nothing else.
// Where openCache gives nil for "none", these commands end with exit code 1.
func (e *Env) mustCache(flag string) (*cache.Cache, int64, error) {
	c, bytes, err := e.openCache(flag)
	if err == nil && c == nil {
		err = exitf(exitInput, "there is no cache: it is switched off, or this user has no cache folder; name one with --cache")
	}
	return c, bytes, err
}

// cachedLine is an entry as `cache ls --json` prints it.
// The names of its keys are part of the contract with scripts; times are in UTC.
type cachedLine struct {
	Key      string    `json:"key"`              // of the cache: render, worker image and models hashed together
	Render   string    `json:"render"`           // the id of the render: the hash of its canonical graph
	Batch    string    `json:"batch,omitempty"`  // the name of the batch that paid for it
	Worker   string    `json:"worker"`           // the worker image, which is part of the key
	Models   []string  `json:"models,omitempty"` // names of models at that endpoint, where they differ from the graph's
	Endpoint string    `json:"endpoint"`
	Files    int       `json:"files"`              // how many pictures
	Bytes    int64     `json:"bytes"`              // all files together
	Seconds  float64   `json:"seconds,omitempty"`  // that were paid for; 0 if they are not known
	CostUSD  *float64  `json:"cost_usd,omitempty"` // an estimate; null if the price was not known
	Rendered time.Time `json:"rendered"`
	Used     time.Time `json:"used"` // what `gc` goes by: when a batch last took it
}

// cmdCacheList holds all entries in memory to sort them, but reads no picture. Exit code 1 if there is no cache or it cannot be
// read.
func cmdCacheList(env *Env) *cobra.Command {
	var where, batch string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "list the renders in the cache, the one that was used last first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := env.mustCache(where)
			if err != nil {
				return err
			}
			var list []cache.Listed
			for e, err := range c.List(cmd.Context()) {
				if err != nil {
					return exitf(exitInput, "the cache %s: %v", c, err)
				}
				if batch == "" || e.Batch == batch {
					list = append(list, e)
				}
			}
			// Last used first, which is the reverse of the order in which `gc` removes them; the key breaks ties, so that the
			// output is stable.
			slices.SortFunc(list, func(a, b cache.Listed) int {
				if n := b.Used.Compare(a.Used); n != 0 {
					return n
				}
				return strings.Compare(a.Entry.Key, b.Entry.Key)
			})
			return env.listCache(c, list, asJSON)
		},
	}
	registerCache(cmd, &where)
	cmd.Flags().StringVar(&batch, "batch", "", "only what was rendered for the batch of this `NAME`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

// listCache prints the entries: lines of JSON, or a table and its sum.
// Entries go to stdout; the sum for people goes to stderr, so that it does not get between the lines of a script.
func (e *Env) listCache(c *cache.Cache, list []cache.Listed, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(e.Stdout) // one object a line, as soon as it is encoded
		for _, x := range list {
			if err := out.Encode(cachedLine{x.Entry.Key, x.Render, x.Batch, x.Worker, x.Models, x.Endpoint, len(x.Files), x.Size(), x.Seconds, x.CostUSD, x.Rendered, x.Used.UTC()}); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	if len(list) > 0 {
		fmt.Fprintln(table, "RENDER\tSIZE\tUSED\tBATCH\tENDPOINT\tCOST")
	}
	var files int
	var bytes int64
	for _, x := range list {
		cost := "?"
		if x.CostUSD != nil {
			cost = dollars(*x.CostUSD)
		}
		// Twelve hex digits tell renders apart here, and fit a terminal.
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Render[:min(12, len(x.Render))], bytesText(x.Size()), ago(e.Now().Sub(x.Used)), printable(x.Batch), printable(x.Endpoint), cost)
		files, bytes = files+len(x.Files), bytes+x.Size()
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.Stderr, "comfyc: %s, %s, %s in %s\n", count(len(list), "render"), count(files, "file"), bytesText(bytes), c)
	return nil
}

// printable takes out what could move a terminal's cursor: names in a shared cache are other people's.
// Bytes below space, DEL and the C1 controls (0x80 to 0x9f), some of which begin escape sequences too, become spaces.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// ago says how long something is past.
// Rounded down: 119 minutes are "1 h ago". A clock that ran backwards says "now".
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// cmdCacheSweep takes no lock against batches that run: a render that it removes under one of them is rendered again, no more.
func cmdCacheSweep(env *Env) *cobra.Command {
	var where, size, older string
	var dry bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "remove what was used longest ago, until the cache is as small as it should be",
		Long: `Removes renders from the cache: those that were not used for so long (--older-than), then those that were used longest ago until the rest takes
no more than --max-size, which is by default what the user's configuration says, else 20 GiB. Files that no render names go too, an hour after they
came.`,
		Example: "  comfyc cache gc --max-size 5GiB\n  comfyc cache gc --older-than 30d --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, bytes, err := env.mustCache(where)
			if err != nil {
				return err
			}
			opts := cache.SweepOptions{MaxBytes: bytes, DryRun: dry} // of the configuration: 20 GiB if that says nothing
			if size != "" {
				if opts.MaxBytes, err = parseBytes(size); err != nil {
					return exitf(exitUsage, "--max-size: %v", err)
				}
				opts.MaxBytes = max(1, opts.MaxBytes) // 0 empties it
			}
			if older != "" {
				if opts.UnusedFor, err = parseAge(older); err != nil {
					return exitf(exitUsage, "--older-than: %v", err)
				}
			}
			s, err := c.Sweep(cmd.Context(), opts)
			if err != nil {
				return exitf(exitInput, "the cache %s: %v", c, err)
			}
			verb := "removed"
			if dry {
				verb = "would remove"
			}
			fmt.Fprintf(env.Stdout, "%s %s and %s, %s; %s and %s stay\n", verb, count(s.Entries, "render"), count(s.Files, "file"), bytesText(s.Bytes),
				count(s.KeptEntries, "render"), bytesText(s.KeptBytes))
			return nil
		},
	}
	registerCache(cmd, &where)
	cmd.Flags().StringVar(&size, "max-size", "", "what may stay, as a `SIZE` such as 5GiB")
	cmd.Flags().StringVar(&older, "older-than", "", "remove what was not used for this `TIME`, such as 30d or 12h")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "remove nothing, say what would be removed")
	return cmd
}

// parseAge reads a duration in which days count too.
// The form is a whole or broken number and one unit, "1.5d" too; a year is "365d". Durations below 0 and above 100,000 days are
// refused.
func parseAge(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no time such as 30d, 12h or 90m", text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := time.ParseDuration(days + "h") // read as hours, then times 24: ParseDuration knows no days
		if err != nil || d < 0 || d > 100000*time.Hour {
			return 0, bad
		}
		return 24 * d, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, bad
	}
	return d, nil
}

// cmdCacheVerify reads every byte, so it takes as long as the disk or the bucket needs; Ctrl-C leaves the rest unread. Damage
// is no failure: exit code 0.
func cmdCacheVerify(env *Env) *cobra.Command {
	var where string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "read everything in the cache, and remove what is damaged",
		Long:  "Reads and hashes every file in the cache and removes what is damaged or not whole. What was removed is rendered again when it is wanted.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := env.mustCache(where)
			if err != nil {
				return err
			}
			v, err := c.Verify(cmd.Context())
			if err != nil {
				return exitf(exitInput, "the cache %s: %v", c, err)
			}
			if asJSON {
				// The append makes "removed": [] of no damage, where a nil slice would be null.
				return json.NewEncoder(env.Stdout).Encode(map[string]any{"renders": v.Entries, "files": v.Files, "bytes": v.Bytes, "removed": append([]string{}, v.Damaged...)})
			}
			for _, name := range v.Damaged {
				fmt.Fprintln(env.Stdout, "removed", name)
			}
			fmt.Fprintf(env.Stderr, "comfyc: %s and %s, %s, were read; %d damaged\n", count(v.Entries, "render"), count(v.Files, "file"), bytesText(v.Bytes), len(v.Damaged))
			return nil
		},
	}
	registerCache(cmd, &where)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
