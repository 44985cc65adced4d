package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
	"github.com/comfyc/comfyc/render"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/render/s3"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/dialect"
	"github.com/comfyc/comfyc/scheduler/lease"
)

// workFlags are those of `comfyc work` and of the commands below it.
// Endpoints and keys never travel through the database: each machine has its own file, and a slice runs only where its
// endpoints are known.
type workFlags struct {
	batchFlags
	db, dir, name string // --db or COMFYC_DB; --dir; --name
	files         string // --files: the bucket that holds the files of all machines
	slots, slices int    // --slots: slices at a time here; --slices: parts of a batch that is submitted
	json          bool
}

// cmdWork runs until it is stopped and ends with 0 then. Several may run on one machine, given different names.
func cmdWork(env *Env) *cobra.Command {
	var f workFlags
	cmd := &cobra.Command{
		Use:   "work",
		Short: "work on batches of a Postgres database, together with other machines",
		Long: `Works on the batches that were put into a Postgres database, together with all other machines that do, until it is stopped. A machine
that dies is noticed within 30 seconds; another one goes on with its remote jobs, and submits none of them again.

Endpoints and keys are this machine's own: --endpoints, or comfyc-endpoints.yaml in the user's configuration. Pictures and gallery of a
batch go to DIR/ID, so DIR is a folder that all machines share; or each machine has a DIR of its own, and --files names a bucket in which all of
them keep the files. Batches of ` + "`comfyc serve`" + ` on the same database are worked on too: DIR is then the folder works in its data folder, or with files in its
configuration, --files that place with /works at its end.

The database's URL may hold a password: then give it as COMFYC_DB instead of --db.

Ctrl-C submits nothing more and hands the work over at once; remote jobs go on, and another machine collects them.`,
		Example: "  comfyc work --db postgres://comfyc@db/comfyc --dir /mnt/shared --slots 4\n  comfyc work submit batch.yaml --db postgres://comfyc@db/comfyc",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return env.work(cmd.Context(), &f) },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.db, "db", "", "the database's `URL`, instead of COMFYC_DB")
	flags.StringVar(&f.nodes, "nodes", "", "an /object_info `file` instead of the built-in catalogue")
	flags.StringVar(&f.endpointsFile, "endpoints", "", "the endpoints `file`, instead of the one in the user's configuration")
	flags.StringArrayVar(&f.allowKeys, "allow-key", nil, "let the key in `VARIABLE=HOST` go to that host")
	cmd.Flags().StringVar(&f.dir, "dir", "", "the folder that all machines share, or with --files one of this machine; needed")
	cmd.Flags().StringVar(&f.files, "files", "", "an `s3://bucket/prefix` that holds the files of all machines; its credentials are those of output.s3")
	cmd.Flags().IntVar(&f.slots, "slots", 2, "slices of batches that are run at the same time")
	cmd.Flags().StringVar(&f.name, "name", "", "this machine's name, unique among them; made up if it is not given")
	cmd.AddCommand(cmdWorkSubmit(env, &f), cmdWorkStatus(env, &f), cmdWorkCancel(env, &f))
	return cmd
}

// cmdWorkSubmit needs no key and calls no endpoint: it compiles, packs the files and stores both. The id is the one line on
// stdout.
func cmdWorkSubmit(env *Env, f *workFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "submit BATCH",
		Short: "put a batch with all its files into the database; its id is printed",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return env.workSubmit(cmd.Context(), args[0], f) },
	}
	cmd.Flags().IntVar(&f.slices, "slices", 0, "into how many parts it is cut; 0 chooses")
	return cmd
}

// cmdWorkStatus reads rows and asks no machine; a heartbeat that is old is how a dead one shows.
func cmdWorkStatus(env *Env, f *workFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status ID",
		Short: "say how a batch in the database stands, and which machines work on it",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return env.workStatus(cmd.Context(), args[0], f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print it as one JSON object")
	return cmd
}

// cmdWorkCancel notes the wish and returns; the machines that have the slices see it at their next heartbeat and cancel the
// remote jobs.
func cmdWorkCancel(env *Env, f *workFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID",
		Short: "cancel what is left of a batch in the database",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.withQueue(cmd.Context(), f, func(q *lease.Queue) error { return q.Cancel(cmd.Context(), args[0]) })
		},
	}
}

// withQueue opens the database for a command.
// A database that cannot be reached, or an id that it does not know, is exit code 1.
func (e *Env) withQueue(ctx context.Context, f *workFlags, do func(*lease.Queue) error) error {
	url := orElse(f.db, e.Getenv("COMFYC_DB"))
	if url == "" {
		return exitf(exitUsage, "say which database: --db URL, or COMFYC_DB")
	}
	q, err := lease.Open(ctx, url)
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	defer q.Close()
	err = do(q)
	var coded *exit
	if err != nil && !errors.As(err, &coded) { // no such batch, or trouble with the database: not the command line
		return exitf(exitInput, "%v", err)
	}
	return err
}

