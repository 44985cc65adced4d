package run_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/render/run"
	"github.com/comfyc/comfyc/scheduler"
	"github.com/comfyc/comfyc/scheduler/store"
)

// ledger is a store of a program's own: it keeps the state in another one, and writes down each attempt at the moment at which it becomes durable.
// A store that keeps rows itself implements the five methods of [scheduler.Store]; the conformance suite of package store says what they promise.
type ledger struct {
	scheduler.Store
	lines []string
}

func (l *ledger) Apply(ctx context.Context, changes []scheduler.Change) error {
	if err := l.Store.Apply(ctx, changes); err != nil {
		return err
	}
	for _, c := range changes {
		if a := c.Attempt; a != nil {
			l.lines = append(l.lines, fmt.Sprintf("attempt %d at %s: %v", a.Number, a.Endpoint, a.State))
		}
	}
	return nil
}

// The intent to submit is in the store before the job leaves; the store may be your own.
func Example_store() {
	ctx, dir := context.Background(), workFolder()
	defer os.RemoveAll(dir)
	plan, findings := compiler.NewBatch("flow.json").Compile(ctx, compiler.Source{Dir: dir})
	if plan == nil {
		log.Fatal(findings)
	}
	book := &ledger{Store: &store.Memory{}}
	batch, err := run.Open(plan, run.Options{Dir: filepath.Join(dir, "out"), Store: book})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()
	summary, err := batch.Run(ctx, batch.Options())
	fmt.Println(summary.Counts[scheduler.Done], "done", err)
	fmt.Println(book.lines[0])
	fmt.Println(book.lines[len(book.lines)-1])
	// Output:
	// 1 done <nil>
	// attempt 1 at preview: submitting
	// attempt 1 at preview: collected
}
