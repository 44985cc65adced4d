package cli

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/cmd/internal/service"
	"github.com/comfyc/comfyc/cmd/internal/service/keys"
	"github.com/comfyc/comfyc/cmd/internal/service/ledger"
)

// cmdKeys changes the ledger and asks no service: it works while a service runs, on the same folder or database, and while none
// does.
func cmdKeys(env *Env) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "make, list and revoke the keys of comfyc serve",
		Long: `Keys are who may use a service, and how much. They are kept hashed in the service's data folder, or in the database that COMFYC_POSTGRES
names; a running service takes changes up within two seconds.`,
	}
	cmd.PersistentFlags().StringVar(&data, "data", "comfyc-data", "the data `folder` of the service")
	cmd.AddCommand(keysAdd(env, &data), keysList(env, &data), keysRevoke(env, &data))
	return cmd
}

// withLedger opens the ledger for one command.
// The ledger is closed again even if do fails. Its error comes back as it is, so do gives it an exit code.
func (e *Env) withLedger(data string, do func(*ledger.Ledger) error) error {
	l, err := service.OpenLedger(data, e.Getenv(postgresVariable))
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	defer l.Close()
	return do(l)
}

// keysAdd makes the key here, of 32 random bytes, and stores its SHA-256; the text is on stdout alone, so that `comfyc keys add
// ci > key` keeps it out of the terminal.
func keysAdd(env *Env, data *string) *cobra.Command {
	var limits keys.Limits
	var scopes []string
	var retention string
	cmd := &cobra.Command{
		Use:     "add NAME",
		Short:   "make a key; it is printed once, on stdout, and cannot be shown again",
		Example: "  comfyc keys add ci --budget 50 --concurrent 4\n  comfyc keys add boss --scope admin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range scopes {
				limits.Scopes = append(limits.Scopes, keys.Scope(s))
			}
			if retention != "" {
				var err error
				if limits.Retention, err = service.Duration(retention); err != nil {
					return exitf(exitUsage, "--retention %s: write a duration such as 12h or 30d: %v", retention, err)
				}
			}
			text, row, err := keys.New(args[0], limits, env.Now())
			if err != nil {
				return exitf(exitUsage, "%v", err)
			}
			return env.withLedger(*data, func(l *ledger.Ledger) error {
				if err := l.AddKey(cmd.Context(), row); err != nil {
					return exitf(exitInput, "%v", err) // the database cannot be written
				}
				env.auditKey(cmd, l, "keys add", row.ID, row.Name)
				fmt.Fprintf(env.Stderr, "comfyc: key %s (%s); keep it now, only its hash is stored\n", row.ID, row.Name)
				fmt.Fprintln(env.Stdout, text)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&scopes, "scope", []string{"submit", "read"}, "what the key may do: submit, read, admin")
	flags.Float64Var(&limits.BudgetUSD, "budget", 0, "`USD` that its works may cost in a calendar month; 0 for no limit")
	flags.Float64Var(&limits.Rate, "rate", 0, "requests a second; 0 for no limit")
	flags.IntVar(&limits.Concurrent, "concurrent", 0, "works that run at one time; 0 for no limit")
	flags.IntVar(&limits.Weight, "weight", 1, "its share of the endpoints while others wait too")
	flags.IntVar(&limits.Priority, "priority", 0, "higher ones go first, whatever the weights")
	flags.Int64Var(&limits.DiskBytes, "disk", 0, "`bytes` that its works may keep on disk; 0 for no limit")
	flags.StringVar(&retention, "retention", "", "how long its works are kept after their end, such as 12h or 30d")
	return cmd
}

// auditKey notes what was done to a key.
// The log is append-only. That it cannot be written is told, and does not undo what was done. It never holds the key itself.
func (e *Env) auditKey(cmd *cobra.Command, l *ledger.Ledger, action, object, detail string) {
	if err := l.AddAudit(cmd.Context(), ledger.Audit{Time: e.Now(), Actor: "command line", Action: action, Object: object, Detail: detail}); err != nil {
		fmt.Fprintf(e.Stderr, "comfyc: the audit log cannot be written: %v\n", err)
	}
}

// keysList shows revoked keys too: what they did stands in the log under their ids.
func keysList(env *Env, data *string) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "list the keys, without the keys themselves",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.withLedger(*data, func(l *ledger.Ledger) error {
				rows, err := l.Keys(cmd.Context())
				if err != nil {
					return exitf(exitInput, "%v", err)
				}
				w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ID\tNAME\tSCOPES\tLIMITS\tMADE\tUSED\tSTATE")
				for _, row := range rows {
					k, err := keys.From(row)
					if err != nil {
						return exitf(exitInput, "%v", err)
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, scopeList(k.Scopes), limitList(k.Limits), day(k.Created), day(k.Used),
						map[bool]string{true: "good", false: "revoked " + day(k.Revoked)}[k.Revoked.IsZero()])
				}
				return w.Flush()
			})
		},
	}
}

// scopeList keeps the order in which they were given at `keys add`.
func scopeList(scopes []keys.Scope) string {
	var out []string
	for _, s := range scopes {
		out = append(out, string(s))
	}
	return strings.Join(out, ",")
}

// limitList prints the limits that are set.
// A limit of 0 is no limit and is left out; so is the weight 1, which is everybody's.
func limitList(l keys.Limits) string {
	var out []string
	add := func(set bool, format string, v any) {
		if set {
			out = append(out, fmt.Sprintf(format, v))
		}
	}
	add(l.BudgetUSD > 0, "%g USD a month", l.BudgetUSD)
	add(l.Rate > 0, "%g requests/s", l.Rate)
	add(l.Concurrent > 0, "%d at once", l.Concurrent)
	add(l.Weight > 1, "weight %d", l.Weight)
	add(l.Priority != 0, "priority %d", l.Priority)
	add(l.DiskBytes > 0, "%d bytes", l.DiskBytes)
	add(l.Retention > 0, "kept %v", l.Retention)
	return orElse(strings.Join(out, ", "), "none")
}

// day prints a date, "never" for none.
// The day is that of the time's own zone; the ledger stores UTC.
func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format("2006-01-02")
}

// keysRevoke writes to the ledger only; running services notice it at their next look, within two seconds. A key that is
// revoked already counts as not there (1). A name that several good keys have revokes none of them (1): which one is meant the id says.
func keysRevoke(env *Env, data *string) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID or NAME",
		Short: "end a key at once; works that run go on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.withLedger(*data, func(l *ledger.Ledger) error {
				k, err := l.RevokeKey(cmd.Context(), args[0], env.Now())
				switch {
				case errors.Is(err, ledger.ErrNone):
					return exitf(exitInput, "there is no good key %q", args[0])
				case err != nil:
					return exitf(exitInput, "%v", err)
				}
				env.auditKey(cmd, l, "keys revoke", k.ID, k.Name)
				fmt.Fprintf(env.Stderr, "comfyc: key %s (%s) is revoked\n", k.ID, k.Name)
				return nil
			})
		},
	}
}