// work runs slices until ctx ends.
// ctx ends with Ctrl-C. Slots bounds how many slices run at a time here, not how many jobs: that is what endpoints' limits are
// for.
func (e *Env) work(ctx context.Context, f *workFlags) error {
	if f.dir == "" {
		return exitf(exitUsage, "say where pictures go: --dir, a folder that all machines share, or with --files one of this machine")
	}
	bucket, err := e.workBucket(ctx, f.files)
	if err != nil {
		return err
	}
	var known scheduler.Options // of which only the speeds are of use
	learned := e.speeds(&known)
	defer learned() // what slices have taught about the endpoints is worth keeping however the work ends
	return e.withQueue(ctx, f, func(q *lease.Queue) error {
		w := &lease.Worker{Queue: q, Host: &workHost{e, f, q, bucket}, Slots: f.slots, Name: f.name, Speeds: known.Speeds, Log: slog.New(slog.NewTextHandler(e.Stderr, nil))}
		return w.Run(ctx)
	})
}

// workBucket opens the bucket of --files and asks whether it is there; nil without the flag.
func (e *Env) workBucket(ctx context.Context, url string) (*s3.Bucket, error) {
	if url == "" {
		return nil, nil
	}
	b, err := s3.Open(s3.Config{URL: url}, s3.Options{Getenv: e.Getenv})
	if err == nil {
		err = b.Check(ctx)
	}
	if err != nil {
		return nil, exitf(exitInput, "--files: %v", err)
	}
	return b, nil
}

// workHost opens batches of the database on this machine.
// It is called by the worker's goroutines, for several batches at a time, and keeps nothing that changes.
type workHost struct {
	env *Env
	f   *workFlags   // shared by all batches: copied before it is changed
	q   *lease.Queue // of the worker; a connection of its own for each batch would cost a second of round trips

	files *s3.Bucket // nil where --dir is shared
}

// Open implements lease.Host: the same plan from the same files, with this machine's endpoints and keys.
// Memory holds the bundle's files as long as the batch is open here. An error counts as a failed try of the slice, which other
// machines may still run.
func (h *workHost) Open(ctx context.Context, b lease.Batch) (*lease.Opened, error) {
	files, err := b.Bundle.FS()
	if err != nil {
		return nil, err
	}
	f := *h.f
	f.endpoints, f.maxCost = b.Endpoints, b.MaxUSD
	// The id and folder come from the database, which other machines write: neither may lead out of --dir.
	if !filepath.IsLocal(b.ID) || !fs.ValidPath(b.ID) || b.Dir != "" && !filepath.IsLocal(b.Dir) {
		return nil, fmt.Errorf("the batch's folder %q is none", filepath.Join(b.ID, b.Dir))
	}
	plan, err := h.env.compileShared(ctx, b.Bundle.File, b.Bundle.Files[b.Bundle.File], files, &f, true)
	if err != nil && err.Error() == "" { // the findings were printed
		return nil, errors.New("the batch does not compile on this machine; what is wrong stands in its log")
	} else if err != nil {
		return nil, err
	}
	allow := allowedKeys(h.f.allowKeys)
	var depot render.Depot
	if h.files != nil {
		depot = h.files.Depot(path.Join(b.ID, filepath.ToSlash(b.Dir)))
	}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(h.f.dir, b.ID, b.Dir), FS: files, Shared: true, Depot: depot, Store: h.q.Store(b.ID), Now: h.env.Now,
		Bucket: run.OwnBucket(h.env.Getenv, allow), Dialect: dialect.Deps{Getenv: h.env.Getenv, AllowKeys: allow, ReadFile: h.read(b)}})
	if err != nil {
		return nil, err
	}
	sink, opts, err := batch.Share(ctx)
	if err != nil {
		return nil, errors.Join(err, batch.Close()) // the error of closing is added, never hides the first one
	}
	return &lease.Opened{Work: plan, Endpoints: batch.Endpoints(), Sink: sink, Options: opts,
		// By the machine that ends the batch's last slice.
		Ended: func(ctx context.Context) error { return batch.WriteGallery(ctx, render.GalleryOptions{}) },
		Close: batch.Close}, nil
}

// read opens the batch's inputs in its bundle, and key files on this machine.
// What is asked for is first looked up in the bundle. So a batch never reads this machine's files, but for the absolute paths
// of its own endpoints file.
func (h *workHost) read(b lease.Batch) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if data, ok := b.Bundle.Files[filepath.ToSlash(path)]; ok {
			return data, nil
		}
		if filepath.IsAbs(path) { // of the endpoints file; a bundle has no such paths
			return os.ReadFile(path)
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist} // as os.ReadFile would say it
	}
}

// compileShared compiles a batch that reads its files from nowhere but files.
// The seed is the batch's own: a --seed here would give another plan than where the batch was submitted. Findings that are no
// errors are not printed.
func (e *Env) compileShared(ctx context.Context, name string, text []byte, files fs.FS, f *workFlags, run bool) (*compiler.Plan, error) {
	cat, err := e.catalogue(f.nodes)
	if err != nil {
		return nil, err
	}
	src := e.source(&f.batchFlags)
	src.Catalogue, src.Run, src.File, src.FS, src.Seed = cat, run, source.NewFile(name, text), files, nil
	plan, findings := compiler.Compile(ctx, src)
	if plan == nil {
		return nil, e.failed(findings)
	}
	return plan, nil
}

// recorder notes which files are opened.
// It wraps the folder of the batch while that is compiled: what the compiler opened is what other machines need. Globs open
// folders too; those are not noted.
type recorder struct {
	fs.FS
	mu    sync.Mutex      // an fs.FS may be used from any goroutine
	names map[string]bool // relative to the batch, with slashes
}

// Open implements fs.FS.
func (r *recorder) Open(name string) (fs.File, error) {
	f, err := r.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		r.mu.Lock()
		r.names[name] = true
		r.mu.Unlock()
	}
	return f, nil
}

// workSubmit compiles a batch here, and stores it with the files that the compiler opened.
// Only what lies below the batch's folder can be opened (os.Root), so `../` in a batch fails here and not on another machine.
// --endpoints is not sent: every machine has its own.
func (e *Env) workSubmit(ctx context.Context, file string, f *workFlags) error {
	read, err := source.ReadFile(file) // bounded
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	text := read.Data
	dir, name := filepath.Split(file)
	root, err := os.OpenRoot(orElse(dir, "."))
	if err != nil {
		return exitf(exitInput, "%v", err)
	}
	defer root.Close()
	seen := &recorder{FS: root.FS(), names: map[string]bool{}}
	plan, err := e.compileShared(ctx, name, text, seen, f, false)
	if err != nil {
		return err
	}
	b := lease.Batch{Name: plan.Name(), Plan: plan.Hash(), Renders: plan.Len(), Slices: f.slices, MaxParallel: plan.Batch().Schedule.MaxParallel,
		// Pictures are marked then, and nothing is kept in the cache.
		Preview: slices.ContainsFunc(plan.Endpoints(), func(c compiler.EndpointConfig) bool { return c.Type == "preview" }),
		Bundle:  lease.Bundle{File: name, Files: map[string][]byte{name: text}}}
	if usd := plan.Batch().Schedule.BudgetUSD; usd > 0 {
		b.Budget = &usd // a pointer: no budget and a budget of nothing differ
	}
	for path := range seen.names { // each file is read twice, here and by the compiler; the plan's hash shows if one changed between
		if b.Bundle.Files[path], err = readOf(seen.FS, path); err != nil {
			return exitf(exitInput, "%v", err)
		}
	}
	return e.withQueue(ctx, f, func(q *lease.Queue) error {
		id, err := q.Submit(ctx, b)
		if err == nil {
			fmt.Fprintln(e.Stdout, id)
		}
		return err
	})
}

// readOf reads one byte more than a bundle may hold, so that the queue can refuse what is too big instead of storing half of
// it.
func readOf(files fs.FS, path string) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, lease.MaxBundle+1))
}

// workStatus prints how a batch stands.
// An id that is not there is exit code 1.
func (e *Env) workStatus(ctx context.Context, id string, f *workFlags) error {
	return e.withQueue(ctx, f, func(q *lease.Queue) error {
		s, err := q.Status(ctx, id)
		if err != nil {
			return err
		}
		if f.json {
			return json.NewEncoder(e.Stdout).Encode(s)
		}
		e.printShared(s)
		return nil
	})
}

// printShared is for people: --json has more. A slice without an owner waits for a machine.
func (e *Env) printShared(s lease.Status) {
	t := s.Totals
	fmt.Fprintf(e.Stdout, "%s: %d renders: %d done, %d active, %d waiting, %d failed, %d held, %d cancelled\n", s.Name, s.Renders, t.Done, t.Active, t.Waiting, t.Failed, t.Held, t.Cancelled)
	if t.SpentUSD > 0 {
		fmt.Fprintf(e.Stdout, "about $%.4f spent\n", t.SpentUSD)
	}
	if !s.Ended.IsZero() {
		fmt.Fprintf(e.Stdout, "ended %s\n", s.Ended.Format(time.RFC3339))
		if s.Asked != "" { // cancel, budget, deadline or fail-fast
			fmt.Fprintf(e.Stdout, "stopped: %s\n", s.Asked)
		}
	}
	for _, slice := range s.Slices {
		// Past is exclusive in the row, "to" is inclusive for readers.
		line := fmt.Sprintf("renders %d to %d: %s", slice.First, slice.Past-1, slice.State)
		if slice.Owner != "" {
			// Ages are by the database's clock, since machines' clocks differ.
			line += fmt.Sprintf(" by %s, heard of %v ago", slice.Owner, s.Now.Sub(slice.Heartbeat).Round(time.Second))
		}
		if slice.Stopped != "" {
			line += ", stopped: " + string(slice.Stopped)
		}
		if slice.Reason != "" {
			line += ", " + slice.Reason
		}
		fmt.Fprintln(e.Stdout, line)
	}
}
